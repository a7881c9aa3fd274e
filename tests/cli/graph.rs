//! `ablate graph` draws any graph readably: folded by name, or every node of a small one.

use crate::bench::{Bench, SPEC};

fn drawn(bench: &Bench, arguments: &[&str]) -> String {
    bench.ablate(&[&["graph", "spec.yaml", "-o", "-"], arguments].concat()).expect(0).out
}

#[test]
fn a_box_a_name_tells_kind_axes_and_how_far_it_is() {
    let bench = Bench::new(SPEC);
    let before = drawn(&bench, &[]);
    for piece in ["0/8", "sample · schedule, nfe, seed", "8 to run", ">reference<", ">data<"] {
        assert!(before.contains(piece), "{piece} in\n{before}");
    }
    bench.ablate_with(&["run", "spec.yaml"], "fail net[schedule=cosine,seed=0]").expect(1);
    let after = drawn(&bench, &[]);
    for piece in ["3/4", "3 finished, 1 failed", "6/8", "6 finished, 2 to run", ">partly finished<"]
    {
        assert!(after.contains(piece), "{piece} in\n{after}");
    }
}

#[test]
fn all_draws_every_node_of_a_small_graph_and_refuses_a_large_one() {
    let bench = Bench::new(SPEC);
    let svg = drawn(&bench, &["--all"]);
    assert_eq!(svg.matches(">draw<").count(), 8);
    bench.write("spec.yaml", &SPEC.replace("seeds: 2", "seeds: 20"));
    let said = bench.ablate(&["graph", "spec.yaml", "--all"]).expect(2);
    assert!(said.err.contains("a graph of 201 nodes cannot be read"), "{}", said.err);
}

#[test]
fn a_large_graph_is_folded_into_a_small_picture() {
    let bench = Bench::new(&SPEC.replace("seeds: 2", "seeds: 1000"));
    let svg = drawn(&bench, &[]);
    assert!(svg.contains("0/4,000") && svg.len() < 20_000, "{} bytes", svg.len());
}

#[test]
fn the_ending_of_the_file_names_its_form() {
    let bench = Bench::new(SPEC);
    for (name, begins) in [("g.svg", &b"<svg"[..]), ("g.png", b"\x89PNG"), ("g.pdf", b"%PDF-1.4")] {
        bench.ablate(&["graph", "spec.yaml", "-o", name]).expect(0);
        assert!(std::fs::read(bench.path(name)).unwrap().starts_with(begins), "{name}");
    }
    bench.ablate(&["graph", "spec.yaml"]).expect(0);
    assert!(bench.path("results/spec/graph.svg").exists());
    let said = bench.ablate(&["graph", "spec.yaml", "-o", "g.gif"]).expect(2);
    assert!(said.err.contains(".svg, .png or .pdf"), "{}", said.err);
}
