//! `ablate status`: how far the experiments of a results folder are, in a few milliseconds.

use super::{Done, Place, print};
use crate::coordinator;
use crate::files;
use crate::fleet;
use crate::job::{Event, Job};
use crate::problem::Problem;
use crate::record::Record;
use crate::screen::{Board, printed, watcher};
use crate::store::Results;
use crate::words::{self, plural};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `ablate status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  ablate status experiments/first.yaml
  ablate status --watch                 (in another terminal; Ctrl-C ends it and not the run)")]
pub(super) struct Status {
    /// A spec, to look into its results folder.
    spec: Option<PathBuf>,
    /// Show what runs, as the terminal of the run does, until it ends.
    #[arg(short, long)]
    watch: bool,
}

impl Status {
    pub(super) fn run(&self, place: &Place) -> Done {
        let root = self.spec.as_ref().map_or_else(|| place.alone(), |spec| place.of(spec));
        if self.watch {
            return watch(&Results { root });
        }
        let Some(record) = Record::open_to_read(&root.join("ablate.sqlite"))? else {
            let made = Results { root: root.clone() }.finished().unwrap_or_default();
            if made.is_empty() {
                print(&format!("{}: no experiment has run here yet", root.display()));
                return Ok(0);
            }
            let problem = Problem::system(format!(
                "{} holds {}, but no database",
                root.display(),
                plural(made.len(), "finished node")
            ));
            return Err(problem
                .help("`ablate rebuild` makes it anew, and so does `ablate run`")
                .into());
        };
        let statement = "SELECT p.experiment, n.kind, count(DISTINCT p.node), count(DISTINCT n.key)
             FROM points p LEFT JOIN nodes n ON n.key = p.node GROUP BY p.experiment, n.kind";
        let (_, rows) = record.query(statement)?;
        let results = Results { root: root.clone() };
        for experiment in record.experiments()?.into_iter().map(|known| known.name) {
            let of = |row: &&Vec<String>| row[0] == experiment;
            let sum = |column: usize| -> u64 {
                rows.iter().filter(of).filter_map(|row| row[column].parse::<u64>().ok()).sum()
            };
            let kinds: Vec<String> = rows
                .iter()
                .filter(of)
                .filter(|row| !row[1].is_empty())
                .map(|row| format!("{} {}", row[1], row[3]))
                .collect();
            let kinds =
                if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
            print(&format!("{experiment}: {}/{} finished{kinds}", sum(3), sum(2)));
            let pilots = fleet::living(&fleet::names(&results, &experiment));
            if pilots > 0 {
                let pilots = plural(pilots, "pilot");
                print(&format!("  {pilots} on a cluster: `ablate run --on` hears what they did"));
            }
            for (name, class) in record.failed_nodes(&experiment)? {
                print(&format!("  failed: {name} [{class}]"));
            }
        }
        let damaged = record.noted_damage()?;
        if !damaged.is_empty() {
            print(&format!("damaged: {}; the next `ablate run` mends them", damaged.join(", ")));
        }
        show_running(&root, &record)?;
        Ok(0)
    }
}

/// Time between two looks at what others do.
const LOOK: Duration = Duration::from_millis(250);

/// Time between two reports where there is no terminal.
const SPOKEN: Duration = Duration::from_secs(10);

/// Draws the boards of the runs that are at work until they have ended; plain lines now and then, where there is no
/// terminal.
fn watch(results: &Results) -> Done {
    let mut watcher = watcher();
    let mut spoken: Option<Instant> = None;
    loop {
        let living = coordinator::living(results);
        // A run that has just begun has shown nothing yet.
        let board = |id: String| {
            let file = coordinator::screen_file(results, &id);
            Some((id, files::read_json::<Board>(&file).ok()??))
        };
        let is_over = living.is_empty();
        let boards: Vec<(String, Board)> = living.into_iter().filter_map(board).collect();
        let is_due = spoken.is_none_or(|last| last.elapsed() >= SPOKEN);
        match &mut watcher {
            Some(watcher) => watcher.draw(&boards),
            None if is_due && !boards.is_empty() => {
                spoken = Some(Instant::now());
                for (_, board) in &boards {
                    print(&format!("{}\n{}", board.experiment, printed(board)));
                }
            }
            None => {}
        }
        if is_over {
            print("nothing is running");
            return Ok(0);
        }
        std::thread::sleep(LOOK);
    }
}

/// The nodes that living coordinators work on.
fn show_running(root: &Path, record: &Record) -> Result<(), crate::problem::Problem> {
    let results = Results { root: root.to_owned() };
    let mut running = 0;
    for (folder, holder) in record.claims()? {
        if !coordinator::is_alive(&results, &holder.coordinator) {
            continue;
        }
        let last = files::tail(&results.work(&folder).join("events.jsonl"), 1 << 16);
        let step = last.lines().rev().find_map(|line| match serde_json::from_str(line) {
            Ok(Event::Progress { step, total, loss }) => Some((step, total, loss)),
            Ok(Event::Started { step, total, .. }) => Some((step, total, None)),
            _ => None,
        });
        let Some((step, total, loss)) = step else { continue };
        let loss = loss.map_or(String::new(), |loss| format!(", loss {loss:.4}"));
        let job = Job::read(&results.work(&folder).join("job.json"));
        let name = job.map_or_else(|_| folder.clone(), |job| format!("{} ({folder})", job.name));
        print(&format!("running {name}: {}/{}{loss}", words::grouped(step), words::grouped(total)));
        running += 1;
    }
    if running == 0 {
        print("nothing is running");
    }
    Ok(())
}
