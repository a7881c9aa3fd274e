//! What is asked of a run while it goes on: to pause, to go on, to hurry some nodes, to take or leave devices.

use super::Run;
use crate::coordinator::Order;
use crate::pool;
use crate::problem::Result;
use crate::rooms::Room;
use crate::screen::Change;
use crate::words::plural;
use petgraph::graph::NodeIndex;
use std::collections::BTreeSet;

impl Run<'_> {
    /// Does what was asked since it looked last.
    pub(super) fn obey(&mut self) -> Result<()> {
        for order in self.coordinator.orders() {
            match order {
                Order::Pause { now } => self.pause(now),
                Order::Resume if self.is_paused => {
                    self.is_paused = false;
                    self.say("going on");
                }
                Order::Resume => {}
                Order::Stop => self.interrupt(),
                Order::First(keys) => self.hurry(keys),
                Order::Add(devices) => self.add_devices(&devices),
                Order::Drop(name) => self.drop_device(&name),
            }
        }
        Ok(())
    }

    fn say(&mut self, text: &str) {
        self.monitor.show(&Change::Say(text.to_owned()));
    }

    fn pause(&mut self, now: bool) {
        self.is_paused = true;
        let running = self.running();
        match now {
            false => self.say("paused: nothing more is started; `ablate resume` goes on"),
            true => {
                self.say(&format!(
                    "paused: {} to save; `ablate resume` goes on",
                    plural(running, "node")
                ));
                for slot in 0..self.slots.len() {
                    match self.slots[slot].is_some() {
                        true => self.pool.ask_to_stop(slot),
                        // Idle workers hold memory of their devices.
                        false => drop(self.pool.replace(slot)),
                    }
                }
            }
        }
    }

    fn hurry(&mut self, keys: Vec<String>) {
        let keys: BTreeSet<String> = keys.into_iter().collect();
        let wanted =
            self.graph.indices().filter(|i| keys.contains(&self.graph.nodes[*i].key.hex()));
        let tasks: Vec<usize> = wanted.map(NodeIndex::index).collect();
        self.schedule.hurry(tasks.iter().copied());
        self.say(&format!("{} first, with what they need", plural(tasks.len(), "node")));
    }

    fn add_devices(&mut self, asked: &str) {
        let found = match pool::devices_here(Some(asked)) {
            Ok(found) => found,
            Err(problem) => return self.say(&problem.to_string()),
        };
        for device in found {
            let (name, memory) = (device.slot.clone(), device.memory);
            let Some((room, slots)) = self.pool.add(device) else {
                return self.say("devices come with their pilots here");
            };
            self.rooms.add(room, Room::here(memory));
            self.demands.add(Room::here(memory));
            if !slots.is_empty() {
                self.limit += 1;
                self.slots.extend(slots.iter().map(|_| None));
                self.slots_of.push(slots);
            }
            self.say(&format!("{name} is used from now on"));
        }
    }

    fn drop_device(&mut self, name: &str) {
        let Some(room) = self.pool.find(name) else {
            return self.say(&format!("there is no device {name} in this run"));
        };
        self.rooms.give_up(room);
        for slot in self.slots_of[room].clone() {
            if self.slots[slot].is_none() {
                self.pool.replace(slot);
            }
        }
        self.say(&format!("nothing more is started on {name}"));
    }
}
