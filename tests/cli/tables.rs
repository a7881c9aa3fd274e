//! Tables and numbers as a paper includes them, and whether they are fit to print.

use crate::bench::{Bench, SPEC};
use crate::figures::have;
use std::fs;
use std::process::Command;

const PAPER: &str = r"
labels:
  schedule: Schedule
  nfe: NFE
  cosine: Cosine
  score.power_spectrum.error: error of $P(k)$
  net.steps: training steps
tables:
  main: { sweep: main, columns: [score.power_spectrum.error], versus: baseline }
  errors: { sweep: main, columns: [score.power_spectrum.error], spread: ci95, latex: siunitx }
  setup: { sweep: main, settings: net }
";

fn bench() -> Bench {
    let (head, _) = SPEC.split_once("tables:\n").unwrap();
    Bench::new(&format!("{head}{PAPER}"))
}

fn table(bench: &Bench, name: &str) -> String {
    fs::read_to_string(bench.path("results/spec/tables").join(name)).unwrap()
}

#[test]
fn labels_spreads_and_settings_are_written_as_asked() {
    let bench = bench();
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0).out;
    assert!(said.contains("error of P(k) ↓") && said.contains("Cosine"), "{said}");
    let tex = table(&bench, "main.tex");
    assert!(
        tex.contains("Schedule & NFE & error of $P(k)$ $\\downarrow$ & $\\Delta$ baseline"),
        "{tex}"
    );
    assert!(tex.contains("% Made by ablate ") && tex.contains("; nodes "), "{tex}");
    assert!(
        table(&bench, "main.csv").starts_with("schedule,nfe,seed,score.power_spectrum.error\n")
    );
    let tex = table(&bench, "errors.tex");
    assert!(tex.contains("95 % interval") && tex.contains("S[table-format="), "{tex}");
    let setup = table(&bench, "setup.md");
    assert!(setup.contains("| objective.ddpm.schedule | linear, Cosine |"), "{setup}");
    assert!(setup.contains("| training steps | 100 |") && !setup.contains("| seed |"), "{setup}");
    let html = table(&bench, "main.html");
    assert!(html.contains("<td>Cosine</td>"), "{html}");
    let sources = table(&bench, "main.sources.json");
    let sources: serde_json::Value = serde_json::from_str(&sources).unwrap();
    assert_eq!(sources["seeds"]["fewest"], 2);
    assert_eq!(sources["nodes"].as_object().unwrap().len(), 8);
    let setup: serde_json::Value =
        serde_json::from_str(&table(&bench, "setup.sources.json")).unwrap();
    assert!(setup["seeds"].is_null(), "settings depend on no seed: {setup}");
    let digest = blake3::hash(tex_of(&bench).as_bytes()).to_hex().to_string();
    assert_eq!(sources["files"]["main.tex"], digest.as_str());
}

fn tex_of(bench: &Bench) -> String {
    table(bench, "main.tex")
}

#[test]
fn a_table_tells_metrics_or_settings_and_not_both() {
    for (table, said) in [
        ("{ sweep: main }", "neither `columns` nor `settings`"),
        (
            "{ sweep: main, settings: net, columns: [score.power_spectrum.error] }",
            "either metrics or settings",
        ),
        ("{ sweep: main, settings: nett }", "there is no node `nett`"),
        ("{ sweep: main, settings: net, versus: baseline }", "not compared with a baseline"),
    ] {
        let (head, _) = SPEC.split_once("tables:\n").unwrap();
        let bench = Bench::new(&format!("{head}tables:\n  main: {table}\n"));
        let err = bench.ablate(&["check", "spec.yaml"]).expect(2).err;
        assert!(err.contains(said) && err.contains("spec.yaml:"), "{table}: {err}");
    }
}

#[test]
fn paper_check_objects_to_what_is_stale_edited_partial_or_rests_on_few_seeds() {
    let bench = bench();
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let good = bench.ablate(&["paper", "check", "spec.yaml"]).expect(0).out;
    assert!(good.contains("good  table main\n") && good.contains("good  numbers\n"), "{good}");
    assert!(good.contains("good  figure spectra\n"), "{good}");
    let few = bench.ablate(&["paper", "check", "spec.yaml", "--at-least", "3"]).expect(1).out;
    assert!(few.contains("BAD   table main: it rests on 2 seeds where 3 are asked for"), "{few}");
    assert!(few.contains("good  table setup\n"), "settings rest on no seeds: {few}");
    // Edited by hand.
    let path = bench.path("results/spec/tables/main.tex");
    fs::write(&path, tex_of(&bench).replace("Cosine", "Ours")).unwrap();
    fs::remove_file(bench.path("results/spec/figures/spectra.png")).unwrap();
    let bad = bench.ablate(&["paper", "check", "spec.yaml"]).expect(1).out;
    assert!(bad.contains("BAD   table main: main.tex is stale\n"), "{bad}");
    assert!(bad.contains("BAD   figure spectra: spectra.png is not there\n"), "{bad}");
    bench.ablate(&["table", "spec.yaml"]).expect(0);
    bench.ablate(&["figure", "spec.yaml"]).expect(0);
    bench.ablate(&["paper", "check", "spec.yaml"]).expect(0);
    // More is asked than is there.
    let spec = fs::read_to_string(bench.path("spec.yaml")).unwrap();
    fs::write(bench.path("spec.yaml"), spec.replace("seeds: 2", "seeds: 3")).unwrap();
    let partial = bench.ablate(&["paper", "check", "spec.yaml", "--json"]).expect(1).out;
    let found: serde_json::Value = serde_json::from_str(&partial).unwrap();
    let main = found.as_array().unwrap().iter().find(|output| output["name"] == "main").unwrap();
    let objections = main["objections"].as_array().unwrap();
    assert!(objections.contains(&"partial: 4 values missing".into()), "{partial}");
}

#[test]
fn numbers_tables_and_figures_compile_in_two_columns_without_a_warning() {
    if !have("pdflatex") {
        return;
    }
    let bench = bench();
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let paper = r"\documentclass[twocolumn]{article}
\usepackage[letterpaper,margin=0.8in]{geometry}
\usepackage{booktabs,siunitx,graphicx}
\input{results/spec/tables/numbers.tex}
\begin{document}
The error is \ablate{main/schedule=cosine,nfe=10/score.power_spectrum.error}, of
\ablate[n]{main/schedule=cosine,nfe=10/score.power_spectrum.error} seeds, its mean
\ablate[mean]{main/schedule=cosine,nfe=10/score.power_spectrum.error}.
\begin{table*}\centering\input{results/spec/tables/main.tex}\caption{One.}\end{table*}
\begin{table*}\centering\input{results/spec/tables/errors.tex}\caption{Two.}\end{table*}
\begin{table*}\centering\small\input{results/spec/tables/setup.tex}\caption{Three.}\end{table*}
\begin{figure*}\includegraphics{results/spec/figures/spectra.pdf}\caption{Four.}\end{figure*}
\end{document}
";
    let compile = |text: &str| {
        fs::write(bench.path("paper.tex"), text).unwrap();
        let mut latex = Command::new("pdflatex");
        latex.args(["-interaction=nonstopmode", "-halt-on-error", "paper.tex"]);
        let output = latex.current_dir(bench.path("")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (works, said) = compile(paper);
    assert!(works, "{said}");
    for bad in ["Warning", "Overfull", "Undefined", "PDF version"] {
        assert!(!said.contains(bad), "{bad} in\n{said}");
    }
    let (works, said) =
        compile(&paper.replace("main/schedule=cosine,nfe=10/", "main/schedule=cosin,nfe=10/"));
    assert!(!works && said.contains("There is no number"), "{said}");
}
