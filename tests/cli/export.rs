//! `ablate export` writes what is recorded, tidily and whole, for other programs.

use crate::bench::{Bench, SPEC};
use serde_json::Value;

fn read(bench: &Bench, file: &str) -> String {
    std::fs::read_to_string(bench.path(file)).unwrap()
}

#[test]
fn results_have_a_row_for_each_metric_at_each_point_and_the_axes_as_columns() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let said = bench.ablate(&["export", "spec.yaml"]).expect(0);
    assert!(said.out.contains("results.csv: 32 rows"), "{}", said.out);
    let text = read(&bench, "results/spec/export/results.csv");
    let mut lines = text.lines();
    assert_eq!(
        lines.next().unwrap(),
        "experiment,sweep,point,nfe,schedule,seed,declared,metric,value,unit,better,baseline,node,kind,key"
    );
    // 8 points, each with three metrics of its score and one of its training.
    assert_eq!(lines.clone().count(), 32);
    let first = lines.next().unwrap();
    assert!(first.starts_with("spec,main,0,10,linear,0,net,loss,"), "{first}");
    let series = read(&bench, "results/spec/export/series.csv");
    assert_eq!(series.lines().count(), 1 + 8 * 6 * 8);
    assert_eq!(read(&bench, "results/spec/export/nodes.csv").lines().count(), 22);
    assert_eq!(read(&bench, "results/spec/export/attempts.csv").lines().count(), 22);
    assert_eq!(std::fs::read_dir(bench.path("results/spec/export")).unwrap().count(), 4);
}

#[test]
fn json_lines_keep_types_and_settings() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.ablate(&["export", "--all", "--format", "json", "-o", "out"]).expect(0);
    let rows = |file: &str| -> Vec<Value> {
        read(&bench, file).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let results = rows("out/results.jsonl");
    assert_eq!(results.len(), 32);
    assert!(results.iter().all(|row| row["nfe"].is_u64() && row["schedule"].is_string()));
    assert!(results.iter().all(|row| row["value"].is_f64()));
    let nodes = rows("out/nodes.jsonl");
    assert!(nodes.iter().all(|node| node["settings"].is_object() && node["attempts"] == 1));
}

#[test]
fn an_axis_that_is_named_like_a_column_keeps_its_values() {
    let spec = SPEC.replace("schedule", "node").replace("{ node: $node }", "{ schedule: $node }");
    let bench = Bench::new(&spec);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.ablate(&["export", "spec.yaml", "-o", "out"]).expect(0);
    let text = read(&bench, "out/results.csv");
    assert!(text.starts_with("experiment,sweep,point,nfe,axis_node,seed,"), "{text}");
}

#[test]
fn what_never_ran_is_refused_with_what_to_do() {
    let bench = Bench::new(SPEC);
    let said = bench.ablate(&["export", "spec.yaml"]).expect(2);
    assert!(said.err.contains("there is no database"), "{}", said.err);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.write("other.yaml", SPEC);
    let said = bench.ablate(&["export", "other.yaml"]).expect(2);
    assert!(said.err.contains("`ablate run other.yaml` first"), "{}", said.err);
    bench.ablate(&["export"]).expect(2);
}
