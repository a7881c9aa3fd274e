//! Fetching against a server on this machine that does what real ones do on bad days.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use ablate::problem::Result;
use ablate_worker::data::{fetch, idx};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread::JoinHandle;

/// What a server sends, after it has read a request, before it closes the connection.
type Answer = Vec<u8>;

/// Answers one request after another; the thread gives back the requests.
fn serve(answers: Vec<Answer>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/labels.gz", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let answer = |answer: Answer| {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            // A client that has seen enough may have hung up.
            let _ = connection.write_all(&answer);
            String::from_utf8(request).unwrap().to_lowercase()
        };
        answers.into_iter().map(answer).collect()
    });
    (url, server)
}

/// An answer that promises `length` bytes, whatever it sends.
fn answer(status: &str, more: &str, length: usize, body: &[u8]) -> Answer {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn whole(body: &[u8]) -> Answer {
    answer("200 OK", "", body.len(), body)
}

/// An IDX file of 1,000 labels.
fn labels() -> Vec<u8> {
    let header = [0, 0, 8, 1, 0, 0, 3, 0xE8];
    header.into_iter().chain((0..1000).map(|i| (i % 10) as u8)).collect()
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A folder to fetch into, and what was reported.
struct Case {
    folder: tempfile::TempDir,
    reports: Vec<(u64, Option<u64>)>,
}

impl Case {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), reports: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    fn fetch(&mut self, urls: &[String], bytes: Option<u64>) -> Result<()> {
        let to = self.path("labels.gz");
        let reports = &mut self.reports;
        fetch::file(urls, &to, &sum(&labels()), bytes, &mut |done, all| reports.push((done, all)))
    }

    /// The file is there, is right, and nothing else is.
    fn came(&self) {
        assert_eq!(idx::labels(&self.path("labels.gz")).unwrap().len(), 1000);
        assert!(!self.path("labels.gz.part").exists());
    }
}

#[test]
fn a_file_comes_whole() {
    let mut case = Case::new();
    let (url, server) = serve(vec![whole(&labels())]);
    case.fetch(&[url], Some(1008)).unwrap();
    case.came();
    assert_eq!(case.reports.last(), Some(&(1008, Some(1008))));
    let requests = server.join().unwrap();
    assert!(requests[0].starts_with("get /labels.gz ") && !requests[0].contains("range:"));
    // What is there is not fetched again.
    case.fetch(&["http://127.0.0.1:1/labels.gz".to_owned()], None).unwrap();
}

#[test]
fn a_cut_connection_goes_on_where_it_stopped() {
    let mut case = Case::new();
    let rest = answer(
        "206 Partial Content",
        "Content-Range: bytes 400-1007/1008\r\n",
        608,
        &labels()[400..],
    );
    let (url, server) = serve(vec![answer("200 OK", "", 1008, &labels()[..400]), rest]);
    case.fetch(&[url], None).unwrap();
    case.came();
    let requests = server.join().unwrap();
    assert!(requests[1].contains("range: bytes=400-\r\n"), "{}", requests[1]);
    assert_eq!(case.reports.last(), Some(&(1008, Some(1008))));
}

#[test]
fn a_part_from_before_goes_on_too() {
    let mut case = Case::new();
    std::fs::create_dir_all(case.path("")).unwrap();
    std::fs::write(case.path("labels.gz.part"), &labels()[..1000]).unwrap();
    let rest = answer(
        "206 Partial Content",
        "Content-Range: bytes 1000-1007/1008\r\n",
        8,
        &labels()[1000..],
    );
    let (url, server) = serve(vec![rest]);
    case.fetch(&[url], Some(1008)).unwrap();
    case.came();
    assert!(server.join().unwrap()[0].contains("range: bytes=1000-\r\n"));
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_again() {
    let mut case = Case::new();
    let (url, server) = serve(vec![answer("200 OK", "", 1008, &labels()[..400]), whole(&labels())]);
    case.fetch(&[url], Some(1008)).unwrap();
    case.came();
    assert!(server.join().unwrap()[1].contains("range: bytes=400-\r\n"));
}

#[test]
fn a_part_of_something_else_is_dropped_and_fetched_anew() {
    for answers in [
        vec![
            answer(
                "206 Partial Content",
                "Content-Range: bytes 400-1007/1008\r\n",
                608,
                &labels()[400..],
            ),
            whole(&labels()),
        ],
        vec![
            answer("206 Partial Content", "Content-Range: bytes 7-9/10\r\n", 3, b"xyz"),
            whole(&labels()),
        ],
        vec![answer("416 Range Not Satisfiable", "", 0, b""), whole(&labels())],
    ] {
        let mut case = Case::new();
        std::fs::create_dir_all(case.path("")).unwrap();
        std::fs::write(case.path("labels.gz.part"), [9; 400]).unwrap();
        let (url, server) = serve(answers);
        case.fetch(&[url], Some(1008)).unwrap();
        case.came();
        assert!(!server.join().unwrap()[1].contains("range:"));
    }
}

#[test]
fn a_wrong_sum_removes_what_came_and_says_so() {
    let mut case = Case::new();
    let (url, server) = serve(vec![whole(b"an error page that looks like a file")]);
    let problem = case.fetch(&[url], None).unwrap_err();
    assert!(problem.sentence.contains("the SHA-256 sum is "), "{problem}");
    assert!(problem.sentence.ends_with("what came was removed"), "{problem}");
    assert!(std::fs::read_dir(case.path("")).unwrap().next().is_none());
    server.join().unwrap();
}

#[test]
fn the_next_mirror_is_asked_when_one_fails() {
    let mut case = Case::new();
    let bad = [
        answer("404 Not Found", "", 0, b""),
        whole(b"a file of another size"),
        answer("200 OK", "", 5 << 30, b"too much"),
    ];
    let (mut urls, mut servers) = (Vec::new(), Vec::new());
    for only in bad.into_iter().chain([whole(&labels())]) {
        let (url, server) = serve(vec![only]);
        urls.push(url);
        servers.push(server);
    }
    case.fetch(&urls, Some(1008)).unwrap();
    case.came();
    servers.into_iter().for_each(|server| assert_eq!(server.join().unwrap().len(), 1));
}

#[test]
fn more_than_was_promised_is_not_kept() {
    let mut case = Case::new();
    let endless = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_slice(), &[7; 9000]].concat();
    let (url, server) = serve(vec![endless]);
    let problem = case.fetch(&[url], Some(1008)).unwrap_err();
    assert!(problem.sentence.contains("more than was expected"), "{problem}");
    assert!(!case.path("labels.gz.part").exists());
    server.join().unwrap();
}

#[test]
fn without_a_network_the_problem_says_what_to_put_where() {
    let mut case = Case::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let urls = [format!("http://{closed}/a/labels.gz"), format!("http://{closed}/b/labels.gz")];
    let problem = case.fetch(&urls, None).unwrap_err();
    let start = format!("cannot fetch labels.gz: {}: ", urls[0]);
    assert!(problem.sentence.starts_with(&start), "{problem}");
    assert!(problem.sentence.contains(&urls[1]) && problem.sentence.lines().count() == 1);
    let folder = case.folder.path().join("data");
    let help = format!(
        "put labels.gz into {}, or set ABLATE_DATA to a folder that holds it",
        folder.display()
    );
    assert_eq!(problem.help, Some(help));
    assert!(!case.path("labels.gz.part").exists());
}
