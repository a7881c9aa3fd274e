//! The modules stand in layers, and outside packages stay at home.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules in the order in which `lib.rs` declares them.
fn layers() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("lib.rs")).unwrap();
    let module = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    text.lines().filter_map(module).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of a module.
fn files(module: &str) -> Vec<PathBuf> {
    let mut out = vec![];
    let file = root().join(format!("{module}.rs"));
    if file.exists() {
        out.push(file);
    }
    let mut folders = vec![root().join(module)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                out.push(path);
            }
        }
    }
    out
}

/// The modules that a text names after `crate::`, in braces or not.
fn used(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let after = |part: &str| -> Vec<String> {
        match part.strip_prefix('{') {
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                list.split(',').map(|item| word(item.trim())).collect()
            }
            None => vec![word(part)],
        }
    };
    let code: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.join("\n").split("crate::").skip(1).flat_map(after).collect()
}

#[test]
fn every_way_to_name_a_module_is_seen() {
    let seen = used(
        "use crate::plan::Plan; use crate::{run, survey}; crate::draw::all(); use crate::key;",
    );
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["draw", "key", "plan", "run", "survey"]);
}

#[test]
fn no_module_uses_one_below_it() {
    let layers = layers();
    assert!(layers.len() > 15, "{layers:?}");
    for (i, module) in layers.iter().enumerate() {
        for file in files(module) {
            let used = used(&std::fs::read_to_string(&file).unwrap());
            for below in &layers[i + 1..] {
                assert!(
                    !used.contains(below),
                    "{} uses `{below}`, which stands below `{module}`",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn outside_packages_are_used_at_home_alone() {
    let homes = [
        ("serde_yaml", "spec"),
        ("petgraph", "graph cost plan demand forecast run survey adopt draw report serve commands"),
        ("rusqlite", "record"),
        ("plotters", "figure"),
        ("minijinja", "report"),
        ("statrs", "statistics"),
        ("axum", "serve"),
        ("tokio", "serve"),
        ("parquet", "export"),
        ("nvml_wrapper", "pool"),
        ("indicatif", "screen"),
        ("clap", "commands"),
        ("clap_complete", "commands"),
    ];
    for module in layers() {
        for file in files(&module) {
            let text = std::fs::read_to_string(&file).unwrap();
            for (package, home) in homes {
                let used = text.contains(&format!("{package}::"));
                assert!(
                    !used || home.split(' ').any(|h| h == module),
                    "{} uses {package}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_coordinator_has_no_tensors() {
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let own = manifest
        .split("[dependencies]")
        .nth(1)
        .unwrap()
        .split("[dev-dependencies]")
        .next()
        .unwrap();
    assert!(!own.contains("tch"), "{own}");
}
