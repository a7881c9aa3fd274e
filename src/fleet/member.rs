//! One pilot as its coordinator knows it.

use super::queue::is_own;
use crate::job::{Event, Ticket};
use crate::pool::Device;
use crate::post::{Address, Farewell, Order, Reader, Report, Writer, remove};
use crate::problem::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

/// A pilot.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) address: Address,
    reports: Reader,
    orders: Writer,
    /// The slots of its devices, once it has said hello.
    pub(super) slots: Vec<usize>,
    pub(super) rooms: Vec<usize>,
    pub(super) has_said_hello: bool,
    /// The place of its pool.
    pub(super) pool: usize,
    /// When it began, in seconds since 1970.
    pub(super) began: Option<i64>,
    /// When the job of a pilot for one node was seen last, or submitted; `None` for other pilots.
    pub(super) queued: Option<Instant>,
    pub(super) leaving: Option<Farewell>,
    /// Whether nothing of it is to be expected any more.
    pub(super) is_over: bool,
    /// Whether it has been asked to leave.
    pub(super) is_dismissed: bool,
    /// When the scheduler ends it, in seconds since 1970.
    pub(super) ends: Option<i64>,
    /// Its last sign of life, and when it was seen first.
    sign: (String, Instant),
    /// How many lists of the scheduler in a row have said that it does not run.
    pub(super) denied: u32,
    /// The order that gave each attempt whose end is not written down.
    open: BTreeMap<Ticket, String>,
    /// Reports that tell of such attempts.
    kept: BTreeMap<String, BTreeSet<Ticket>>,
}

impl Member {
    pub(super) fn new(name: String, address: Address, owner: &str) -> Self {
        Self {
            pool: 0,
            began: None,
            queued: address.booking().exists().then(Instant::now),
            reports: Reader::new(address.reports()),
            orders: Writer::one_of(address.orders(), owner),
            name,
            address,
            slots: vec![],
            rooms: vec![],
            has_said_hello: false,
            leaving: None,
            is_over: false,
            is_dismissed: false,
            ends: None,
            sign: (String::new(), Instant::now()),
            denied: 0,
            open: BTreeMap::new(),
            kept: BTreeMap::new(),
        }
    }

    /// The name of its job, without that of its pool and the number of its starts.
    pub(super) fn job(&self) -> &str {
        let name = self.name.split('.').next().unwrap_or(&self.name);
        match is_own(name) {
            true => name,
            false => name.split_once('-').map_or(name, |(_, job)| job),
        }
    }

    /// The name of its pool, as it says it itself.
    pub(super) fn pool_name(&self) -> String {
        match self.queued {
            Some(_) => fs::read_to_string(self.address.booking()).unwrap_or_default(),
            None => self.name.split_once('-').map_or("", |(pool, _)| pool).to_owned(),
        }
    }

    /// Whether it is for one node.
    pub(super) fn is_own(&self) -> bool {
        self.queued.is_some()
    }

    /// Whether its job has not begun, as far as is known; nothing is expected of it then.
    pub(super) fn is_queued(&mut self) -> bool {
        let is_queued = self.is_own() && !self.has_said_hello && !self.address.begun().exists();
        if is_queued {
            self.sign.1 = Instant::now();
        }
        is_queued
    }

    /// Whether it takes jobs.
    pub(super) fn is_open(&self) -> bool {
        !self.is_own()
            && self.has_said_hello
            && self.leaving.is_none()
            && !self.is_over
            && !self.is_dismissed
    }

    /// The orders to start something that an earlier coordinator has left open.
    pub(super) fn left_open(&mut self) -> Vec<(usize, Ticket, Duration)> {
        let mut found = vec![];
        for (file, order) in Reader::new(self.address.orders()).read::<Order>() {
            let Order::Start { slot, ticket, given, .. } = order else { continue };
            let ago = given.parse::<jiff::Timestamp>().map_or(0, |given| {
                jiff::Timestamp::now().as_millisecond() - given.as_millisecond()
            });
            self.open.insert(ticket.clone(), file);
            found.push((slot, ticket, Duration::from_millis(ago.max(0) as u64)));
        }
        found
    }

    /// Gives an order.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn order(&mut self, order: &Order) -> Result<()> {
        let file = self.orders.post(order)?;
        if let Order::Start { ticket, .. } = order {
            self.open.insert(ticket.clone(), file);
        }
        Ok(())
    }

    /// What it has reported since, of attempts that are open.
    pub(super) fn heard(&mut self) -> Vec<Report> {
        let mut heard = vec![];
        for (file, reports) in self.reports.read::<Vec<Report>>() {
            let mut tickets = BTreeSet::new();
            let mut is_kept = false;
            for report in reports {
                match &report {
                    Report::Said { ticket, .. } if !self.open.contains_key(ticket) => continue,
                    Report::Said { ticket, event, .. } => {
                        let matters = matches!(
                            event,
                            Event::Started { .. }
                                | Event::Done
                                | Event::Stopped { .. }
                                | Event::Failed { .. }
                        );
                        if matters {
                            tickets.insert(ticket.clone());
                        }
                    }
                    Report::Garbled { .. } => {}
                    // Who comes later has to know who it is.
                    Report::Hello { .. } | Report::Leaving { .. } | Report::Bye => is_kept = true,
                }
                heard.push(report);
            }
            match (tickets.is_empty(), is_kept) {
                (true, false) => remove(&self.address.reports(), &file),
                (false, false) => drop(self.kept.insert(file, tickets)),
                (_, true) => {}
            }
        }
        heard
    }

    /// The end of an attempt is written down; whether it was one of this pilot's.
    pub(super) fn settle(&mut self, ticket: &Ticket) -> bool {
        let Some(order) = self.open.remove(ticket) else { return false };
        remove(&self.address.orders(), &order);
        for tickets in self.kept.values_mut() {
            tickets.remove(ticket);
        }
        let folder = self.address.reports();
        self.kept.retain(|file, tickets| {
            let is_kept = !tickets.is_empty();
            if !is_kept {
                remove(&folder, file);
            }
            is_kept
        });
        true
    }

    /// Whether an end is still to be written down.
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// How long it has given no sign of life.
    pub(super) fn silent(&mut self) -> Duration {
        let sign = fs::read_to_string(self.address.heartbeat()).unwrap_or_default();
        if sign != self.sign.0 {
            self.sign = (sign, Instant::now());
        }
        self.sign.1.elapsed()
    }

    /// Whether it has left, by its own word.
    pub(super) fn has_left(&self) -> bool {
        self.address.gone().exists()
    }

    /// What its devices are, in a sentence.
    pub(super) fn told(devices: &[Device]) -> String {
        match devices {
            [one] if one.name == "cpu" => "a core".to_owned(),
            [one] => one.model.clone(),
            [first, ..] if first.name == "cpu" => format!("{} cores", devices.len()),
            [first, ..] => format!("{} × {}", devices.len(), first.model),
            [] => "nothing".to_owned(),
        }
    }
}
