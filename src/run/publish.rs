//! The end of a node: sealed, published with all that ended in the same beat, its rows written, its
//! claims given back.

use super::{Run, Running, Sealed, host};
use crate::cost;
use crate::failure::FailureClass;
use crate::files;
use crate::job::{Arithmetic, Costs, Metrics, SeriesFile};
use crate::moment;
use crate::problem::{Problem, Result};
use crate::record::{Attempt, Finished};
use crate::screen::Change;
use crate::settings::Kind;
use crate::store::{self, InputFile, NodeFile};
use crate::survey;
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a finished node may wait for others, to be published with one sync, while there is more to do.
pub(super) const TOGETHER: Duration = Duration::from_millis(100);

/// What a worker wrote beside the artefacts.
struct Written {
    arithmetic: Option<Vec<Arithmetic>>,
    costs: Costs,
    metrics: Metrics,
    series: SeriesFile,
}

impl Written {
    /// Reads it before the folder is sealed: what cannot be understood must not become a finished node.
    fn read(work: &Path) -> Result<Self> {
        let (metrics, series) = survey::numbers(work)?;
        Ok(Self {
            arithmetic: files::read_json(&work.join("arithmetic.json"))?,
            costs: files::read_json(&work.join("costs.json"))?.unwrap_or_default(),
            metrics,
            series,
        })
    }
}

impl Sealed {
    fn row<'s>(&'s self, folder: &'s str) -> Finished<'s> {
        let (metrics, series) = (self.metrics.clone(), self.series.clone());
        Finished { folder, file: &self.file, metrics, series }
    }
}

impl Run<'_> {
    pub(super) fn done(&mut self, slot: usize) -> Result<()> {
        let running = self.vacate(slot).expect("only a running node is done");
        self.keep_log(slot, &running);
        let node = &self.graph.nodes[running.node];
        let work = self.results.work(&node.folder());
        let written = match Written::read(&work) {
            Ok(written) => written,
            Err(problem) => {
                self.put_back(slot, running);
                return self.failed(slot, FailureClass::of(&problem), problem.to_string());
            }
        };
        let file = NodeFile {
            format: store::FORMAT,
            ablate: env!("CARGO_PKG_VERSION").to_owned(),
            kind: node.kind(),
            key: node.key.hex(),
            name: node.name.clone(),
            identity: node.identity(),
            settings: node.settings.full(),
            inputs: self.input_files(running.node),
            arithmetic: written
                .arithmetic
                .unwrap_or_else(|| running.arithmetic.iter().cloned().collect()),
            artefacts: vec![],
            adopted: None,
            digest: String::new(),
        };
        // The job file names folders of this machine; the settings stand in node.json.
        let _ = std::fs::remove_file(work.join("job.json"));
        match store::seal(&work, file) {
            Ok(file) => {
                let seconds = running.started.elapsed().as_secs_f64();
                let step = running.first.saturating_add(written.costs.steps);
                let running = Running { step, ..running };
                let bytes = file.artefacts.iter().map(|artefact| artefact.bytes).sum();
                self.attempt(slot, &running, "done", None, bytes);
                moment::pass("after", "attempt");
                let (node, ticket) = (running.node, running.ticket);
                let (metrics, series) = (written.metrics, written.series);
                self.sealed_since.get_or_insert_with(Instant::now);
                self.sealed.push(Sealed { node, ticket, slot, file, metrics, series, seconds });
                self.share(slot);
                Ok(())
            }
            Err(problem) => {
                self.put_back(slot, running);
                self.failed(slot, FailureClass::of(&problem), problem.to_string())
            }
        }
    }

    /// A node that was to leave its slot is there still.
    fn put_back(&mut self, slot: usize, running: Running) {
        self.rooms.enter(self.pool.room(slot), &running.demand);
        self.slots[slot] = Some(running);
    }

    fn input_files(&self, index: NodeIndex) -> BTreeMap<String, InputFile> {
        self.graph.named_inputs(index).into_iter().map(InputFile::named).collect()
    }

    /// Publishes everything sealed so far with one sync, then its rows, then lets its users start.
    pub(super) fn commit(&mut self) -> Result<()> {
        if self.sealed.is_empty() {
            return Ok(());
        }
        self.sealed_since = None;
        let sealed = std::mem::take(&mut self.sealed);
        let folders: Vec<String> =
            sealed.iter().map(|s| self.graph.nodes[s.node].folder()).collect();
        if let Err(problem) = self.results.publish(&folders) {
            return self.unpublished(sealed, &problem);
        }
        let rows: Vec<Finished<'_>> =
            sealed.iter().zip(&folders).map(|(s, folder)| s.row(folder)).collect();
        // Without rows the folders are there all the same, and the next run adds them.
        self.record.finished(&rows)?;
        self.release(sealed.iter().map(|s| s.node))?;
        moment::pass("after", "release");
        for s in &sealed {
            self.pool.settled(&s.ticket);
        }
        for (s, row) in sealed.iter().zip(&rows) {
            let name = self.graph.nodes[s.node].name.clone();
            let wanted = ["error", "validation_loss", "loss"];
            let figure =
                wanted.iter().find_map(|w| Some(((*w).to_owned(), row.metrics.get(*w)?.value)));
            self.schedule.done(s.node.index());
            self.pace.took(
                &self.graph.nodes[s.node].declared,
                s.seconds,
                self.expected[s.node.index()],
            );
            self.show_counts();
            self.monitor.show(&Change::Done { slot: s.slot, name, seconds: s.seconds, figure });
        }
        Ok(())
    }

    /// Nodes that cannot be published have failed; what of them is sealed is published by the next run.
    fn unpublished(&mut self, sealed: Vec<Sealed>, problem: &Problem) -> Result<()> {
        let class = FailureClass::of(problem);
        for s in &sealed {
            let (slot, name) = (Some(s.slot), self.graph.nodes[s.node].name.clone());
            let message = problem.to_string();
            let alike = 1;
            self.monitor.show(&Change::Failed { slot, name, class, message, again: false, alike });
            self.schedule.failed(s.node.index(), false);
        }
        self.closed |= class.policy().ends_run;
        self.show_counts();
        self.release(sealed.iter().map(|s| s.node))
    }

    /// Appends what the worker wrote to standard error to the node's log.
    pub(super) fn keep_log(&self, slot: usize, running: &Running) {
        let errors = self.pool.errors(slot);
        if errors.is_empty() {
            return;
        }
        let path: PathBuf =
            self.results.work(&self.graph.nodes[running.node].folder()).join("log.txt");
        // The log is for people: a full disk shows elsewhere.
        let _ = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut f| f.write_all(errors.as_bytes()));
    }

    pub(super) fn attempt(
        &mut self,
        slot: usize,
        running: &Running,
        outcome: &str,
        failure: Option<(FailureClass, String)>,
        bytes: u64,
    ) {
        let node = &self.graph.nodes[running.node];
        self.spent += running.started.elapsed().as_secs_f64();
        let (work, device) = (cost::work(self.graph, running.node), self.pool.device(slot));
        let (class, message) =
            failure.map_or((None, None), |(c, m)| (Some(c.word().to_owned()), Some(m)));
        let written = self.record.attempt(&Attempt {
            node: node.key.hex(),
            kind: node.kind(),
            attempt: running.ticket.attempt,
            host: host(),
            device: device.word().to_owned(),
            started: running.clock.clone(),
            seconds: running.started.elapsed().as_secs_f64(),
            steps: match node.kind() {
                // Its steps are its own affair: what can be foreseen is the whole.
                Kind::Command => u64::from(outcome == "done"),
                _ => running.step.saturating_sub(running.first),
            },
            outcome: outcome.to_owned(),
            class,
            message,
            weight: work.weight,
            bytes,
            size: if bytes > 0 { work.size } else { 0.0 },
            memory: running.memory.bytes(),
        });
        // History is for people: on a full disk the run goes on without it.
        if let Err(problem) = written {
            self.monitor.show(&Change::Say(format!("an attempt is not recorded: {problem}")));
        }
    }
}
