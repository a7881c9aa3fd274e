//! How many pilots there are to be: what the scheduler is asked for, what it answers, and when enough is enough.

use super::member::Member;
use super::queue::{Answer, Ask, Job, id_of, stem};
use super::{Fleet, LOG, PAUSES, REFUSALS, STRIKES};
use crate::files;
use crate::pool::{Device, News};
use crate::problem::Problem;
use crate::words::plural;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

impl Fleet {
    /// Hears the scheduler.
    pub(super) fn take_answers(&mut self, news: &mut Vec<News>) {
        while let Ok(answer) = self.answers.try_recv() {
            match answer {
                Answer::Submitted(count, Ok(id)) => {
                    self.asking -= count;
                    self.refusals = 0;
                    news.push(News::Say(format!(
                        "{} submitted as job {}",
                        plural(count as usize, "pilot"),
                        id_of(&id)
                    )));
                    self.own.insert(id.clone());
                    self.submitted.insert(id, (count, Instant::now()));
                    self.note_submissions();
                    // Soon there is something new to see.
                    self.listed = None;
                }
                Answer::Submitted(count, Err(problem)) => {
                    self.asking -= count;
                    self.refusals += 1;
                    let pause = (PAUSES[0] * 2u32.pow(self.refusals.min(9) - 1))
                        .min(PAUSES[1])
                        .min(self.poll() * 10);
                    self.not_before = Instant::now() + pause;
                    news.push(News::Say(problem.sentence.clone()));
                    if self.refusals >= REFUSALS {
                        self.paused = Some(problem);
                    }
                }
                Answer::Listed(Ok(jobs)) => {
                    self.is_asking = false;
                    self.jobs = jobs;
                    self.compare(news);
                }
                Answer::Listed(Err(problem)) => {
                    self.is_asking = false;
                    if !self.said_waiting {
                        self.said_waiting = true;
                        news.push(News::Say(format!("{}; what runs goes on", problem.sentence)));
                    }
                }
            }
        }
    }

    fn note_submissions(&mut self) {
        let ids: Vec<&str> = self.submitted.keys().map(String::as_str).collect();
        let text = ids.join("\n") + "\n";
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
            let runs = self.jobs.get(member.job()).is_some_and(Job::may_run);
            member.denied = if runs || member.is_over { 0 } else { member.denied + 1 };
        }
        let with_pilot: BTreeSet<&str> = self.members.iter().map(Member::job).collect();
        let ended = self.jobs.iter().filter(|(name, job)| {
            !job.is_live() && !with_pilot.contains(name.as_str()) && !self.struck.contains(*name)
        });
        let ours = |name: &str| self.own.iter().any(|id| name.split('_').next() == Some(stem(id)));
        let ended: Vec<(String, String)> = ended
            .filter(|(name, _)| ours(name))
            .map(|(name, job)| (name.clone(), job.state.clone()))
            .collect();
        for (name, state) in ended {
            self.struck.insert(name.clone());
            self.strikes.push(name.clone());
            let log = self.names.pilots.join(LOG).join(format!("{name}.out"));
            let said = files::tail(&log, 2000);
            let said = said.trim();
            news.push(News::Say(format!(
                "job {name} ended before its pilot said anything ({state})"
            )));
            if self.strikes.len() >= STRIKES {
                let what = format!("{STRIKES} pilots in a row ended before they said anything");
                let help = match said.is_empty() {
                    true => format!(
                        "the last one is {state}, and its log {} is empty or missing",
                        log.display()
                    ),
                    false => format!("the last one wrote: {said}"),
                };
                self.paused = Some(Problem::system(what).help(help));
            }
        }
        self.tell_of_queue(news);
        // What the list does not show, long after it was submitted, is forgotten.
        let jobs = &self.jobs;
        let longest = self.poll() * 2 + Duration::from_secs(10);
        self.submitted.retain(|id, (_, at)| {
            let shown = jobs
                .iter()
                .any(|(name, job)| job.is_live() && name.split('_').next() == Some(stem(id)));
            shown || at.elapsed() < longest
        });
        self.note_submissions();
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

    /// How many pilots may still come.
    fn coming(&self) -> u64 {
        let with_pilot: BTreeSet<&str> = self
            .members
            .iter()
            .filter(|m| m.has_said_hello && !m.is_over)
            .map(Member::job)
            .collect();
        let mut coming = self.asking;
        for (id, (count, _)) in &self.submitted {
            let of_it = |name: &str| name.split('_').next() == Some(stem(id));
            let listed = self.jobs.iter().filter(|(name, _)| of_it(name));
            let there = with_pilot.iter().filter(|name| of_it(name)).count() as u64;
            coming += match listed.clone().count() {
                0 => count.saturating_sub(there),
                _ => listed
                    .filter(|(name, job)| job.is_live() && !with_pilot.contains(name.as_str()))
                    .count() as u64,
            };
        }
        coming
    }

    /// Asks for pilots that are missing.
    pub(super) fn ask_for_more(&mut self, wanted: usize) {
        if self.paused.is_some() || Instant::now() < self.not_before || self.asking > 0 {
            return;
        }
        let known = self.members.iter().filter(|m| m.has_said_hello).map(|m| m.slots.len()).max();
        // A GPU holds several small jobs, but nobody knows of them that they are small.
        let known = known.map(|slots| (slots / self.places()).max(1) as u64);
        let each = known.unwrap_or(self.site.slots);
        let open = self.members.iter().filter(|member| member.is_open()).count() as u64;
        let want = (wanted as u64).div_ceil(each).min(self.site.most);
        let missing = want.saturating_sub(open + self.coming());
        if missing == 0 {
            return;
        }
        // Of other schedulers nothing is known about arrays.
        let count = if self.site.commands.is_some() { 1 } else { missing };
        self.asking += count;
        if self.asks.send(Ask::Submit(count)).is_err() {
            self.asking -= count;
        }
    }

    /// How many slots a device has at most.
    fn places(&self) -> usize {
        self.devices.iter().map(Device::places).max().unwrap_or(1)
    }

    pub(super) fn ask_for_list(&mut self) {
        let is_due = self.listed.is_none_or(|at| at.elapsed() >= self.poll());
        if is_due && !self.is_asking {
            let ours = self.submitted.keys().cloned().collect();
            self.is_asking = self.asks.send(Ask::List(ours)).is_ok();
            self.listed = Some(Instant::now());
        }
    }
}
