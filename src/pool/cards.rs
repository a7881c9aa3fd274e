//! The GPUs of this machine and who uses them, as NVIDIA's management library tells it.

use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device as Handle, Nvml};
use std::fs;
use std::sync::OnceLock;

/// A GPU, or a MIG part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its number in the order of the bus; of a MIG part, that of its GPU.
    pub index: u32,
    /// `GPU-…` or `MIG-…`.
    pub uuid: String,
    /// Its model.
    pub model: String,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes that are taken.
    pub used: u64,
    /// The processes that compute there, with the bytes that each has taken, where that is told.
    pub processes: Vec<(u32, Option<u64>)>,
}

fn nvml() -> Option<&'static Nvml> {
    static NVML: OnceLock<Option<Nvml>> = OnceLock::new();
    // Without a driver there is no such library, and so no GPU to use.
    NVML.get_or_init(|| Nvml::init().ok()).as_ref()
}

/// All GPUs as they are now; in place of one that is divided, its parts.
pub fn cards() -> Vec<Card> {
    let Some(nvml) = nvml() else { return vec![] };
    let all = 0..nvml.device_count().unwrap_or(0);
    all.filter_map(|index| nvml.device_by_index(index).ok().map(|handle| (index, handle)))
        .flat_map(|(index, handle)| {
            let parts = parts(&handle);
            if parts.is_empty() {
                vec![(index, handle)]
            } else {
                parts.into_iter().map(|part| (index, part)).collect()
            }
        })
        .filter_map(|(index, handle)| card(index, &handle))
        .collect()
}

fn parts<'n>(handle: &Handle<'n>) -> Vec<Handle<'n>> {
    let count = handle.mig_device_count().unwrap_or(0);
    (0..count).filter_map(|i| handle.mig_device_by_index(i).ok()).collect()
}

fn card(index: u32, handle: &Handle<'_>) -> Option<Card> {
    let memory = handle.memory_info().ok()?;
    let processes = handle.running_compute_processes().unwrap_or_default();
    let taken = |memory: &UsedGpuMemory| match memory {
        UsedGpuMemory::Used(bytes) => Some(*bytes),
        UsedGpuMemory::Unavailable => None,
    };
    Some(Card {
        index,
        uuid: handle.uuid().ok()?,
        model: handle.name().unwrap_or_else(|_| "GPU".to_owned()),
        memory: memory.total,
        used: memory.used,
        processes: processes.iter().map(|p| (p.pid, taken(&p.used_gpu_memory))).collect(),
    })
}

impl Card {
    /// Whether it is a part of a GPU.
    pub fn is_part(&self) -> bool {
        self.uuid.starts_with("MIG-")
    }

    /// The processes that are none of `ours`. Driver and container may count processes differently: then all
    /// are somebody else's.
    pub fn others(&self, ours: &[u32]) -> Vec<u32> {
        self.processes.iter().map(|(pid, _)| *pid).filter(|pid| !ours.contains(pid)).collect()
    }

    /// Bytes that a process has taken.
    pub fn taken_by(&self, pid: u32) -> Option<u64> {
        self.processes.iter().find(|(p, _)| *p == pid)?.1
    }
}

/// The name of a program that runs, for people.
pub fn program(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim().is_empty() { format!("process {pid}") } else { name.trim().to_owned() }
}
