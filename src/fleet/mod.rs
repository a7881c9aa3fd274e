//! Slots on the machines of a cluster: pilots are asked for as there is work, and what they report becomes the
//! messages of a run. The coordinator can be killed at any moment: orders and reports lie in files, and the next one
//! takes up what is under way.

mod member;
mod outside;
mod own;
mod queue;
mod slots;
mod supply;

use crate::failure::FailureClass;
use crate::files;
use crate::job::{Event, Ticket};
use crate::pool::{Device, News};
use crate::post::{Address, Order, Report};
use crate::problem::{Problem, Result};
use crate::site::{self, Names, Site};
use crate::store::Results;
use member::Member;
pub use outside::{cancel, dismiss, has_left, living, names, pilot_of, place_of};
use outside::{pilots, submissions};
use queue::{Answer, Ask};
pub use queue::{Job, Jobs, Scheduler};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};
use supply::{Submission, Supply};

/// What the names of slots on pilots begin with.
const PILOT: &str = "pilot:";

/// The folder of logs among the pilots.
const LOG: &str = "log";

/// Time between two looks at the pilots' files.
const LOOK: Duration = Duration::from_millis(100);

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
    /// The devices of pilots, and the class of each.
    devices: Vec<(Device, usize)>,
    slots: Vec<Place>,
    looked: Option<Instant>,
    /// The jobs as they were listed last, and when they were asked for.
    jobs: Jobs,
    listed: Option<Instant>,
    is_asking: bool,
    /// Whether the scheduler has told of jobs at all, and since something was submitted.
    has_listed: bool,
    has_seen: bool,
    /// Submissions that no list has shown yet, each with how many pilots, and when.
    submitted: BTreeMap<String, Submission>,
    /// They as they were written down last.
    noted: String,
    /// The pools of the site.
    supplies: Vec<Supply>,
    /// Jobs that ended before their pilots said anything, as far as they were counted.
    struck: BTreeSet<String>,
    said_waiting: bool,
    /// Why pilots wait in the queue, as it was said last.
    said_queued: String,
    /// What is to be told of next.
    news: Vec<News>,
}

/// A slot of a pilot.
#[derive(Debug)]
struct Place {
    room: usize,
    name: String,
    /// The pilot; of a place for a job of its own the last one, if there was any.
    member: Option<usize>,
    /// Its place among the pilot's slots.
    index: usize,
    ticket: Option<Ticket>,
}

impl Fleet {
    /// Takes up the pilots of an experiment; the call `tick` moves it on by a step.
    ///
    /// # Errors
    /// If another coordinator looks after them, or the scheduler would refuse to start any.
    pub fn new(
        site: Site,
        results: &Results,
        (experiment, tick): (&str, Option<String>),
        owner: &str,
    ) -> Result<Self> {
        let names = Names { tick, ..names(results, experiment) };
        let log = names.pilots.join(LOG);
        fs::create_dir_all(&log).map_err(|e| Problem::os("make the folder", &log, &e))?;
        let path = names.pilots.join("coordinator.lock");
        let lock = File::create(&path).map_err(|e| Problem::os("make", &path, &e))?;
        if lock.try_lock().is_err() {
            let problem =
                Problem::system(format!("another `ablate` looks after the pilots of {experiment}"));
            return Err(problem.help("`ablate status --watch` shows what it does"));
        }
        let pools = site.all_pools();
        let scheduler = Scheduler::new(pools.clone(), names.clone());
        // Whatever was cancelled before is wanted again.
        let _ = fs::remove_file(outside::cancelled(&names));
        // Where pilots are known the scheduler may be away for a while.
        if pilots(&names.pilots).is_empty() {
            scheduler.test().map_err(Problem::usage)?;
        }
        let place = |name: &str| pools.iter().position(|pool| pool.name == name).unwrap_or(0);
        let submitted = submissions(&names.pilots)
            .into_iter()
            .map(|(id, pool)| (id, Submission { pool: place(&pool), count: 1, at: Instant::now() }))
            .collect();
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
            has_listed: false,
            has_seen: false,
            submitted,
            noted: String::new(),
            supplies: pools.into_iter().map(Supply::new).collect(),
            struck: BTreeSet::new(),
            said_waiting: false,
            said_queued: String::new(),
            news: vec![],
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
                let pool = member.pool_name();
                member.pool = self.place_of_pool(&pool);
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
        if self.members[member].is_own() {
            self.place_for(member, news);
            // Its time counts from when it began, and not from when it was given.
            rest.splice(..0, hello);
        } else {
            self.hear(member, hello, news);
        }
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
                Report::Hello { host, devices, began, ends, version } => {
                    self.members[member].began = Some(began);
                    let told = Member::told(&devices);
                    let has_no_gpu = devices.iter().all(|device| device.name == "cpu");
                    if version != env!("CARGO_PKG_VERSION") {
                        let text = format!(
                            "the pilot on {host} is ablate {version}: it is asked to leave"
                        );
                        news.push(News::Say(text));
                        self.dismiss(member);
                    }
                    self.greet(member, devices, ends, news);
                    let name = &self.members[member].name;
                    news.push(News::Say(format!("pilot {name} on {host}: {told}")));
                    let site = &self.supplies[self.members[member].pool].pool.site;
                    if has_no_gpu && site.devices.is_none() && site.model().is_some() {
                        news.push(News::Say(format!(
                            "pilot {name} was to have a GPU and sees none: its nodes run on cores"
                        )));
                    }
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
        let pool = self.members[member].pool;
        self.supplies[pool].strikes.clear();
        // A later start of the same job: whatever the earlier one still does is not wanted.
        let job = self.members[member].job().to_owned();
        for other in 0..member {
            if self.members[other].job() == job && !self.members[other].is_over {
                self.dismiss(other);
            }
        }
        self.members[member].has_said_hello = true;
        self.members[member].ends = ends;
        if self.members[member].is_own() {
            return self.greet_own(member, devices, news);
        }
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
                let member = Some(member);
                self.slots.push(Place { room, name, member, index, ticket: None });
                index += 1;
            }
            self.members[member].rooms.push(room);
            self.members[member].slots.extend(&slots);
            self.devices.push((device, site::class_of(pool, false)));
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
        if !has_left && self.members[member].is_queued() {
            return self.judge_queued(member, news);
        }
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
            let is_its = self.slots[slot].member == Some(member);
            if !is_its || self.slots[slot].ticket.take().is_none() {
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
    fn what_the_scheduler_says_of_a_lost_pilot_has_a_class() {
        use FailureClass::{Cancelled, HostMemory, NodeFault, Preempted, WallTime, WorkerDied};
        for (state, class) in [
            ("OUT_OF_MEMORY", HostMemory),
            ("TIMEOUT", WallTime),
            ("DEADLINE", WallTime),
            ("PREEMPTED", Preempted),
            ("CANCELLED", Cancelled),
            ("NODE_FAIL", NodeFault),
            ("BOOT_FAIL", NodeFault),
            ("REQUEUED", Preempted),
            ("FAILED", WorkerDied),
            ("SOMETHING_NEW", NodeFault),
        ] {
            assert_eq!(cause(Some(state)).0, class, "{state}");
        }
        assert_eq!(cause(None).0, NodeFault);
    }
}
