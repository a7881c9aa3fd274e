//! Tasks, slots and events → what to start now. Pure: no clock, no files, no tensors; it knows
//! numbers of tasks and which wait for which, and nothing of what they do.

use std::collections::BTreeSet;

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for inputs, or for a slot.
    Waiting,
    /// It has a slot.
    Running,
    /// It is finished.
    Done,
    /// It failed for good.
    Failed,
    /// An input failed, directly or not.
    Blocked,
    /// It was asked to stop and can go on later.
    Stopped,
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
    /// Tasks of one group never run at the same time, and the lower rank goes first.
    pub group: Option<(usize, u64)>,
    /// Its state.
    pub state: State,
}

/// All tasks and their states.
#[derive(Debug)]
pub struct Schedule {
    tasks: Vec<Task>,
    users: Vec<Vec<usize>>,
    /// Inputs that are not done yet.
    missing: Vec<usize>,
    ready: BTreeSet<(u64, u64, usize)>,
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
        let mut schedule = Self { tasks, users, missing, ready: BTreeSet::new() };
        for i in 0..schedule.tasks.len() {
            schedule.enqueue(i);
        }
        schedule
    }

    fn enqueue(&mut self, i: usize) {
        if self.tasks[i].state == State::Waiting && self.missing[i] == 0 {
            self.ready.insert(self.rank(i));
        }
    }

    /// Seeds first, then the longest path, then the order of the list.
    fn rank(&self, i: usize) -> (u64, u64, usize) {
        let task = &self.tasks[i];
        (task.seed, u64::MAX - (task.path_seconds.max(0.0) * 1000.0) as u64, i)
    }

    /// The state of a task.
    pub fn state(&self, task: usize) -> State {
        self.tasks[task].state
    }

    /// Takes at most `free` tasks that can start now, in the order in which they should; they count as running.
    pub fn start(&mut self, free: usize) -> Vec<usize> {
        let mut started = vec![];
        for rank @ (_, _, i) in self.ready.clone() {
            if started.len() == free {
                break;
            }
            if self.held_by_group(i) {
                continue;
            }
            self.ready.remove(&rank);
            self.tasks[i].state = State::Running;
            started.push(i);
        }
        started
    }

    /// Whether another task of the group runs, or should run before.
    fn held_by_group(&self, i: usize) -> bool {
        let Some((group, rank)) = self.tasks[i].group else { return false };
        self.tasks.iter().enumerate().any(|(j, other)| {
            j != i
                && other.group.is_some_and(|(g, r)| {
                    g == group
                        && (other.state == State::Running
                            || (other.state == State::Waiting && (r, j) < (rank, i)))
                })
        })
    }

    /// A task is finished: its users may start.
    pub fn done(&mut self, task: usize) {
        self.tasks[task].state = State::Done;
        for user in self.users[task].clone() {
            self.missing[user] -= 1;
            self.enqueue(user);
        }
    }

    /// A task failed: it waits for another try, or it and everything behind it is over.
    pub fn failed(&mut self, task: usize, try_again: bool) {
        if try_again {
            self.tasks[task].state = State::Waiting;
            self.enqueue(task);
            return;
        }
        self.tasks[task].state = State::Failed;
        let mut left = self.users[task].clone();
        while let Some(i) = left.pop() {
            if self.tasks[i].state == State::Waiting {
                self.tasks[i].state = State::Blocked;
                left.extend(&self.users[i]);
            }
        }
    }

    /// A task stopped as asked; it does not start again in this schedule.
    pub fn stopped(&mut self, task: usize) {
        self.tasks[task].state = State::Stopped;
    }

    /// Whether nothing runs and nothing can start.
    pub fn is_over(&self) -> bool {
        self.ready.is_empty() && self.count(State::Running) == 0
    }

    /// How many tasks are in a state.
    pub fn count(&self, state: State) -> usize {
        self.tasks.iter().filter(|task| task.state == state).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(inputs: &[usize]) -> Task {
        Task {
            inputs: inputs.to_vec(),
            path_seconds: 1.0,
            seed: 0,
            group: None,
            state: State::Waiting,
        }
    }

    #[test]
    fn a_task_starts_after_its_inputs_and_within_the_slots() {
        let mut schedule = Schedule::new(vec![task(&[]), task(&[0]), task(&[0]), task(&[1, 2])]);
        assert_eq!(schedule.start(8), [0]);
        schedule.done(0);
        assert_eq!(schedule.start(1), [1]);
        assert_eq!(schedule.start(1), [2]);
        schedule.done(1);
        assert_eq!(schedule.start(2), [0; 0]);
        schedule.done(2);
        assert_eq!(schedule.start(2), [3]);
        schedule.done(3);
        assert!(schedule.is_over());
    }

    #[test]
    fn a_failure_blocks_only_what_lies_behind_it() {
        let mut schedule = Schedule::new(vec![task(&[]), task(&[0]), task(&[1]), task(&[])]);
        schedule.start(2);
        schedule.failed(0, false);
        let states: Vec<State> = (0..4).map(|i| schedule.state(i)).collect();
        assert_eq!(states, [State::Failed, State::Blocked, State::Blocked, State::Running]);
    }

    #[test]
    fn low_seeds_and_long_paths_go_first() {
        let late = Task { seed: 1, path_seconds: 9.0, ..task(&[]) };
        let short = Task { path_seconds: 1.0, ..task(&[]) };
        let long = Task { path_seconds: 5.0, ..task(&[]) };
        assert_eq!(Schedule::new(vec![late, short, long]).start(3), [2, 1, 0]);
    }

    #[test]
    fn one_trajectory_runs_one_length_at_a_time_the_shorter_first() {
        let long = Task { group: Some((0, 50)), ..task(&[]) };
        let short = Task { group: Some((0, 10)), ..task(&[]) };
        let mut schedule = Schedule::new(vec![long, short]);
        assert_eq!(schedule.start(2), [1]);
        assert_eq!(schedule.start(2), [0; 0]);
        schedule.done(1);
        assert_eq!(schedule.start(2), [0]);
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
                    Task { seed: (next(&mut random) % 3) as u64, ..task(&inputs) }
                })
                .collect();
            let slots = 1 + next(&mut random) % 4;
            let mut schedule = Schedule::new(tasks.clone());
            let mut running: Vec<usize> = vec![];
            let mut steps = 0;
            while !schedule.is_over() {
                for i in schedule.start(slots - running.len()) {
                    assert!(
                        tasks[i].inputs.iter().all(|input| schedule.state(*input) == State::Done)
                    );
                    running.push(i);
                }
                assert!(running.len() <= slots);
                let i = running.swap_remove(next(&mut random) % running.len());
                match next(&mut random) % 5 {
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
