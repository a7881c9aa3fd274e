//! Which machines of a site a node is for: pools by what nodes need, and jobs of their own for those that take long.
//! Pure.

use super::{Commands, Options, Site};
use crate::problem::Problem;
use crate::settings::table::table;
use crate::settings::{Found, Identity, Kind, Reader, Setting, Shape};
use crate::spec::Bytes;
use serde_json::{Map, Value};

table! {
    /// Other machines for some of the nodes. What is not written is as the site says.
    pub struct PoolSettings {
        #[doc = "The kinds of nodes that go there, such as [dataset, evaluate]."]
        kinds: Vec<String> = vec![];
        #[doc = "Nodes go there that ask for more GPU memory than this by `run: { memory }`."]
        above: Option<Bytes>;
        #[doc = "Options of `sbatch`, in place of those of the site."]
        sbatch: Option<Options>;
        #[doc = "How many pilots of the pool there may be at once."]
        most: Option<u64> [1.0..=10000.0];
        #[doc = "How many jobs one pilot runs at once, until it says so itself."]
        slots: Option<u64> [1.0..=1000.0];
        #[doc = "Modules that are loaded first."]
        modules: Option<Vec<String>>;
        #[doc = "Lines of shell that come before the pilot."]
        prelude: Option<String>;
        #[doc = "The devices of a pilot."]
        devices: Option<String>;
        #[doc = "Commands of another scheduler than Slurm."]
        commands: Option<Commands>;
    }
    check check_pool;
}

fn check_pool(pool: &PoolSettings, found: &Found<'_>, reader: &mut Reader) {
    if pool.kinds.is_empty() && pool.above.is_none() {
        let problem = Problem::new("a pool says which nodes it takes");
        reader.wrong::<()>(found, problem.help("`kinds: [dataset, evaluate]` or `above: 40GB`"));
    }
    for kind in pool.kinds.iter().filter(|kind| Kind::from_word(kind).is_none()) {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        let problem = Problem::new(format!("`{kind}` is no kind of node"))
            .help(format!("known are {}", crate::words::alternatives(&known)));
        reader.wrong_key(found, "kinds", problem);
    }
}

/// Pools by their names, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pools(pub Vec<(String, PoolSettings)>);

impl Setting for Pools {
    fn read(found: &Found<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(map) = found.value.as_object() else {
            let problem = Problem::new(format!("`{}` is not a map of pools", found.shown()));
            let help = "for example { cores: { kinds: [evaluate], sbatch: { partition: cpu } } }";
            return reader.wrong(found, problem.help(help));
        };
        let mut read = vec![];
        for name in map.keys() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || name == OWN || !name.chars().all(is_plain) {
                let problem = Problem::new(format!("`{name}` cannot be the name of a pool"));
                reader.wrong_key(found, name, problem.help("letters, digits and `_`"));
                continue;
            }
            let pool = found.key(name).and_then(|found| PoolSettings::read(&found, reader));
            read.extend(pool.map(|pool| (name.clone(), pool)));
        }
        Some(Self(read))
    }
    fn write(&self, identity: Identity) -> Value {
        let all = self.0.iter().map(|(name, pool)| (name.clone(), pool.write(identity)));
        Value::Object(all.collect::<Map<_, _>>())
    }
    fn shape() -> Shape {
        Shape::Free("map of pools")
    }
}

/// What the names of pilots with a job of their own node begin with.
pub const OWN: &str = "own";

/// Machines of one kind.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name; empty for what the site is without pools.
    pub name: String,
    kinds: Vec<Kind>,
    above: Option<u64>,
    /// How they are asked for.
    pub site: Site,
}

/// What a node asks of machines.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Its kind.
    pub kind: Kind,
    /// Bytes of GPU memory, if it says so.
    pub memory: Option<u64>,
    /// How long it is expected to take.
    pub seconds: Option<f64>,
    /// Whether it is to have a job of its own, if it says so.
    pub own_job: Option<bool>,
}

impl Pool {
    fn takes(&self, asked: &Request) -> bool {
        let is_kind = self.kinds.is_empty() || self.kinds.contains(&asked.kind);
        is_kind && self.above.is_none_or(|above| asked.memory.is_some_and(|bytes| bytes > above))
    }

    /// Seconds that a job may take, if its options say so.
    pub fn wall_time(&self) -> Option<f64> {
        seconds(self.site.sbatch.0.get("time").or_else(|| self.site.sbatch.0.get("t"))?)
    }
}

impl Site {
    /// The pools of a site; the first one takes what no other does.
    pub fn all_pools(&self) -> Vec<Pool> {
        let bare = Self { pools: Pools::default(), ..self.clone() };
        let own = |(name, pool): &(String, PoolSettings)| Pool {
            name: name.clone(),
            kinds: pool.kinds.iter().filter_map(|kind| Kind::from_word(kind)).collect(),
            above: pool.above.map(|bytes| bytes.0),
            site: bare.with(pool),
        };
        let all = Pool { name: String::new(), kinds: vec![], above: None, site: bare.clone() };
        std::iter::once(all).chain(self.pools.0.iter().map(own)).collect()
    }

    fn with(&self, pool: &PoolSettings) -> Self {
        let mut site = self.clone();
        let pool = pool.clone();
        site.sbatch = pool.sbatch.unwrap_or(site.sbatch);
        site.most = pool.most.unwrap_or(site.most);
        site.slots = pool.slots.unwrap_or(site.slots);
        site.modules = pool.modules.unwrap_or(site.modules);
        site.prelude = pool.prelude.or(site.prelude);
        site.devices = pool.devices.or(site.devices);
        site.commands = pool.commands.or(site.commands);
        site
    }
}

/// The class of devices of a pool, for its pilots or for jobs of one node.
pub fn class_of(pool: usize, has_own_job: bool) -> usize {
    2 * pool + usize::from(has_own_job)
}

/// The place of the pool that a class is of.
pub fn pool_of(class: usize) -> usize {
    class / 2
}

/// Whether nodes of a class get jobs of their own.
pub fn has_own_job(class: usize) -> bool {
    class % 2 == 1
}

/// The class of a node among the pools of a site.
pub fn class<'p>(pools: impl IntoIterator<Item = &'p Pool>, asked: &Request) -> usize {
    let pools: Vec<&Pool> = pools.into_iter().collect();
    let place = (1..pools.len()).find(|place| pools[*place].takes(asked)).unwrap_or(0);
    let is_long = || {
        let half = pools.get(place).and_then(|pool| pool.wall_time()).map(|time| time / 2.0);
        half.zip(asked.seconds).is_some_and(|(half, seconds)| seconds > half)
    };
    class_of(place, asked.own_job.unwrap_or_else(is_long))
}

/// A time as `sbatch --time` reads it: minutes, minutes:seconds, hours:minutes:seconds, or days before a dash with
/// hours, minutes and seconds behind it.
fn seconds(text: &str) -> Option<f64> {
    let numbers = |text: &str| -> Option<Vec<f64>> {
        text.split(':').map(|part| part.trim().parse::<u32>().ok().map(f64::from)).collect()
    };
    let sum = |parts: &[f64], units: &[f64]| {
        (parts.len() <= units.len())
            .then(|| parts.iter().zip(units).map(|(n, unit)| n * unit).sum::<f64>())
    };
    match text.split_once('-') {
        Some((days, rest)) => {
            let days = days.trim().parse::<u32>().ok().map(f64::from)?;
            Some(days * 86400.0 + sum(&numbers(rest)?, &[3600.0, 60.0, 1.0])?)
        }
        None => {
            let parts = numbers(text)?;
            sum(&parts, if parts.len() == 3 { &[3600.0, 60.0, 1.0] } else { &[60.0, 1.0] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_sbatch_reads_them() {
        for (text, want) in [
            ("90", Some(5400.0)),
            ("90:30", Some(5430.0)),
            ("4:00:00", Some(14400.0)),
            ("1-0", Some(86400.0)),
            ("2-12:30", Some(217_800.0)),
            ("1-2:3:4", Some(93_784.0)),
            ("UNLIMITED", None),
            ("1:2:3:4", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
    }

    #[test]
    fn nodes_go_to_the_first_pool_that_takes_them_and_long_ones_get_jobs_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("site.yaml");
        let text = "sbatch: { partition: gpu, time: '4:00:00' }\nslots: 2\npools:\n  cores: { kinds: [evaluate, dataset], sbatch: { partition: cpu }, slots: 8 }\n  large: { above: 40GB, sbatch: { partition: h200, time: 1-0 } }\n";
        std::fs::write(&file, text).unwrap();
        let pools = Site::read(&file).unwrap().all_pools();
        assert_eq!(pools.iter().map(|pool| pool.site.slots).collect::<Vec<_>>(), [2, 8, 2]);
        let asked = |kind, gigabytes: u64, hours: f64| {
            let memory = (gigabytes > 0).then_some(gigabytes * 1_000_000_000);
            class(&pools, &Request { kind, memory, seconds: Some(hours * 3600.0), own_job: None })
        };
        assert_eq!(asked(Kind::Train, 0, 1.0), 0);
        assert_eq!(asked(Kind::Train, 0, 2.5), 1, "over half of four hours");
        assert_eq!(asked(Kind::Train, 60, 2.5), 4);
        assert_eq!(asked(Kind::Train, 60, 13.0), 5);
        assert_eq!(asked(Kind::Evaluate, 60, 2.5), 2, "without a time nothing is long");
        let own =
            Request { kind: Kind::Evaluate, memory: None, seconds: None, own_job: Some(true) };
        assert_eq!(class(&pools, &own), 3);
    }
}
