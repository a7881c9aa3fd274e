//! The live page: who is answered, and what a browser shows.

use crate::bench::{Bench, SPEC, Said};
use crate::figures::have;
use crate::python::python;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

/// A server that ends with the test.
struct Served {
    child: Child,
    /// The address with its token.
    address: String,
}

impl Served {
    fn of(bench: &Bench) -> Self {
        let mut child = bench.start(&["serve", "--listen", "127.0.0.1:0"], "");
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned() }
    }

    fn place(&self) -> &str {
        self.address["http://".len()..].split('/').next().unwrap()
    }

    fn token(&self) -> &str {
        self.address.split_once("token=").unwrap().1
    }

    /// Sends a request as it is written; the answer with its head.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.place()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Asks with the token, and closes.
    fn get(&self, path: &str) -> String {
        let token = self.token();
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"))
    }

    /// Plays a scene of `tests/browser/serve.py`.
    fn play(&self, scene: &str) {
        let Some(python) = python().filter(|_| have("chromium")) else { return };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/serve.py");
        let mut command = Command::new(python);
        Said::of(command.arg(script).args([scene, &self.address]).output().unwrap()).expect(0);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn nobody_is_answered_without_token_name_or_for_anything_but_a_look() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml", "--only", "maps"]).expect(0);
    fs::write(bench.path("results/nodes/secret.txt"), "secret").unwrap();
    let served = Served::of(&bench);
    let ask = |line: &str, head: &str| {
        served.raw(&format!("{line} HTTP/1.1\r\n{head}Connection: close\r\n\r\n"))
    };
    let token = served.token().to_owned();
    let bearer = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
    assert_eq!(status(&ask("GET /", &bearer)), "200");
    for path in ["/", "/api/experiments", "/assets/main.js", "/events/spec"] {
        assert_eq!(status(&ask(&format!("GET {path}"), "Host: localhost\r\n")), "401", "{path}");
        let stranger = bearer.replace("localhost", "evil.example");
        assert_eq!(status(&ask(&format!("GET {path}"), &stranger)), "421", "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(status(&ask(&format!("{method} /api/experiments"), &bearer)), "405");
    }
    // The address with the token gives a cookie, and leads to one without it.
    let settled = ask(&format!("GET /?token={token}"), "Host: 127.0.0.1:1\r\n");
    assert_eq!(status(&settled), "303");
    assert!(settled.contains("location: /\r\n") && settled.contains("HttpOnly; SameSite=Strict"));
    let cookie = settled.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap();
    let with_cookie = format!("Host: localhost\r\nCookie: a=b; {cookie}\r\n");
    let page = ask("GET /", &with_cookie);
    assert_eq!(status(&page), "200");
    assert!(
        page.contains("content-security-policy: default-src 'none'") && page.contains("nosniff")
    );
    // Nothing but what the page asks for is there.
    for path in [
        "/api/../../nodes/secret.txt",
        "/api/spec/strip/..%2f..%2fsecret.txt",
        "/assets/..%2f..%2fmod.rs",
        "/api/spec/node/%2e%2e",
        "/nodes/secret.txt",
        "/api/other/nodes",
    ] {
        let answer = served.get(path);
        assert!(matches!(status(&answer), "404" | "400"), "{path}: {answer}");
        assert!(!answer.contains("secret\n") && !answer.ends_with("secret"), "{path}");
    }
    // What was asked wrongly is told as everywhere.
    let answer = served.get("/api/spec/results?sweep=mian&columns=net.loss");
    assert_eq!(status(&answer), "400");
    assert!(answer.contains("there is no sweep `mian`") && answer.contains("main"), "{answer}");
    // What has not changed is not sent again.
    let first = served.get("/api/spec/nodes");
    let tag = first.split("etag: ").nth(1).unwrap().split('\r').next().unwrap();
    let again = ask("GET /api/spec/nodes", &format!("{bearer}If-None-Match: {tag}\r\n"));
    assert_eq!(status(&again), "304");
}

#[test]
fn serve_says_what_is_missing_or_taken() {
    let bench = Bench::new(SPEC);
    let said = bench.ablate(&["serve"]).expect(2);
    assert!(said.err.contains("there is no database") && said.err.contains("`ablate run` a spec"));
    bench.ablate(&["run", "spec.yaml", "--only", "maps"]).expect(0);
    let served = Served::of(&bench);
    let said = bench.ablate(&["serve", "--listen", served.place()]).expect(2);
    assert!(said.err.contains("cannot listen") && said.err.contains("--listen 127.0.0.1:0"));
}

#[test]
fn an_experiment_whose_spec_is_gone_says_so_and_others_are_shown() {
    let bench = Bench::new(SPEC);
    bench.write("other.yaml", SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.ablate(&["run", "other.yaml"]).expect(0);
    fs::remove_file(bench.path("other.yaml")).unwrap();
    let served = Served::of(&bench);
    let all = served.get("/api/experiments");
    assert!(all.contains("its spec is gone") && all.contains("\"finished\":21"), "{all}");
    assert_eq!(status(&served.get("/api/other/nodes")), "400");
    assert_eq!(status(&served.get("/api/spec/nodes")), "200");
}

#[test]
fn a_browser_sorts_compares_filters_and_keeps_it_in_the_address() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    for entry in fs::read_dir(bench.path("results/nodes")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("sample-") {
            let bytes: Vec<u8> = (0..=255).collect();
            ablate::npy::write_u8(&entry.path().join("samples.npy"), &[4, 1, 8, 8], &bytes)
                .unwrap();
        }
    }
    Served::of(&bench).play("finished");
}

#[test]
fn a_browser_follows_a_run_to_its_end() {
    if !have("chromium") || python().is_none() {
        return;
    }
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml", "--only", "maps"]).expect(0);
    let served = Served::of(&bench);
    let run = bench.start(&["run", "spec.yaml"], "slow net 4000");
    served.play("live");
    Said::of(run.wait_with_output().unwrap()).expect(0);
}

#[test]
fn a_browser_shows_failures_first_and_what_they_block() {
    let bench = Bench::new(SPEC);
    let orders = "fail net[schedule=cosine,seed=0];fail net[schedule=cosine,seed=1]";
    bench.ablate_with(&["run", "spec.yaml"], orders).expect(1);
    Served::of(&bench).play("failed");
}

#[test]
fn a_browser_shows_ten_thousand_nodes_some_at_a_time() {
    if !have("chromium") || python().is_none() {
        return;
    }
    let spec = SPEC.replace(
        "schedule: [linear, cosine], nfe: [10, 50]",
        "schedule: [linear, cosine], nfe: RANGE",
    );
    let range: Vec<String> = (1..=170).map(|nfe| nfe.to_string()).collect();
    let spec = spec.replace("RANGE", &format!("[{}]", range.join(", ")));
    let spec = spec.replace("seeds: 2", "seeds: 15");
    let bench = Bench::new(&spec);
    bench.ablate(&["run", "spec.yaml", "--only", "maps"]).expect(0);
    Served::of(&bench).play("many");
}
