//! Keys stay what they are, and docs/identity.md says of every setting whether it is in them.

use ablate::graph::Graph;
use ablate::settings::{Kind, Shape};
use std::path::Path;

/// The keys of one spec, pinned. A change here changes every user's results folder: raise a REVISION,
/// or give the new setting a neutral value, instead of changing a key.
const PINNED: [(&str, &str); 4] = [
    ("maps", "3c070d6e84b9"),
    ("net[schedule=linear,seed=0]", "2ea7b4563cbf"),
    ("draw[schedule=linear,nfe=10,seed=0]", "a9b4bd2c9d98"),
    ("score.power_spectrum[schedule=linear,nfe=10,seed=0]", "865c813a292c"),
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

/// The paths of all settings of a shape.
fn paths(shape: &Shape, prefix: &str, out: &mut Vec<String>) {
    match shape {
        Shape::Map(fields) => {
            for field in fields {
                let path = format!("{prefix}.{}", field.name);
                match field.shape {
                    Shape::Map(_) | Shape::OneOf(_) => paths(&field.shape, &path, out),
                    _ => out.push(path),
                }
            }
        }
        Shape::OneOf(kinds) => {
            kinds.iter().for_each(|(word, inner)| paths(inner, &format!("{prefix}.{word}"), out))
        }
        _ => out.push(prefix.to_owned()),
    }
}

#[test]
fn every_setting_is_listed_in_the_docs_as_in_or_out() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/identity.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let mut all = vec![];
    for kind in Kind::ALL {
        paths(&kind.shape(), kind.word(), &mut all);
    }
    let missing: Vec<&String> = all
        .iter()
        .filter(|path| {
            !["in", "out", "input"].iter().any(|w| text.contains(&format!("| `{path}` | {w} |")))
        })
        .collect();
    assert!(missing.is_empty(), "docs/identity.md lacks {missing:#?}");
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let path = line.split('`').nth(1).unwrap();
        assert!(
            all.iter().any(|known| known == path) || path.starts_with("run."),
            "docs/identity.md lists `{path}`, which is no setting"
        );
    }
}
