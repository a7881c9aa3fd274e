//! Figures and tables as other programs see them.

use crate::bench::{Bench, SPEC};
use std::process::Command;

/// Whether a program is there; without it a test is skipped by name, unless nothing may be.
pub(crate) fn have(program: &str) -> bool {
    let found = Command::new(program).arg("-version").output().is_ok();
    assert!(
        found || std::env::var_os("ABLATE_REQUIRE_ALL").is_none(),
        "{program} is missing, and nothing may be skipped"
    );
    found
}

#[test]
fn pdf_figures_embed_their_fonts_and_have_no_type_3() {
    if !have("pdffonts") {
        return;
    }
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let path = bench.path("results/spec/figures/spectra.pdf");
    assert!(std::fs::read(&path).unwrap().starts_with(b"%PDF-1.4"));
    let output = Command::new("pdffonts").arg(&path).output().unwrap();
    let fonts = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = fonts.lines().skip(2).collect();
    assert!(!lines.is_empty(), "{fonts}");
    for line in lines {
        assert!(line.contains("CID TrueType") && line.contains(" yes yes yes"), "{fonts}");
    }
}

#[test]
fn drawing_again_gives_the_same_bytes() {
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let read = || -> Vec<Vec<u8>> {
        let files = [
            "figures/spectra.svg",
            "figures/spectra.pdf",
            "figures/spectra.png",
            "figures/spectra.csv",
            "tables/main.tex",
        ];
        files
            .iter()
            .map(|name| std::fs::read(bench.path("results/spec").join(name)).unwrap())
            .collect()
    };
    let first = read();
    bench.ablate(&["figure", "spec.yaml"]).expect(0);
    bench.ablate(&["table", "spec.yaml"]).expect(0);
    assert!(first == read());
    bench.ablate(&["figure", "spec.yaml", "nothing"]).expect(2);
}

/// Three axes, and a figure of them.
fn three_axes(figure: &str) -> Bench {
    let axes = "nfe: [10, 50], net.objective.ddpm.prediction: [epsilon, v] }";
    let (head, tail) = SPEC.split_once("figures:\n").unwrap();
    let tables = &tail[tail.find("tables:").unwrap()..];
    let head = head.replace("nfe: [10, 50] }", axes);
    Bench::new(&format!("{head}figures:\n  shown: {figure}\n{tables}"))
}

const CURVE: &str = "sweep: main, x: nfe, y: score.power_spectrum.error";

#[test]
fn a_third_axis_is_a_panel_a_part_of_a_line_or_held_at_one_value() {
    let prediction = "net.objective.ddpm.prediction";
    for (rest, panels, lines) in [
        (format!("lines: schedule, panels: {prediction}"), 2, 2),
        (format!("panels: [schedule, {prediction}]"), 4, 1),
        (format!("lines: [schedule, {prediction}]"), 1, 4),
        (format!("lines: schedule, at: {{ {prediction}: v }}"), 1, 2),
        (format!("lines: {prediction}, at: schedule == cosine and nfe > 10"), 1, 2),
    ] {
        let bench = three_axes(&format!("{{ curve: {{ {CURVE}, {rest} }} }}"));
        bench.ablate(&["run", "spec.yaml"]).expect(0);
        let csv = std::fs::read_to_string(bench.path("results/spec/figures/shown.csv")).unwrap();
        let distinct = |column: usize| {
            let words = csv.lines().skip(1).map(|line| line.split(',').nth(column).unwrap());
            words.collect::<std::collections::BTreeSet<_>>().len()
        };
        // A name of several words has commas, and so quotes.
        let csv_has = |word: &str| csv.contains(word);
        assert_eq!(csv_has("\"linear, v\"") && csv_has("\"cosine, v\""), lines == 4, "{csv}");
        if lines < 4 && panels < 4 {
            assert_eq!((distinct(0), distinct(1)), (panels, lines), "{rest}: {csv}");
        }
        let rows = if rest.contains("nfe >") { 2 * 3 } else { panels * lines * 2 * 3 };
        assert_eq!(csv.lines().count() - 1, rows, "{rest}: {csv}");
    }
}

#[test]
fn a_figure_that_folds_different_settings_is_refused_with_the_ways_out() {
    let prediction = "net.objective.ddpm.prediction";
    for (figure, settings) in [
        (format!("{{ curve: {{ {CURVE}, lines: schedule }} }}"), "to `lines` or `panels`"),
        (
            "{ spectrum: { sweep: main, of: score.power_spectrum, lines: schedule, panels: nfe } }"
                .to_owned(),
            "to `lines` or `panels`",
        ),
        ("{ grid: { sweep: main, of: draw, rows: [schedule, nfe] } }".to_owned(), "to `rows`"),
    ] {
        let said = three_axes(&figure).ablate(&["check", "spec.yaml"]).expect(2).err;
        assert!(said.contains(&format!("one for each `{prediction}`")), "{said}");
        assert!(said.contains(settings) && said.contains("spec.yaml:12:"), "{said}");
        assert!(said.contains(&format!("at: {{ {prediction}: … }}")), "{said}");
    }
    for (rest, sentence) in [
        ("lines: schedule, at: { shedule: cosine }", "there is no axis `shedule`"),
        ("lines: schedule, at: nfe > 50", "this holds at no point of the sweep"),
        ("lines: schedule, at: nfe >", "spec.yaml:12:"),
        ("lines: schedule, panels: []", "the list names no axis"),
        ("lines: [schedule, shedule]", "did you mean `schedule`?"),
    ] {
        let bench = three_axes(&format!("{{ curve: {{ {CURVE}, {rest} }} }}"));
        let said = bench.ablate(&["check", "spec.yaml"]).expect(2).err;
        assert!(said.contains(sentence), "{rest}: {said}");
    }
}

/// A PNG of one pixel.
fn one_pixel(colour: [u8; 3]) -> Vec<u8> {
    let mut file = vec![];
    let mut encoder = png::Encoder::new(&mut file, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&colour).unwrap();
    file
}

#[test]
fn rows_of_other_lengths_share_the_times_that_all_of_them_have() {
    let axis = "product: { net.objective.ddpm.timesteps: [1000, 500], schedule";
    let figure = "  steps: { forward: { sweep: main, at: { nfe: 10, schedule: linear }, of: net, rows: net.objective.ddpm.timesteps, image: one.png } }\n";
    let bench = Bench::new(
        &SPEC
            .replace("product: { schedule", axis)
            .replace("panels: nfe", "panels: [nfe, net.objective.ddpm.timesteps]")
            .replace("tables:\n", &format!("{figure}tables:\n")),
    );
    std::fs::write(bench.path("one.png"), one_pixel([255, 0, 0])).unwrap();
    bench.ablate(&["run", "spec.yaml", "--until", "maps"]).expect(0);
    bench.ablate(&["figure", "spec.yaml", "steps"]).expect(0);
    let csv = std::fs::read_to_string(bench.path("results/spec/figures/steps.csv")).unwrap();
    assert_eq!(csv.matches("t=499").count(), 2, "{csv}");
    assert!(!csv.contains("t=999"), "{csv}");
}

#[test]
fn the_way_into_noise_is_drawn_of_an_image_before_anything_is_trained() {
    let forward = |rest: &str| {
        let axes = "lines: schedule, panels: nfe";
        assert!(SPEC.contains(axes));
        let figure = format!(
            "  steps: {{ forward: {{ sweep: main, at: {{ nfe: 10 }}, of: net, rows: schedule, {rest} }} }}\n"
        );
        Bench::new(&SPEC.replace("tables:\n", &format!("{figure}tables:\n")))
    };
    let bench = forward("image: one.png, side: 16, times: [0, 500, 999]");
    // A red square of one pixel, scaled to the side.
    std::fs::write(bench.path("one.png"), one_pixel([255, 0, 0])).unwrap();
    bench.ablate(&["run", "spec.yaml", "--until", "maps"]).expect(0);
    bench.ablate(&["figure", "spec.yaml", "steps"]).expect(0);
    let csv = std::fs::read_to_string(bench.path("results/spec/figures/steps.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 2 * 4, "{csv}");
    let mean = |row: usize| rows[row][4].parse::<f64>().unwrap();
    // One channel of three is full, the others are empty; noise drowns them.
    assert!((mean(0) + 1.0 / 3.0).abs() < 1e-6, "{csv}");
    assert!(mean(1) < -0.25 && mean(3).abs() < 0.2, "{csv}");
    // Another image is another figure, though no node has anything to do.
    let shown = || std::fs::read(bench.path("results/spec/figures/steps.csv")).unwrap();
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let before = shown();
    std::fs::write(bench.path("one.png"), one_pixel([90, 90, 90])).unwrap();
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_ne!(before, shown());
    for (rest, sentence) in [
        ("image: two.png", "two.png is not there"),
        ("times: [1000]", "time 1000 of a training with 1000 times"),
        ("times: [-1]", "is not a whole number"),
    ] {
        let said = forward(rest).ablate(&["check", "spec.yaml"]).expect(2).err;
        assert!(said.contains(sentence) && said.contains("spec.yaml:"), "{said}");
    }
    let flow = SPEC
        .replace("objective: { ddpm: { schedule: $schedule } }", "objective: flow_matching")
        .replace("{ ddim: { steps: $nfe } }", "{ euler: { steps: $nfe } }")
        .replace("product: { schedule: [linear, cosine], nfe", "product: { nfe")
        .replace("schedule: linear, ", "")
        .replace("lines: schedule, ", "")
        .replace("tables:\n", "  steps: { forward: { sweep: main, of: net } }\ntables:\n");
    let said = Bench::new(&flow).ablate(&["check", "spec.yaml"]).expect(2).err;
    assert!(said.contains("`net` has no noise of discrete times"), "{said}");
}

#[test]
fn what_cannot_be_drawn_yet_is_told_and_lines_keep_the_order_of_the_sweep() {
    // The fake worker makes no maps, so there are none to show.
    let bench = Bench::new(&SPEC.replace(
        "tables:\n",
        "  maps: { grid: { sweep: main, at: { nfe: 10 }, of: draw, rows: schedule } }\ntables:\n",
    ));
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0).out;
    assert!(said.contains("figures/maps.pdf is not made: there is nothing to show yet"), "{said}");
    let said = bench.ablate(&["figure", "spec.yaml", "maps"]).expect(0).out;
    assert!(said.contains("maps.pdf is not made"), "{said}");
    // The first panel lacks a line that stands between the others.
    let axes =
        "schedule: [linear, cosine, sigmoid_beta], net.objective.ddpm.prediction: [epsilon, v]";
    let figure = format!(
        "{{ curve: {{ {CURVE}, lines: schedule, panels: net.objective.ddpm.prediction }} }}"
    );
    let (head, tail) = SPEC.split_once("figures:\n").unwrap();
    let head =
        head.replace("product: { schedule: [linear, cosine]", &format!("product: {{ {axes}"));
    let head = head.replace(
        "seeds: 2 }",
        "exclude: { schedule: cosine, net.objective.ddpm.prediction: epsilon }, seeds: 2 }",
    );
    let tables = &tail[tail.find("tables:").unwrap()..];
    let bench = Bench::new(&format!("{head}figures:\n  shown: {figure}\n{tables}"));
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let svg = std::fs::read_to_string(bench.path("results/spec/figures/shown.svg")).unwrap();
    let places = ["linear", "cosine", "sigmoid"].map(|word| svg.find(&format!(">{word}")).unwrap());
    assert!(places.is_sorted(), "{places:?}");
}

/// Every kind of figure of metrics, on the fake worker's numbers.
#[test]
fn metrics_are_drawn_as_points_over_two_axes_and_against_each_other() {
    let bench = Bench::new(&SPEC.replace(
        "tables:\n",
        "  worth: { points: { sweep: main, y: score.power_spectrum.error } }
  both: { heatmap: { sweep: main, x: nfe, y: schedule, value: score.power_spectrum.error } }
  cost: { scatter: { sweep: main, x: draw.device_hours, y: score.power_spectrum.error, lines: schedule, names: nfe } }
tables:\n",
    ));
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0).out;
    assert!(!said.contains("is not made"), "{said}");
    let csv = |name: &str| {
        let path = bench.path("results/spec/figures").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    // Three differences from the baseline, the smallest first; each with two seeds.
    let worth = csv("worth.csv");
    let means: Vec<f64> = worth
        .lines()
        .filter(|line| line.contains(",mean,"))
        .map(|line| line.rsplit(',').nth(2).unwrap().parse().unwrap())
        .collect();
    assert!(means.len() == 3 && means.is_sorted(), "{worth}");
    assert_eq!(worth.lines().filter(|line| line.contains(",seed,")).count(), 6, "{worth}");
    let table = std::fs::read_to_string(bench.path("results/spec/tables/main.csv")).unwrap();
    let value = |row: &str| -> f64 {
        let line = table.lines().find(|line| line.starts_with(row)).unwrap();
        line.rsplit(',').next().unwrap().parse().unwrap()
    };
    let mean = |row: &str| (value(&format!("{row},0,")) + value(&format!("{row},1,"))) / 2.0;
    let both = csv("both.csv");
    let cell = both.lines().find(|line| line.starts_with("cosine,50,")).unwrap();
    let drawn: f64 = cell.rsplit(',').next().unwrap().parse().unwrap();
    assert!((drawn - mean("cosine,50")).abs() < 1e-12, "{both}\n{table}");
    let best = means[0];
    let all = ["linear,50", "cosine,10", "cosine,50"].map(|row| mean(row) - mean("linear,10"));
    let least = all.into_iter().fold(f64::INFINITY, f64::min);
    assert!((best - least).abs() < 1e-12, "{best} {all:?}");
    let cost = csv("cost.csv");
    assert_eq!(cost.lines().count(), 5, "{cost}");
    let Some(python) = crate::python::python() else { return };
    for name in ["spectra", "worth", "both", "cost"] {
        let script = bench.path("results/spec/figures").join(format!("{name}.py"));
        let mut draw = Command::new(&python);
        let output = draw.arg(&script).env("MPLBACKEND", "agg").output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(fs_is_pdf(&script.with_extension("matplotlib.pdf")), "{name}");
    }
}

fn fs_is_pdf(path: &std::path::Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"%PDF"))
}

#[test]
fn figures_of_metrics_name_what_exists() {
    for (figure, said) in [
        (
            "points: { sweep: main, at: { schedule: cosine }, y: score.power_spectrum.error }",
            "the baseline is no point",
        ),
        (
            "heatmap: { sweep: main, x: nfe, y: scheduel, value: score.power_spectrum.error }",
            "there is no axis `scheduel`",
        ),
        ("heatmap: { sweep: main, x: nfe, y: nfe, value: score.power_spectrum.error }", "schedule"),
        (
            "scatter: { sweep: main, x: score.power_spectrum.eror, y: score.power_spectrum.error, lines: [schedule, nfe] }",
            "there is no metric `eror`",
        ),
        (
            "scatter: { sweep: main, x: draw.nfe, y: score.power_spectrum.error, lines: schedule }",
            "nfe",
        ),
        ("trajectory: { sweep: main, of: net }", "is a train node"),
    ] {
        let bench =
            Bench::new(&SPEC.replace("tables:\n", &format!("  bad: {{ {figure} }}\ntables:\n")));
        let found = bench.ablate(&["check", "spec.yaml"]);
        assert!(found.code == Some(2) && found.err.contains(said), "{figure}: {}", found.err);
    }
}

#[test]
fn seeds_make_a_band_and_the_graph_is_a_figure_that_goes_stale_as_it_fills() {
    let spec = SPEC.replace(
        "tables:\n",
        "  band: { curve: { sweep: main, x: nfe, y: score.power_spectrum.error, lines: schedule, seeds: band } }
  plan: { graph: {} }
  boxes: { graph: { all: true } }
tables:
",
    );
    let bench = Bench::new(&spec);
    bench.ablate(&["run", "spec.yaml", "--until", "draw"]).expect(0);
    let read = |name: &str| {
        std::fs::read_to_string(bench.path(&format!("results/spec/figures/{name}"))).unwrap()
    };
    bench.ablate(&["figure", "spec.yaml"]).expect(0);
    let before = read("plan.svg");
    assert!(before.contains("0/8"), "no score is there yet");
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(!said.out.contains("the figure has no panels"), "{}", said.out);
    assert!(read("plan.svg").contains("8/8") && before != read("plan.svg"));
    // An arrow for each of the four ways to read, folded; and one for each that a node reads.
    assert_eq!(read("plan.csv").lines().count(), 1 + 4);
    assert_eq!(read("boxes.csv").lines().count(), 1 + 4 + 8 + 16);
    bench.ablate(&["paper", "check", "spec.yaml"]).expect(0);
    // Two bands, and no seed as a point of its own.
    let (band, points) = (read("band.svg"), read("band.py"));
    assert!(points.contains("BAND = True"));
    assert_eq!(band.matches("fill-opacity=\"0.18\"").count(), 2 + 2, "two areas and their keys");
}

#[test]
fn a_grid_shows_test_data_above_the_samples_where_they_are() {
    let figure = "figures:\n  images: { grid: { sweep: main, at: nfe == 50, of: draw, rows: schedule, count: 2, truth: true } }\n";
    let bench = Bench::new(&SPEC.replace("figures:\n", figure));
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let write = |kind: &str, file: &str| {
        for entry in std::fs::read_dir(bench.path("results/nodes")).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with(kind) {
                let bytes: Vec<u8> = (0..=255).collect();
                ablate::npy::write_u8(&entry.path().join(file), &[4, 1, 8, 8], &bytes).unwrap();
            }
        }
    };
    let drawn = || {
        bench.ablate(&["figure", "spec.yaml", "images"]).expect(0);
        std::fs::read_to_string(bench.path("results/spec/figures/images.svg")).unwrap()
    };
    write("sample-", "samples.npy");
    assert!(!drawn().contains("test data"), "what is not there is not shown");
    write("dataset-", "test.npy");
    let svg = drawn();
    assert!(svg.contains("test data"));
    // Two of the data, two for each schedule, and the bar of colours.
    assert_eq!(svg.matches("<image").count(), 2 + 4 + 1);
}
