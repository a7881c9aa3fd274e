//! `ablate export` writes what is recorded, tidily and whole, for other programs.

use crate::bench::{Bench, SPEC, Said};
use crate::python::python;
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
    assert_eq!(series.lines().count(), 1 + 8 * 6 * 8 + 4 * 4);
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

/// Runs a script on a folder of exported files.
fn in_python(bench: &Bench, script: &str) {
    let Some(python) = python() else { return };
    let mut command = std::process::Command::new(python);
    command.args(["-c", script]).current_dir(bench.path("."));
    Said::of(command.output().unwrap()).expect(0);
}

#[test]
fn pandas_reads_parquet_with_the_types_and_numbers_of_csv() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    bench.ablate(&["export", "spec.yaml", "-o", "csv"]).expect(0);
    let export = || {
        bench.ablate(&["export", "spec.yaml", "--format", "parquet", "-o", "out"]).expect(0);
        std::fs::read(bench.path("out/results.parquet")).unwrap()
    };
    assert!(export() == export(), "the same bytes");
    in_python(
        &bench,
        "
import pandas
for name in ['results', 'series', 'nodes', 'attempts']:
    ours = pandas.read_parquet(f'out/{name}.parquet')
    text = pandas.read_csv(f'csv/{name}.csv', dtype=str, keep_default_na=False)
    assert list(ours.columns) == list(text.columns), ours.columns
    assert len(ours) == len(text) > 0
    for column in text.columns:
        if ours[column].dtype.kind == 'f':
            same = ours[column] == text[column].astype(float)
        else:
            same = ours[column].astype(object).fillna('').astype(str) == text[column]
        assert same.all(), (name, column, ours[column].dtype)
results = pandas.read_parquet('out/results.parquet')
assert results['nfe'].dtype == 'int64' and results['value'].dtype == 'float64'
",
    );
}

#[test]
fn tensorboard_reads_a_run_for_each_node() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let said = bench.ablate(&["export", "spec.yaml", "--format", "tensorboard"]).expect(0);
    // 4 trainings of 4 losses and a metric, 8 scores of 3 metrics each; a spectrum has no steps.
    assert!(said.out.contains("export/tensorboard: 12 runs, 44 values"), "{}", said.out);
    in_python(
        &bench,
        "
import json, pathlib
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
runs = sorted(pathlib.Path('results/spec/export/tensorboard').iterdir())
assert len(runs) == 12, runs
run = next(run for run in runs if run.name == 'net[schedule=cosine,seed=1]')
events = EventAccumulator(str(run))
events.Reload()
assert events.Tags()['scalars'] == ['loss/mean', 'metrics/loss'], events.Tags()
scalars = events.Scalars('loss/mean')
assert [scalar.step for scalar in scalars] == [1, 2, 3, 4]
folder = next(pathlib.Path('results/spec/runs').glob('net?schedule=cosine,seed=1?')).resolve()
losses = json.loads((folder / 'series.json').read_text())['loss']['columns']['mean']
assert all(abs(scalar.value - loss) < 1e-6 * loss for scalar, loss in zip(scalars, losses)), scalars
assert scalars[0].wall_time > 1.6e9 and scalars[0].wall_time <= scalars[3].wall_time
assert events.Scalars('metrics/loss')[0].step == 4
",
    );
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
