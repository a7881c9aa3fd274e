//! What the docs show is what the program does: every example in them is run.

use crate::bench::{Bench, SPEC};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The fenced blocks of a language in a document, each with the line it begins at.
fn blocks(file: &str, language: &str) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let mut found = vec![];
    let mut open: Option<(usize, String)> = None;
    for (i, line) in text.lines().enumerate() {
        match &mut open {
            Some(_) if line == "```" => found.extend(open.take()),
            Some((_, block)) => *block += &format!("{line}\n"),
            None if line == format!("```{language}") => open = Some((i + 2, String::new())),
            None => {}
        }
    }
    found
}

/// A project with the files that the examples name.
fn project() -> Bench {
    let bench = Bench::new(SPEC);
    for folder in ["experiments/data", "configs/models"] {
        std::fs::create_dir_all(bench.path(folder)).unwrap();
    }
    let copy = |name: &str| std::fs::copy(root().join(name), bench.path(name)).unwrap();
    bench.write("experiments/train.py", "print(1)\n");
    copy("configs/models/unet-tiny.yaml");
    copy("experiments/quickstart.yaml");
    copy("experiments/ablation.yaml");
    let data = |name: &str| bench.path("experiments/data").join(name);
    for name in ["maps.npy", "Maps_Mcdm.npy"] {
        ablate::npy::write_f64(&data(name), &[30, 4, 4], &[1.0; 480]).unwrap();
    }
    std::fs::create_dir(data("maps")).unwrap();
    ablate::npy::write_f64(&data("maps/0.npy"), &[30, 4, 4], &[1.0; 480]).unwrap();
    std::fs::create_dir(data("faces")).unwrap();
    for i in 0..10 {
        std::fs::write(data(&format!("faces/{i}.png")), "only looked at when it is read").unwrap();
    }
    let points = "schedule,nfe\nlinear,10\ncosine,25\n";
    std::fs::write(bench.path("experiments/proposed.csv"), points).unwrap();
    std::fs::write(bench.path("experiments/trials.json"), "[{\"lr\": 1e-3}]").unwrap();
    for name in ["params.txt", "i.gz", "l.gz", "ti.gz", "tl.gz"] {
        std::fs::write(data(name), "0.3 0.8\n0.2 0.9\n").unwrap();
    }
    bench
}

#[test]
fn every_spec_and_part_of_a_spec_in_the_docs_passes_the_check() {
    for file in ["docs/spec.md", "docs/programs.md", "README.md"] {
        let bench = project();
        let all = blocks(file, "yaml");
        assert!(!all.is_empty(), "{file}");
        for (line, block) in all {
            let whole = block.contains("question:");
            let name = if whole { "base.yaml" } else { "part.yaml" };
            let text = if whole { block } else { format!("use: base.yaml\n{block}") };
            bench.write(&format!("experiments/{name}"), &text);
            let said = bench.ablate(&["check", &format!("experiments/{name}")]);
            assert_eq!(said.code, Some(0), "{file}:{line}: {}", said.err);
        }
    }
}

#[test]
fn every_command_line_in_the_docs_is_understood() {
    let bench = project();
    bench.ablate(&["run", "experiments/quickstart.yaml"]).expect(0);
    let mut run = 0;
    for file in ["README.md", "docs/running.md", "docs/results.md"] {
        for (line, block) in blocks(file, "sh") {
            for command in block.lines().filter(|line| line.starts_with("ablate ")) {
                let command = command.split("   #").next().unwrap();
                let said = bench.shell(command);
                // Not every machine has the GPUs of the example.
                let is_known = command.contains("cuda:") && said.err.contains("there is no cuda:")
                    // The fake worker makes no maps, so figures of them are not there.
                    || command.starts_with("ablate paper check") && said.code == Some(1);
                assert!(
                    is_known || said.code == Some(0),
                    "{file}:{line}: {command}\n{}{}",
                    said.out,
                    said.err
                );
                run += 1;
            }
        }
    }
    assert!(run > 10, "{run} commands");
}

#[test]
fn the_python_in_the_docs_reads_the_results() {
    let Some(python) = crate::python::python() else { return };
    let bench = Bench::new(SPEC);
    bench.ablate(&["run", "spec.yaml"]).expect(0);
    let examples = blocks("docs/results.md", "python");
    assert!(!examples.is_empty());
    for (line, block) in examples {
        let output = std::process::Command::new(&python)
            .args(["-c", &block])
            .current_dir(bench.path("."))
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "docs/results.md:{line}: {err}");
    }
}

#[test]
fn the_table_of_failures_is_that_of_the_program() {
    use ablate::failure::FailureClass;
    let row = |class: &FailureClass| {
        format!("| `{}` | {} | {} |\n", class.word(), class.meaning(), class.policy().words())
    };
    let table: String = FailureClass::ALL.iter().map(row).collect();
    let text = std::fs::read_to_string(root().join("docs/running.md")).unwrap();
    assert!(text.contains(&table), "docs/running.md does not have the rows\n{table}");
}
