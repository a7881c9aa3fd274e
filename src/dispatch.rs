//! Which task starts next, and on which device: the order of [`crate::schedule`] within the room of
//! [`crate::rooms`]. A run and its simulation take the same decisions, because both ask here. Pure.

use crate::rooms::{Choice, Demand, Rooms};
use crate::schedule::{Schedule, State};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// How many tasks that could start are looked at for one that fits beside what runs.
const AHEAD: usize = 64;

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Start this task on one of these devices, the best one first.
    Start(usize, Vec<usize>),
    /// This task asks for more than any device has.
    TooLarge(usize),
    /// Wait until something ends.
    Wait,
}

/// The first task that can start and for which there is room. A task that fits nowhere yet keeps the emptiest
/// device that can hold it from those behind it; a class whose devices are full holds nobody else up.
pub fn next(
    schedule: &Schedule,
    rooms: &Rooms,
    class: impl Fn(usize) -> usize,
    demand: impl Fn(usize) -> Demand,
) -> Next {
    let (mut kept, mut looked) = (BTreeSet::new(), 0);
    let open = rooms.open();
    if open.is_empty() {
        return Next::Wait;
    }
    for task in schedule.ready() {
        if !open.contains(&class(task)) {
            continue;
        }
        if looked == AHEAD {
            return Next::Wait;
        }
        looked += 1;
        match rooms.choose(&demand(task), &kept) {
            Choice::Now(rooms) => return Next::Start(task, rooms),
            Choice::Later(room) => {
                kept.insert(room);
            }
            Choice::AfterAll => return Next::Wait,
            Choice::Never => return Next::TooLarge(task),
        }
    }
    Next::Wait
}

/// How a simulated attempt ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attempt {
    /// It is done after so many seconds.
    Done(f64),
    /// It fails after so many seconds, and is tried again or not.
    Fails(f64, bool),
    /// It is not started, nor what lies behind it.
    Left,
}

/// A simulated attempt that goes on.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Running {
    /// Whole microseconds, so that ends have an order.
    end: u64,
    task: usize,
    room: usize,
    /// If it fails: whether it is tried again.
    again: Option<bool>,
}

/// Runs a schedule through with a clock of its own, so many tasks at once; `attempt` says how each one goes that
/// starts at a time. Returns the time at the end, in seconds.
pub fn simulate(
    mut schedule: Schedule,
    (mut rooms, limit): (Rooms, usize),
    demand: impl Fn(usize) -> Demand,
    mut attempt: impl FnMut(usize, f64) -> Attempt,
) -> f64 {
    let mut now = 0.0;
    let mut running: BinaryHeap<Reverse<Running>> = BinaryHeap::new();
    loop {
        while running.len() < limit
            && let Next::Start(task, places) =
                next(&schedule, &rooms, |task| demand(task).class, &demand)
        {
            schedule.start(task);
            let (seconds, again) = match attempt(task, now) {
                Attempt::Done(seconds) => (seconds, None),
                Attempt::Fails(seconds, again) => (seconds, Some(again)),
                Attempt::Left => {
                    schedule.stopped(task);
                    continue;
                }
            };
            rooms.enter(places[0], &demand(task));
            let end = ((now + seconds.max(0.0)) * 1e6) as u64;
            running.push(Reverse(Running { end, task, room: places[0], again }));
        }
        let Some(Reverse(Running { end, task, room, again })) = running.pop() else { return now };
        now = end as f64 / 1e6;
        rooms.leave(room, &demand(task));
        match again {
            None => schedule.done(task),
            Some(again) => schedule.failed(task, again),
        }
        debug_assert!(schedule.state(task) != State::Running);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Company;
    use crate::rooms::{Room, WHOLE};
    use crate::schedule::Task;

    /// A small generator, so that these tests need no outside crate.
    struct Random(u64);

    impl Random {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % n
        }

        /// From 0 to 1, mostly small.
        fn share(&mut self) -> f64 {
            let x = self.below(1 << 20) as f64 / (1 << 20) as f64;
            x * x
        }
    }

    fn cores(n: usize) -> (Rooms, usize) {
        (Rooms::new((0..n).map(|_| Room::here(None))), n)
    }

    fn whole(_: usize) -> Demand {
        Demand { share: WHOLE, ..Demand::default() }
    }

    /// Seconds of the longest path from each task on.
    fn paths(inputs: &[Vec<usize>], seconds: &[f64]) -> Vec<f64> {
        let mut paths = seconds.to_vec();
        for i in (0..inputs.len()).rev() {
            for input in &inputs[i] {
                paths[*input] = paths[*input].max(seconds[*input] + paths[i]);
            }
        }
        paths
    }

    fn tasks(inputs: &[Vec<usize>], paths: &[f64], seed: impl Fn(usize) -> u64) -> Vec<Task> {
        let task = |(i, inputs): (usize, &Vec<usize>)| Task {
            inputs: inputs.clone(),
            path_seconds: paths[i],
            seed: seed(i),
            class: 0,
            group: None,
            state: State::Waiting,
        };
        inputs.iter().enumerate().map(task).collect()
    }

    /// An experiment: trainings of ten seeds, each with samplings and a measure behind every one.
    fn experiment(nodes: usize, random: &mut Random) -> (Vec<Vec<usize>>, Vec<f64>, Vec<u64>) {
        let (mut inputs, mut seconds, mut seeds) = (vec![vec![]], vec![60.0], vec![0]);
        while inputs.len() < nodes {
            let train = inputs.len();
            let seed = random.below(10) as u64;
            let mut add = |input: Vec<usize>, time: f64| {
                inputs.push(input);
                seconds.push(time);
                seeds.push(seed);
                inputs.len() - 1
            };
            add(vec![0], 600.0 + 7000.0 * random.share());
            for _ in 0..random.below(6) {
                let sample = add(vec![train], 20.0 + 300.0 * random.share());
                add(vec![sample], 1.0 + 10.0 * random.share());
            }
        }
        (inputs, seconds, seeds)
    }

    #[test]
    fn a_hundred_thousand_nodes_with_failures_end_within_five_percent_of_the_bound() {
        let mut random = Random(1);
        let (inputs, seconds, seeds) = experiment(100_000, &mut random);
        // One attempt in fifty fails, halfway on the average; none is given up.
        let tries: Vec<Vec<f64>> = seconds
            .iter()
            .map(|s| {
                let mut tries = vec![];
                while random.below(50) == 0 {
                    tries.push(s * random.share());
                }
                tries
            })
            .collect();
        let spent: Vec<f64> =
            seconds.iter().zip(&tries).map(|(s, lost)| s + lost.iter().sum::<f64>()).collect();
        let schedule = Schedule::new(tasks(&inputs, &paths(&inputs, &seconds), |i| seeds[i]));
        let mut began = vec![0; inputs.len()];
        let took = simulate(schedule, cores(64), whole, |task, _| {
            began[task] += 1;
            match tries[task].get(began[task] - 1) {
                Some(lost) => Attempt::Fails(*lost, true),
                None => Attempt::Done(seconds[task]),
            }
        });
        assert!(began.iter().zip(&tries).all(|(n, lost)| *n == lost.len() + 1), "each ran once");
        let longest = paths(&inputs, &spent).into_iter().fold(0.0, f64::max);
        let bound = longest.max(spent.iter().sum::<f64>() / 64.0);
        assert!(took >= bound - 1.0, "nothing is faster than possible: {took} s of {bound} s");
        assert!(took < 1.05 * bound, "{took} s, at least {bound} s");
    }

    #[test]
    fn a_run_takes_what_its_devices_allow() {
        // A diamond: 1 s, then 2 s and 3 s beside each other, then 1 s.
        let (inputs, seconds) = ([vec![], vec![0], vec![0], vec![1, 2]], [1.0, 2.0, 3.0, 1.0]);
        let end = |rooms, demand: fn(usize) -> Demand, first| {
            let mut tasks = tasks(&inputs, &paths(&inputs, &seconds), |_| 0);
            tasks[0].state = first;
            simulate(Schedule::new(tasks), rooms, demand, |i, _| Attempt::Done(seconds[i]))
        };
        let waiting = |n| end(cores(n), whole, State::Waiting);
        assert_eq!([waiting(1), waiting(2), waiting(64)], [7.0, 5.0, 5.0]);
        assert_eq!(end(cores(2), whole, State::Done), 4.0, "what is done takes no time");
        let gpu = |limit| (Rooms::new([Room::here(Some(100))]), limit);
        let half = |_| Demand { share: WHOLE / 2, memory: 50, ..Demand::default() };
        assert_eq!(end(gpu(8), half, State::Waiting), 5.0, "halves share a device");
        assert_eq!(end(gpu(1), half, State::Waiting), 7.0, "unless fewer may run at once");
        let large = |_| Demand { share: WHOLE / 2, memory: 51, ..Demand::default() };
        assert_eq!(end(gpu(8), large, State::Waiting), 7.0, "or their memory is too large");
    }

    #[test]
    fn a_long_chain_is_not_left_for_the_end() {
        // One chain of ten, and a hundred short tasks that could run before it.
        let mut inputs: Vec<Vec<usize>> = vec![vec![]; 100];
        inputs.extend((0..10).map(|i| if i == 0 { vec![] } else { vec![99 + i] }));
        let seconds: Vec<f64> = (0..110).map(|i| if i < 100 { 1.0 } else { 9.0 }).collect();
        let schedule = Schedule::new(tasks(&inputs, &paths(&inputs, &seconds), |_| 0));
        let took = simulate(schedule, cores(3), whole, |i, _| Attempt::Done(seconds[i]));
        assert_eq!(took, 90.0);
    }

    #[test]
    fn a_class_without_room_holds_no_other_up() {
        // A hundred tasks of a class that has no device go before one that has.
        let seconds = [1.0; 101];
        let inputs = vec![vec![]; 101];
        let schedule = Schedule::new(tasks(&inputs, &paths(&inputs, &seconds), |i| i as u64));
        let mut rooms = Rooms::new([Room { memory: None, class: 1 }]);
        let class = |i: usize| usize::from(i == 100);
        let demand = |i| Demand { class: class(i), ..whole(i) };
        assert_eq!(next(&schedule, &rooms, class, demand), Next::Start(100, vec![0]));
        rooms.add(1, Room::here(None));
        assert_eq!(next(&schedule, &rooms, class, demand), Next::Start(0, vec![1]));
        rooms.enter(1, &demand(0));
        assert_eq!(next(&schedule, &rooms, class, demand), Next::Start(100, vec![0]));
        rooms.enter(0, &demand(100));
        assert_eq!(next(&schedule, &rooms, class, demand), Next::Wait);
    }

    /// What a device holds, kept by the test itself.
    #[derive(Default, Clone, Copy)]
    struct Load {
        share: u32,
        memory: u64,
        tasks: usize,
    }

    #[test]
    fn random_demands_never_exceed_a_device_and_everything_ends() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let n = 1 + random.below(40);
            let inputs: Vec<Vec<usize>> =
                (0..n).map(|i| (0..i).filter(|_| random.below(5) == 0).collect()).collect();
            let company = [
                Company::Any,
                Company::Any,
                Company::Any,
                Company::AloneOnDevice,
                Company::AloneOnHost,
            ];
            let demands: Vec<Demand> = (0..n)
                .map(|_| Demand {
                    share: 100 * (1 + random.below(10) as u32),
                    memory: random.below(80) as u64,
                    company: company[random.below(5)],
                    class: 0,
                })
                .collect();
            let sizes: Vec<u64> =
                (0..1 + random.below(3)).map(|_| 80 + random.below(3) as u64).collect();
            let mut rooms = Rooms::new(sizes.iter().map(|size| Room::here(Some(*size))));
            let mut schedule = Schedule::new(tasks(&inputs, &vec![1.0; n], |i| i as u64 % 3));
            let mut running: Vec<(usize, usize)> = vec![];
            let mut steps = 0;
            while !schedule.is_over() {
                while let Next::Start(task, places) = next(&schedule, &rooms, |_| 0, |i| demands[i])
                {
                    assert!(inputs[task].iter().all(|input| schedule.state(*input) == State::Done));
                    let room = places[random.below(places.len())];
                    schedule.start(task);
                    rooms.enter(room, &demands[task]);
                    running.push((task, room));
                    holds(&running, &demands, &sizes);
                }
                assert!(!running.is_empty(), "seed {seed}: something waits for nothing");
                let (task, room) = running.swap_remove(random.below(running.len()));
                rooms.leave(room, &demands[task]);
                match random.below(5) {
                    0 => schedule.failed(task, true),
                    1 => schedule.put_back(task),
                    _ => schedule.done(task),
                }
                steps += 1;
                assert!(steps < 2000, "seed {seed} does not end");
            }
            assert_eq!(schedule.count(State::Done), n, "seed {seed}");
        }
    }

    /// No device holds more than it has, and who wants to be alone is.
    fn holds(running: &[(usize, usize)], demands: &[Demand], sizes: &[u64]) {
        let mut loads = vec![Load::default(); sizes.len()];
        for (task, room) in running {
            loads[*room].share += demands[*task].share;
            loads[*room].memory += demands[*task].memory;
            loads[*room].tasks += 1;
        }
        for (load, size) in loads.iter().zip(sizes) {
            assert!(load.tasks <= 1 || (load.share <= WHOLE && load.memory <= *size));
        }
        for (task, room) in running {
            match demands[*task].company {
                Company::AloneOnDevice => assert_eq!(loads[*room].tasks, 1),
                Company::AloneOnHost => assert_eq!(running.len(), 1),
                Company::Any => {}
            }
        }
    }
}
