//! Tasks, slots and events → what to start now. Pure: no clock, no files, no tensors; it knows
//! numbers of tasks and which wait for which, and nothing of what they do.

use std::collections::{BTreeMap, BTreeSet};

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It waits for inputs, or for a slot.
    Waiting,
    /// It has a slot.
    Running,
    /// Another coordinator works on it, or on its trajectory.
    Elsewhere,
    /// It is finished.
    Done,
    /// It failed for good.
    Failed,
    /// An input failed, directly or not, or too many of its like did.
    Blocked,
    /// It was asked to stop and can go on later.
    Stopped,
    /// It is not finished, and nobody asked for it.
    Left,
}

/// One task, by its place in the list.
#[derive(Debug, Clone)]
pub struct Task {
    /// The tasks it waits for.
    pub inputs: Vec<usize>,
    /// Expected seconds from its start to the end of the longest path behind it.
    pub path_seconds: f64,
    /// Seeds run one after another: a lower one first.
    pub seed: u64,
    /// A number of its kind, by which tasks are counted.
    pub class: u8,
    /// Tasks of one group never run at the same time, and the lower rank goes first.
    pub group: Option<(usize, u64)>,
    /// Its state.
    pub state: State,
}

/// Whether it may wait, its seed, its path, its place: the smallest starts first.
type Rank = (bool, u64, u64, usize);

/// All tasks and their states.
#[derive(Debug)]
pub struct Schedule {
    tasks: Vec<Task>,
    users: Vec<Vec<usize>>,
    /// Inputs that are not done yet.
    missing: Vec<usize>,
    ready: BTreeSet<Rank>,
    /// Tasks that go before all others.
    urgent: BTreeSet<usize>,
    /// The tasks of each group, the lowest rank first.
    groups: BTreeMap<usize, Vec<usize>>,
    /// How many tasks of each class are in each state.
    counts: BTreeMap<(u8, State), usize>,
}

impl Schedule {
    /// A schedule of these tasks; tasks that are done already let their users start.
    pub fn new(tasks: Vec<Task>) -> Self {
        let mut users = vec![vec![]; tasks.len()];
        for (i, task) in tasks.iter().enumerate() {
            for input in &task.inputs {
                users[*input].push(i);
            }
        }
        let undone =
            |task: &Task| task.inputs.iter().filter(|i| tasks[**i].state != State::Done).count();
        let missing: Vec<usize> = tasks.iter().map(undone).collect();
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut counts = BTreeMap::new();
        for (i, task) in tasks.iter().enumerate() {
            *counts.entry((task.class, task.state)).or_default() += 1;
            if let Some((group, _)) = task.group {
                groups.entry(group).or_default().push(i);
            }
        }
        for members in groups.values_mut() {
            members.sort_by_key(|i| (tasks[*i].group, *i));
        }
        let ready = BTreeSet::new();
        let urgent = BTreeSet::new();
        let mut schedule = Self { tasks, users, missing, ready, urgent, groups, counts };
        for i in 0..schedule.tasks.len() {
            schedule.enqueue(i);
        }
        schedule
    }

    /// Puts a task among those that can start, if it can; one of a group, only if it is the group's turn.
    fn enqueue(&mut self, i: usize) {
        let can_start = self.tasks[i].state == State::Waiting && self.missing[i] == 0;
        if can_start && !self.held_by_group(i) {
            self.ready.insert(self.rank(i));
        }
    }

    /// What is urgent first, then seeds, then the longest path, then the order of the list.
    fn rank(&self, i: usize) -> Rank {
        let task = &self.tasks[i];
        let path = u64::MAX - (task.path_seconds.max(0.0) * 1000.0) as u64;
        (!self.urgent.contains(&i), task.seed, path, i)
    }

    /// These tasks go before all others, and what they wait for with them.
    pub fn hurry(&mut self, tasks: impl IntoIterator<Item = usize>) {
        let mut left: Vec<usize> = tasks.into_iter().collect();
        while let Some(i) = left.pop() {
            if !self.urgent.contains(&i) {
                let was_ready = self.ready.remove(&self.rank(i));
                self.urgent.insert(i);
                if was_ready {
                    self.ready.insert(self.rank(i));
                }
                left.extend(&self.tasks[i].inputs);
            }
        }
    }

    /// The state of a task.
    pub fn state(&self, task: usize) -> State {
        self.tasks[task].state
    }

    /// The one way from state to state.
    fn set(&mut self, task: usize, state: State) {
        self.ready.remove(&self.rank(task));
        let old = std::mem::replace(&mut self.tasks[task].state, state);
        let class = self.tasks[task].class;
        *self.counts.entry((class, old)).or_default() -= 1;
        *self.counts.entry((class, state)).or_default() += 1;
        // It may be another one's turn now.
        if let Some((group, _)) = self.tasks[task].group {
            let members = &self.groups[&group];
            let turn = members.iter().find(|i| self.tasks[**i].state == State::Waiting).copied();
            // One that waits again goes before those behind it.
            let others = members.iter().filter(|i| Some(**i) != turn);
            for rank in others.map(|i| self.rank(*i)).collect::<Vec<_>>() {
                self.ready.remove(&rank);
            }
            turn.into_iter().for_each(|i| self.enqueue(i));
        }
    }

    /// Starts a task that can start.
    pub fn start(&mut self, task: usize) {
        self.set(task, State::Running);
    }

    /// The tasks that can start now, in the order in which they should.
    pub fn ready(&self) -> impl Iterator<Item = usize> {
        self.ready.iter().map(|(.., i)| *i)
    }

    /// How many tasks can start now.
    pub fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Whether a task can start now.
    pub fn is_ready(&self, task: usize) -> bool {
        self.ready.contains(&self.rank(task))
    }

    /// Whether a task could start now if there were a slot.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether another task of the group runs, or should run before.
    fn held_by_group(&self, i: usize) -> bool {
        let Some((group, _)) = self.tasks[i].group else { return false };
        let members = &self.groups[&group];
        let at_work = |j: &usize| matches!(self.tasks[*j].state, State::Running | State::Elsewhere);
        let first = members.iter().find(|j| self.tasks[**j].state == State::Waiting);
        members.iter().any(at_work) || first != Some(&i)
    }

    /// A task that was to start waits again: there was no slot after all.
    pub fn put_back(&mut self, task: usize) {
        self.set(task, State::Waiting);
        self.enqueue(task);
    }

    /// A task that was to start is another coordinator's.
    pub fn elsewhere(&mut self, task: usize) {
        self.set(task, State::Elsewhere);
    }

    /// The tasks that other coordinators work on.
    pub fn tasks_elsewhere(&self) -> Vec<usize> {
        if self.count(State::Elsewhere) == 0 {
            return vec![];
        }
        (0..self.tasks.len()).filter(|i| self.tasks[*i].state == State::Elsewhere).collect()
    }

    /// A task is finished: its users may start.
    pub fn done(&mut self, task: usize) {
        self.set(task, State::Done);
        for user in self.users[task].clone() {
            self.missing[user] -= 1;
            self.enqueue(user);
        }
    }

    /// A task failed: it waits for another try, or it and everything behind it is over.
    pub fn failed(&mut self, task: usize, try_again: bool) {
        if try_again {
            return self.put_back(task);
        }
        self.set(task, State::Failed);
        self.block(self.users[task].clone());
    }

    /// A task that waits is not started in this schedule, nor what lies behind it.
    pub fn leave_out(&mut self, task: usize) {
        self.block(vec![task]);
    }

    fn block(&mut self, mut left: Vec<usize>) {
        while let Some(i) = left.pop() {
            if self.tasks[i].state == State::Waiting {
                self.set(i, State::Blocked);
                left.extend(&self.users[i]);
            }
        }
    }

    /// A task stopped as asked; it does not start again in this schedule.
    pub fn stopped(&mut self, task: usize) {
        self.set(task, State::Stopped);
    }

    /// Whether nothing runs, here or elsewhere, and nothing can start.
    pub fn is_over(&self) -> bool {
        let at_work = self.count(State::Running) + self.count(State::Elsewhere);
        self.ready.is_empty() && at_work == 0
    }

    /// How many tasks are in a state.
    pub fn count(&self, state: State) -> usize {
        self.counts.iter().filter(|((_, of), _)| *of == state).map(|(_, n)| n).sum()
    }

    /// How many tasks of a class are in a state.
    pub fn count_of(&self, class: u8, state: State) -> usize {
        self.counts.get(&(class, state)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts as many tasks as can start, at most `free`.
    fn start(schedule: &mut Schedule, free: usize) -> Vec<usize> {
        let mut started = vec![];
        while started.len() < free {
            let Some(task) = schedule.ready().next() else { break };
            schedule.start(task);
            started.push(task);
        }
        started
    }

    fn task(inputs: &[usize]) -> Task {
        Task {
            inputs: inputs.to_vec(),
            path_seconds: 1.0,
            seed: 0,
            class: 0,
            group: None,
            state: State::Waiting,
        }
    }

    #[test]
    fn a_task_starts_after_its_inputs_and_within_the_slots() {
        let mut schedule = Schedule::new(vec![task(&[]), task(&[0]), task(&[0]), task(&[1, 2])]);
        assert_eq!(start(&mut schedule, 8), [0]);
        schedule.done(0);
        assert_eq!(start(&mut schedule, 1), [1]);
        assert_eq!(start(&mut schedule, 1), [2]);
        schedule.done(1);
        assert_eq!(start(&mut schedule, 2), [0; 0]);
        schedule.done(2);
        assert_eq!(start(&mut schedule, 2), [3]);
        schedule.done(3);
        assert!(schedule.is_over());
    }

    #[test]
    fn a_failure_blocks_only_what_lies_behind_it() {
        let mut schedule = Schedule::new(vec![task(&[]), task(&[0]), task(&[1]), task(&[])]);
        start(&mut schedule, 2);
        schedule.failed(0, false);
        let states: Vec<State> = (0..4).map(|i| schedule.state(i)).collect();
        assert_eq!(states, [State::Failed, State::Blocked, State::Blocked, State::Running]);
    }

    #[test]
    fn a_task_that_is_left_out_blocks_what_lies_behind_it_and_nothing_else() {
        let mut schedule = Schedule::new(vec![task(&[]), task(&[0]), task(&[])]);
        schedule.leave_out(0);
        assert_eq!(start(&mut schedule, 3), [2]);
        assert_eq!((schedule.state(0), schedule.state(1)), (State::Blocked, State::Blocked));
    }

    #[test]
    fn what_is_urgent_goes_first_with_what_it_waits_for() {
        let late = Task { seed: 3, ..task(&[]) };
        let mut schedule = Schedule::new(vec![task(&[]), late, task(&[1]), task(&[])]);
        schedule.hurry([2]);
        assert_eq!(start(&mut schedule, 1), [1]);
        schedule.done(1);
        assert_eq!(start(&mut schedule, 3), [2, 0, 3]);
    }

    #[test]
    fn low_seeds_and_long_paths_go_first() {
        let late = Task { seed: 1, path_seconds: 9.0, ..task(&[]) };
        let short = Task { path_seconds: 1.0, ..task(&[]) };
        let long = Task { path_seconds: 5.0, ..task(&[]) };
        assert_eq!(start(&mut Schedule::new(vec![late, short, long]), 3), [2, 1, 0]);
    }

    #[test]
    fn one_trajectory_runs_one_length_at_a_time_the_shorter_first() {
        let long = Task { group: Some((0, 50)), ..task(&[]) };
        let short = Task { group: Some((0, 10)), ..task(&[]) };
        let mut schedule = Schedule::new(vec![long, short]);
        assert_eq!(start(&mut schedule, 2), [1]);
        assert_eq!(start(&mut schedule, 2), [0; 0]);
        schedule.done(1);
        assert_eq!(start(&mut schedule, 2), [0]);
    }

    #[test]
    fn what_runs_elsewhere_is_waited_for_and_holds_its_trajectory() {
        let short = Task { group: Some((0, 10)), ..task(&[]) };
        let long = Task { group: Some((0, 50)), ..task(&[]) };
        let mut schedule = Schedule::new(vec![short, long, task(&[0])]);
        assert_eq!(start(&mut schedule, 3), [0]);
        schedule.elsewhere(0);
        assert!(!schedule.has_ready() && !schedule.is_over());
        assert_eq!(schedule.tasks_elsewhere(), [0]);
        schedule.done(0);
        assert_eq!(start(&mut schedule, 3), [1, 2]);
        schedule.put_back(2);
        assert_eq!((schedule.count(State::Running), schedule.has_ready()), (1, true));
    }

    /// A small generator, so that the property test needs no outside crate.
    fn next(state: &mut u64) -> usize {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    #[test]
    fn random_graphs_always_end_within_the_slots_and_after_their_inputs() {
        for seed in 0..200 {
            let mut random = seed;
            let n = 1 + next(&mut random) % 30;
            let tasks: Vec<Task> = (0..n)
                .map(|i| {
                    let inputs: Vec<usize> =
                        (0..i).filter(|_| next(&mut random).is_multiple_of(4)).collect();
                    // Lengths of a trajectory follow each other; inputs have smaller numbers.
                    let group = next(&mut random) % 5;
                    Task {
                        seed: (next(&mut random) % 3) as u64,
                        group: (group < 2).then_some((group, i as u64)),
                        ..task(&inputs)
                    }
                })
                .collect();
            let slots = 1 + next(&mut random) % 4;
            let mut schedule = Schedule::new(tasks.clone());
            let mut running: Vec<usize> = vec![];
            let mut steps = 0;
            while !schedule.is_over() {
                for i in start(&mut schedule, slots - running.len()) {
                    assert!(
                        tasks[i].inputs.iter().all(|input| schedule.state(*input) == State::Done)
                    );
                    running.push(i);
                }
                assert!(running.len() <= slots);
                let mut groups: Vec<usize> =
                    running.iter().filter_map(|i| Some(tasks[*i].group?.0)).collect();
                groups.sort_unstable();
                assert!(groups.windows(2).all(|pair| pair[0] != pair[1]), "two of a group at work");
                if next(&mut random).is_multiple_of(40) {
                    // Killed: what is done is done, all else begins anew.
                    let left = tasks.iter().enumerate().map(|(i, task)| match schedule.state(i) {
                        State::Done => Task { state: State::Done, ..task.clone() },
                        _ => task.clone(),
                    });
                    schedule = Schedule::new(left.collect());
                    running.clear();
                    continue;
                }
                let i = running.swap_remove(next(&mut random) % running.len());
                match next(&mut random) % 6 {
                    1 => schedule.put_back(i),
                    2 => {
                        schedule.elsewhere(i);
                        assert!(!schedule.is_over());
                        schedule.done(i);
                    }
                    0 => schedule.failed(i, next(&mut random).is_multiple_of(2)),
                    _ => schedule.done(i),
                }
                steps += 1;
                assert!(steps < 1000, "seed {seed} does not end");
            }
            let ends = [State::Done, State::Failed, State::Blocked];
            assert!((0..n).all(|i| ends.contains(&schedule.state(i))), "seed {seed}");
        }
    }
}
