//! What a run shows to people and programs, here and from another terminal.

use crate::bench::{Bench, SPEC, Said};
use std::time::Duration;

#[test]
fn json_lines_tell_every_change_and_nothing_else() {
    let bench = Bench::new(SPEC);
    let orders = "nan net[schedule=cosine,seed=1]";
    let said = bench.ablate_with(&["run", "spec.yaml", "--json"], orders).expect(1);
    let lines: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    assert_eq!(of("started").len(), 17, "{}", said.out);
    assert_eq!(of("done").len(), 16, "{}", said.out);
    let failed = of("failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["class"], "not_a_number");
    assert_eq!(failed[0]["name"], "net[schedule=cosine,seed=1]");
    assert!(lines.iter().all(|line| line["time"].is_string() && line["seconds"].is_number()));
    let last = of("counts").pop().unwrap();
    assert_eq!((&last["all"]["done"], &last["all"]["blocked"]), (&16.into(), &4.into()));
}

#[test]
fn another_terminal_sees_what_the_run_shows_until_it_ends() {
    let bench = Bench::new(SPEC);
    let nothing = bench.ablate(&["status", "--watch"]).expect(0);
    assert_eq!(nothing.out, "nothing is running\n");
    let run = bench.start(&["run", "spec.yaml"], "slow net 300");
    std::thread::sleep(Duration::from_millis(900));
    let watched = bench.ablate(&["status", "--watch"]).expect(0);
    let said = Said::of(run.wait_with_output().unwrap()).expect(0);
    assert!(said.err.contains("done   maps"), "{}", said.err);
    for piece in ["spec\n", "/21 ", "dataset 1/1  train 0/4", "core-0 net[", "nothing is running"] {
        assert!(watched.out.contains(piece), "{piece} in\n{}", watched.out);
    }
    let files = std::fs::read_dir(bench.path("results/workers")).unwrap();
    let left = files.flatten().filter(|f| f.path().extension().is_some_and(|e| e == "screen"));
    assert_eq!(left.count(), 0, "a run that has ended shows nothing");
}
