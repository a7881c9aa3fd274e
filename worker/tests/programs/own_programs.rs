//! The programs of experiments/programs.yaml: a PyTorch script as it is, a shell script, a training loop with diffusers,
//! whose samples are measured beside ours.

use crate::project::{Project, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The arguments of a run of one point, and a `PATH` on which `python3` has what the scripts need; nothing where there
/// is no such Python.
fn command(project: &Project, arguments: &[&str]) -> Option<Command> {
    let python = crate::python::python()?;
    let has = Command::new(&python)
        .args(["-c", "import torch, diffusers"])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(
        has.success() || std::env::var_os("ABLATE_REQUIRE_ALL").is_none(),
        "{} lacks torch or diffusers, and nothing may be skipped",
        python.display()
    );
    if !has.success() {
        return None;
    }
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/programs.yaml");
    let folder = python.parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let results = project.path("results");
    let mut command = project.command(&["run", spec.to_str().unwrap(), "--profile", "small"]);
    command.args([
        "--seeds",
        "0",
        "--where",
        "lr == 0.001",
        "--results",
        results.to_str().unwrap(),
    ]);
    command.args(arguments).env("PATH", path);
    Some(command)
}

fn expect(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The folder of a finished node that holds a file.
fn having(project: &Project, file: &str) -> PathBuf {
    let nodes = project.nodes("command");
    nodes
        .into_iter()
        .find(|node| node.join(file).exists())
        .unwrap_or_else(|| panic!("no node has {file}"))
}

#[test]
fn scripts_of_others_are_nodes_and_an_interruption_changes_nothing() {
    let whole = Project::new("");
    let Some(run) = command(&whole, &[]) else { return };
    let answer = expect(run);
    for metric in ["summary.test_loss", "unet.loss", "score.power_spectrum.error"] {
        assert!(answer.contains(metric), "{answer}");
    }
    // The shell script made numbers of the log of a script that knows nothing of us.
    let loss = whole.nodes("command").into_iter().find_map(|node| {
        let metrics = fs::read_to_string(node.join("metrics.json")).ok()?;
        metrics.contains("test_loss").then(|| json(&node.join("metrics.json")))
    });
    let loss = loss.expect("a node has a test loss");
    assert!(
        loss["test_loss"]["value"].as_f64().unwrap() < 1.0 && loss["epochs"]["value"] == 20.0,
        "{loss}"
    );
    let told = json(&having(&whole, "samples.npy").join("environment.json"));
    assert!(told["python"]["packages"]["diffusers"].is_string(), "{told}");

    let broken = Project::new("");
    let mut first = command(&broken, &["--until", "unet"]).unwrap();
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let saved = || {
        let entries = fs::read_dir(broken.path("results/work")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join("checkpoint/ablate-step")).any(|file| file.exists())
    };
    while !saved() {
        assert!(begun.elapsed() < Duration::from_secs(300), "it saved nothing");
        std::thread::sleep(Duration::from_millis(2));
    }
    let pid = first.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(first.wait().unwrap().code(), Some(75), "it was too fast to be stopped");
    expect(command(&broken, &["--until", "unet"]).unwrap());
    let log = fs::read_to_string(having(&broken, "samples.npy").join("log.txt")).unwrap();
    assert!(log.contains("going on from step"), "{log}");
    let samples = |project| fs::read(having(project, "samples.npy").join("samples.npy")).unwrap();
    assert!(samples(&whole) == samples(&broken), "an interruption has changed the samples");
}
