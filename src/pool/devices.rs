//! The devices of this machine that a run may use: its GPUs, or else its cores, one thread each.

use super::cards::Card;
use crate::problem::{Problem, Result};

/// Something that jobs can run on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Device {
    /// Its name on this machine, the same for every coordinator: `core-0`, `gpu-0`.
    pub slot: String,
    /// `cpu`, `cuda:0` or `mps`, as a worker knows it.
    pub name: String,
    /// Its model, for people.
    pub model: String,
    /// Threads of one job there.
    pub threads: u32,
    /// `CUDA_VISIBLE_DEVICES` of its workers, for a GPU: its UUID, which does not depend on an order.
    pub visible: Option<String>,
    /// Bytes of its memory, if jobs can share it.
    pub memory: Option<u64>,
    /// Whether it was asked for by its name, and is taken even if somebody else uses it.
    pub is_asked: bool,
}

/// How many jobs may share a GPU at most.
pub(super) const PLACES: usize = 10;

impl Device {
    /// The word for its kind in histories: `cpu`, or the model of a GPU.
    pub fn word(&self) -> &str {
        if self.name == "cpu" { "cpu" } else { &self.model }
    }

    /// How many jobs it takes at most.
    pub fn places(&self) -> usize {
        if self.memory.is_some() { PLACES } else { 1 }
    }

    fn core(i: usize, cores: usize) -> Self {
        Self {
            slot: format!("core-{i}"),
            name: "cpu".into(),
            model: format!("one of {cores} cores"),
            threads: 1,
            visible: None,
            memory: None,
            is_asked: false,
        }
    }

    /// A device of which only the model is known, until its machine is there.
    pub fn promised(model: Option<String>) -> Self {
        let core = Self::core(0, 1);
        match model {
            Some(model) => Self { slot: "own".into(), name: "cuda:0".into(), model, ..core },
            None => Self { slot: "own".into(), model: "a core".into(), ..core },
        }
    }

    /// Apple's GPU.
    fn mps() -> Self {
        let (slot, name, model) = ("mps".into(), "mps".into(), "Apple GPU".into());
        Self { slot, name, model, ..Self::core(0, 1) }
    }

    /// A worker sees its GPU alone, and so calls it number 0; of the machine's cores it has this many.
    fn card(card: &Card, threads: u32, is_asked: bool) -> Self {
        let slot = match card.is_part() {
            true => format!("mig-{}", card.uuid.trim_start_matches("MIG-").get(..8).unwrap_or("0")),
            false => format!("gpu-{}", card.index),
        };
        Self {
            slot,
            name: "cuda:0".into(),
            model: card.model.clone(),
            threads,
            visible: Some(card.uuid.clone()),
            memory: Some(card.memory),
            is_asked,
        }
    }
}

/// Threads beside a GPU, at most.
const MOST_THREADS: usize = 16;

/// One of the devices of `--devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// Every GPU that nobody else uses.
    Cards,
    /// A GPU, by its number or the beginning of its UUID.
    Card(String),
    /// So many cores, or all.
    Cores(Option<usize>),
    /// Apple's GPU.
    Mps,
}

/// Reads `cuda:0,2`, `cpu:4`, `mps`.
fn read(text: &str) -> Result<Vec<Asked>> {
    let refuse = |item: &str| {
        let problem = Problem::new(format!("`{item}` is no device"));
        problem.help("write `cuda`, `cuda:0,2`, `cuda:GPU-…`, `cpu`, `cpu:4` or `mps`")
    };
    let mut asked: Vec<Asked> = vec![];
    for item in text.split(',').map(str::trim) {
        asked.push(match (item.split_once(':').unwrap_or((item, "")), asked.last()) {
            (("cuda", ""), _) => Asked::Cards,
            (("cuda", id), _) => Asked::Card(id.to_owned()),
            (("cpu", ""), _) => Asked::Cores(None),
            (("cpu", n), _) => match n.parse() {
                Ok(n) if n > 0 => Asked::Cores(Some(n)),
                _ => return Err(refuse(item)),
            },
            (("mps", ""), _) => Asked::Mps,
            ((id, ""), Some(Asked::Card(_))) if !id.is_empty() => Asked::Card(id.to_owned()),
            _ => return Err(refuse(item)),
        });
    }
    Ok(asked)
}

/// The devices to use. `inherited` is the caller's `CUDA_VISIBLE_DEVICES`: only what it names is there;
/// `asked` is what `--devices` says.
///
/// # Errors
/// If a device that was asked for is not there.
pub fn devices(
    cards: &[Card],
    inherited: Option<&str>,
    cores: usize,
    asked: Option<&str>,
) -> Result<Vec<Device>> {
    let cards = visible(cards, inherited);
    // Of what works on cores beside a GPU, a program's own threads too, each card has an even share.
    let share = (cores / cards.len().max(1)).clamp(1, MOST_THREADS) as u32;
    let of_cards = || cards.iter().map(|card| Device::card(card, share, false));
    let of_cores = |n: usize| (0..n).map(move |i| Device::core(i, cores));
    let Some(asked) = asked else {
        return Ok(match cards.is_empty() {
            true => of_cores(cores.max(1)).collect(),
            false => of_cards().collect(),
        });
    };
    let mut devices: Vec<Device> = vec![];
    for item in read(asked)? {
        let found: Vec<Device> = match &item {
            Asked::Cards => of_cards().collect(),
            Asked::Card(id) => {
                let is_it = |card: &&Card| is_called(card, id);
                let found = cards.iter().copied().filter(is_it);
                found.map(|card| Device::card(card, share, true)).collect()
            }
            Asked::Cores(n) => of_cores(n.unwrap_or(cores.max(1))).collect(),
            Asked::Mps if cfg!(target_os = "macos") => vec![Device::mps()],
            Asked::Mps => vec![],
        };
        if found.is_empty() {
            let name = match &item {
                Asked::Card(id) => format!("cuda:{id}"),
                Asked::Mps => "mps".to_owned(),
                _ => "cuda".to_owned(),
            };
            return Err(Problem::new(format!("there is no {name} here")).help(there_are(&cards)));
        }
        devices.extend(
            found
                .into_iter()
                .filter(|d| devices.iter().all(|e| e.slot != d.slot))
                .collect::<Vec<_>>(),
        );
    }
    Ok(devices)
}

fn there_are(cards: &[&Card]) -> String {
    let names: Vec<String> =
        cards.iter().map(|card| format!("cuda:{} ({})", card.index, card.model)).collect();
    match names.is_empty() {
        true => "no GPU is visible here, only `cpu`".to_owned(),
        false => format!("there are {}, and `cpu`", names.join(", ")),
    }
}

fn is_called(card: &Card, id: &str) -> bool {
    match id.parse::<u32>() {
        Ok(index) => card.index == index,
        // As CUDA does, the beginning of a UUID is enough.
        Err(_) => !id.is_empty() && card.uuid.starts_with(id),
    }
}

/// The cards that a program sees with this `CUDA_VISIBLE_DEVICES`: as in CUDA, the list ends where it names what
/// is not there. Numbers are those of the bus.
fn visible<'c>(cards: &'c [Card], inherited: Option<&str>) -> Vec<&'c Card> {
    let Some(list) = inherited else { return cards.iter().collect() };
    let mut seen: Vec<&Card> = vec![];
    for id in list.split(',').map(str::trim) {
        let mut found = cards.iter().filter(|card| is_called(card, id)).peekable();
        if found.peek().is_none() {
            break;
        }
        seen.extend(found.filter(|card| !seen.contains(card)).collect::<Vec<_>>());
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards() -> Vec<Card> {
        let card = |index: u32, uuid: &str| Card {
            index,
            uuid: uuid.to_owned(),
            model: "NVIDIA H100".to_owned(),
            memory: 80 << 30,
            used: 0,
            processes: vec![],
        };
        vec![
            card(0, "GPU-aa11"),
            card(1, "GPU-bb22"),
            card(2, "MIG-cc333333"),
            card(2, "MIG-dd444444"),
        ]
    }

    fn slots(inherited: Option<&str>, asked: Option<&str>) -> Vec<String> {
        let found = devices(&cards(), inherited, 3, asked);
        found.map_or_else(
            |problem| vec![problem.to_string()],
            |devices| devices.into_iter().map(|device| device.slot).collect(),
        )
    }

    #[test]
    fn gpus_share_the_cores_evenly_and_have_one_at_least() {
        for (cores, threads) in [(1, 1), (4, 1), (11, 2), (1000, 16)] {
            let found = devices(&cards(), None, cores, None).unwrap();
            assert!(found.iter().all(|device| device.threads == threads), "{cores}");
        }
        let alone = devices(&cards(), Some("1"), 8, Some("cuda")).unwrap();
        assert_eq!((alone.len(), alone[0].threads), (1, 8), "of those that are visible");
    }

    #[test]
    fn without_gpus_every_core_is_a_device_of_one_thread() {
        let cores = devices(&[], None, 3, None).unwrap();
        assert_eq!(cores.len(), 3);
        assert!(cores.iter().all(|d| d.name == "cpu" && d.threads == 1 && d.places() == 1));
    }

    #[test]
    fn gpus_and_parts_of_gpus_come_before_cores_and_are_named_to_workers_by_their_uuid() {
        assert_eq!(slots(None, None), ["gpu-0", "gpu-1", "mig-cc333333", "mig-dd444444"]);
        let all = devices(&cards(), None, 3, None).unwrap();
        assert_eq!(all[1].visible.as_deref(), Some("GPU-bb22"));
        assert!(all.iter().all(|d| d.name == "cuda:0" && d.places() == PLACES && !d.is_asked));
    }

    #[test]
    fn only_what_the_caller_was_given_is_there() {
        assert_eq!(slots(Some("1"), None), ["gpu-1"]);
        assert_eq!(slots(Some("GPU-bb, 0"), None), ["gpu-1", "gpu-0"]);
        assert_eq!(slots(Some("MIG-dd444444"), None), ["mig-dd444444"]);
        assert_eq!(slots(Some("0,7,1"), None), ["gpu-0"], "as in CUDA");
        for none in ["", "-1", "NoDevFiles"] {
            assert_eq!(slots(Some(none), None), ["core-0", "core-1", "core-2"]);
        }
        assert!(slots(Some("1"), Some("cuda:0"))[0].contains("there is no cuda:0 here"));
    }

    #[test]
    fn devices_are_asked_for_by_kind_number_or_uuid() {
        assert_eq!(slots(None, Some("cuda:0,1")), ["gpu-0", "gpu-1"]);
        assert_eq!(slots(None, Some("cuda:GPU-bb")), ["gpu-1"]);
        assert_eq!(slots(None, Some("cuda:2")), ["mig-cc333333", "mig-dd444444"]);
        assert_eq!(slots(None, Some("cpu:2")), ["core-0", "core-1"]);
        assert_eq!(slots(None, Some("cuda:1,cpu:1,cuda:1")), ["gpu-1", "core-0"]);
        assert!(devices(&cards(), None, 3, Some("cuda:0")).unwrap()[0].is_asked);
        for wrong in ["gpu:0", "0", "cpu:0", "cpu:x", "cuda:0,,1", ""] {
            assert!(slots(None, Some(wrong))[0].contains("is no device"), "{wrong}");
        }
        let missing = slots(None, Some("cuda:7"));
        assert!(missing[0].contains("cuda:0 (NVIDIA H100)"), "{missing:?}");
    }
}
