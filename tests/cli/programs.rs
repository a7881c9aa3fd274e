//! Command nodes: what reaches a program, what it leaves, how it stops and goes on, and how it fails.

use crate::bench::{Bench, Said};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A spec of one command node, and what it is told.
fn spec(command: &str) -> String {
    format!("question: does it run?\nnodes:\n  ext:\n    command:\n{}", indented(command))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}\n")).collect()
}

/// The folders of finished command nodes.
fn nodes(bench: &Bench) -> Vec<PathBuf> {
    let all = fs::read_dir(bench.path("results/nodes")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = all
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("command-"))
        .collect();
    found.sort();
    found
}

fn read(bench: &Bench, name: &str) -> String {
    fs::read_to_string(nodes(bench)[0].join(name)).unwrap()
}

/// Runs a program that prints what it is told, and gives its output.
const ECHO: &str = "import json, os, sys
json.dump({'argv': sys.argv[1:], 'env': dict(os.environ)}, open(os.environ['ABLATE_OUT'] + '/told.json', 'w'))
";

fn told(bench: &Bench) -> serde_json::Value {
    serde_json::from_str(&read(bench, "told.json")).unwrap()
}

#[test]
fn values_reach_a_program_as_they_are() {
    let hard = r#"a "b" 'c' $(touch pwned) `touch pwned` \n; rm -rf / {out} {{x}} ✓"#;
    let text = format!("{hard}\nsecond line");
    let quoted = serde_json::to_string(&text).unwrap();
    let bench = Bench::new(&spec(&format!(
        "call: [python3, echo.py, \"{{params.text}}\", \"--x={{params.n}}\", -5, --, \"\", 1e-4, true, \"{{{{out}}}}\"]\n\
         files: [echo.py]\nparams: {{ text: {quoted}, n: -7, list: [1, {{ a: null }}] }}\n\
         environment: {{ variables: {{ MINE: {quoted} }} }}"
    )));
    bench.write("echo.py", ECHO);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let told = told(&bench);
    let argv: Vec<&str> =
        told["argv"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    assert_eq!(argv, [&text, "--x=-7", "-5", "--", "", "0.0001", "true", "{out}"]);
    assert_eq!(told["env"]["ABLATE_PARAM_TEXT"], text.as_str());
    assert_eq!(told["env"]["MINE"], text.as_str());
    let params: serde_json::Value =
        serde_json::from_str(told["env"]["ABLATE_PARAMS"].as_str().unwrap()).unwrap();
    assert_eq!(params, serde_json::json!({ "text": text, "n": -7, "list": [1, { "a": null }] }));
    assert!(!bench.path("pwned").exists(), "a value was executed");
}

#[test]
fn a_text_for_the_shell_gets_its_values_as_variables_alone() {
    let bench = Bench::new(&spec(
        "call: 'printf %s \"$ABLATE_PARAM_TEXT\" > \"$ABLATE_OUT/x\"; echo {params.text} > \"$ABLATE_OUT/y\"'\n\
         params: { text: \"$(touch pwned)\" }",
    ));
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(read(&bench, "x"), "$(touch pwned)");
    assert_eq!(read(&bench, "y"), "{params.text}\n");
    assert!(!bench.path("pwned").exists());
}

#[test]
fn code_and_values_are_part_of_the_key_and_surroundings_are_not() {
    let text = |more: &str| spec(&format!("call: [python3, echo.py]\nfiles: [echo.py]\n{more}"));
    let bench = Bench::new(&text("params: { a: 1 }"));
    bench.write("echo.py", ECHO);
    let runs = |bench: &Bench| bench.ablate(&["run", "spec.yaml"]).expect(0).started();
    assert_eq!((runs(&bench), runs(&bench)), (1, 0));
    for (more, started) in [
        ("params: { a: 1 }\nenvironment: { prefix: [env] }", 0),
        ("params: { a: 2 }", 1),
        ("params: { a: 1 }\nenvironment: { variables: { B: 1 } }", 1),
        ("params: { a: 1 }", 0),
    ] {
        bench.write("spec.yaml", &text(more));
        assert_eq!(runs(&bench), started, "{more}");
    }
    bench.write("echo.py", &format!("{ECHO}\n# changed"));
    assert_eq!(runs(&bench), 1, "its code has changed");
}

#[test]
fn a_program_reads_what_other_nodes_have_made_and_its_numbers_fill_tables() {
    let text = "\
question: does it run?
vars: { n: 1 }
nodes:
  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }
  first:
    command:
      call: 'echo \"{\\\"error\\\": $ABLATE_PARAM_N}\" > \"$ABLATE_OUT/metrics.json\"; ls \"$ABLATE_INPUT_MAPS\"; test \"$ABLATE_INPUT_MAPS_PORT\" = train'
      needs: { maps: maps.train }
      params: { n: $n }
      metrics: { error: lower }
  all:
    command:
      call: [sh, -c, 'echo $# > \"$ABLATE_OUT/count\"', sh, '{needs.each}']
      needs: { each: { node: first, over: all } }
sweeps: { main: { product: { n: [3, 1, 2] } } }
tables: { main: { sweep: main, rows: n, columns: [first.error] } }
";
    let bench = Bench::new(text);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!(said.started(), 5, "{}", said.err);
    let table = fs::read_to_string(bench.path("results/spec/tables/main.md")).unwrap();
    assert!(table.contains("first.error ↓") && table.contains("| 1 | **1.00** |"), "{table}");
    let counts =
        nodes(&bench).into_iter().filter_map(|node| fs::read_to_string(node.join("count")).ok());
    assert_eq!(counts.collect::<Vec<_>>(), ["3\n"]);
    bench.ablate(&["verify"]).expect(0);
}

/// A training that saves after every step and is slow.
const SLOW: &str = "\
import os, pathlib, sys
sys.path.insert(0, os.environ['HELPER'])
import ablate_node as node, time
losses = [float(x) for x in (node.checkpoint / 'state').read_text().split()] if node.start() else []
(node.out / 'stray').write_text('of an attempt that was cut short' if not losses else 'of the last one')
for step in range(node.start(), 20):
    time.sleep(0.05)
    losses.append(1 / (step + 1))
    node.progress(step + 1, 20, loss=losses[-1])
    (node.checkpoint / 'state').write_text(' '.join(map(str, losses)))
    node.saved(step + 1)
    if node.must_stop():
        node.stop()
print('began at', node.start())
node.metric('loss', losses[-1], better='lower')
node.series('loss', range(1, 21), losses, x_unit='step')
";

fn slow() -> Bench {
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    let bench = Bench::new(&spec(&format!(
        "call: [python3, slow.py]\nfiles: [slow.py]\nenvironment: {{ variables: {{ HELPER: {helper} }} }}"
    )));
    bench.write("slow.py", SLOW);
    bench
}

/// Waits until the program has saved its first steps.
fn wait_for_checkpoint(bench: &Bench) {
    let begun = Instant::now();
    let saved = || {
        let work = fs::read_dir(bench.path("results/work")).ok()?.flatten().next()?.path();
        fs::metadata(work.join("checkpoint/ablate-step")).ok()
    };
    while saved().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it saved nothing");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, pid: u32) {
    let done = std::process::Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
    assert!(done.success());
}

fn expect_whole(bench: &Bench) {
    let metrics = read(bench, "metrics.json");
    let series: serde_json::Value = serde_json::from_str(&read(bench, "series.json")).unwrap();
    assert!(metrics.contains("\"value\": 0.05") && metrics.contains("lower"), "{metrics}");
    assert_eq!(series["loss"]["columns"]["mean"].as_array().unwrap().len(), 20);
    let log = read(bench, "log.txt");
    assert!(!log.contains("began at 0"), "it went on from its checkpoint: {log}");
    assert_eq!(read(bench, "stray"), "of the last one");
    assert!(!nodes(bench)[0].join("checkpoint").exists(), "nobody goes on from there any more");
    bench.ablate(&["verify"]).expect(0);
}

#[test]
fn a_program_that_is_stopped_saves_and_goes_on() {
    let bench = slow();
    let run = bench.start(&["run", "spec.yaml"], "");
    wait_for_checkpoint(&bench);
    signal("-INT", run.id());
    let said = Said::of(run.wait_with_output().unwrap()).expect(75);
    assert!(said.err.contains("stop   ext, saved at"), "{}", said.err);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(said.err.contains("start  ext on a core, goes on at"), "{}", said.err);
    expect_whole(&bench);
}

#[test]
fn a_run_that_is_killed_takes_its_programs_with_it_and_the_next_goes_on() {
    let bench = slow();
    let mut run = bench.start(&["run", "spec.yaml"], "");
    wait_for_checkpoint(&bench);
    run.kill().unwrap();
    run.wait().unwrap();
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    expect_whole(&bench);
}

#[test]
fn a_program_outlives_neither_its_supervisor_nor_its_node() {
    // The supervisor is killed; the program goes on for a while and holds the slot.
    let bench = slow();
    let mut run = bench.start(&["run", "spec.yaml"], "");
    wait_for_checkpoint(&bench);
    let pid = fs::read_to_string(bench.path("results/workers/core-0.pid")).unwrap();
    signal("-KILL", pid.trim().parse().unwrap());
    assert!(run.wait().unwrap().success(), "it is tried again");
    expect_whole(&bench);
    // What a program leaves running ends with it.
    let bench = Bench::new(&spec("call: 'sleep 1000 & echo $! > \"$ABLATE_OUT/pid\"'"));
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let state = fs::read_to_string(format!("/proc/{}/stat", read(&bench, "pid").trim()))
        .unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "it lives: {state}");
}

/// What a run says of a node that fails.
fn failure(command: &str) -> String {
    let bench = Bench::new(&spec(command));
    let said = bench.ablate(&["run", "spec.yaml"]).expect(1);
    said.err.lines().find(|line| line.contains("FAIL   ext")).expect("it failed").to_owned()
}

#[test]
fn every_way_to_fail_is_told_by_its_cause() {
    for (command, class, words) in [
        (
            "call: 'echo first >&2; echo ValueError: no such thing >&2; exit 3'",
            "bug",
            "exit status: 3: first / ValueError: no such thing",
        ),
        (
            "call: [no-such-program]",
            "bad_input",
            "`no-such-program` cannot be started: it is not there",
        ),
        ("call: 'true'\noutputs: [model.pt, b]", "bug", "left no `model.pt`, `b` in ABLATE_OUT"),
        ("call: 'true'\nmetrics: { error: lower }", "bug", "`metrics.json` has no `error`"),
        (
            "call: 'echo \"{\\\"error\\\": NaN}\" > \"$ABLATE_OUT/metrics.json\"'",
            "bug",
            "metrics.json cannot be understood",
        ),
        (
            "call: 'echo \"{\\\"error\\\": \\\"low\\\"}\" > \"$ABLATE_OUT/metrics.json\"'",
            "bug",
            "`error` is no number",
        ),
        (
            "call: 'echo \"{\\\"loss\\\": {\\\"x\\\": [1, 2], \\\"y\\\": [1]}}\" > \"$ABLATE_OUT/series.json\"'",
            "bug",
            "columns of different lengths",
        ),
        (
            "call: 'echo RuntimeError: CUDA out of memory. Tried >&2; exit 1'",
            "device_memory",
            "CUDA out of memory",
        ),
        (
            "call: 'echo \"OSError: [Errno 28] No space left on device\"; exit 1'",
            "disk_full",
            "No space left",
        ),
        ("call: 'kill -9 $$'", "worker_died", "signal: 9"),
    ] {
        let told = failure(command);
        assert!(told.contains(&format!("[{class}]")) && told.contains(words), "{command}: {told}");
    }
}

#[test]
fn a_mistake_in_the_spec_is_told_with_its_place_before_anything_runs() {
    for (command, place, words) in [
        ("call: [python3, '{parms.n}']\nparams: { n: 1 }", "5:23", "did you mean `{params.n}`?"),
        ("call: []", "5:13", "calls nothing"),
        ("call: x\nneeds: [nobody]", "6:15", "there is no node `nobody`"),
        ("call: x\nneeds: { a: nobody }", "6:19", "there is no node `nobody`"),
        ("call: x\nparams: { a-b: 1, a_b: 2 }", "6:25", "would be one variable, A_B"),
        ("call: x\noutputs: [../a]", "6:17", "is no path below the folder of the node"),
        ("call: x\noutputs: [node.json]", "6:17", "is written by ablate itself"),
        ("call: x\nfiles: [missing.py]", "6:15", "is not there"),
        ("call: x\nfolder: nowhere", "6:15", "there is no folder"),
        ("call: x\nmetrics: { a: down }", "6:21", "write `lower`, `higher` or `neither`"),
        ("call: x\nenvironment: { variables: { ABLATE_OUT: x } }", "6:35", "cannot be set"),
        ("call: x\nshell: true", "6:7", "unknown key `shell`"),
    ] {
        let bench = Bench::new(&spec(command));
        let said = bench.ablate(&["check", "spec.yaml"]).expect(2);
        assert!(said.err.contains(&format!("spec.yaml:{place}")), "{command}: {}", said.err);
        assert!(said.err.contains(words), "{command}: {}", said.err);
    }
}

#[test]
fn what_it_writes_elsewhere_is_told_and_gigabytes_of_log_do_not_flood_the_screen() {
    let bench = Bench::new(&spec(
        "call: 'echo x > beside.txt; yes \"a line of a chatty program\" | head -c 30000000; echo the end'",
    ));
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(said.err.contains("files outside its folder were written: beside.txt"), "{}", said.err);
    assert!(said.err.len() < 10_000);
    let log = bench.ablate(&["log", "ext"]).expect(0);
    assert!(log.out.len() < 2_000_000, "{} bytes", log.out.len());
    assert!(log.out.trim_end().ends_with("the end") && log.out.contains("not shown"));
}

#[test]
fn only_a_silence_that_the_spec_names_ends_a_program() {
    let text = spec("call: 'echo hello; sleep 1000'")
        .replace("  ext:\n", "  ext:\n    run: { silence: 300ms }\n");
    let bench = Bench::new(&text);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(1);
    assert!(said.err.contains("[silent] the worker said nothing for"), "{}", said.err);
}

#[test]
fn the_helper_runs_by_itself_too() {
    let bench = Bench::new(&spec("call: x"));
    bench.write(
        "alone.py",
        "import ablate_node as node\nnode.progress(1, 2)\nnode.metric('a', float('nan'))\nprint(node.param('lr', 0.5), node.start())\n",
    );
    let helper = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    let said = bench.shell(&format!("PYTHONPATH={helper} python3 alone.py")).expect(0);
    assert_eq!(said.out, "0.5 0\n");
    let metrics = fs::read_to_string(bench.path("out/metrics.json")).unwrap();
    assert!(metrics.contains("\"value\": null"), "{metrics}");
}
