//! Figures and tables as other programs see them.

use crate::bench::{Bench, SPEC};
use std::process::Command;

/// Whether a program is there; without it a test is skipped by name, unless nothing may be.
fn have(program: &str) -> bool {
    let found = Command::new(program).arg("-v").output().is_ok();
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
