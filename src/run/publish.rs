//! The end of a node: sealed, published with all that ended in the same beat, its rows written, its
//! claims given back.

use super::{Run, Running, Sealed, host};
use crate::job::{Arithmetic, Costs, FailureClass};
use crate::problem::Result;
use crate::record::{Attempt, Finished};
use crate::screen::Change;
use crate::store::{self, InputFile, NodeFile};
use crate::survey;
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

impl Run<'_> {
    pub(super) fn done(&mut self, slot: usize) -> Result<()> {
        let running = self.slots[slot].take().expect("only a running node is done");
        self.keep_log(slot, &running);
        let node = &self.graph.nodes[running.node];
        let work = self.results.work(&node.folder());
        let known: Option<Vec<Arithmetic>> = survey::read_json(&work.join("arithmetic.json"))?;
        let file = NodeFile {
            format: store::FORMAT,
            ablate: env!("CARGO_PKG_VERSION").to_owned(),
            kind: node.kind(),
            key: node.key.hex(),
            name: node.name.clone(),
            identity: node.identity(),
            settings: node.settings.full(),
            inputs: self.input_files(running.node),
            arithmetic: known.unwrap_or_else(|| running.arithmetic.iter().cloned().collect()),
            artefacts: vec![],
            digest: String::new(),
        };
        // The job file names folders of this machine; the settings stand in node.json.
        let _ = std::fs::remove_file(work.join("job.json"));
        match store::seal(&work, file) {
            Ok(file) => {
                let costs: Costs = survey::read_json(&work.join("costs.json"))?.unwrap_or_default();
                let seconds = running.started.elapsed().as_secs_f64();
                let running = Running { step: running.first + costs.steps, ..running };
                self.attempt(slot, &running, "done", None);
                self.sealed.push(Sealed { node: running.node, slot, file, seconds });
                self.share(slot);
                Ok(())
            }
            Err(problem) => {
                self.slots[slot] = Some(running);
                self.failed(slot, FailureClass::DiskFull, problem.to_string())
            }
        }
    }

    fn input_files(&self, index: NodeIndex) -> BTreeMap<String, InputFile> {
        let node = &self.graph.nodes[index];
        let file = |(role, (key, port)): (&&str, &(crate::key::Key, String))| {
            let from = self.graph.input(index, role).expect("every input has its edge");
            let folder = self.graph.nodes[from].folder();
            ((*role).to_owned(), InputFile { key: key.hex(), folder, port: port.clone() })
        };
        node.inputs.iter().map(file).collect()
    }

    /// Publishes everything sealed so far with one sync, then its rows, then lets its users start.
    pub(super) fn commit(&mut self) -> Result<()> {
        if self.sealed.is_empty() {
            return Ok(());
        }
        let sealed = std::mem::take(&mut self.sealed);
        let folders: Vec<String> =
            sealed.iter().map(|s| self.graph.nodes[s.node].folder()).collect();
        self.results.publish(&folders)?;
        let mut rows = vec![];
        for (s, folder) in sealed.iter().zip(&folders) {
            let (metrics, series) = survey::numbers(&self.results.node(folder))?;
            rows.push(Finished { folder, file: &s.file, metrics, series });
        }
        self.record.finished(&rows)?;
        self.release(sealed.iter().map(|s| s.node))?;
        for (s, row) in sealed.iter().zip(&rows) {
            let name = self.graph.nodes[s.node].name.clone();
            let wanted = ["error", "validation_loss", "loss"];
            let figure =
                wanted.iter().find_map(|w| Some(((*w).to_owned(), row.metrics.get(*w)?.value)));
            self.schedule.done(s.node.index());
            self.show_counts();
            self.monitor.show(&Change::Done { slot: s.slot, name, seconds: s.seconds, figure });
        }
        Ok(())
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
    ) {
        let node = &self.graph.nodes[running.node];
        let (class, message) =
            failure.map_or((None, None), |(c, m)| (Some(c.word().to_owned()), Some(m)));
        let written = self.record.attempt(&Attempt {
            node: node.key.hex(),
            kind: node.kind(),
            attempt: running.attempt,
            host: host(),
            device: self.pool.device(slot).name.clone(),
            started: running.clock.clone(),
            seconds: running.started.elapsed().as_secs_f64(),
            steps: running.step.saturating_sub(running.first),
            outcome: outcome.to_owned(),
            class,
            message,
        });
        // History is for people: on a full disk the run goes on without it.
        if let Err(problem) = written {
            self.monitor.show(&Change::Say(format!("an attempt is not recorded: {problem}")));
        }
    }
}
