//! `ablate merge` adds what is sound, names what is not, and leaves nothing half copied.

use crate::bench::{Bench, SPEC};
use std::path::{Path, PathBuf};

/// A folder with results, and one without that has the same spec.
fn two() -> (Bench, Bench) {
    let there = Bench::new(SPEC);
    there.ablate(&["run", "spec.yaml"]).expect(0);
    (there, Bench::new(SPEC))
}

fn merge(here: &Bench, there: &Bench, more: &[&str]) -> crate::bench::Said {
    let other = there.path("results");
    here.ablate(&[&["merge", other.to_str().unwrap()], more].concat())
}

/// The first folder of a kind.
fn node(bench: &Bench, kind: &str) -> PathBuf {
    let entries = std::fs::read_dir(bench.path("results/nodes")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
    paths.into_iter().find(is).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Replaces a piece of text in a file.
fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn nothing_is_computed_again_after_a_merge() {
    for more in [&[][..], &["--link"]] {
        let (there, here) = two();
        let said = merge(&here, &there, more).expect(0);
        assert_eq!(said.out.trim(), "21 nodes added");
        let run = here.ablate(&["run", "spec.yaml"]).expect(0);
        assert_eq!(run.started(), 0);
        assert_eq!(names(&here.path("results/nodes")), names(&there.path("results/nodes")));
        assert!(!names(&here.path("results/work")).iter().any(|name| name.starts_with("merging")));
        let again = merge(&here, &there, more).expect(0);
        assert_eq!(again.out.trim(), "0 nodes added, 21 here already");
    }
}

#[test]
fn nodes_that_were_cleaned_there_are_left_out_and_no_damage() {
    let (there, here) = two();
    there.write("spec.yaml", &SPEC.replace("[linear, cosine]", "[linear]"));
    there.ablate(&["clean", "--yes"]).expect(0);
    let said = merge(&here, &there, &[]).expect(0);
    assert_eq!(said.out.trim(), "11 nodes added, 10 cleaned there and left out");
    here.ablate(&["verify"]).expect(0);
}

#[test]
fn a_link_is_the_same_file_and_a_copy_is_not() {
    use std::os::unix::fs::MetadataExt;
    let inode = |path: PathBuf| std::fs::metadata(path.join("artefact.txt")).unwrap().ino();
    for (more, same) in [(&[][..], false), (&["--link"], true)] {
        let (there, here) = two();
        merge(&here, &there, more).expect(0);
        assert_eq!(inode(node(&here, "train")) == inode(node(&there, "train")), same);
    }
}

#[test]
fn every_damage_is_named_and_left_out() {
    type Act = fn(&Path);
    let cases: [(&str, Act, &str); 11] = [
        ("removed", |n| std::fs::remove_file(n.join("artefact.txt")).unwrap(), "is missing"),
        ("cut", |n| std::fs::write(n.join("artefact.txt"), b"0").unwrap(), "has another size"),
        (
            "changed",
            |n| {
                let path = n.join("artefact.txt");
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[3] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            },
            "has other content",
        ),
        ("no list", |n| std::fs::remove_file(n.join("node.json")).unwrap(), "cannot read"),
        ("half a list", |n| std::fs::write(n.join("node.json"), "{").unwrap(), "node.json"),
        (
            "a path out of the folder",
            |n| edit(&n.join("node.json"), "\"artefact.txt\"", "\"../artefact.txt\""),
            "names `../artefact.txt`",
        ),
        (
            "an absolute path",
            |n| edit(&n.join("node.json"), "\"artefact.txt\"", "\"/etc/hostname\""),
            "names `/etc/hostname`",
        ),
        (
            "a link",
            |n| {
                std::fs::rename(n.join("artefact.txt"), n.join("../../elsewhere")).unwrap();
                std::os::unix::fs::symlink("../../elsewhere", n.join("artefact.txt")).unwrap();
            },
            "artefact.txt is a link",
        ),
        (
            "a file listed twice",
            |n| {
                let path = n.join("node.json");
                let text = std::fs::read_to_string(&path).unwrap();
                let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
                let artefacts = file["artefacts"].as_array_mut().unwrap();
                artefacts.push(artefacts[0].clone());
                std::fs::write(path, file.to_string()).unwrap();
            },
            "names `artefact.txt` twice",
        ),
        (
            "another identity",
            |n| edit(&n.join("node.json"), "\"steps\": 100", "\"steps\": 101"),
            "its key is not that of its identity",
        ),
        (
            "a newer format",
            |n| edit(&n.join("node.json"), "\"format\": 1", "\"format\": 99"),
            "newer ablate",
        ),
    ];
    for (name, act, what) in cases {
        let (there, here) = two();
        let damaged = node(&there, "train");
        act(&damaged);
        let said = merge(&here, &there, &[]).expect(1);
        let folder = damaged.file_name().unwrap().to_str().unwrap();
        let line = format!("{folder} is damaged and left out");
        assert!(said.err.contains(&line) && said.err.contains(what), "{name}: {}", said.err);
        assert_eq!(said.out.trim(), "20 nodes added, 1 damaged and left out", "{name}");
        assert!(!here.path("results/nodes").join(folder).exists(), "{name}");
        // What it lacks is made here.
        assert_eq!(here.ablate(&["run", "spec.yaml"]).expect(0).started(), 1, "{name}");
    }
}

#[test]
fn a_node_that_is_here_with_other_bytes_stays_and_both_arithmetics_are_told() {
    let (there, here) = two();
    merge(&here, &there, &[]).expect(0);
    let folder = node(&here, "train");
    std::fs::write(folder.join("artefact.txt"), b"other").unwrap();
    let digest = blake3::hash(b"other").to_hex().to_string();
    let text = std::fs::read_to_string(folder.join("node.json")).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let artefacts = file["artefacts"].as_array_mut().unwrap();
    let artefact = artefacts.iter_mut().find(|a| a["path"] == "artefact.txt").unwrap();
    artefact["bytes"] = 5.into();
    artefact["blake3"] = digest.into();
    file["arithmetic"][0]["device"] = "another device".into();
    std::fs::write(folder.join("node.json"), file.to_string()).unwrap();
    let said = merge(&here, &there, &[]).expect(0);
    assert_eq!(said.out.trim(), "0 nodes added, 20 here already, 1 here with other bytes");
    assert!(said.err.contains("is here with other bytes (artefact.txt)"), "{}", said.err);
    assert!(said.err.contains("made here on another device"), "{}", said.err);
    assert!(said.err.contains("there on fake"), "{}", said.err);
    assert_eq!(std::fs::read(folder.join("artefact.txt")).unwrap(), b"other");
}

#[test]
fn an_interrupted_merge_is_cleared_away_and_an_interrupted_attempt_replaced() {
    let (there, here) = two();
    here.ablate_with(&["run", "spec.yaml"], "fail net").expect(1);
    assert!(names(&here.path("results/work")).iter().any(|name| name.starts_with("train-")));
    let left = here.path("results").join("work").join("merging-1-1/train-000000000000");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("artefact.txt"), b"half").unwrap();
    let said = merge(&here, &there, &[]).expect(0);
    assert_eq!(said.out.trim(), "20 nodes added, 1 here already");
    let work = names(&here.path("results/work"));
    assert!(work.iter().all(|name| name.starts_with("trajectory-")), "{work:?}");
    assert_eq!(here.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
}

#[test]
fn a_killed_merge_leaves_only_whole_nodes() {
    let (there, here) = two();
    let other = there.path("results");
    for wait in [5, 10, 20, 40] {
        let mut child = here.start(&["merge", other.to_str().unwrap()], "");
        std::thread::sleep(std::time::Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        let nodes = here.path("results/nodes");
        if nodes.exists() {
            let damage = |name: &String| ablate::store::check(&nodes.join(name));
            assert!(names(&nodes).iter().flat_map(damage).next().is_none());
        }
    }
    merge(&here, &there, &[]).expect(0);
    assert_eq!(here.ablate(&["run", "spec.yaml"]).expect(0).started(), 0);
}

#[test]
fn what_a_run_works_on_here_is_left_to_it() {
    let (there, here) = two();
    let child = here.start(&["run", "spec.yaml"], "slow maps 400");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let said = merge(&here, &there, &[]).expect(0);
    assert!(said.err.contains("maps is left out: a run works on it here"), "{}", said.err);
    let run = crate::bench::Said::of(child.wait_with_output().unwrap()).expect(0);
    assert!(run.started() < 21, "{}", run.err);
}

#[test]
fn what_is_no_results_folder_is_refused() {
    let here = Bench::new(SPEC);
    let said = here.ablate(&["merge", "."]).expect(2);
    assert!(said.err.contains("is no results folder"), "{}", said.err);
    let said = here.ablate(&["merge", "results"]).expect(2);
    assert!(said.err.contains("cannot be merged into itself"), "{}", said.err);
}
