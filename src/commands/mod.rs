//! The command line: one file a subcommand, each a short path through the modules above.

mod check;
mod clean;
mod figure;
mod log;
mod plan;
mod query;
mod rebuild;
mod run;
mod selection;
mod show;
mod status;
mod table;
mod verify;
mod why;

use crate::graph::Graph;
use crate::plan::Plan;
use crate::pool;
use crate::problem::{Problem, Problems, Result};
use crate::record::Record;
use crate::spec::Spec;
use crate::store::Results;
use clap::{Parser, Subcommand};
use petgraph::graph::NodeIndex;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Declarative experiment graphs for generative-model research.
#[derive(Debug, Parser)]
#[command(
    name = "ablate",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 something failed, 2 wrong usage or spec, 75 stopped (run again to go on)."
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
    /// Check a spec: every mistake at once, each with its line.
    Check(check::Check),
    /// Show what would run, why, and what sharing saves.
    Plan(plan::PlanCommand),
    /// Run what is missing, then draw the figures and tables.
    Run(run::RunCommand),
    /// Show how far experiments are.
    Status(status::Status),
    /// Tell why a node will run, is skipped, waits, or failed.
    Why(why::Why),
    /// Show what a node's worker said.
    Log(log::Log),
    /// Show a node: settings, inputs, numbers, files.
    Show(show::Show),
    /// Draw the figures of a spec from what is finished.
    Figure(figure::Figure),
    /// Write the tables of a spec from what is finished.
    Table(table::Table),
    /// Ask the database: one SELECT.
    Query(query::Query),
    /// Compare every file with its digest, and the database with the files.
    Verify(verify::Verify),
    /// Show what no experiment refers to, and remove its files.
    Clean(clean::Clean),
    /// Make the database anew from the folders of finished nodes.
    Rebuild(rebuild::Rebuild),
}

/// Runs the command line; every problem goes to standard error with its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let place = Place { results: cli.results };
    let outcome = match cli.command {
        Command::Check(command) => command.run(),
        Command::Plan(command) => command.run(&place),
        Command::Run(command) => command.run(&place),
        Command::Status(command) => command.run(&place),
        Command::Why(command) => command.run(&place),
        Command::Log(command) => command.run(&place),
        Command::Show(command) => command.run(&place),
        Command::Figure(command) => command.run(&place),
        Command::Table(command) => command.run(&place),
        Command::Query(command) => command.run(&place),
        Command::Verify(command) => command.run(&place),
        Command::Clean(command) => command.run(&place),
        Command::Rebuild(command) => command.run(&place),
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
    let _ = writeln!(std::io::stderr(), "{text}");
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

    /// The results folder without a spec.
    fn alone(&self) -> PathBuf {
        self.results.clone().unwrap_or_else(|| PathBuf::from("results"))
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
    fn read(spec: &Path, place: &Place) -> Result<Self, Problems> {
        let (spec, graph) = Graph::read(spec)?;
        let root = place.of(&spec.file);
        let results = Results::open(&root)?;
        let record = Record::open_to_read(&results.database())?;
        let known = crate::survey::known(&graph, &results, record.as_ref())?;
        let plan = crate::plan::make(&graph, &known);
        Ok(Self { spec, graph, results, record, plan })
    }

    /// A spec whose outputs are to be drawn: they are checked, and something is finished.
    fn to_draw(spec: &Path, place: &Place) -> Result<(Self, Record), Problems> {
        let mut opened = Self::read(spec, place)?;
        crate::draw::check(&opened.spec, &opened.graph)?;
        match opened.record.take() {
            Some(record) => Ok((opened, record)),
            None => {
                Err(Problem::new("nothing is finished yet").help("`ablate run` it first").into())
            }
        }
    }

    /// The nodes that a name stands for.
    fn find(&self, name: &str) -> Result<Vec<NodeIndex>> {
        let found = self.graph.find(name);
        if !found.is_empty() {
            return Ok(found);
        }
        Err(selection::unknown(&self.graph, name))
    }
}

/// The spec that a node's name belongs to: the one given, else the one whose graph has that name.
fn spec_of(node: &str, given: Option<&Path>, place: &Place) -> Result<PathBuf, Problems> {
    if let Some(spec) = given {
        return Ok(spec.to_owned());
    }
    let database = place.alone().join("ablate.sqlite");
    let record = Record::open_to_read(&database)?;
    let experiments = record.map(|record| record.experiments()).transpose()?.unwrap_or_default();
    let files: Vec<PathBuf> = experiments
        .into_iter()
        .map(|(_, file)| PathBuf::from(file))
        .filter(|f| f.exists())
        .collect();
    let has =
        |file: &&PathBuf| Graph::read(file).is_ok_and(|(_, graph)| !graph.find(node).is_empty());
    match files.iter().find(has) {
        Some(file) => Ok(file.clone()),
        None => {
            let problem = Problem::new(format!(
                "no experiment in {} has a node `{node}`",
                place.alone().display()
            ));
            Err(problem.help("name the spec: --spec experiments/….yaml").into())
        }
    }
}

/// The slots of this machine.
fn slots() -> Vec<pool::Device> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let inherited = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    pool::devices(inherited.as_deref(), cores)
}
