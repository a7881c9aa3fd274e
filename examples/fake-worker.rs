//! The contract with the worker, without tensors: reads jobs, writes small artefacts that depend on
//! the key alone, and can fail, hang or die on command. The tests of the coordinator run on it.
//!
//! `ABLATE_FAKE` holds orders separated by `;`, each `act word` or `act word value`, where `word` is
//! part of a node's name: `fail net`, `nan net`, `say net`, `die net 2` (on the first two attempts, by a signal),
//! `exit net 2`, `half net 2` (dies in the middle of an event), `hang net 2`, `hoard net 2` (takes memory until there
//! is none), `garble net`, `riddle net` (an event that is not known),
//! `oom net 1` (no GPU memory), `gpu net 5000` (takes so many megabytes of a GPU),
//! `fill net 4000` (writes so many kilobytes, and says so if it cannot), `stuff net` (fills the disk to the
//! last byte and goes on), `slow net 300` (milliseconds a step); `linger 300` has it stay so long once its input is
//! closed. `ABLATE_FAKE_STEPS` is the number of steps of every node.

use ablate::failure::FailureClass;
use ablate::job::{Arithmetic, Better, Costs, Event, Job, Metric, Series};
use ablate::moment;
use ablate::settings::Kind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

fn main() {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, jobs) = channel();
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if line == "stop" {
                flag.store(true, Ordering::SeqCst);
            } else if sender.send(line).is_err() {
                return;
            }
        }
        flag.store(true, Ordering::SeqCst);
    });
    emit(&Event::Hello { version: env!("CARGO_PKG_VERSION").into(), libtorch: "none".into() });
    for path in jobs {
        match Job::read(Path::new(&path)) {
            Ok(job) => work(&job, &stop),
            Err(problem) => {
                emit(&Event::Failed { class: FailureClass::Bug, message: problem.to_string() })
            }
        }
        // A stop that came too late for its job is over with it.
        stop.store(false, Ordering::SeqCst);
    }
    // The input is closed: leave, at once or not.
    let orders = std::env::var("ABLATE_FAKE").unwrap_or_default();
    let pause =
        orders.split(';').find_map(|order| order.trim().strip_prefix("linger ")?.parse().ok());
    std::thread::sleep(Duration::from_millis(pause.unwrap_or(0)));
}

fn emit(event: &Event) {
    let line = serde_json::to_string(event).expect("an event is plain data") + "\n";
    if moment::is_last("within", "event") {
        say(&line.as_bytes()[..line.len() / 2]);
        moment::end();
    }
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the coordinator listens");
}

/// The value of an order about this job, if there is one.
fn order(job: &Job, act: &str) -> Option<u64> {
    let orders = std::env::var("ABLATE_FAKE").unwrap_or_default();
    orders.split(';').find_map(|order| {
        let mut words = order.split_whitespace();
        let is = words.next() == Some(act) && job.name.contains(words.next()?);
        is.then(|| words.next().and_then(|n| n.parse().ok()).unwrap_or(u64::MAX))
    })
}

fn work(job: &Job, stop: &AtomicBool) {
    let total: u64 =
        std::env::var("ABLATE_FAKE_STEPS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let saved = job.trajectory.as_ref().unwrap_or(&job.work).join("fake-progress");
    let first: u64 =
        std::fs::read_to_string(&saved).ok().and_then(|n| n.parse().ok()).unwrap_or(0).min(total);
    let arithmetic = Arithmetic {
        device: "fake".into(),
        threads: job.threads,
        libtorch: "none".into(),
        deterministic: true,
    };
    emit(&Event::Started { step: first, total, arithmetic: arithmetic.clone() });
    on_gpu(job, "start");
    die_as_told(job);
    if let Some(event) = fail_as_told(job) {
        return emit(&event);
    }
    if order(job, "riddle").is_some() {
        return say(b"{\"event\":\"reincarnated\",\"step\":3}\n");
    }
    if let Some(kilobytes) = order(job, "fill") {
        let ballast = vec![7; kilobytes as usize * 1000];
        let path = job.work.join("ballast");
        if let Err(e) = std::fs::write(&path, ballast) {
            let _ = std::fs::remove_file(path);
            return emit(&Event::Failed { class: FailureClass::DiskFull, message: e.to_string() });
        }
    }
    for step in first + 1..=total {
        if let Some(pause) = order(job, "slow") {
            std::thread::sleep(Duration::from_millis(pause));
        }
        std::fs::write(&saved, step.to_string()).expect("the work folder takes it");
        let loss = (job.kind == Kind::Train).then(|| 1.0 / step as f64);
        emit(&Event::Progress { step, total, loss });
        emit(&Event::Checkpoint { step });
        if stop.load(Ordering::SeqCst) && step < total {
            return emit(&Event::Stopped { step });
        }
    }
    publish(job, total - first);
    on_gpu(job, "end");
    if order(job, "stuff").is_some() {
        stuff(&job.work.join("../../ballast"));
    }
    if job.trajectory.is_none() {
        std::fs::remove_file(&saved).expect("it was written above");
    }
    emit(&Event::Done);
}

fn say(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).expect("the coordinator listens");
}

/// Notes in the folder of the stand-in for NVIDIA's library that the job is on its GPU, and with how many megabytes:
/// `gpu net 5000`.
fn on_gpu(job: &Job, what: &str) {
    let (Ok(folder), Ok(uuid)) =
        (std::env::var("FAKE_NVML"), std::env::var("CUDA_VISIBLE_DEVICES"))
    else {
        return;
    };
    let card = Path::new(&folder).join(&uuid);
    std::fs::create_dir_all(&card).expect("the folder takes it");
    let megabytes = order(job, "gpu").unwrap_or(0).to_string();
    std::fs::write(card.join(std::process::id().to_string()), megabytes)
        .expect("the folder takes it");
    let trace = Path::new(&folder).join("trace");
    let mut trace = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(trace)
        .expect("the folder takes it");
    let line = format!("{what} {uuid} {}\n", job.name);
    trace.write_all(line.as_bytes()).expect("the folder takes it");
}

/// Dies, or does what a worker should not, if it was told to.
fn die_as_told(job: &Job) {
    let now = |act| order(job, act).is_some_and(|times| u64::from(job.attempt) <= times);
    if order(job, "garble").is_some() {
        say(b"this is no event\n{\"event\":\"prog\n");
    }
    if now("die") {
        std::io::stderr().write_all(b"fake: dying as told\n").expect("the log takes it");
        std::process::abort();
    }
    if now("exit") {
        std::process::exit(3);
    }
    if now("half") {
        say(b"{\"event\":\"do");
        std::process::exit(0);
    }
    if now("hang") {
        // With a child, as loaders of data have them.
        let mut child =
            std::process::Command::new("sleep").arg("1000").spawn().expect("it is there");
        std::fs::write(job.work.join("child"), child.id().to_string())
            .expect("the folder takes it");
        child.wait().expect("it is a child of ours");
    }
    if now("hoard") {
        let mut hoard = vec![];
        loop {
            hoard.push(vec![7u8; 1 << 26]);
        }
    }
    assert!(order(job, "say").is_none(), "an exception: a tensor of {} does not fit", job.name);
}

/// The failure that it was told to tell of.
fn fail_as_told(job: &Job) -> Option<Event> {
    let (class, message) = if order(job, "fail").is_some() {
        (FailureClass::Bug, "failing as told".to_owned())
    } else if order(job, "oom").is_some_and(|times| u64::from(job.attempt) <= times) {
        on_gpu(job, "end");
        (FailureClass::DeviceMemory, "CUDA out of memory. Tried to allocate 2 GiB".to_owned())
    } else if order(job, "nan").is_some() {
        let step = job.key.len() + job.name.len();
        (FailureClass::NotANumber, format!("the loss became NaN at step {step}"))
    } else {
        return None;
    };
    Some(Event::Failed { class, message })
}

/// Writes to a file until nothing more fits.
fn stuff(path: &Path) {
    let mut file = std::fs::File::create(path).expect("the results folder takes it");
    let mut piece = vec![7; 1 << 16];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

/// Artefacts that depend on the key alone.
fn publish(job: &Job, steps: u64) {
    let write = |name: &str, text: String| {
        std::fs::write(job.work.join(name), text).expect("the work folder takes it")
    };
    let number = f64::from(u16::from_str_radix(&job.key[..4], 16).unwrap_or(0)) / 65536.0;
    write("artefact.txt", format!("{}\n", job.key));
    let metric = |value| Metric { value, unit: String::new(), better: Better::Lower };
    let names: &[&str] = match job.kind {
        Kind::Evaluate => &["error", "floor", "max_deviation"],
        Kind::Train => &["loss"],
        _ => &[],
    };
    let metrics: BTreeMap<&str, Metric> =
        names.iter().map(|name| (*name, metric(number))).collect();
    write("metrics.json", json(&metrics));
    if job.kind == Kind::Evaluate {
        let power: Vec<f64> = (1..=8).map(|k| (1.0 + number) / f64::from(k * k)).collect();
        let columns = ["mean", "low", "high", "reference_mean", "reference_low", "reference_high"];
        let mut columns: BTreeMap<String, Vec<f64>> =
            columns.iter().map(|c| ((*c).to_owned(), power.clone())).collect();
        columns.insert("x".into(), (1..=8).map(|k| 0.1 * f64::from(k)).collect());
        let series = Series { x_unit: "h/Mpc".into(), y_unit: "(Mpc/h)^2".into(), columns };
        write("series.json", json(&BTreeMap::from([("power_spectrum", series)])));
    }
    if job.kind == Kind::Train {
        let x: Vec<f64> = (1..=4).map(f64::from).collect();
        let mean = x.iter().map(|step| (1.0 + number) / step).collect();
        let columns = BTreeMap::from([("x".to_owned(), x), ("mean".to_owned(), mean)]);
        let series = Series { x_unit: "step".into(), y_unit: String::new(), columns };
        write("series.json", json(&BTreeMap::from([("loss", series)])));
    }
    write("costs.json", json(&Costs { steps, ..Costs::default() }));
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data") + "\n"
}
