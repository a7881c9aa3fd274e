//! Follows what a node's worker says while it runs, from its work folder into the published one: plain
//! lines, until the node is finished, has failed for good, or nobody is left to run it.

use super::{Opened, print};
use crate::coordinator;
use crate::graph::Node;
use crate::job::Event;
use crate::problem::{Problem, Result};
use crate::record::Record;
use crate::store::Results;
use crate::words::grouped;
use petgraph::graph::NodeIndex;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Lines of what was said before that are shown first.
const SHOWN: usize = 10;
/// The most that is read at once, in bytes.
const MOST: u64 = 1 << 20;

/// Follows nodes until each has ended; whether all of them are finished.
pub(super) fn follow(opened: &Opened, nodes: &[NodeIndex]) -> Result<bool> {
    let mut followed: Vec<Followed<'_>> =
        nodes.iter().map(|index| Followed::new(&opened.graph.nodes[*index])).collect();
    let several = followed.len() > 1;
    // A node that is tried again has failed before.
    let claims = opened.record.as_ref().map(Record::claims).transpose()?.unwrap_or_default();
    for one in &mut followed {
        let holder = claims.get(&one.node.folder());
        one.tried_again = holder
            .is_some_and(|holder| coordinator::is_alive(&opened.results, &holder.coordinator));
    }
    loop {
        // Looked at before the files, so that what the last one wrote is still read.
        let alone = coordinator::living(&opened.results).is_empty();
        for one in followed.iter_mut().filter(|one| one.end.is_none()) {
            for line in one.look(&opened.results, alone)? {
                print(&if several { format!("{}: {line}", one.node.name) } else { line });
            }
        }
        if followed.iter().all(|one| one.end.is_some()) {
            return Ok(followed.iter().all(|one| one.end == Some(End::Finished)));
        }
        std::thread::sleep(LOOK);
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Finished,
    Failed,
    Left,
}

/// A node that is followed.
struct Followed<'n> {
    node: &'n Node,
    log: Tail,
    events: Tail,
    end: Option<End>,
    looked: bool,
    /// Whether it was said that it has not begun.
    waiting: bool,
    begun: bool,
    /// Whether a run worked on it when it was looked at first, so that earlier failures are past.
    tried_again: bool,
}

impl<'n> Followed<'n> {
    fn new(node: &'n Node) -> Self {
        let (log, events) = (Tail::default(), Tail::default());
        Self {
            node,
            log,
            events,
            end: None,
            looked: false,
            waiting: false,
            begun: false,
            tried_again: false,
        }
    }

    /// The lines since the last look.
    fn look(&mut self, results: &Results, alone: bool) -> Result<Vec<String>> {
        let folder = self.node.folder();
        let finished = results.node(&folder).join("node.json").exists();
        let at = results.wherever(&folder);
        let first = !std::mem::replace(&mut self.looked, true);
        let mut said: Vec<String> = vec![];
        let mut failed = false;
        for line in self.events.read(&at.join("events.jsonl"))? {
            let event = serde_json::from_str(&line);
            failed = matches!(&event, Ok(Event::GivenUp { .. }));
            said.extend(match event {
                Ok(event) => sentence(&event),
                Err(_) => Some(line),
            });
        }
        if first && said.len() > SHOWN {
            said.drain(..said.len() - SHOWN);
        }
        self.begun |= !said.is_empty();
        said.extend(self.log.read(&at.join("log.txt"))?);
        let ended = match (finished, failed, alone) {
            (true, ..) => Some((End::Finished, format!("finished, in nodes/{folder}"))),
            (_, true, _) if !(first && self.tried_again) => {
                Some((End::Failed, "failed for good; `ablate why` tells more".into()))
            }
            (_, _, true) => Some((End::Left, "not finished, and nothing runs here".into())),
            _ => None,
        };
        if let Some((end, line)) = ended {
            self.end = Some(end);
            said.push(line);
        } else if !self.begun && !self.waiting {
            self.waiting = true;
            said.push("it has not begun; waiting for it".to_owned());
        }
        Ok(said)
    }
}

/// An event as a line for people.
fn sentence(event: &Event) -> Option<String> {
    let of = |step: u64, total: u64| format!("{} of {}", grouped(step), grouped(total));
    Some(match event {
        Event::Hello { .. } => return None,
        Event::Started { step, total, arithmetic } => {
            format!("begins at {}, on {arithmetic}", of(*step, *total))
        }
        Event::Progress { step, total, loss: Some(loss) } => {
            format!("{}, loss {loss:.4}", of(*step, *total))
        }
        Event::Progress { step, total, loss: None } => of(*step, *total),
        Event::Checkpoint { step } => format!("saved at {}", grouped(*step)),
        Event::Note { text } => text.clone(),
        Event::Done => "done".to_owned(),
        Event::Stopped { step } => format!("stopped at {}", grouped(*step)),
        Event::GivenUp { .. } => return None,
        Event::Failed { class, message } => format!("failed [{}]: {message}", class.word()),
    })
}

/// The end of a file that grows.
#[derive(Debug, Default)]
struct Tail {
    offset: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Tail {
    /// The whole lines since the last time; none if there is no file.
    fn read(&mut self, path: &Path) -> Result<Vec<String>> {
        let Ok(mut file) = File::open(path) else { return Ok(vec![]) };
        let fail = |e: std::io::Error| Problem::os("read", path, &e);
        // Publishing moves the file; a new attempt may begin it anew.
        if file.metadata().map_err(fail)?.len() < self.offset {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(fail)?;
        let mut lines = vec![];
        loop {
            let mut bytes = vec![];
            let read = (&file).take(MOST).read_to_end(&mut bytes).map_err(fail)?;
            if read == 0 {
                return Ok(lines);
            }
            self.offset += read as u64;
            self.rest.append(&mut bytes);
            let mut pieces: Vec<&[u8]> = self.rest.split(|byte| *byte == b'\n').collect();
            let rest = pieces.pop().unwrap_or_default().to_vec();
            let whole = pieces.iter().map(|line| String::from_utf8_lossy(line));
            lines.extend(whole.map(|line| line.trim_end().to_owned()));
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_gives_whole_lines_once_and_begins_anew_with_a_shorter_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        let mut tail = Tail::default();
        assert!(tail.read(&path).unwrap().is_empty());
        std::fs::write(&path, "a\nb").unwrap();
        assert_eq!(tail.read(&path).unwrap(), ["a"]);
        std::fs::write(&path, "a\nbc\nd\n").unwrap();
        assert_eq!(tail.read(&path).unwrap(), ["bc", "d"]);
        std::fs::write(&path, "e\n").unwrap();
        assert_eq!(tail.read(&path).unwrap(), ["e"]);
    }
}
