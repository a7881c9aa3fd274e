//! GPUs as slots, on a stand-in for NVIDIA's library that the same code loads: who may use what, how nodes share,
//! and what is remembered. What happens on a real GPU is in benches/gpu.py.

use crate::bench::{Bench, Said};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library, built once for all tests.
fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let build = || {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/nvml.c");
        let library = folder.path().join("libnvidia-ml.so.1");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source);
        // Where there is a driver, its own library could be found first.
        let usable = cfg!(target_os = "linux") && !Path::new("/dev/nvidiactl").exists();
        (usable && cc.status().is_ok_and(|status| status.success()))
            .then(|| (folder, library.parent().unwrap().to_owned()))
    };
    BUILT.get_or_init(build).as_ref().map(|(_, folder)| folder.as_path())
}

/// A project on a machine with GPUs of so many gigabytes.
struct Machine {
    bench: Bench,
    cards: tempfile::TempDir,
}

impl Machine {
    fn new(spec: &str, gigabytes: &[u64]) -> Self {
        let cards = tempfile::tempdir().unwrap();
        for (i, n) in gigabytes.iter().enumerate() {
            let line = format!("GPU-{i}000 {}\n", n * 1000);
            fs::write(cards.path().join(format!("card-{i}")), line).unwrap();
        }
        Self { bench: Bench::new(spec), cards }
    }

    fn run(&self, arguments: &str, orders: &str) -> Said {
        let folder = library().expect("the caller has looked").display();
        let cards = self.cards.path().display();
        let _ = fs::remove_file(self.cards.path().join("trace"));
        self.bench.shell(&format!(
            "FAKE_NVML={cards} LD_LIBRARY_PATH={folder} ABLATE_FAKE='{orders}' ablate {arguments}"
        ))
    }

    /// Another program takes so many megabytes of a card: this one.
    fn takes(&self, card: usize, megabytes: u64) {
        let folder = self.cards.path().join(format!("GPU-{card}000"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(std::process::id().to_string()), megabytes.to_string()).unwrap();
    }

    /// For each card, the most nodes that were on it at once, and beside how many a node with this word was.
    fn trace(&self, word: &str) -> BTreeMap<String, (usize, usize)> {
        let text = fs::read_to_string(self.cards.path().join("trace")).unwrap();
        let mut there: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut most: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for line in text.lines() {
            let [what, card, name] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
            let on = there.entry(card.to_owned()).or_default();
            match what {
                "start" => on.push(name.to_owned()),
                _ => on.retain(|other| other != name),
            }
            let (all, beside) = most.entry(card.to_owned()).or_default();
            *all = (*all).max(on.len());
            if on.iter().any(|name| name.contains(word)) {
                *beside = (*beside).max(on.len() - 1);
            }
        }
        most
    }
}

/// Eight trainings that say how they run.
fn spec(run: &str) -> String {
    format!(
        "\
question: how do they share?
vars: {{ seed: 0 }}
nodes:
  maps: {{ dataset: {{ log_normal_fields: {{ side: 16, maps: 40 }} }} }}
  net: {{ train: {{ data: maps, objective: {{ ddpm: {{}} }}, steps: 100, seed: $seed }}, run: {run} }}
sweeps:
  main: {{ seeds: 8 }}
"
    )
}

/// Every node takes a second, so that those that can run beside each other do.
const SLOW: &str = "slow net 60";

#[test]
fn gpus_are_shown_with_who_uses_them() {
    if library().is_none() {
        return;
    }
    let machine = Machine::new(&spec("{}"), &[80, 40]);
    machine.takes(1, 12_000);
    let said = machine.run("devices", "").expect(0);
    let line = |name: &str| said.out.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(
        line("cuda:0").contains("Fake H100") && line("cuda:0").contains("free"),
        "{}",
        said.out
    );
    let used = line("cuda:1");
    assert!(used.contains("12.0 GB of 40.0 GB") && used.contains("left to others"), "{used}");
}

#[test]
fn a_card_that_somebody_else_uses_is_left_to_them_unless_it_is_asked_for() {
    if library().is_none() {
        return;
    }
    let machine = Machine::new(&spec("{}"), &[80, 80]);
    machine.takes(0, 12_000);
    let said = machine.run("run spec.yaml", SLOW).expect(0);
    assert_eq!(machine.trace("net").keys().collect::<Vec<_>>(), ["GPU-1000"], "{}", said.err);
    assert!(said.err.contains("a GPU that other programs use is left to them"), "{}", said.err);
    let said = machine.run("run spec.yaml --seeds 0-9 --devices cuda:0", SLOW).expect(0);
    assert_eq!(machine.trace("net").keys().collect::<Vec<_>>(), ["GPU-0000"], "{}", said.err);
    let said = machine.run("run spec.yaml --devices cuda:2", "").expect(2);
    assert!(said.err.contains("there is no cuda:2 here"), "{}", said.err);
}

#[test]
fn each_node_has_a_card_alone_unless_its_share_is_smaller() {
    if library().is_none() {
        return;
    }
    let alone = Machine::new(&spec("{}"), &[80, 80]);
    alone.run("run spec.yaml", SLOW).expect(0);
    assert!(alone.trace("net").values().all(|(most, _)| *most == 1), "{:?}", alone.trace("net"));
    let halves = Machine::new(&spec("{ gpus: 0.5 }"), &[80, 80]);
    halves.run("run spec.yaml --jobs 8", SLOW).expect(0);
    assert!(halves.trace("net").values().all(|(most, _)| *most == 2), "{:?}", halves.trace("net"));
}

#[test]
fn nodes_share_a_card_only_as_far_as_its_memory_goes() {
    if library().is_none() {
        return;
    }
    let machine = Machine::new(&spec("{ gpus: 0.1, memory: 30GB }"), &[80]);
    machine.run("run spec.yaml --jobs 8", SLOW).expect(0);
    assert_eq!(machine.trace("net")["GPU-0000"].0, 2, "two of 30 GB in 80 GB");
    let machine = Machine::new(&spec("{ memory: 90GB }"), &[80]);
    let said = machine.run("run spec.yaml", "").expect(1);
    let text = "it asks for 90.0 GB of GPU memory, and the largest device has 80.0 GB";
    assert!(said.err.contains(text), "{}", said.err);
}

#[test]
fn what_equal_nodes_took_is_remembered_and_small_ones_share_from_then_on() {
    if library().is_none() {
        return;
    }
    let machine = Machine::new(&spec("{}"), &[80]);
    // Long enough to be seen.
    machine.run("run spec.yaml --seeds 0 --jobs 8", "gpu net 5000;slow net 700").expect(0);
    let machine_memory =
        machine.run("query 'select max(memory) from attempts' --csv", "").expect(0);
    assert!(machine_memory.out.contains("5000000000"), "{}", machine_memory.out);
    machine.run("run spec.yaml --jobs 8", SLOW).expect(0);
    assert_eq!(machine.trace("net")["GPU-0000"].0, 4, "a quarter of the card each");
    // A large one takes the card alone.
    let machine = Machine::new(&spec("{}"), &[80]);
    machine.run("run spec.yaml --seeds 0 --jobs 8", "gpu net 60000;slow net 700").expect(0);
    machine.run("run spec.yaml --jobs 8", SLOW).expect(0);
    assert_eq!(machine.trace("net")["GPU-0000"].0, 1);
}

#[test]
fn a_node_that_found_no_memory_runs_once_more_alone_and_its_like_are_alone_from_then_on() {
    if library().is_none() {
        return;
    }
    let machine = Machine::new(&spec("{ gpus: 0.25 }"), &[80]);
    let orders = format!("{SLOW};oom net[seed=3] 1");
    let said = machine.run("run spec.yaml --jobs 8", &orders).expect(0);
    assert!(said.err.contains("[device_memory] CUDA out of memory"), "{}", said.err);
    assert_eq!(said.started(), 1 + 8 + 1, "{}", said.err);
    let text = fs::read_to_string(machine.cards.path().join("trace")).unwrap();
    // When it started for the second time nothing else was there, and nothing came before it had ended.
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("net")).collect();
    let last = lines.iter().rposition(|line| line.starts_with("start") && line.contains("seed=3"));
    let before = &lines[..last.unwrap()];
    let starts = before.iter().filter(|line| line.starts_with("start")).count();
    assert_eq!(starts, before.iter().filter(|line| line.starts_with("end")).count(), "{text}");
    assert!(lines[last.unwrap() + 1].starts_with("end"), "{text}");
    machine.run("run spec.yaml --seeds 0-11 --jobs 8", SLOW).expect(0);
    assert_eq!(machine.trace("net")["GPU-0000"].0, 1, "its like are remembered");
}

#[test]
fn a_node_that_found_no_memory_on_the_machine_runs_once_more_when_nothing_else_does() {
    let bench = Bench::new(&spec("{}"));
    let line = "ulimit -v 2000000; ABLATE_FAKE='hoard net[seed=1] 1;slow net 60' exec ablate run spec.yaml --devices cpu:3";
    let said = bench.shell(line).expect(0);
    assert!(said.err.contains("[host_memory]"), "{}", said.err);
    let lines: Vec<&str> = said.err.lines().filter(|line| line.contains("net[")).collect();
    let again = lines.iter().rposition(|line| line.contains("start  net[seed=1]")).unwrap();
    let count = |word: &str| lines[..again].iter().filter(|line| line.contains(word)).count();
    assert_eq!(count("start  "), count("done   ") + count("FAIL   "), "{}", said.err);
    assert!(lines[again + 1].contains("done   net[seed=1]"), "{}", said.err);
}
