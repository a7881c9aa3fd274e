//! `ablate run`: runs what is missing, draws the figures and tables, and shows the answer.

use super::asking::Asking;
use super::detach;
use super::limits::{Limiting, fitting};
use super::naming::Naming;
use super::settled::Settled;
use super::tick;
use super::{Done, Place, print, read_spec, say};
use crate::coordinator::Coordinator;
use crate::demand::Demands;
use crate::draw::{self, Studio, Undecided};
use crate::fleet::{self, Fleet};
use crate::graph::{Asked, Graph, Selection};
use crate::plan::{self, Plan};
use crate::pool::{self, Message, Pool, Programs, Slots};
use crate::problem::{Problem, Problems};
use crate::record::{Estimated, Record, says_damaged};
use crate::run::{Limits, Means, Outcome, Run};
use crate::screen::{Change, Monitor, json_monitor, monitor};
use crate::site::Site;
use crate::spec::Spec;
use crate::store::Results;
use crate::words::{self, plural};
use crate::{decide, forecast, survey, verify};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

/// Arguments of `ablate run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Stop it with Ctrl-C, kill it, switch the machine off: the same command goes on where it was.
Finished nodes never run again.

Example:
  ablate run experiments/first.yaml"
)]
pub(super) struct RunCommand {
    /// The spec, a YAML file.
    spec: PathBuf,
    /// Run at most this many nodes at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Run on these devices instead of all GPUs that nobody else uses, or else all cores: cuda:0,2 or cpu:4.
    #[arg(long, value_name = "DEVICES")]
    devices: Option<String>,
    /// Run on a cluster: the name of a site in configs/sites/, or a file that describes one.
    #[arg(long, value_name = "SITE", conflicts_with_all = ["devices", "foreground", "jobs"])]
    on: Option<String>,
    /// Go on in the background, whatever becomes of this terminal.
    #[arg(long, conflicts_with_all = ["foreground", "json"])]
    detach: bool,
    /// Print what happens as JSON lines on standard output, and no answer.
    #[arg(long)]
    json: bool,
    /// Run one node at a time, what its worker says going to the terminal.
    #[arg(long, conflicts_with = "jobs")]
    foreground: bool,
    #[command(flatten)]
    asking: Asking,
    /// Then add seeds, up to N in all, to the rows of tables whose difference from the baseline may be none.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000))]
    topup: Option<u32>,
    /// After N equal failures that share a value on an axis, leave out what else waits there; 0 tries all.
    #[arg(long, value_name = "N", default_value_t = 4)]
    alike: usize,
    #[command(flatten)]
    limiting: Limiting,
    #[command(flatten)]
    naming: Naming,
    /// Do what can be done now, and leave; `ablate tick` says so.
    #[arg(long, hide = true, requires = "on")]
    once: bool,
}

impl RunCommand {
    pub(super) fn run(&self, place: &Place) -> Done {
        detach::leave_terminal();
        // A limit that is none is told even where there is nothing to limit.
        self.limiting.limits()?;
        let whole = self.naming.is_all() && self.asking.is_all() && self.topup.is_none();
        let (profile, root) = (self.asking.profile.as_deref(), place.of(&self.spec));
        if whole && let Some(answer) = Settled::answer(&self.spec, profile, &root) {
            let name = Spec::name_of(&self.spec, profile);
            answer.notices.iter().for_each(|notice| say(&format!("note: {notice}")));
            let text = format!("{name}: 0 nodes to run, {} finished", answer.count());
            self.monitor().show(&Change::Say(text));
            self.answer(&answer.text);
            return Ok(0);
        }
        let (asked, spec, graph) = read_spec(&self.spec, &self.asking, place)?;
        crate::draw::check(&spec, &graph)?;
        let results = Results::open(&place.of(&spec.file))?;
        if self.detach {
            return detach::detach(&results, &spec.name);
        }
        let limits = self.limiting.limits()?;
        let file = self.on.as_deref().map(|name| Site::find(name, &spec.file)).transpose()?;
        let site = file.as_deref().map(Site::read).transpose()?;
        let tick = file.filter(|_| whole).map(|file| tick::call(&spec, profile, &file, &results));
        if site.is_some() && !self.limiting.is_none() {
            let problem =
                Problem::new("limits are kept by the run itself, and a cluster keeps its own");
            return Err(problem.help("limit the pilots: `most` and `time` of the site").into());
        }
        let mut rounds = Rounds { command: self, asked, spec, graph, results, limits, site, tick };
        let (outcome, record) = rounds.all(self.monitor().as_mut())?;
        let Rounds { spec, graph, results, site, .. } = rounds;
        if let Some(site) = site.filter(|_| !outcome.stopped) {
            // They would leave by themselves; until then others wait for their places.
            if let Err(problem) = fleet::dismiss(&site, &fleet::names(&results, &spec.name), false)
            {
                say(&format!("pilots stay until they are idle: {problem}"));
            }
        }
        if outcome.stopped {
            if self.on.is_none() {
                say("stopped; the same command goes on");
            }
            // What was meant to fit is complete: there is something to see.
            if self.limiting.is_none() {
                return Ok(outcome.exit_code());
            }
        }
        let studio = Studio { spec: &spec, graph: &graph, results: &results, record: &record };
        let answer = draw::answer(&spec, &studio.all()?);
        self.answer(&answer);
        let decided = graph.selections.iter().all(|selection| selection.file.is_some());
        if whole && decided && outcome.exit_code() == 0 {
            Settled::write(&spec, profile, &graph, &results, &record, &answer);
        }
        if outcome.counts.failed > 0 {
            let (failed, blocked) = (outcome.counts.failed, outcome.counts.blocked);
            say(&format!(
                "{} failed, {} not tried because of that; `ablate why NODE --spec {}` tells more",
                plural(failed, "node"),
                blocked,
                self.spec.display()
            ));
        }
        Ok(outcome.exit_code())
    }

    fn monitor(&self) -> Box<dyn Monitor> {
        if self.json { json_monitor() } else { monitor() }
    }

    fn answer(&self, text: &str) {
        if !self.json {
            print(text);
        }
    }
}

/// A run, round by round: what one round finishes may decide what the next one makes.
struct Rounds<'c> {
    command: &'c RunCommand,
    asked: Asked,
    spec: Spec,
    graph: Graph,
    results: Results,
    /// What is left of the limits.
    limits: Limits,
    /// The cluster to run on, if it is not this machine.
    site: Option<Site>,
    /// The call that moves the experiment on there.
    tick: Option<String>,
}

impl Rounds<'_> {
    /// Runs rounds until there is nothing more to make.
    fn all(&mut self, monitor: &mut dyn Monitor) -> Result<(Outcome, Record), Problems> {
        let mut ended = self.round(monitor);
        if let Err(problems) = &ended
            && let Some(damaged) = problems.0.iter().find(|problem| says_damaged(problem))
        {
            let text = damaged.sentence.as_bytes();
            crate::files::write_aside(&self.results.distrusted(), text)?;
            ended = self.round(monitor);
        }
        loop {
            let (outcome, record) = ended?;
            if outcome.stopped || !self.is_another_due(&outcome, &record)? {
                return Ok((outcome, record));
            }
            let spent = outcome.device_seconds;
            self.limits.device_seconds = self.limits.device_seconds.map(|budget| budget - spent);
            (self.spec, self.graph) = Graph::read_with(&self.command.spec, &self.asked)?;
            ended = self.round(monitor);
        }
    }

    /// Whether what was finished decides about something that is now to be made.
    fn is_another_due(&mut self, outcome: &Outcome, record: &Record) -> Result<bool, Problem> {
        if decide(&self.asked, &self.graph, &self.results, record)? {
            return Ok(true);
        }
        let topup = self.command.topup.filter(|_| outcome.exit_code() == 0);
        topup.map_or(Ok(false), |most| {
            top_up(&mut self.asked, (&self.spec, &self.graph), record, most)
        })
    }

    fn round(&self, monitor: &mut dyn Monitor) -> Result<(Outcome, Record), Problems> {
        let Self { command, spec, graph, results, limits, .. } = self;
        let begun = Instant::now();
        let coordinator = Coordinator::enter(results)?;
        monitor.share(&spec.name, coordinator.screen_file());
        let devices = pool::devices_here(command.devices.as_deref())?;
        // What it takes is known of devices like those that it will have.
        let device = match &self.site {
            Some(site) => site.model().unwrap_or_else(|| "cpu".to_owned()),
            None => devices.first().map_or("cpu", |device| device.word()).to_owned(),
        };
        let (mut record, plan) = self.prepare((&coordinator, &device), monitor)?;
        let mut tell = |text: &str| monitor.show(&Change::Say(text.to_owned()));
        let mut wanted = command.naming.wanted(graph, &plan)?;
        let (to_run, finished) = (wanted.len(), graph.nodes.node_count() - plan.to_run().count());
        tell(&format!("{}: {} to run, {finished} finished", spec.name, plural(to_run, "node")));
        if to_run == 0 {
            let counts = crate::screen::Counts { done: finished, ..Default::default() };
            return Ok((Outcome { counts, stopped: false, device_seconds: 0.0 }, record));
        }
        let (sender, messages) = channel();
        listen_for_signals(sender.clone())?;
        let (workers, limit) = self.slots(&coordinator, devices, sender)?;
        let rooms = workers.rooms();
        let demands = Demands::on(&rooms, || record.device_memory().unwrap_or_default());
        let devices = forecast::Devices { rooms: &rooms, demands: &demands, limit };
        let mut left_out = 0;
        if !command.limiting.is_none() {
            let (fits, lines) = fitting(graph, &plan, &wanted, &devices, limits);
            lines.iter().for_each(|line| tell(line));
            left_out = wanted.len() - fits.len();
            wanted = fits;
        }
        let expected = forecast::make(graph, &plan, &wanted, &devices).finish;
        if let Some(seconds) = expected {
            let [low, middle, high] = seconds.map(|s| words::duration(words::span(s)));
            let history = "by this results folder's history";
            tell(&format!("about {middle} ({low} to {high}) {history}"));
        }
        let coordinator = &coordinator;
        let means = Means {
            graph,
            results,
            record: &mut record,
            coordinator,
            pool: workers,
            demands,
            limit,
            limits: *limits,
            patience: command.alike,
            once: command.once,
            monitor,
        };
        let mut outcome = Run::new(means, &plan, &wanted).finish(&messages)?;
        if left_out > 0 {
            say(&format!("{} left for later", plural(left_out, "node")));
            outcome.stopped = true;
        }
        let estimated = Estimated {
            experiment: spec.name.clone(),
            device,
            made: jiff::Timestamp::now().to_string(),
            nodes: to_run,
            seconds: expected,
            took: begun.elapsed().as_secs_f64(),
        };
        score(&estimated, &outcome, &mut record)?;
        Ok((outcome, record))
    }

    /// Where nodes run, and how many at once.
    fn slots(
        &self,
        coordinator: &Coordinator,
        devices: Vec<pool::Device>,
        sender: Sender<Message>,
    ) -> Result<(Box<dyn Slots>, usize), Problem> {
        let Self { command, spec, results, .. } = self;
        if let Some(site) = &self.site {
            let experiment = (spec.name.as_str(), self.tick.clone());
            let fleet = Fleet::new(site.clone(), results, experiment, &coordinator.id)?;
            return Ok((Box::new(fleet), usize::MAX));
        }
        let mut workers = Pool::new(Programs::find(), results, &coordinator.id, devices, sender);
        if command.foreground {
            workers.to_foreground();
            return Ok((Box::new(workers), 1));
        }
        // Small nodes share GPUs as long as each has a core.
        let at_once = workers.rooms().len().max(pool::cores());
        let limit = command.jobs.map_or(at_once, |n| n as usize).clamp(1, workers.len());
        Ok((Box::new(workers), limit))
    }

    /// Mends what is to be mended, and plans what is to be run.
    fn prepare(
        &self,
        (coordinator, device): (&Coordinator, &str),
        monitor: &mut dyn Monitor,
    ) -> Result<(Record, Plan), Problems> {
        let Self { asked, spec, graph, results, .. } = self;
        let naming = &self.command.naming;
        let mut tell = |text: &str| monitor.show(&Change::Say(text.to_owned()));
        let mut record = verify::open_record(results, coordinator, &mut tell)?;
        record.experiment(spec, asked, graph)?;
        let (said, mut listing) = survey::recover(results, &mut record, coordinator)?;
        said.iter().for_each(|line| tell(line));
        if naming.fresh {
            let nodes = naming.named(graph)?;
            let known = survey::known_of(graph, results, Some(&record), listing)?;
            naming.refuse_unfinished(graph, &plan::make(graph, &known, device), &nodes)?;
            survey::discard(graph, &nodes, results, &mut record, coordinator)?;
            listing = results.list()?;
        }
        let known = survey::known_of(graph, results, Some(&record), listing)?;
        let plan = plan::make(graph, &known, device);
        for line in survey::discard_damaged(graph, &plan, results, &mut record, coordinator)? {
            tell(&line);
        }
        Ok((record, plan))
    }
}

/// Writes down what was expected of a run and what it took, and says it; what was stopped or failed says nothing
/// of an estimate.
fn score(estimated: &Estimated, outcome: &Outcome, record: &mut Record) -> Result<(), Problem> {
    if outcome.stopped || outcome.counts.failed > 0 {
        return Ok(());
    }
    record.estimate(estimated)?;
    if let Some([_, middle, _]) = estimated.seconds {
        let spans = [middle, estimated.took].map(|s| words::duration(words::span(s)));
        let scored = super::plan::scored(&record.estimate_errors()?).unwrap_or_default();
        say(&format!("expected {}, took {}. {scored}", spans[0], spans[1]));
    }
    Ok(())
}

/// Adds a seed to the points that would decide undecided rows, as long as they have fewer than so many;
/// whether there were any.
fn top_up(
    asked: &mut Asked,
    (spec, graph): (&Spec, &Graph),
    record: &Record,
    most: u32,
) -> Result<bool, Problem> {
    let undecided = crate::draw::undecided(spec, graph, record)?;
    let few = |row: &&Undecided| (row.difference.n as u32) < most;
    let rows: Vec<&Undecided> = undecided.iter().filter(few).collect();
    let before = asked.choice.extras.len();
    for row in &rows {
        let half = row.difference.half_width.map_or("?".to_owned(), words::significant);
        let (mean, n) = (words::significant(row.difference.mean), row.difference.n);
        say(&format!("{}: {mean} ± {half} (n = {n}); one more seed", row.name));
        asked.choice.extras.extend(row.extras.iter().cloned());
    }
    if rows.is_empty() && !undecided.is_empty() {
        say(&format!("{} undecided at n = {most}", plural(undecided.len(), "row")));
    }
    asked.choice.extras.sort();
    asked.choice.extras.dedup();
    // A seed that gave no number gives none the next time either.
    Ok(asked.choice.extras.len() > before)
}

/// Makes the choices for which everything is finished; whether there were any.
fn decide(
    asked: &Asked,
    graph: &Graph,
    results: &Results,
    record: &Record,
) -> Result<bool, Problem> {
    let mut any = false;
    for contest in decide::contests(graph, record)? {
        if contest.selection.file.is_some() {
            continue;
        }
        let all = contest.selection.seeds();
        let wanted = asked.choice.seeds.as_ref().map(|seeds| seeds.iter().copied().collect());
        if let Some(file) = contest.choice(Some(&wanted.unwrap_or(all))) {
            file.write(&results.root.join("nodes"))?;
            let decided = Selection { file: Some(file), ..contest.selection.clone() };
            say(&decide::Contest::read(&decided, graph, record)?.told());
            any = true;
        }
    }
    Ok(any)
}

/// Ctrl-C and SIGTERM become messages for whoever listened last; a third one ends the program as usual.
pub(super) fn listen_for_signals(sender: Sender<Message>) -> Result<(), Problem> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    static LISTENER: Mutex<Option<Sender<Message>>> = Mutex::new(None);
    let listener = || LISTENER.lock().expect("nobody panics with it");
    if listener().replace(sender).is_some() {
        return Ok(());
    }
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|e| Problem::system(format!("cannot listen for Ctrl-C: {e}")))?;
    std::thread::spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            let sent = listener().as_ref().map(|sender| sender.send(Message::Interrupt));
            if count >= 2 || !matches!(sent, Some(Ok(()))) {
                std::process::exit(crate::job::EXIT_STOPPED);
            }
        }
    });
    Ok(())
}
