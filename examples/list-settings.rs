//! Lists every setting as a row of docs/identity.md: path, in or out of the key, default, meaning.

use ablate::settings::{Field, Kind, Shape};
use std::io::Write;

fn main() {
    let mut out = std::io::stdout().lock();
    for kind in Kind::ALL {
        let mut rows = vec![];
        walk(&kind.shape(), kind.word(), &mut rows);
        let text = format!(
            "\n## {}\n\n| setting | key | default | meaning |\n| --- | --- | --- | --- |\n{}",
            kind.word(),
            rows.concat()
        );
        out.write_all(text.as_bytes()).expect("standard output takes it");
    }
}

fn walk(shape: &Shape, prefix: &str, rows: &mut Vec<String>) {
    match shape {
        Shape::Map(fields) => {
            fields.iter().for_each(|field| row(field, &format!("{prefix}.{}", field.name), rows))
        }
        Shape::OneOf(kinds) => {
            kinds.iter().for_each(|(word, inner)| walk(inner, &format!("{prefix}.{word}"), rows))
        }
        _ => {}
    }
}

fn row(field: &Field, path: &str, rows: &mut Vec<String>) {
    if matches!(field.shape, Shape::Map(_) | Shape::OneOf(_)) {
        return walk(&field.shape, path, rows);
    }
    let key = match field.shape {
        Shape::Reference => "input",
        Shape::Scalar("path of a folder") => "out",
        _ => "in",
    };
    let default = field
        .default
        .as_ref()
        .map_or("–".to_owned(), |value| format!("`{}`", value.to_string().trim_matches('"')));
    let neutral = field.neutral.as_ref().map_or(String::new(), |_| {
        " Left out of the key at its neutral value, the default.".to_owned()
    });
    rows.push(format!("| `{path}` | {key} | {default} | {}{neutral} |\n", field.doc.trim()));
}
