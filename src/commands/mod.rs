//! The command line: one file a subcommand, each a short path through the modules above.

mod adopt;
mod again;
mod asking;
mod bundle;
mod cancel;
mod check;
mod clean;
mod compare;
mod compare_points;
mod compare_specs;
mod completions;
mod control;
mod detach;
mod devices;
mod export;
mod figure;
mod follow;
mod graph;
mod help;
mod import;
mod init;
mod limits;
mod log;
mod merge;
mod naming;
mod paper;
mod pilot;
mod plan;
mod plan_site;
mod query;
mod rebuild;
mod report;
mod row;
mod run;
mod schema;
mod select;
mod serve;
mod settled;
mod show;
mod status;
mod table;
mod tick;
mod verify;
mod why;
mod work;

use crate::graph::{Asked, Graph};
use crate::plan::Plan;
use crate::problem::{Problem, Problems, Result};
use crate::record::{Experiment, Record};
use crate::spec::Spec;
use crate::store::Results;
use crate::words;
use asking::Asking;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use petgraph::graph::NodeIndex;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Declarative experiment graphs for generative-model research: write a spec, run what is missing,
/// get figures and tables.
#[derive(Debug, Parser)]
#[command(
    name = "ablate",
    version,
    after_help = "`ablate COMMAND --help` tells more. A NODE is a name in the spec (`net`), a readable name as `ablate plan`
prints it (`net[seed=0]`), or the beginning of a key.

Exit codes: 0 done, 1 something failed, 2 wrong usage or spec, 75 stopped (run again to go on)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The results folder [default: results/ beside the spec's experiments/ folder, else ./results].
    #[arg(long, global = true, value_name = "DIR")]
    results: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a small project to start from.
    Init(init::Init),
    /// Make a spec of the configuration of an earlier program, or of the runs that it made.
    Import(import::Import),
    /// Check specs: every mistake at once, each with its line.
    Check(check::Check),
    /// Draw the graph of a spec as SVG: what reads from what, and how far it is.
    Graph(graph::GraphCommand),
    /// Print the JSON Schema of a spec, for completion and checks in your editor.
    Schema(schema::Schema),
    /// Show what would run, why, what sharing saves, and how long it may take.
    Plan(plan::PlanCommand),
    /// Run what is missing, then draw the figures and tables.
    Run(run::RunCommand),
    /// Show the devices of this machine, and who uses them.
    Devices(devices::Devices),
    /// Show how far experiments are, and what runs now.
    Status(status::Status),
    /// Show what a node's worker said; with -f, while it runs.
    Log(log::Log),
    /// Tell why a node will run, is skipped, waits, or failed.
    Why(why::Why),
    /// Let runs start nothing more until `resume`.
    Pause(control::Pause),
    /// Let paused runs go on.
    Resume(control::Resume),
    /// Let runs save what they do and leave, as Ctrl-C does.
    Stop(control::Stop),
    /// Let runs start some nodes before others.
    First(control::First),
    /// Move an experiment on a cluster on, and leave: for cron.
    Tick(tick::Tick),
    /// Cancel the pilots of an experiment on a cluster.
    Cancel(cancel::Cancel),
    /// Show a node: settings, inputs, numbers, files.
    Show(show::Show),
    /// Compare two nodes, points or specs, or a spec with a revision of its own.
    Compare(compare::Compare),
    /// Draw the figures of a spec from what is finished.
    Figure(figure::Figure),
    /// Write the tables of a spec from what is finished.
    Table(table::Table),
    /// Write everything about an experiment on one page of HTML.
    Report(report::ReportCommand),
    /// Show results live in a browser: tables, curves, samples, graph.
    Serve(serve::Serve),
    /// Pack spec, numbers, figures and provenance into one archive for a paper's supplement.
    Bundle(bundle::Bundle),
    /// Check that figures, tables and numbers are fit to print.
    Paper(paper::Paper),
    /// Ask the database: one SELECT.
    Query(query::Query),
    /// Compare every file with its digest, and the database with the files.
    Verify(verify::Verify),
    /// Show what no experiment refers to, and remove its files.
    Clean(clean::Clean),
    /// Show what was found best and is read; with --again, choose afresh.
    Select(select::Select),
    /// Let a finished node serve as another, with the reason written down.
    Adopt(adopt::Adopt),
    /// Make the database anew from the folders of finished nodes.
    Rebuild(rebuild::Rebuild),
    /// Write results as tidy CSV or JSON lines, for other programs.
    Export(export::Export),
    /// Add the finished nodes of another results folder.
    Merge(merge::Merge),
    /// Print the completions of commands and options for your shell.
    Completions(completions::Completions),
    /// Runs the programs of command nodes; `run` starts it.
    #[command(hide = true)]
    Work(work::Work),
    /// Looks up the numbers of a run that was imported; command nodes call it.
    #[command(hide = true)]
    Row(row::Row),
    /// Runs nodes on a machine of a cluster; its scheduler starts it.
    #[command(hide = true)]
    Pilot(pilot::Pilot),
}

/// The command line as clap knows it.
fn command() -> clap::Command {
    help::grouped(Cli::command())
}

/// Runs the command line; every problem goes to standard error with its exit code.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let place = Place { results: cli.results };
    let outcome = match cli.command {
        Command::Init(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Graph(command) => command.run(&place),
        Command::Schema(command) => command.run(),
        Command::Plan(command) => command.run(&place),
        Command::Run(command) => command.run(&place),
        Command::Devices(command) => command.run(&place),
        Command::Pause(command) => command.run(&place),
        Command::Resume(command) => command.run(&place),
        Command::Stop(command) => command.run(&place),
        Command::First(command) => command.run(&place),
        Command::Status(command) => command.run(&place),
        Command::Log(command) => command.run(&place),
        Command::Why(command) => command.run(&place),
        Command::Show(command) => command.run(&place),
        Command::Compare(command) => command.run(&place),
        Command::Figure(command) => command.run(&place),
        Command::Report(command) => command.run(&place),
        Command::Serve(command) => command.run(&place),
        Command::Bundle(command) => command.run(&place),
        Command::Paper(command) => command.run(&place),
        Command::Table(command) => command.run(&place),
        Command::Query(command) => command.run(&place),
        Command::Verify(command) => command.run(&place),
        Command::Clean(command) => command.run(&place),
        Command::Select(command) => command.run(&place),
        Command::Adopt(command) => command.run(&place),
        Command::Rebuild(command) => command.run(&place),
        Command::Export(command) => command.run(&place),
        Command::Merge(command) => command.run(&place),
        Command::Completions(command) => command.run(),
        Command::Work(command) => command.run(),
        Command::Pilot(command) => command.run(),
        Command::Row(command) => command.run(),
        Command::Cancel(command) => command.run(&place),
        Command::Tick(command) => command.run(&place),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(problems) => {
            say(&problems.to_string());
            ExitCode::from(problems.exit_code())
        }
    }
}

/// What a subcommand returns: its exit code.
type Done = Result<u8, Problems>;

/// Writes a line to standard output; a closed pipe ends the program quietly.
fn print(text: &str) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Writes a line to standard error.
fn say(text: &str) {
    // There is nowhere else to complain.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Where results are.
struct Place {
    results: Option<PathBuf>,
}

impl Place {
    /// The results folder of a spec.
    fn of(&self, spec: &Path) -> PathBuf {
        self.results.clone().unwrap_or_else(|| Results::default_root(spec))
    }

    /// The results folder without a spec: here, else in the nearest folder above that has one.
    fn alone(&self) -> PathBuf {
        let here = std::env::current_dir().unwrap_or_default();
        let mut above = here.ancestors().map(|folder| folder.join("results"));
        let found = || above.find(|results| results.join("nodes").is_dir());
        let near = self.results.clone().or_else(found);
        near.map_or_else(
            || PathBuf::from("results"),
            |path| path.strip_prefix(&here).map(Path::to_owned).unwrap_or(path),
        )
    }
}

/// A spec with its graph and all that is known of its results, opened for reading.
struct Opened {
    spec: Spec,
    graph: Graph,
    results: Results,
    record: Option<Record>,
    plan: Plan,
}

impl Opened {
    fn read(spec: &Path, asking: &Asking, place: &Place) -> Result<Self, Problems> {
        Self::read_for(spec, asking, place, "cpu")
    }

    /// The same, with what nodes may cost on devices of this model.
    fn read_for(
        spec: &Path,
        asking: &Asking,
        place: &Place,
        device: &str,
    ) -> Result<Self, Problems> {
        let (_, spec, graph) = read_spec(spec, asking, place)?;
        let results = Results::look(&place.of(&spec.file));
        let record = Record::open_to_read(&results.database())?;
        let known = crate::survey::known(&graph, &results, record.as_ref())?;
        let plan = crate::plan::make(&graph, &known, device);
        Ok(Self { spec, graph, results, record, plan })
    }

    /// A spec whose outputs are to be drawn: they are checked, and something is finished.
    fn to_draw(spec: &Path, asking: &Asking, place: &Place) -> Result<(Self, Record), Problems> {
        let mut opened = Self::read(spec, asking, place)?;
        crate::draw::check(&opened.spec, &opened.graph)?;
        match opened.record.take() {
            Some(record) => Ok((opened, record)),
            None => {
                Err(Problem::new("nothing is finished yet").help("`ablate run` it first").into())
            }
        }
    }

    /// What its outputs are made of.
    fn studio<'s>(&'s self, record: &'s Record) -> crate::draw::Studio<'s> {
        let Self { spec, graph, results, .. } = self;
        crate::draw::Studio { spec, graph, results, record }
    }

    /// The nodes that a name stands for.
    fn find(&self, name: &str) -> Result<Vec<NodeIndex>> {
        let found = self.graph.find(name);
        if !found.is_empty() {
            return Ok(found);
        }
        Err(naming::unknown(&self.graph, name))
    }
}

/// A spec with the graph of what is asked for, and of the seeds that earlier runs added. What its author
/// should know is said.
fn read_spec(
    file: &Path,
    asking: &Asking,
    place: &Place,
) -> Result<(Asked, Spec, Graph), Problems> {
    // A damaged database is told, or mended, by whoever needs it.
    let root = place.of(file);
    let record = Record::open_to_read(&root.join("ablate.sqlite")).ok().flatten();
    let experiments = record.and_then(|record| record.experiments().ok()).unwrap_or_default();
    let name = Spec::name_of(file, asking.profile.as_deref());
    let recorded = experiments.into_iter().find(|known| known.name == name);
    let recorded = recorded.map(|known| known.asked.choice).unwrap_or_default();
    let asked = asking.asked(recorded, root.join("nodes"))?;
    let (spec, graph) = Graph::read_with(file, &asked)?;
    graph.notices.iter().for_each(|notice| say(&format!("note: {notice}")));
    Ok((asked, spec, graph))
}

/// The spec that a node's name belongs to: the one given, else the one whose graph has that name.
fn spec_of(
    node: &str,
    given: Option<(PathBuf, Asking)>,
    place: &Place,
) -> Result<(PathBuf, Asking), Problems> {
    if let Some(given) = given {
        return Ok(given);
    }
    let database = place.alone().join("ablate.sqlite");
    let record = Record::open_to_read(&database)?;
    let (mut experiments, having) = match &record {
        Some(record) => (record.experiments()?, record.experiments_with(node)?),
        None => (vec![], vec![]),
    };
    experiments.retain(|known| known.file.exists());
    // Where none had it, it may be new.
    let had = |known: &Experiment| having.contains(&known.name);
    if experiments.iter().any(had) {
        experiments.retain(had);
    }
    if let [one] = experiments.as_slice() {
        return Ok((one.file.clone(), Asking::of(one.asked.profile.clone())));
    }
    let read = |known: Experiment| {
        let (_, graph) = Graph::read_with(&known.file, &known.asked).ok()?;
        Some((known.file, Asking::of(known.asked.profile), graph))
    };
    let graphs: Vec<(PathBuf, Asking, Graph)> = experiments.into_iter().filter_map(read).collect();
    let having: Vec<&(PathBuf, Asking, Graph)> =
        graphs.iter().filter(|(.., graph)| !graph.find(node).is_empty()).collect();
    // The same node in several specs is no question; different ones are.
    let folders = |graph: &Graph| -> Vec<String> {
        graph.find(node).into_iter().map(|index| graph.nodes[index].folder()).collect()
    };
    if let [(file, asking, graph), others @ ..] = having.as_slice() {
        let other = others.iter().find(|(.., other)| folders(other) != folders(graph));
        return match other {
            None => Ok((file.clone(), asking.clone())),
            Some((other, ..)) => {
                let (file, other) = (file.display(), other.display());
                let problem =
                    Problem::new(format!("`{node}` is one thing in {file}, another in {other}"));
                Err(problem.help(format!("say which: --spec {other}")).into())
            }
        };
    }
    let names: Vec<&str> = graphs
        .iter()
        .flat_map(|(.., graph)| graph.nodes.node_weights())
        .flat_map(|node| [node.name.as_str(), node.declared.as_ref()])
        .collect();
    let place = place.alone();
    let problem = Problem::new(format!("no experiment in {} has a node `{node}`", place.display()));
    Err(match words::nearest(node, names) {
        Some(near) => problem.help(format!("did you mean `{near}`?")).into(),
        None => problem.help("name the spec: --spec experiments/….yaml").into(),
    })
}

/// Keys are told by their first digits.
fn short(value: &str) -> &str {
    if value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        &value[..12]
    } else {
        value
    }
}
