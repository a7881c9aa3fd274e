//! Plan → finished nodes: the one impure joint. It starts what [`crate::schedule`] says on the slots
//! of the pool, listens to the workers, publishes what they finish, and writes down every attempt.

mod failures;
mod orders;
mod others;
mod pace;
mod pilots;
mod places;
mod publish;
mod running;

use crate::coordinator::Coordinator;
use crate::demand::Demands;
use crate::failure::{Company, Coordinates, FailureClass, Failures};
use crate::files;
use crate::fleet;
use crate::forecast;
use crate::graph::{Graph, Node};
use crate::job::{Event, Input, Job, Metrics, SeriesFile, Ticket};
use crate::plan::{self, Plan};
use crate::pool::{self, Message, Slots};
use crate::problem::{Problem, Result};
use crate::record::Record;
use crate::rooms::{Demand, Rooms};
use crate::schedule::{Schedule, State};
use crate::screen::{Change, Counts, Monitor};
use crate::settings::{Kind, Settings};
use crate::store::{NodeFile, Results};
use crate::survey;
use pace::Pace;
use petgraph::graph::NodeIndex;
use running::Running;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Where the nodes are.
    pub counts: Counts,
    /// Whether it was asked to stop.
    pub stopped: bool,
    /// Seconds of devices that it took.
    pub device_seconds: f64,
}

impl Outcome {
    /// 0 done, 1 something failed, 75 stopped and resumable.
    pub fn exit_code(&self) -> u8 {
        match (self.stopped, self.counts.failed + self.counts.waiting) {
            (true, _) => crate::job::EXIT_STOPPED as u8,
            (false, 0) => 0,
            (false, _) => 1,
        }
    }
}

/// Seconds between checkpoints where the spec says nothing.
const CHECKPOINT_SECONDS: f64 = 120.0;

/// How much a run may cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Seconds of devices.
    pub device_seconds: Option<f64>,
    /// When it ends.
    pub end: Option<Instant>,
}

/// All that a run works with.
pub struct Means<'r> {
    /// The nodes.
    pub graph: &'r Graph,
    /// The results folder.
    pub results: &'r Results,
    /// Its database.
    pub record: &'r mut Record,
    /// This program among those at work there.
    pub coordinator: &'r Coordinator,
    /// Where nodes run.
    pub pool: Box<dyn Slots + 'r>,
    /// What nodes take of their devices.
    pub demands: Demands,
    /// How many nodes may run at once.
    pub limit: usize,
    /// How much it may cost.
    pub limits: Limits,
    /// After how many equal failures at a value of an axis the rest there is left out; 0 for never.
    pub patience: usize,
    /// Whether it leaves as soon as there is nothing to do but wait.
    pub once: bool,
    /// What the user sees.
    pub monitor: &'r mut dyn Monitor,
}

/// A run in progress.
pub struct Run<'r> {
    graph: &'r Graph,
    results: &'r Results,
    record: &'r mut Record,
    coordinator: &'r Coordinator,
    pool: Box<dyn Slots + 'r>,
    limit: usize,
    limits: Limits,
    patience: usize,
    once: bool,
    /// When pilots were heard last.
    heard: Instant,
    /// Seconds of devices that ended attempts took.
    spent: f64,
    monitor: &'r mut dyn Monitor,
    schedule: Schedule,
    /// The devices and what they hold.
    rooms: Rooms,
    /// What nodes take of them.
    demands: Demands,
    /// The slots of each device.
    slots_of: Vec<Vec<usize>>,
    slots: Vec<Option<Running>>,
    /// Nodes that run alone the next time.
    company: BTreeMap<NodeIndex, Company>,
    /// The class of devices that each node is for.
    classes: Vec<usize>,
    /// Seconds that each node was expected to take, where that is known.
    expected: Vec<Option<f64>>,
    pace: Pace,
    /// When the memory of GPUs was looked at last.
    watched: Instant,
    /// When it began, as attempts write it.
    begun: String,
    /// When no slot could be had last.
    refused: Option<Instant>,
    /// Until when slots are left to others.
    given_up: BTreeMap<usize, Instant>,
    /// When others were looked at last.
    looked: Instant,
    wishing: bool,
    /// What need not be said again.
    said: BTreeSet<&'static str>,
    /// Attempts without progress, by node.
    futile: BTreeMap<NodeIndex, u32>,
    /// The nodes that failed for good.
    failures: Failures,
    /// Where each node lies on the axes, once something has failed.
    coordinates: Option<Vec<Coordinates>>,
    /// Sealed, and waiting for the next group commit.
    sealed: Vec<Sealed>,
    /// Since when the first of them waits.
    sealed_since: Option<Instant>,
    /// Nodes whose folders are damaged, as the plan found them.
    suspects: BTreeSet<NodeIndex>,
    interrupts: u32,
    /// Whether nothing more is started, although nobody asked it to stop.
    closed: bool,
    /// Whether nothing is started until it is asked to go on.
    is_paused: bool,
    /// What keeps the run from going on; the workers save before it ends.
    broken: Option<Problem>,
}

/// Whether there is more to do.
enum Turn {
    Again,
    Last,
}

/// A node whose folder is complete but not yet published.
struct Sealed {
    node: NodeIndex,
    ticket: Ticket,
    slot: usize,
    file: NodeFile,
    metrics: Metrics,
    series: SeriesFile,
    seconds: f64,
}

impl<'r> Run<'r> {
    /// A run that has not started anything yet. Of the nodes that the plan would run, only those in
    /// `wanted` are.
    pub fn new(means: Means<'r>, plan: &Plan, wanted: &BTreeSet<NodeIndex>) -> Self {
        let rooms = means.pool.rooms();
        let mut slots_of = vec![vec![]; rooms.len()];
        (0..means.pool.len()).for_each(|slot| slots_of[means.pool.room(slot)].push(slot));
        let Means { graph, results, record, coordinator, pool, demands, .. } = means;
        let Means { limit, limits, patience, once, monitor, .. } = means;
        let seconds = |index: NodeIndex| plan.estimate(index).map(|estimate| estimate.seconds);
        let class = |index: NodeIndex| pool.class(&graph.nodes[index].asks(seconds(index)));
        Self {
            graph,
            results,
            record,
            coordinator,
            limit,
            limits,
            patience,
            once,
            heard: Instant::now(),
            spent: 0.0,
            monitor,
            schedule: Schedule::new(forecast::tasks(graph, plan, wanted)),
            demands,
            rooms: Rooms::new(rooms),
            slots_of,
            slots: (0..pool.len()).map(|_| None).collect(),
            company: BTreeMap::new(),
            watched: Instant::now(),
            classes: graph.indices().map(class).collect(),
            expected: graph.indices().map(seconds).collect(),
            pace: Pace::default(),
            pool,
            begun: now(),
            refused: None,
            given_up: BTreeMap::new(),
            looked: Instant::now(),
            wishing: false,
            said: BTreeSet::new(),
            futile: BTreeMap::new(),
            failures: Failures::default(),
            coordinates: None,
            sealed: vec![],
            sealed_since: None,
            suspects: plan
                .reasons()
                .filter(|(_, reason)| matches!(reason, plan::Reason::Damaged(_)))
                .map(|(index, _)| index)
                .collect(),
            interrupts: 0,
            closed: false,
            is_paused: false,
            broken: None,
        }
    }

    /// Runs until everything is finished, failed, or stopped.
    ///
    /// # Errors
    /// If the results folder or the database cannot be written: the workers save first, and what was
    /// published stays.
    pub fn finish(mut self, messages: &Receiver<Message>) -> Result<Outcome> {
        if let Err(problem) = self.tend().and_then(|()| self.forget_claims()) {
            self.broken = Some(problem);
            self.interrupts = 1;
        }
        loop {
            match self.turn(messages) {
                Ok(Turn::Again) => {}
                Ok(Turn::Last) => break,
                Err(problem) if self.broken.is_none() => {
                    self.broken = Some(problem);
                    self.interrupt();
                }
                Err(_) => break,
            }
        }
        if self.interrupts < 2 {
            self.pool.close();
        }
        self.monitor.end();
        if let Some(problem) = self.broken {
            return Err(problem);
        }
        // What goes on alone keeps its claims.
        let has_left = self.pool.goes_on_alone() && self.interrupts > 0;
        if self.interrupts < 2 && !has_left {
            self.record.release_all(&self.coordinator.id)?;
            // Their workers had not left yet when this run began.
            survey::forget_gone(self.results, self.record)?;
        }
        let (counts, stopped) = (self.counts(), self.interrupts > 0);
        Ok(Outcome { counts, stopped, device_seconds: self.spent })
    }

    /// Starts what can start, waits for one message, and does what it asks for.
    fn turn(&mut self, messages: &Receiver<Message>) -> Result<Turn> {
        if self.is_open() && !self.is_paused {
            self.start_ready()?;
        }
        let over = !self.is_open() || self.schedule.is_over();
        if self.interrupts > 0 && self.pool.goes_on_alone() && self.sealed.is_empty() {
            return Ok(Turn::Last);
        }
        if self.interrupts > 1 || (self.running() == 0 && self.sealed.is_empty() && over) {
            return Ok(Turn::Last);
        }
        match messages.recv_timeout(self.patience()) {
            Ok(message) => self.handle(message)?,
            Err(RecvTimeoutError::Timeout) => self.commit()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Problem::system("the workers cannot be heard any more"));
            }
        }
        if self.sealed_since.is_some_and(|since| since.elapsed() >= publish::TOGETHER) {
            self.commit()?;
        }
        self.monitor.tick();
        self.tend()?;
        self.leave_in_time();
        self.keep_limits();
        self.watch_memory();
        self.foresee();
        if self.looked.elapsed() >= others::LOOK {
            self.looked = Instant::now();
            self.record.still_there()?;
            self.end_silent()?;
            self.obey()?;
            self.look_elsewhere()?;
            self.give_up_idle();
        }
        Ok(Turn::Again)
    }

    /// Whether anything may still be started.
    fn is_open(&self) -> bool {
        self.interrupts == 0 && !self.closed
    }

    /// Stops the run once it has cost what it may.
    fn keep_limits(&mut self) {
        let running = self.slots.iter().flatten().map(|r| r.started.elapsed().as_secs_f64());
        let spent = self.spent + running.sum::<f64>();
        let over_budget = self.limits.device_seconds.is_some_and(|budget| spent >= budget);
        let is_late = self.limits.end.is_some_and(|end| Instant::now() >= end);
        if self.interrupts == 0 && !self.schedule.is_over() && (over_budget || is_late) {
            let what = if is_late { "the deadline is reached" } else { "the budget is spent" };
            self.monitor.show(&Change::Say(what.to_owned()));
            self.interrupt();
        }
    }

    /// Starts a node, unless another run has it or has finished it.
    fn begin(&mut self, index: NodeIndex, slot: usize, demand: Demand) -> Result<()> {
        if !self.claim(index, slot)? {
            let name = self.graph.nodes[index].name.clone();
            self.monitor.show(&Change::Note { name, text: "another run works on it".to_owned() });
            self.schedule.elsewhere(index.index());
        } else if self.is_published(index) || self.publish_sealed(index)? {
            self.done_elsewhere(index)?;
            self.release([index].into_iter())?;
        } else {
            self.start(index, slot, demand)?;
        }
        Ok(())
    }

    fn start(&mut self, index: NodeIndex, slot: usize, demand: Demand) -> Result<()> {
        self.rooms.enter(self.pool.room(slot), &demand);
        let before =
            self.demands.largest().and_then(|_| self.pool.device_memory(slot, &pool::cards()));
        let key = &self.graph.nodes[index].key;
        let attempt = self.record.attempts(key)?.len() as u32 + 1;
        let ticket = Ticket { key: key.hex(), attempt, by: self.coordinator.id.clone() };
        self.slots[slot] = Some(Running::new(index, ticket.clone(), demand, before));
        match self.hand_over(index, slot, &ticket) {
            Ok(()) => Ok(()),
            Err((class, problem)) => self.failed(slot, class, problem.to_string()),
        }
    }

    /// Writes the job and gives it to the worker of the slot.
    fn hand_over(
        &mut self,
        index: NodeIndex,
        slot: usize,
        ticket: &Ticket,
    ) -> Result<(), (FailureClass, Problem)> {
        let node = &self.graph.nodes[index];
        let kind = node.kind();
        let work = self.results.work(&node.folder());
        let path = work.join("job.json");
        let write = || {
            std::fs::create_dir_all(&work)
                .map_err(|e| Problem::os("make the folder", &work, &e))?;
            let job = self.job(node, index, slot, ticket.attempt)?;
            let text = serde_json::to_string_pretty(&job).expect("a job is plain data") + "\n";
            files::write_quickly(&path, text.as_bytes())?;
            let events = work.join("events.jsonl");
            let opened = OpenOptions::new().create(true).append(true).open(&events);
            opened.map_err(|e| Problem::os("open", &events, &e))
        };
        let events = write().map_err(|problem| (FailureClass::of(&problem), problem))?;
        if let Some(running) = &mut self.slots[slot] {
            running.events = Some(events);
        }
        // A worker that died idle: a fresh one takes the job in the next round.
        self.pool
            .start(slot, kind, ticket, &path)
            .map_err(|problem| (FailureClass::WorkerDied, problem))
    }

    fn job(&self, node: &Node, index: NodeIndex, slot: usize, attempt: u32) -> Result<Job> {
        let device = self.pool.device(slot);
        let trajectory = plan::trajectory_folder(node).map(|folder| self.results.work(&folder));
        if let Some(folder) = &trajectory {
            std::fs::create_dir_all(folder)
                .map_err(|e| Problem::os("make the folder", folder, &e))?;
        }
        let input = |(role, input, from): (String, &crate::key::Input, &Node)| {
            let folder = self.results.node(&from.folder());
            let source = match &*from.settings {
                Settings::Dataset(dataset) => dataset.array().map(|file| file.path.clone()),
                _ => None,
            };
            (role, Input { folder, port: input.port.to_owned(), source })
        };
        Ok(Job {
            name: node.name.clone(),
            key: node.key.hex(),
            kind: node.kind(),
            attempt,
            settings: node.settings.full(),
            inputs: self.graph.named_inputs(index).into_iter().map(input).collect(),
            work: self.results.work(&node.folder()),
            trajectory,
            checkpoint_seconds: node.run.checkpoint.map_or(CHECKPOINT_SECONDS, |span| span.0),
            keep_every: node.run.keep_every,
            preview: node.run.preview,
            device: device.name.clone(),
            threads: device.threads,
            deterministic: node.run.deterministic.unwrap_or(true),
        })
    }

    fn handle(&mut self, message: Message) -> Result<()> {
        match message {
            Message::Event { slot, generation, event }
                if self.pool.is_current(slot, generation) =>
            {
                self.event(slot, event)
            }
            Message::Gone { slot, generation } if self.pool.is_current(slot, generation) => {
                self.gone(slot)
            }
            Message::Event { .. } | Message::Gone { .. } => Ok(()),
            Message::Garbled { slot, line } => {
                self.garbled(slot, &line);
                Ok(())
            }
            Message::Interrupt => {
                self.interrupt();
                Ok(())
            }
        }
    }

    fn garbled(&mut self, slot: usize, line: &str) {
        let (name, text) = (self.name(slot), format!("unexpected output: {line}"));
        self.monitor.show(&Change::Note { name, text });
    }

    fn interrupt(&mut self) {
        self.interrupts += 1;
        let running: Vec<usize> =
            (0..self.slots.len()).filter(|slot| self.slots[*slot].is_some()).collect();
        if self.pool.goes_on_alone() {
            if self.interrupts == 1 && self.broken.is_none() {
                self.detach();
            }
        } else if self.interrupts == 1 {
            let text = format!(
                "stopping: {} to save; once more to stop at once",
                crate::words::plural(running.len(), "node")
            );
            self.monitor.show(&Change::Say(text));
            for slot in running {
                self.pool.ask_to_stop(slot);
            }
        }
    }

    fn name(&self, slot: usize) -> String {
        self.slots[slot]
            .as_ref()
            .map_or_else(|| format!("slot {slot}"), |r| self.graph.nodes[r.node].name.clone())
    }

    fn event(&mut self, slot: usize, event: Event) -> Result<()> {
        let name = self.name(slot);
        let Some(running) = &mut self.slots[slot] else { return Ok(()) };
        running.heard = Instant::now();
        running.log(&event);
        match event {
            Event::Hello { .. } | Event::GivenUp { .. } => {}
            Event::Started { step, total, arithmetic } => {
                (running.first, running.step, running.saved) = (step, step, step);
                running.total = total;
                running.arithmetic = Some(arithmetic);
                let attempt = running.ticket.attempt;
                let device = device_word(self.pool.device(slot), self.pool.name(slot));
                let place = fleet::place_of(self.pool.name(slot)).to_owned();
                let started = Change::Started { slot, place, name, device, step, total, attempt };
                self.monitor.show(&started);
            }
            Event::Progress { step, total, loss } => {
                running.step = step;
                let done = step.saturating_sub(running.first) as f64;
                let rate = done / running.started.elapsed().as_secs_f64().max(1e-3);
                let left = (rate > 0.0)
                    .then(|| crate::words::span(total.saturating_sub(step) as f64 / rate));
                self.monitor.show(&Change::Progress { slot, name, step, total, loss, rate, left });
            }
            Event::Checkpoint { step } => running.saved = step,
            Event::Note { text } => self.monitor.show(&Change::Note { name, text }),
            Event::Done => return self.done(slot),
            Event::Stopped { step } => {
                let running = self.vacate(slot).expect("checked above");
                self.monitor.show(&Change::Stopped { slot, name, step });
                // In a pause it waits for the end of it.
                let is_moved = self.is_paused || self.pool.is_leaving(slot);
                match is_moved && self.is_open() {
                    true => {
                        self.schedule.put_back(running.node.index());
                        self.pool.replace(slot);
                    }
                    false => self.schedule.stopped(running.node.index()),
                }
                self.attempt(slot, &running, "stopped", None, 0);
                self.pool.settled(&running.ticket);
                self.release([running.node].into_iter())?;
            }
            Event::Failed { class, message } => return self.failed(slot, class, message),
        }
        Ok(())
    }

    fn counts(&self) -> Counts {
        self.counts_of(None)
    }

    /// How many nodes, of one kind or all, are where.
    fn counts_of(&self, kind: Option<Kind>) -> Counts {
        let count = |state| match kind {
            Some(kind) => self.schedule.count_of(kind as u8, state),
            None => self.schedule.count(state),
        };
        Counts {
            done: count(State::Done),
            running: count(State::Running),
            waiting: [State::Waiting, State::Stopped, State::Elsewhere].map(count).iter().sum(),
            failed: count(State::Failed),
            blocked: count(State::Blocked),
        }
    }

    fn show_counts(&mut self) {
        let all = self.counts();
        let kinds = Kind::ALL.map(|kind| (kind, self.counts_of(Some(kind)))).to_vec();
        self.monitor.show(&Change::Counts { all, kinds });
    }
}

/// How often the loop looks up without a message.
const BEAT: Duration = Duration::from_millis(500);

fn device_word(device: &crate::pool::Device, slot: &str) -> String {
    let word = if device.name == "cpu" { "a core" } else { &device.model };
    match fleet::pilot_of(slot) {
        Some(pilot) => format!("{word} of {pilot}"),
        None => word.to_owned(),
    }
}

/// The time, as attempts write it.
fn now() -> String {
    // Always three decimals, so that times are ordered as their texts are.
    format!("{:.3}", jiff::Timestamp::now())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
