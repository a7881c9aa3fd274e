//! Why an attempt at a node failed, and what follows from it: one row for each class. Pure.

use crate::problem::{Blame, Problem};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the sentence of a loss that is not a number contains.
pub const NOT_A_NUMBER: &str = "loss is not a number";

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The device ran out of memory.
    DeviceMemory,
    /// The host ran out of memory, or the system killed the worker for it.
    HostMemory,
    /// No space was left on the disk.
    DiskFull,
    /// The loss became NaN or infinite.
    NotANumber,
    /// The device or its driver reports a fault.
    DeviceFault,
    /// The worker ended in the middle of its work.
    WorkerDied,
    /// The worker said nothing for too long and was killed.
    Silent,
    /// The time of its job on a cluster was up before it could save.
    WallTime,
    /// The cluster took its place back for others.
    Preempted,
    /// The machine it ran on is gone or cannot be reached.
    NodeFault,
    /// Somebody cancelled its job on the cluster.
    Cancelled,
    /// The data are not what they must be.
    BadInput,
    /// Anything else: trying again would fail again.
    Bug,
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Attempts in a row that saved no progress, after which the node is given up in this run.
    pub tries: u32,
    /// Beside whom the next attempt runs.
    pub next: Company,
    /// Whether nothing more is started in this run.
    pub ends_run: bool,
}

/// Beside whom a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Company {
    /// Whatever else fits.
    #[default]
    Any,
    /// Nothing else on its device.
    AloneOnDevice,
    /// Nothing else of this run on this machine.
    AloneOnHost,
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 13] = [
        Self::DeviceMemory,
        Self::HostMemory,
        Self::DiskFull,
        Self::NotANumber,
        Self::DeviceFault,
        Self::WorkerDied,
        Self::Silent,
        Self::WallTime,
        Self::Preempted,
        Self::NodeFault,
        Self::Cancelled,
        Self::BadInput,
        Self::Bug,
    ];

    /// The word in the database and on the screen, what it means, and what follows.
    fn row(self) -> (&'static str, &'static str, Policy) {
        let tries = |tries| Policy { tries, next: Company::Any, ends_run: false };
        let alone = |next| Policy { tries: 2, next, ends_run: false };
        match self {
            Self::DeviceMemory => {
                ("device_memory", "the GPU has no memory left", alone(Company::AloneOnDevice))
            }
            Self::HostMemory => (
                "host_memory",
                "the machine has no memory left, or its system killed the worker for it",
                alone(Company::AloneOnHost),
            ),
            Self::DiskFull => {
                ("disk_full", "no space is left on the disk", Policy { ends_run: true, ..tries(1) })
            }
            Self::NotANumber => ("not_a_number", "the loss became NaN or infinite", tries(1)),
            Self::DeviceFault => {
                ("device_fault", "the GPU or its driver reports a fault", tries(3))
            }
            Self::WorkerDied => {
                ("worker_died", "the worker ended by a signal or with an exit code", tries(3))
            }
            Self::Silent => {
                ("silent", "the worker said nothing for too long and was killed", tries(2))
            }
            Self::WallTime => (
                "wall_time",
                "the time of its job on a cluster was up before it could save",
                tries(3),
            ),
            Self::Preempted => {
                ("preempted", "the cluster took its place back for others", tries(10))
            }
            Self::NodeFault => {
                ("node_fault", "the machine that it ran on is gone or cannot be reached", tries(5))
            }
            Self::Cancelled => ("cancelled", "somebody cancelled its job on the cluster", tries(2)),
            Self::BadInput => ("bad_input", "the data are not what they must be", tries(1)),
            Self::Bug => ("bug", "any other error that the worker tells of", tries(1)),
        }
    }

    /// The word in the database and on the screen.
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// What happened, in a few words.
    pub fn meaning(self) -> &'static str {
        self.row().1
    }

    /// What follows.
    pub fn policy(self) -> Policy {
        self.row().2
    }

    /// Whether trying again may help.
    pub fn may_pass(self) -> bool {
        self.policy().tries > 1
    }

    /// The class that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }

    /// The class of a failure: the user's to mend, or by its text.
    pub fn of(problem: &Problem) -> Self {
        match problem.blame {
            Blame::Usage => Self::BadInput,
            Blame::System => Self::of_text(&problem.sentence),
        }
    }

    /// The class of a failure, from its text: operating systems and libtorch tell errors by sentences.
    pub fn of_text(text: &str) -> Self {
        Self::told_by(text).unwrap_or(Self::Bug)
    }

    /// The class that a text speaks of, if it is one that texts tell.
    pub fn told_by(text: &str) -> Option<Self> {
        let sentences: [(Self, &[&str]); 5] = [
            (
                Self::DeviceMemory,
                &[
                    "CUDA out of memory",
                    "CUDA error: out of memory",
                    "MPS backend out of memory",
                    "CUBLAS_STATUS_ALLOC_FAILED",
                    "CUDNN_STATUS_ALLOC_FAILED",
                ],
            ),
            (
                Self::HostMemory,
                &[
                    "DefaultCPUAllocator",
                    "not enough memory",
                    "Cannot allocate memory",
                    "std::bad_alloc",
                    "memory allocation of",
                ],
            ),
            (Self::DiskFull, &["No space left on device", "disk is full", "Disk quota exceeded"]),
            (Self::NotANumber, &[NOT_A_NUMBER]),
            (
                Self::DeviceFault,
                &["CUDA error:", "CUDNN_STATUS_EXECUTION_FAILED", "uncorrectable ECC error"],
            ),
        ];
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        sentences.into_iter().find(|(_, words)| says(words)).map(|(class, _)| class)
    }
}

impl Policy {
    /// What follows, as the manual says it.
    pub fn words(self) -> String {
        let again = match (self.tries, self.next) {
            (1, _) => "not tried again in this run".to_owned(),
            (_, Company::AloneOnDevice) => "once more, alone on its GPU".to_owned(),
            (_, Company::AloneOnHost) => "once more, alone on the machine".to_owned(),
            (tries, Company::Any) => format!("tried up to {tries} times without progress"),
        };
        if self.ends_run { format!("{again}; nothing more is started") } else { again }
    }
}

/// What a message says apart from its numbers, so that equal failures of different nodes are seen to be equal.
pub fn gist(message: &str) -> String {
    let mut out = String::new();
    let mut chars = message.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_digit() {
            while chars.next_if(|c| c.is_ascii_hexdigit() || *c == '.').is_some() {}
            out.push('#');
        } else {
            out.push(c);
        }
    }
    out
}

/// Where a failed node lies: the axes and values of its points.
pub type Coordinates = BTreeSet<(String, String)>;

/// The failures of a run, the equal ones together.
#[derive(Debug, Default)]
pub struct Failures {
    groups: BTreeMap<(String, FailureClass, String), Group>,
}

#[derive(Debug, Default)]
struct Group {
    nodes: usize,
    /// How many of them lie at each value of each axis.
    at: BTreeMap<(String, String), usize>,
}

/// What equal failures there are when one more has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alike {
    /// How many nodes have failed alike, this one included.
    pub nodes: usize,
    /// How many of them lie at each value of an axis at which this one lies.
    pub at: Vec<((String, String), usize)>,
}

impl Failures {
    /// Notes a failure for good of a node of a declared name.
    pub fn add(
        &mut self,
        declared: &str,
        class: FailureClass,
        message: &str,
        at: &Coordinates,
    ) -> Alike {
        let group = self.groups.entry((declared.to_owned(), class, gist(message))).or_default();
        group.nodes += 1;
        let count = |coordinate: &(String, String)| {
            let n = group.at.entry(coordinate.clone()).or_default();
            *n += 1;
            (coordinate.clone(), *n)
        };
        Alike { nodes: group.nodes, at: at.iter().map(count).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_found_by_its_word() {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::from_word(class.word()), Some(class));
            let json = serde_json::to_string(&class).unwrap();
            assert_eq!(
                json,
                format!("\"{}\"", class.word()),
                "one word in events and on the screen"
            );
        }
    }

    #[test]
    fn texts_of_systems_and_libtorch_tell_the_class() {
        for (text, class) in [
            ("CUDA out of memory. Tried to allocate 2.00 GiB", FailureClass::DeviceMemory),
            ("CUDA error: out of memory", FailureClass::DeviceMemory),
            (
                "[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't",
                FailureClass::HostMemory,
            ),
            ("memory allocation of 4000000000 bytes failed", FailureClass::HostMemory),
            ("cannot write a: No space left on device (os error 28)", FailureClass::DiskFull),
            ("CUDA error: an illegal memory access was encountered", FailureClass::DeviceFault),
            ("shape mismatch", FailureClass::Bug),
        ] {
            assert_eq!(FailureClass::of_text(text), class, "{text}");
        }
    }

    #[test]
    fn failures_are_equal_if_only_their_numbers_differ() {
        assert_eq!(gist("nan at step 17 of 2.5e3"), gist("nan at step 9 of 1e5"));
        assert_ne!(gist("nan at step 17"), gist("inf at step 17"));
    }

    #[test]
    fn equal_failures_are_counted_by_the_values_at_which_they_lie() {
        let mut failures = Failures::default();
        let mut add = |rate: &str, batch: &str| {
            let word = str::to_owned;
            let at = [(word("batch"), word(batch)), (word("rate"), word(rate))];
            let alike = failures.add("net", FailureClass::NotANumber, "nan at 7", &at.into());
            (alike.nodes, alike.at.into_iter().map(|(_, n)| n).collect::<Vec<_>>())
        };
        assert_eq!(add("1", "32"), (1, vec![1, 1]));
        assert_eq!(add("1", "64"), (2, vec![1, 2]));
        assert_eq!(add("2", "64"), (3, vec![2, 1]));
    }
}
