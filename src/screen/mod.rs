//! What a run shows. A screen receives [`Change`]s and nothing else; it never touches the run. What it knows is a
//! [`Board`], which is also written to a file: whoever watches from elsewhere sees the same.

mod board;
mod json;
mod lines;
mod plain;
mod terminal;

use crate::failure::FailureClass;
use crate::files;
use crate::settings::Kind;
use crate::words;
pub use board::{Board, Failure, Place};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Something that a person may want to see.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Change {
    /// A line about the run as a whole.
    #[serde(serialize_with = "as_text")]
    Say(String),
    /// A node has a slot.
    Started {
        /// Its slot, as a number.
        slot: usize,
        /// The slot's name.
        place: String,
        /// Name of the node.
        name: String,
        /// The device, for people.
        device: String,
        /// Steps that need not be done again.
        step: u64,
        /// Steps in all.
        total: u64,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// A node goes on.
    Progress {
        /// Its slot.
        slot: usize,
        /// Name of the node.
        name: String,
        /// Steps done.
        step: u64,
        /// Steps in all.
        total: u64,
        /// Mean training loss of late.
        loss: Option<f64>,
        /// Steps a second.
        rate: f64,
        /// Time left.
        #[serde(skip)]
        left: Option<Duration>,
    },
    /// A worker says something.
    Note {
        /// Name of the node.
        name: String,
        /// What it says.
        text: String,
    },
    /// A node is finished.
    Done {
        /// Its slot.
        slot: usize,
        /// Name of the node.
        name: String,
        /// Seconds it took.
        seconds: f64,
        /// A number worth showing, with its name.
        figure: Option<(String, f64)>,
    },
    /// A node stopped as asked.
    Stopped {
        /// Its slot.
        slot: usize,
        /// Name of the node.
        name: String,
        /// Steps saved.
        step: u64,
    },
    /// A node failed.
    Failed {
        /// Its slot, if it was one of ours.
        slot: Option<usize>,
        /// Name of the node.
        name: String,
        /// Why.
        class: FailureClass,
        /// What happened.
        message: String,
        /// Whether it will be tried again.
        again: bool,
        /// How many nodes of its name have failed alike, itself included.
        alike: usize,
    },
    /// A node takes much longer than equal ones did.
    Slow {
        /// Its slot.
        slot: usize,
        /// How many times as long.
        times: f64,
        /// Why, as far as that can be seen.
        reason: String,
    },
    /// How many nodes are where.
    Counts {
        /// All of them.
        all: Counts,
        /// Those of each kind.
        kinds: Vec<(Kind, Counts)>,
    },
    /// Seconds until the end: lower end, middle, upper end; `None` if too much is unknown.
    #[serde(serialize_with = "as_left")]
    Left(Option<[f64; 3]>),
}

/// How many nodes are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Finished, those of earlier runs included.
    pub done: usize,
    /// With a slot.
    pub running: usize,
    /// Waiting for inputs or a slot.
    pub waiting: usize,
    /// Failed.
    pub failed: usize,
    /// Behind a failure.
    pub blocked: usize,
}

impl Counts {
    /// All nodes.
    pub fn total(&self) -> usize {
        self.done + self.running + self.waiting + self.failed + self.blocked
    }
}

/// A newtype is no object, and JSON lines are objects.
fn as_text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_struct("say", 1)?;
    object.serialize_field("text", text)?;
    object.end()
}

fn as_left<S: Serializer>(left: &Option<[f64; 3]>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_struct("left", 1)?;
    object.serialize_field("seconds_left", left)?;
    object.end()
}

/// A screen.
pub trait Monitor {
    /// Shows a change.
    fn show(&mut self, change: &Change);
    /// Time goes on.
    fn tick(&mut self) {}
    /// Lets others see it: what is known of the run is written to this file now and then.
    fn share(&mut self, _experiment: &str, _file: PathBuf) {}
    /// Removes what is not meant to stay.
    fn end(&mut self) {}
}

/// A way of showing.
trait Output {
    /// Shows a change, with the sentence that it is worth.
    fn say(&mut self, change: &Change, sentence: Option<&str>, board: &Board);
    /// Draws what is not a sentence anew.
    fn draw(&mut self, _board: &Board) {}
    /// Removes what is not meant to stay.
    fn end(&mut self) {}
}

/// Time between two drawings.
const FRAME: Duration = Duration::from_millis(100);

/// Time between two writings for others.
const SHARED: Duration = Duration::from_millis(500);

/// The screen of a run.
struct Screen {
    board: Board,
    output: Box<dyn Output>,
    start: Instant,
    drawn: Option<Instant>,
    file: Option<PathBuf>,
    shared: Option<Instant>,
}

impl Monitor for Screen {
    fn show(&mut self, change: &Change) {
        self.board.now = self.start.elapsed().as_secs_f64();
        let sentence = self.board.apply(change);
        self.output.say(change, sentence.as_deref(), &self.board);
        self.tick();
    }

    fn tick(&mut self) {
        let due = |last: Option<Instant>, span| last.is_none_or(|last| last.elapsed() >= span);
        self.board.now = self.start.elapsed().as_secs_f64();
        if due(self.drawn, FRAME) && self.board.counts.total() > 0 {
            self.drawn = Some(Instant::now());
            self.output.draw(&self.board);
        }
        if let Some(file) = self.file.as_ref().filter(|_| due(self.shared, SHARED)) {
            self.shared = Some(Instant::now());
            let text = serde_json::to_string(&self.board).expect("a board is plain data");
            // Whoever watches looks again: a full disk shows elsewhere.
            let _ = files::write_quickly(file, text.as_bytes());
        }
    }

    fn share(&mut self, experiment: &str, file: PathBuf) {
        experiment.clone_into(&mut self.board.experiment);
        self.file = Some(file);
    }

    fn end(&mut self) {
        self.output.end();
    }
}

fn screen(output: Box<dyn Output>) -> Box<dyn Monitor> {
    let (board, start) = (Board::default(), Instant::now());
    Box::new(Screen { board, output, start, drawn: None, file: None, shared: None })
}

/// Whether standard error is a terminal that can move its cursor.
fn is_terminal() -> bool {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !dumb && std::env::var_os("CI").is_none()
}

/// The screen for standard error: a block on a terminal, plain lines elsewhere.
pub fn monitor() -> Box<dyn Monitor> {
    match is_terminal() {
        true => screen(Box::new(terminal::Terminal::new())),
        false => screen(Box::new(plain::Plain::new(std::io::stderr()))),
    }
}

/// JSON lines on standard output.
pub fn json_monitor() -> Box<dyn Monitor> {
    screen(Box::new(json::Json::new(std::io::stdout())))
}

/// Draws the boards of others: `None` where there is no terminal to draw on.
pub fn watcher() -> Option<Watcher> {
    is_terminal().then(|| Watcher { terminal: terminal::Terminal::new(), last: BTreeMap::new() })
}

/// A terminal on which the boards of other programs are drawn.
pub struct Watcher {
    terminal: terminal::Terminal,
    /// The last sentence of each that was shown.
    last: BTreeMap<String, u64>,
}

impl Watcher {
    /// Draws the boards of some runs as they are now; what was said since the last time scrolls away above them.
    pub fn draw(&mut self, boards: &[(String, Board)]) {
        for (run, board) in boards {
            for (number, sentence) in &board.said {
                if self.last.get(run).is_none_or(|last| number > last) {
                    self.terminal.say(&Change::Say(String::new()), Some(sentence), board);
                    self.last.insert(run.clone(), *number);
                }
            }
        }
        self.terminal.draw_all(&boards.iter().map(|(_, board)| board).collect::<Vec<_>>());
    }
}

/// A board as plain lines, for where there is no terminal.
pub fn printed(board: &Board) -> String {
    lines::lines(board, 100, usize::MAX, false).join("\n")
}

/// What happened to a node that failed; what others of its name have met before is not said again.
fn failure_word(message: &str, again: bool, alike: usize) -> String {
    match (again, alike) {
        (true, _) => format!("{message}; it is tried again"),
        (false, 0 | 1) => message.to_owned(),
        (false, n) => format!("like {} before it", words::plural(n - 1, "other")),
    }
}

/// A loss in four figures.
fn loss_word(loss: f64) -> String {
    if (1e-3..1e4).contains(&loss.abs()) { format!("{loss:.4}") } else { format!("{loss:.3e}") }
}

/// A rate in three figures.
fn rate_word(rate: f64) -> String {
    match rate {
        r if r >= 100.0 => format!("{r:.0}/s"),
        r if r >= 10.0 => format!("{r:.1}/s"),
        r => format!("{r:.2}/s"),
    }
}
