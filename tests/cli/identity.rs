//! Keys stay what they are, and docs/identity.md says of every setting whether it is in them.

use ablate::graph::Graph;
use ablate::settings::{Field, Kind, Shape};
use serde_json::Value;
use std::path::Path;

/// The keys of one spec, pinned. A change here changes every user's results folder: raise a REVISION,
/// or give the new setting a neutral value, instead of changing a key.
const PINNED: [(&str, &str); 4] = [
    ("maps", "3c070d6e84b9"),
    ("net[schedule=linear,seed=0]", "2ea7b4563cbf"),
    ("draw[schedule=linear,nfe=10,seed=0]", "a9b4bd2c9d98"),
    ("score.power_spectrum[schedule=linear,nfe=10,seed=0]", "91dd4be797ba"),
];

#[test]
fn the_keys_of_a_spec_never_change() {
    let bench = crate::bench::Bench::new(crate::bench::SPEC);
    let (_, graph) = Graph::read(&bench.path("spec.yaml")).unwrap();
    for (name, key) in PINNED {
        let found = graph.find(name);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(graph.nodes[found[0]].key.short(), key, "{name}");
    }
}

#[test]
fn the_key_of_a_program_never_changes() {
    let spec = "question: q\nnodes:\n  maps: { dataset: { log_normal_fields: { side: 16, maps: 40 } } }\n  ext:\n    \
                command:\n      call: [python3, a.py, '{params.n}', -5, '']\n      needs: { maps: maps.train }\n      \
                files: [a.py]\n      params: { n: 1.0, text: \"a\\n'b' ✓\", list: [1, { b: 2 }] }\n      \
                outputs: [x]\n      environment: { variables: { A: 1 }, prefix: [env] }\n";
    let bench = crate::bench::Bench::new(spec);
    bench.write("a.py", "print(1)\n");
    let (_, graph) = Graph::read(&bench.path("spec.yaml")).unwrap();
    assert_eq!(graph.nodes[graph.find("ext")[0]].key.short(), "1d81b5da5a82");
}

/// The rows of all settings of a shape, as docs/identity.md has them.
fn rows(shape: &Shape, prefix: &str, out: &mut Vec<String>) {
    match shape {
        Shape::Map(fields) => {
            for field in fields {
                let path = format!("{prefix}.{}", field.name);
                match field.shape {
                    Shape::Map(_) | Shape::OneOf(_) => rows(&field.shape, &path, out),
                    Shape::Any(_) => {
                        out.push(row(field, &path));
                        rows(&field.shape, &path, out);
                    }
                    _ => out.push(row(field, &path)),
                }
            }
        }
        Shape::OneOf(kinds) => {
            kinds.iter().for_each(|(word, inner)| rows(inner, &format!("{prefix}.{word}"), out))
        }
        Shape::Any(forms) => forms.iter().for_each(|form| rows(form, prefix, out)),
        _ => {}
    }
}

/// Settings of nodes that say where things are, and enter no key.
const OUT: [&str; 4] = [
    "dataset.idx.folder",
    "dataset.cifar10.folder",
    "command.environment.prefix",
    "command.folder",
];

fn row(field: &Field, path: &str) -> String {
    let key = match &field.shape {
        Shape::Reference => "input",
        _ if path == "command.needs" => "input",
        _ if OUT.contains(&path) => "out",
        _ => "in",
    };
    let default = match &field.default {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(word)) => format!("`{word}`"),
        Some(other) => format!("`{other}`"),
    };
    let mut meaning = field.doc.trim().to_owned();
    if let Shape::Words(words) = &field.shape {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        meaning += &format!(" One of {}.", words.join(", "));
    }
    if field.neutral.is_some() {
        assert_eq!(field.neutral, field.default, "{path}: the docs say that these are equal");
        meaning += " Left out of the key at its neutral value, the default.";
    }
    format!("| `{path}` | {key} | {default} | {meaning} |")
}

/// With ABLATE_UPDATE=1 the tables of the docs are written anew.
#[test]
fn the_docs_list_every_setting_with_its_default() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/identity.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, _) = text.split_once("\n## dataset\n").unwrap();
    let mut want = before.to_owned();
    for kind in Kind::ALL {
        let mut lines = vec![];
        rows(&kind.shape(), kind.word(), &mut lines);
        want += &format!("\n## {}\n\n", kind.word());
        want += "| setting | key | default | meaning |\n| --- | --- | --- | --- |\n";
        want += &format!("{}\n", lines.join("\n"));
    }
    if std::env::var("ABLATE_UPDATE").is_ok() {
        std::fs::write(&file, &want).unwrap();
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let missing: Vec<&str> = want.lines().filter(|line| !text.contains(line)).collect();
    let stale: Vec<&str> = text.lines().filter(|line| !want.contains(line)).collect();
    assert!(
        missing.is_empty() && stale.is_empty() && text == want,
        "docs/identity.md lacks {missing:#?} and has {stale:#?}; ABLATE_UPDATE=1 writes it anew"
    );
}
