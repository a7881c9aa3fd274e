//! How many pilots there are to be: what the scheduler is asked for, what it answers, and when enough is enough.

use super::member::Member;
use super::queue::{Answer, Ask, Job, id_of, is_own, stem};
use super::{Fleet, LOG};
use crate::files;
use crate::pool::{Device, News};
use crate::post::Farewell;
use crate::problem::Problem;
use crate::site::{self, Pool};
use crate::words::plural;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// So many pilots in a row that end before they say anything are enough.
const STRIKES: usize = 3;

/// So many refused submissions in a row are enough.
const REFUSALS: u32 = 10;

/// The pause after a refused submission, doubled with each further one up to the second.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// A submission that may not have ended.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) pool: usize,
    /// How many pilots.
    pub(super) count: u64,
    /// When it was made, or taken up.
    pub(super) at: Instant,
}

/// The pilots of a pool, as they are asked for.
#[derive(Debug)]
pub(super) struct Supply {
    pub(super) pool: Pool,
    /// Submissions of this coordinator.
    own: BTreeSet<String>,
    /// How many pilots are being asked for.
    pub(super) asking: u64,
    refusals: u32,
    not_before: Instant,
    /// Jobs that ended before their pilots said anything, in a row.
    pub(super) strikes: Vec<String>,
    paused: Option<Problem>,
}

impl Supply {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            own: BTreeSet::new(),
            asking: 0,
            refusals: 0,
            not_before: Instant::now(),
            strikes: vec![],
            paused: None,
        }
    }

    /// Whether anything may be asked of the scheduler.
    pub(super) fn may_ask(&self) -> bool {
        self.paused.is_none() && Instant::now() >= self.not_before
    }

    fn refused(&mut self, problem: Problem, poll: Duration) -> News {
        self.refusals += 1;
        let pause = (PAUSES[0] * 2u32.pow(self.refusals.min(9) - 1)).min(PAUSES[1]).min(poll * 10);
        self.not_before = Instant::now() + pause;
        let said = News::Say(problem.sentence.clone());
        if self.refusals >= REFUSALS {
            self.paused = Some(problem);
        }
        said
    }
}

impl Fleet {
    /// Hears the scheduler.
    pub(super) fn take_answers(&mut self, news: &mut Vec<News>) {
        while let Ok(answer) = self.answers.try_recv() {
            match answer {
                Answer::Submitted(pool, count, answer) => {
                    self.supplies[pool].asking -= count;
                    let what = match self.supplies[pool].pool.name.as_str() {
                        "" => plural(count as usize, "pilot"),
                        name => plural(count as usize, &format!("{name} pilot")),
                    };
                    self.submitted(pool, count, answer, &what, news);
                }
                Answer::Booked(pool, name, answer) => {
                    let is_refused = answer.is_err();
                    self.submitted(pool, 1, answer, "a pilot for one node", news);
                    if is_refused
                        && let Some(member) = self.members.iter().position(|m| m.name == name)
                    {
                        self.take_back(member);
                    }
                }
                Answer::Listed(Ok(jobs)) => {
                    self.has_listed = true;
                    (self.is_asking, self.has_seen) = (false, true);
                    self.jobs = jobs;
                    self.compare(news);
                }
                Answer::Listed(Err(problem)) => {
                    (self.is_asking, self.has_seen) = (false, true);
                    if !self.said_waiting {
                        self.said_waiting = true;
                        news.push(News::Say(format!("{}; what runs goes on", problem.sentence)));
                    }
                }
            }
        }
    }

    fn submitted(
        &mut self,
        pool: usize,
        count: u64,
        answer: Result<String, Problem>,
        what: &str,
        news: &mut Vec<News>,
    ) {
        let poll = self.poll();
        let supply = &mut self.supplies[pool];
        match answer {
            Ok(id) => {
                supply.refusals = 0;
                supply.own.insert(id.clone());
                news.push(News::Say(format!("{what} submitted as job {}", id_of(&id))));
                self.submitted.insert(id, Submission { pool, count, at: Instant::now() });
                self.note_submissions();
                // Soon there is something new to see.
                (self.listed, self.has_seen) = (None, false);
            }
            Err(problem) => news.push(supply.refused(problem, poll)),
        }
    }

    fn note_submissions(&mut self) {
        let line = |(id, submission): (&String, &Submission)| {
            format!("{id} {}\n", self.supplies[submission.pool].pool.name)
        };
        let text: String = self.submitted.iter().map(line).collect();
        if text != self.noted {
            // By this a later coordinator knows what may still come; Slurm tells by the name of the jobs too.
            let path = self.names.pilots.join("submitted");
            let _ = files::write_quickly(&path, text.as_bytes());
            self.noted = text;
        }
    }

    /// Compares the scheduler's list with what is known.
    fn compare(&mut self, news: &mut Vec<News>) {
        self.said_waiting = false;
        for member in &mut self.members {
            let is_queued = member.is_queued();
            let is_there = |job: &Job| if is_queued { job.is_live() } else { job.may_run() };
            let runs = self.jobs.get(member.job()).is_some_and(is_there);
            member.denied = if runs || member.is_over { 0 } else { member.denied + 1 };
        }
        let with_pilot: BTreeSet<&str> = self.members.iter().map(Member::job).collect();
        let ended = self.jobs.iter().filter(|(name, job)| {
            !job.is_live() && !with_pilot.contains(name.as_str()) && !self.struck.contains(*name)
        });
        let is_of = |name: &str, id: &str| name.split('_').next() == Some(stem(id));
        let pool_of = |name: &str| {
            self.supplies.iter().position(|supply| supply.own.iter().any(|id| is_of(name, id)))
        };
        let ended: Vec<(usize, String, String)> = ended
            .filter_map(|(name, job)| Some((pool_of(name)?, name.clone(), job.state.clone())))
            .collect();
        for (pool, name, state) in ended {
            self.strike(pool, &name, &state, news);
        }
        self.tell_of_queue(news);
        // What the list does not show, long after it was submitted, is forgotten.
        let jobs = &self.jobs;
        let longest = self.poll() * 2 + Duration::from_secs(10);
        self.submitted.retain(|id, submission| {
            let shown = jobs.iter().any(|(name, job)| job.is_live() && is_of(name, id));
            shown || submission.at.elapsed() < longest
        });
        self.note_submissions();
    }

    /// A job has ended before its pilot said anything.
    pub(super) fn strike(&mut self, pool: usize, name: &str, state: &str, news: &mut Vec<News>) {
        if !self.struck.insert(name.to_owned()) {
            return;
        }
        news.push(News::Say(format!("job {name} ended before its pilot said anything ({state})")));
        let supply = &mut self.supplies[pool];
        supply.strikes.push(name.to_owned());
        if supply.strikes.len() >= STRIKES {
            let log = self.names.pilots.join(LOG).join(format!("{name}.out"));
            let said = files::tail(&log, 2000);
            let what = format!("{STRIKES} pilots in a row ended before they said anything");
            let help = match said.trim() {
                "" => format!(
                    "the last one is {state}, and its log {} is empty or missing",
                    log.display()
                ),
                said => format!("the last one wrote: {said}"),
            };
            supply.paused = Some(Problem::system(what).help(help));
        }
    }

    /// Why nothing that is wanted can be had any more, if that is so.
    pub(super) fn hopeless(&mut self, wanted: &BTreeMap<usize, usize>) -> Option<Problem> {
        if self.members.iter().any(|member| !member.is_over) {
            return None;
        }
        let is_paused =
            |(class, _): (&usize, &usize)| self.supplies[site::pool_of(*class)].paused.is_some();
        if !wanted.iter().filter(|(_, count)| **count > 0).all(is_paused) {
            return None;
        }
        self.supplies.iter_mut().find_map(|supply| supply.paused.take())
    }

    /// Says why pilots wait in the queue, when nothing runs.
    fn tell_of_queue(&mut self, news: &mut Vec<News>) {
        let waiting: Vec<&Job> = self.jobs.values().filter(|job| job.state == "PENDING").collect();
        let reasons: BTreeSet<&str> = waiting.iter().map(|job| job.reason.as_str()).collect();
        let reasons: Vec<&str> = reasons.into_iter().filter(|reason| *reason != "None").collect();
        let told = reasons.join(", ");
        if told != self.said_queued && !told.is_empty() && !self.members.iter().any(Member::is_open)
        {
            let count = plural(waiting.len(), "pilot");
            news.push(News::Say(format!("{count} in the queue: {told}")));
            self.said_queued = told;
        }
    }

    /// How many pilots of a pool may still come.
    fn coming(&self, pool: usize) -> u64 {
        let with_pilot: BTreeSet<&str> = self
            .members
            .iter()
            .filter(|m| m.has_said_hello && !m.is_over)
            .map(Member::job)
            .collect();
        // The jobs of those that have left for good end soon.
        let left = |m: &&Member| m.leaving.is_some_and(|why| why != Farewell::Signal) && m.is_over;
        let left: BTreeSet<&str> = self.members.iter().filter(left).map(Member::job).collect();
        let is_coming = |name: &str| !with_pilot.contains(name) && !left.contains(name);
        let mut coming = self.supplies[pool].asking;
        let ours = self.submitted.iter().filter(|(id, s)| s.pool == pool && !is_own(stem(id)));
        for (id, Submission { count, .. }) in ours {
            let of_it = |name: &str| name.split('_').next() == Some(stem(id));
            let listed = self.jobs.iter().filter(|(name, _)| of_it(name));
            let there = with_pilot.iter().filter(|name| of_it(name)).count() as u64;
            coming += match listed.clone().count() {
                0 => count.saturating_sub(there),
                _ => listed.filter(|(name, job)| job.is_live() && is_coming(name)).count() as u64,
            };
        }
        coming
    }

    /// Asks for pilots of a pool that are missing.
    pub(super) fn ask_for_more(
        &mut self,
        pool: usize,
        wanted: &BTreeMap<usize, usize>,
        news: &mut Vec<News>,
    ) {
        let of = |class| wanted.get(&class).copied().unwrap_or(0);
        self.make_places(pool, of(site::class_of(pool, true)), news);
        let Supply { pool: Pool { site, .. }, asking, .. } = &self.supplies[pool];
        if !self.supplies[pool].may_ask() || *asking > 0 {
            return;
        }
        let here = self.members.iter().filter(|m| m.pool == pool && !m.is_own());
        let open = here.clone().filter(|member| member.is_open()).count() as u64;
        let known = here.filter(|m| m.has_said_hello).map(|m| m.slots.len()).max();
        // A GPU holds several small jobs, but nobody knows of them that they are small.
        let known = known.map(|slots| (slots / self.places()).max(1) as u64);
        let each = known.unwrap_or(site.slots);
        let want = (of(site::class_of(pool, false)) as u64).div_ceil(each).min(site.most);
        let missing = want.saturating_sub(open + self.coming(pool));
        if missing == 0 {
            return;
        }
        // Of other schedulers nothing is known about arrays.
        let count = if site.commands.is_some() { 1 } else { missing };
        if self.asks.send(Ask::Submit(pool, count)).is_ok() {
            self.supplies[pool].asking += count;
        }
    }

    /// How many slots a device has at most.
    fn places(&self) -> usize {
        self.devices.iter().map(|(device, _)| Device::places(device)).max().unwrap_or(1)
    }

    pub(super) fn ask_for_list(&mut self) {
        let is_due = self.listed.is_none_or(|at| at.elapsed() >= self.poll());
        if is_due && !self.is_asking {
            // Of a job that was booked just before its coordinator was killed only the name is known.
            let booked = self.members.iter_mut().filter(|member| !member.is_over);
            let booked = booked.filter_map(|m| m.is_queued().then(|| m.name.clone()));
            let ours = self.submitted.keys().cloned().chain(booked).collect();
            self.is_asking = self.asks.send(Ask::List(ours)).is_ok();
            self.listed = Some(Instant::now());
        }
    }
}
