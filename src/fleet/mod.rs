//! Slots on the machines of a cluster: pilots are asked for as there is work, and what they report becomes the
//! messages of a run. The coordinator can be killed at any moment: orders and reports lie in files, and the next one
//! takes up what is under way.

mod member;
mod queue;
mod slots;
mod supply;

use crate::failure::FailureClass;
use crate::files;
use crate::job::{Event, Ticket};
use crate::pool::{Device, News};
use crate::post::{Address, Order, Report};
use crate::problem::{Problem, Result};
use crate::site::{Names, Site};
use crate::store::Results;
use member::Member;
use queue::{Answer, Ask};
pub use queue::{Job, Jobs, Scheduler};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// What the names of slots on pilots begin with.
const PILOT: &str = "pilot:";

/// The folder of logs among the pilots.
const LOG: &str = "log";

/// Time between two looks at the pilots' files.
const LOOK: Duration = Duration::from_millis(100);

/// So many pilots in a row that end before they say anything are enough.
const STRIKES: usize = 3;

/// So many refused submissions in a row are enough.
const REFUSALS: u32 = 10;

/// The pause after a refused submission, doubled with each further one up to the second.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// The pilots of an experiment and their slots.
pub struct Fleet {
    site: Site,
    names: Names,
    experiment: String,
    owner: String,
    /// Held for as long as this coordinator looks after them.
    _lock: File,
    asks: Sender<Ask>,
    answers: Receiver<Answer>,
    members: Vec<Member>,
    known: BTreeSet<String>,
    devices: Vec<Device>,
    slots: Vec<Place>,
    looked: Option<Instant>,
    /// The jobs as they were listed last, and when they were asked for.
    jobs: Jobs,
    listed: Option<Instant>,
    is_asking: bool,
    /// Submissions that no list has shown yet, each with how many pilots, and when.
    submitted: BTreeMap<String, (u64, Instant)>,
    /// They as they were written down last.
    noted: String,
    /// Submissions of this coordinator.
    own: BTreeSet<String>,
    /// How many pilots are being asked for.
    asking: u64,
    refusals: u32,
    not_before: Instant,
    /// Jobs that ended before their pilots said anything, in a row.
    strikes: Vec<String>,
    /// Those that were counted.
    struck: BTreeSet<String>,
    said_waiting: bool,
    /// Why pilots wait in the queue, as it was said last.
    said_queued: String,
    paused: Option<Problem>,
}

/// A slot of a pilot.
#[derive(Debug)]
struct Place {
    room: usize,
    name: String,
    member: usize,
    /// Its place among the pilot's slots.
    index: usize,
    ticket: Option<Ticket>,
}

/// The names of an experiment's pilots in a results folder.
pub fn names(results: &Results, experiment: &str) -> Names {
    let digest = blake3::hash(results.root.as_os_str().as_encoded_bytes()).to_hex();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' };
    let word: String = experiment.chars().map(plain).collect();
    Names {
        program: std::env::current_exe().unwrap_or_else(|_| "ablate".into()),
        pilots: results.root.join("pilots").join(experiment),
        job: format!("ablate-{word}-{}", &digest[..8]),
    }
}

/// Whether the pilot that a slot belongs to has left, or nobody has heard of it for long; `None` for other slots.
pub fn has_left(results: &Results, slot: &str) -> Option<bool> {
    let rest = slot.strip_prefix(PILOT)?;
    let (pilot, _) = rest.rsplit_once('/')?;
    let address = Address { folder: results.root.join("pilots").join(pilot) };
    let long_ago = || {
        let changed = fs::metadata(address.heartbeat()).and_then(|meta| meta.modified());
        changed.map_or(true, |at| at.elapsed().is_ok_and(|ago| ago > Duration::from_secs(600)))
    };
    Some(address.gone().exists() || long_ago())
}

/// The name of a slot as people read it: that of an experiment is known where it is shown.
pub fn place_of(slot: &str) -> &str {
    slot.strip_prefix(PILOT).and_then(|rest| rest.split_once('/')).map_or(slot, |(_, place)| place)
}

/// The pilot that a slot belongs to, if it does.
pub fn pilot_of(slot: &str) -> Option<&str> {
    slot.strip_prefix(PILOT)?.split('/').nth(1)
}

/// Whether a slot belongs to a pilot of an experiment.
fn is_of(slot: &str, experiment: &str) -> bool {
    slot.strip_prefix(PILOT)
        .and_then(|rest| rest.strip_prefix(experiment))
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Asks every pilot of an experiment to save and leave, and takes back what waits in the queue, or all.
///
/// # Errors
/// If a file cannot be written, or the scheduler refuses.
pub fn dismiss(site: &Site, names: &Names, all: bool) -> Result<usize> {
    let mut asked = 0;
    let owner = format!("{}-dismissal", jiff::Timestamp::now().as_millisecond());
    for name in pilots(&names.pilots) {
        let address = Address { folder: names.pilots.join(&name) };
        if !address.gone().exists() {
            Member::new(name, address, &owner).order(&Order::Leave)?;
            asked += 1;
        }
    }
    let ours = submissions(&names.pilots);
    Scheduler::new(site.clone(), names.clone()).cancel(!all, &ours)?;
    Ok(asked)
}

/// How many pilots of an experiment have not left.
pub fn living(names: &Names) -> usize {
    let address = |name: &String| Address { folder: names.pilots.join(name) };
    pilots(&names.pilots).iter().filter(|name| !address(name).gone().exists()).count()
}

/// The names of the pilots in a folder.
fn pilots(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name != LOG);
    names.sort();
    names
}

/// The submissions that were made and may not have ended.
fn submissions(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("submitted")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

impl Fleet {
    /// Takes up the pilots of an experiment.
    ///
    /// # Errors
    /// If another coordinator looks after them, or the scheduler would refuse to start any.
    pub fn new(site: Site, results: &Results, experiment: &str, owner: &str) -> Result<Self> {
        let names = names(results, experiment);
        let log = names.pilots.join(LOG);
        fs::create_dir_all(&log).map_err(|e| Problem::os("make the folder", &log, &e))?;
        let path = names.pilots.join("coordinator.lock");
        let lock = File::create(&path).map_err(|e| Problem::os("make", &path, &e))?;
        if lock.try_lock().is_err() {
            let problem =
                Problem::system(format!("another `ablate` looks after the pilots of {experiment}"));
            return Err(problem.help("`ablate status --watch` shows what it does"));
        }
        let scheduler = Scheduler::new(site.clone(), names.clone());
        // Where pilots are known the scheduler may be away for a while.
        if pilots(&names.pilots).is_empty() {
            scheduler.test().map_err(Problem::usage)?;
        }
        let submitted =
            submissions(&names.pilots).into_iter().map(|id| (id, (1, Instant::now()))).collect();
        let (asks, answers) = queue::ask(scheduler);
        Ok(Self {
            site,
            names,
            experiment: experiment.to_owned(),
            owner: owner.to_owned(),
            _lock: lock,
            asks,
            answers,
            members: vec![],
            known: BTreeSet::new(),
            devices: vec![],
            slots: vec![],
            looked: None,
            jobs: Jobs::new(),
            listed: None,
            is_asking: false,
            submitted,
            noted: String::new(),
            own: BTreeSet::new(),
            asking: 0,
            refusals: 0,
            not_before: Instant::now(),
            strikes: vec![],
            struck: BTreeSet::new(),
            said_waiting: false,
            said_queued: String::new(),
            paused: None,
        })
    }

    fn poll(&self) -> Duration {
        Duration::from_secs_f64(self.site.poll.0)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.site.patience.0)
    }

    /// Finds pilots that were not known, and hears all of them.
    fn look(&mut self, news: &mut Vec<News>) {
        for name in pilots(&self.names.pilots) {
            if self.known.insert(name.clone()) {
                let address = Address { folder: self.names.pilots.join(&name) };
                let mut member = Member::new(name, address, &self.owner);
                let open = member.left_open();
                self.members.push(member);
                self.take_up(self.members.len() - 1, open, news);
            }
        }
        for member in 0..self.members.len() {
            if !self.members[member].is_over {
                // Looked at first: what it wrote before it left is there then.
                let has_left = self.members[member].has_left();
                let heard = self.members[member].heard();
                self.hear(member, heard, news);
                self.judge(member, has_left, news);
            }
        }
    }

    /// A pilot that was there before: its devices first, then what it was given, each with all that it said of it, then
    /// the rest.
    fn take_up(
        &mut self,
        member: usize,
        open: Vec<(usize, Ticket, Duration)>,
        news: &mut Vec<News>,
    ) {
        let heard = self.members[member].heard();
        let is_hello = |report: &Report| matches!(report, Report::Hello { .. });
        let (hello, mut rest): (Vec<Report>, Vec<Report>) = heard.into_iter().partition(is_hello);
        self.hear(member, hello, news);
        for (i, (index, ticket, since)) in open.iter().enumerate() {
            let Some(slot) = self.members[member].slots.get(*index).copied() else { continue };
            self.slots[slot].ticket = Some(ticket.clone());
            news.push(News::Busy { slot, ticket: ticket.clone(), since: *since });
            let is_of_it =
                |r: &Report| matches!(r, Report::Said { ticket: of, .. } if of == ticket);
            let (of_it, others): (Vec<Report>, Vec<Report>) = rest.into_iter().partition(is_of_it);
            rest = others;
            self.hear(member, of_it, news);
            // What was given later to the same slot shows that this is over.
            let is_last = open[i + 1..].iter().all(|(later, ..)| later != index);
            if !is_last && self.slots[slot].ticket.take().is_some() {
                news.push(News::Event { slot, event: Event::Stopped { step: 0 } });
            }
        }
        self.hear(member, rest, news);
    }

    fn hear(&mut self, member: usize, heard: Vec<Report>, news: &mut Vec<News>) {
        for report in heard {
            match report {
                Report::Hello { host, devices, ends, version } => {
                    let told = Member::told(&devices);
                    if version != env!("CARGO_PKG_VERSION") {
                        let text = format!(
                            "the pilot on {host} is ablate {version}: it is asked to leave"
                        );
                        news.push(News::Say(text));
                        self.dismiss(member);
                    }
                    self.greet(member, devices, ends, news);
                    news.push(News::Say(format!(
                        "pilot {} on {host}: {told}",
                        self.members[member].name
                    )));
                }
                Report::Said { slot, ticket, event } => {
                    let Some(slot) = self.members[member].slots.get(slot).copied() else {
                        continue;
                    };
                    if self.slots[slot].ticket.as_ref() != Some(&ticket) {
                        continue;
                    }
                    if matches!(event, Event::Done | Event::Stopped { .. } | Event::Failed { .. }) {
                        self.slots[slot].ticket = None;
                    }
                    news.push(News::Event { slot, event });
                }
                Report::Garbled { slot, line } => {
                    let Some(slot) = self.members[member].slots.get(slot).copied() else {
                        continue;
                    };
                    news.push(News::Garbled { slot, line });
                }
                Report::Leaving { why } => {
                    self.members[member].leaving = Some(why);
                    let rooms = self.members[member].rooms.clone();
                    news.extend(rooms.into_iter().map(|room| News::Left { room }));
                    news.push(News::Say(format!(
                        "pilot {} leaves: {}",
                        self.members[member].name,
                        why.words()
                    )));
                }
                Report::Bye => {}
            }
        }
    }

    /// The devices of a pilot become slots.
    fn greet(
        &mut self,
        member: usize,
        devices: Vec<Device>,
        ends: Option<i64>,
        news: &mut Vec<News>,
    ) {
        self.strikes.clear();
        // A later start of the same job: whatever the earlier one still does is not wanted.
        let job = self.members[member].job().to_owned();
        for other in 0..member {
            if self.members[other].job() == job && !self.members[other].is_over {
                self.dismiss(other);
            }
        }
        self.members[member].has_said_hello = true;
        self.members[member].ends = ends;
        let mut index = 0;
        for device in devices {
            let room = self.devices.len();
            let mut slots = vec![];
            for place in 0..device.places() {
                let own = if place == 0 {
                    device.slot.clone()
                } else {
                    format!("{}.{place}", device.slot)
                };
                let name =
                    format!("{PILOT}{}/{}/{own}", self.experiment, self.members[member].name);
                slots.push(self.slots.len());
                self.slots.push(Place { room, name, member, index, ticket: None });
                index += 1;
            }
            self.members[member].rooms.push(room);
            self.members[member].slots.extend(&slots);
            self.devices.push(device);
            news.push(News::Joined { room, slots });
        }
    }

    fn dismiss(&mut self, member: usize) {
        let member = &mut self.members[member];
        if !member.is_dismissed {
            // Without the order it leaves when it has nothing to do.
            let _ = member.order(&Order::Leave);
            member.is_dismissed = true;
        }
    }

    /// Whether a pilot is over: it has left, or nothing was heard of it for too long.
    fn judge(&mut self, member: usize, has_left: bool, news: &mut Vec<News>) {
        let patience = self.patience();
        let this = &mut self.members[member];
        let silent = this.silent();
        let job = self.jobs.get(this.job());
        // The scheduler's word that it is gone shortens the wait, but is not believed alone.
        let is_denied = this.denied >= 2;
        // Even so a pilot has ended what it runs before that, after three quarters of its patience with itself.
        let patience = if is_denied { patience * 4 / 5 } else { patience };
        if !has_left && silent <= patience {
            if is_denied && this.has_said_hello {
                self.dismiss(member);
            }
            return;
        }
        this.is_over = true;
        let (name, state) = (this.name.clone(), job.map(|job| job.state.clone()));
        let said_hello = this.has_said_hello;
        // Nobody is to take it for living.
        let _ = files::write_quickly(&this.address.gone(), b"");
        news.extend(this.rooms.clone().into_iter().map(|room| News::Left { room }));
        let (class, what) = cause(state.as_deref());
        if !has_left && said_hello {
            news.push(News::Say(format!("pilot {name} is lost: {what}")));
        }
        for slot in this.slots.clone() {
            if self.slots[slot].ticket.take().is_none() {
                continue;
            }
            if has_left {
                // An order that came when it was on its way out.
                news.push(News::Event { slot, event: Event::Stopped { step: 0 } });
            } else {
                let message = format!("its pilot {name} is gone: {what}");
                news.push(News::Lost { slot, class, message });
            }
        }
        self.clear_away(member);
    }

    /// Removes the folder of a pilot that is over, once every end is written down.
    fn clear_away(&mut self, member: usize) {
        let member = &self.members[member];
        if member.is_over && !member.has_open() {
            // What stays is taken up and cleared away by the next coordinator.
            let _ = fs::remove_dir_all(&member.address.folder);
        }
    }
}

/// Why a pilot is gone, by the scheduler's last word.
fn cause(state: Option<&str>) -> (FailureClass, &'static str) {
    match state {
        Some("OUT_OF_MEMORY") => (FailureClass::HostMemory, "its job had no memory left"),
        Some("TIMEOUT" | "DEADLINE") => (FailureClass::WallTime, "the time of its job was up"),
        Some("PREEMPTED") => (FailureClass::Preempted, "its place was given to others"),
        Some("CANCELLED") => (FailureClass::Cancelled, "its job was cancelled"),
        Some("NODE_FAIL" | "BOOT_FAIL") => (FailureClass::NodeFault, "its machine failed"),
        Some("PENDING" | "REQUEUED" | "COMPLETING") => {
            (FailureClass::Preempted, "its job was taken back and waits again")
        }
        Some("FAILED" | "COMPLETED") => (FailureClass::WorkerDied, "its job ended"),
        _ => (FailureClass::NodeFault, "nothing is heard of it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_of_an_experiment_are_told_from_others() {
        let slot = "pilot:first/12_0.0/core-0";
        assert!(is_of(slot, "first") && !is_of(slot, "fir") && !is_of("core-0", "first"));
        let folder = tempfile::tempdir().unwrap();
        let results = Results { root: folder.path().to_owned() };
        assert_eq!(has_left(&results, "core-0"), None);
        assert_eq!(has_left(&results, slot), Some(true));
        let address = Address { folder: folder.path().join("pilots/first/12_0.0") };
        address.make().unwrap();
        fs::write(address.heartbeat(), "1").unwrap();
        assert_eq!(has_left(&results, slot), Some(false));
        fs::write(address.gone(), "").unwrap();
        assert_eq!(has_left(&results, slot), Some(true));
    }
}
