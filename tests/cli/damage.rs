//! Every kind of file in a results folder, damaged in every way: noticed, named, mended by the next run.

use crate::bench::{Bench, SPEC, Said};
use std::fs;
use std::path::{Path, PathBuf};

/// A way in which a file comes to harm, by name.
type Harm = (&'static str, fn(&Path));

/// The ways in which a file comes to harm.
const HARMS: [Harm; 4] = [
    ("removed", |path| fs::remove_file(path).unwrap()),
    ("truncated", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("one byte flipped", |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(path, bytes).unwrap();
    }),
    ("zeroed tail", |path| {
        let mut bytes = fs::read(path).unwrap();
        let from = bytes.len() - bytes.len().min(16);
        bytes[from..].fill(0);
        fs::write(path, bytes).unwrap();
    }),
];

/// A bench with everything finished, and what its run said.
fn finished() -> (Bench, Said) {
    let bench = Bench::new(SPEC);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    (bench, said)
}

/// The first finished node of a kind.
fn node(bench: &Bench, kind: &str) -> PathBuf {
    let mut all: Vec<PathBuf> = fs::read_dir(bench.path("results/nodes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(kind))
        .collect();
    all.sort();
    all.swap_remove(0)
}

fn harm_files_of(kind: &str, files: &[&str]) {
    let (bench, first) = finished();
    for file in files {
        for (name, harm) in HARMS {
            let folder = node(&bench, kind);
            harm(&folder.join(file));
            let shown = format!("{kind}/{file} {name}");
            let verify = bench.ablate(&["verify"]).expect(1);
            let place = format!("nodes/{}: {file} ", folder.file_name().unwrap().to_string_lossy());
            assert!(verify.out.contains(&place), "{shown}: {}", verify.out);
            let mended = bench.ablate(&["run", "spec.yaml"]).expect(0);
            assert_eq!((mended.started(), &mended.out), (1, &first.out), "{shown}: {}", mended.err);
            assert!(mended.err.contains("it is made again"), "{shown}: {}", mended.err);
            let status = bench.ablate(&["status", "spec.yaml"]).expect(0);
            assert!(!status.out.contains("damaged"), "{shown}: {}", status.out);
            let again = bench.ablate(&["verify"]).expect(0);
            assert!(again.out.contains("all is as it was written"), "{shown}: {}", again.out);
        }
    }
}

#[test]
fn files_of_a_dataset() {
    harm_files_of("dataset", &["node.json", "artefact.txt", "metrics.json"]);
}

#[test]
fn files_of_a_training() {
    harm_files_of("train", &["node.json", "artefact.txt", "metrics.json"]);
}

#[test]
fn files_of_a_sampling() {
    harm_files_of("sample", &["node.json", "artefact.txt"]);
}

#[test]
fn files_of_a_measure() {
    harm_files_of("evaluate", &["node.json", "metrics.json", "series.json"]);
}

#[test]
fn logs_and_costs_and_drawn_files_may_be_lost_without_harm() {
    let (bench, first) = finished();
    let folder = node(&bench, "train");
    let drawn = bench.path("results/spec/figures/spectra.svg");
    let picture = fs::read(&drawn).unwrap();
    let log = folder.join("log.txt");
    fs::write(&log, "what the worker said").unwrap();
    for path in [folder.join("costs.json"), folder.join("events.jsonl"), log, drawn.clone()] {
        let good = fs::read(&path).unwrap();
        for (name, harm) in HARMS {
            fs::write(&path, &good).unwrap();
            harm(&path);
            let shown = format!("{} {name}", path.display());
            let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
            assert_eq!((said.started(), &said.out), (0, &first.out), "{shown}");
            assert_eq!(fs::read(&drawn).unwrap(), picture, "{shown}: drawn again");
            bench.ablate(&["verify"]).expect(0);
        }
    }
}

#[test]
fn a_node_folder_that_is_gone_is_noticed_by_both() {
    let (bench, first) = finished();
    fs::remove_dir_all(node(&bench, "sample")).unwrap();
    let verify = bench.ablate(&["verify"]).expect(1);
    assert!(verify.out.contains("node.json is gone with its folder"), "{}", verify.out);
    let plan = bench.ablate(&["plan", "spec.yaml"]).expect(0);
    assert!(plan.out.contains("its folder is gone"), "{}", plan.out);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!((said.started(), said.out), (1, first.out));
    bench.ablate(&["verify"]).expect(0);
}

/// After a run nothing was made again, the answer is the same, and everything is sound.
fn run_mends_the_database(bench: &Bench, first: &Said, shown: &str) {
    let said = bench.ablate(&["run", "spec.yaml"]);
    assert_eq!(said.code, Some(0), "{shown}: {}", said.err);
    assert_eq!((said.started(), &said.out), (0, &first.out), "{shown}: {}", said.err);
    let verify = bench.ablate(&["verify"]);
    assert_eq!(verify.code, Some(0), "{shown}: {}", verify.out);
}

#[test]
fn the_database_removed_or_damaged_anywhere_is_made_anew() {
    let (bench, first) = finished();
    let database = bench.path("results/ablate.sqlite");
    let good = fs::read(&database).unwrap();
    fs::remove_file(&database).unwrap();
    run_mends_the_database(&bench, &first, "removed");
    type HarmBytes = Box<dyn Fn(&mut Vec<u8>)>;
    let flip = |at: usize| -> HarmBytes { Box::new(move |bytes| bytes[at] ^= 0x10) };
    let mut harms: Vec<(String, HarmBytes)> = vec![
        ("emptied".into(), Box::new(Vec::clear)),
        ("cut to a page".into(), Box::new(|bytes| bytes.truncate(4096))),
        ("cut in its middle".into(), Box::new(|bytes| bytes.truncate(bytes.len() / 2 + 77))),
        (
            "zeroed tail".into(),
            Box::new(|bytes| {
                let half = bytes.len() / 2;
                bytes[half..].fill(0);
            }),
        ),
        ("something else".into(), Box::new(|bytes| bytes.fill(b'x'))),
    ];
    for at in [3, 17, 100, 4096, good.len() / 3, good.len() / 2, good.len() - 300] {
        harms.push((format!("byte {at} flipped"), flip(at)));
    }
    for (shown, harm) in harms {
        let mut bytes = good.clone();
        harm(&mut bytes);
        fs::write(&database, &bytes).unwrap();
        // What a run does not notice, `verify` does; a flipped bit in free space harms nobody.
        let _ = bench.ablate(&["verify"]);
        run_mends_the_database(&bench, &first, &shown);
    }
}

#[test]
fn a_damaged_database_is_named_and_its_history_kept_where_it_can_be_read() {
    let (bench, _) = finished();
    let database = bench.path("results/ablate.sqlite");
    let count = |bench: &Bench| {
        bench.ablate(&["query", "select count(*) from attempts", "--csv"]).expect(0).out
    };
    let attempts = count(&bench);
    let rebuilt = bench.ablate(&["rebuild"]).expect(0);
    assert!(rebuilt.out.contains("is made anew: 21 nodes from nodes/"), "{}", rebuilt.out);
    assert_eq!(count(&bench), attempts);
    fs::write(&database, b"this is no database, whatever its name says").unwrap();
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert!(said.err.contains("it is made anew from nodes/"), "{}", said.err);
}

#[test]
fn folders_and_the_database_damaged_at_once_are_both_mended() {
    let (bench, first) = finished();
    // Nothing that the next run makes would read this folder.
    let measured = node(&bench, "evaluate").join("metrics.json");
    let text = fs::read_to_string(&measured).unwrap();
    let digit = text.rfind(|c: char| c.is_ascii_digit()).unwrap();
    let other = if text.as_bytes()[digit] == b'1' { "2" } else { "1" };
    fs::write(&measured, format!("{}{other}{}", &text[..digit], &text[digit + 1..])).unwrap();
    fs::write(bench.path("results/ablate.sqlite"), vec![7; 9000]).unwrap();
    let verify = bench.ablate(&["verify"]).expect(1);
    assert!(verify.out.contains("2 places damaged"), "{}", verify.out);
    let said = bench.ablate(&["run", "spec.yaml"]).expect(0);
    assert_eq!((said.started(), &said.out), (1, &first.out), "{}", said.err);
    bench.ablate(&["verify"]).expect(0);
    let status = bench.ablate(&["status", "spec.yaml"]).expect(0);
    assert!(!status.out.contains("damaged"), "{}", status.out);
}

#[test]
fn the_write_ahead_log_cut_at_any_byte_loses_rows_that_the_folders_give_back() {
    let bench = Bench::new(SPEC);
    let mut child = bench.start(&["run", "spec.yaml"], "slow score 40");
    let wal = bench.path("results/ablate.sqlite-wal");
    std::thread::sleep(std::time::Duration::from_millis(900));
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (log, database) = (fs::read(&wal).unwrap(), bench.path("results/ablate.sqlite"));
    let main = fs::read(&database).unwrap();
    assert!(log.len() > 50_000, "the log holds something");
    for part in 0..12 {
        let cut = log.len() * part / 12 + part * 7;
        fs::write(&database, &main).unwrap();
        fs::write(&wal, &log[..cut.min(log.len())]).unwrap();
        let _ = fs::remove_file(bench.path("results/ablate.sqlite-shm"));
        bench.ablate(&["run", "spec.yaml"]).expect(0);
        bench.ablate(&["verify"]).expect(0);
    }
}

/// Runs the spec with orders on a results folder of three megabytes; what that said, what `verify` said,
/// and what a run said after there was room again. `None` where no file system can be mounted.
fn on_a_small_disk(orders: &str) -> Option<[Said; 3]> {
    let bench = Bench::new(SPEC);
    fs::create_dir(bench.path("results")).unwrap();
    let root = |line: &str| bench.shell(line).code == Some(0);
    if !root("mount -t tmpfs -o size=3m tmpfs results") {
        // No package brings the right to mount: without it there is nothing to test here.
        return None;
    }
    let full = bench.ablate_with(&["run", "spec.yaml"], orders);
    let _ = fs::remove_file(bench.path("results/ballast"));
    let grown = root("mount -o remount,size=64m results");
    let verify = bench.ablate(&["verify"]);
    let again = bench.ablate(&["run", "spec.yaml"]);
    assert!(root("umount results") && grown);
    Some([full, verify, again])
}

#[test]
fn a_disk_that_is_full_while_a_node_runs_fails_it_with_that_reason() {
    let Some([full, verify, again]) = on_a_small_disk("fill net 4000") else { return };
    let full = full.expect(1);
    assert!(full.err.contains("FAIL   net[schedule=linear,seed=0] [disk_full]"), "{}", full.err);
    verify.expect(0);
    again.expect(0);
}

#[test]
fn a_disk_that_is_full_while_a_node_is_published_leaves_nothing_half() {
    let Some([full, verify, again]) = on_a_small_disk("stuff net") else { return };
    let full = full.expect(1);
    let reasons = ["[disk_full]", "disk is full", "No space left on device"];
    assert!(reasons.iter().any(|reason| full.err.contains(reason)), "{}", full.err);
    verify.expect(0);
    assert!(again.expect(0).started() > 15);
}
