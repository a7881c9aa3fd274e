//! The slots of this machine: its GPUs, or else its cores, one thread each.

use nvml_wrapper::Nvml;

/// Something a job can run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Name of the slot on this machine, the same for every coordinator: `core-0`, `gpu-0`.
    pub slot: String,
    /// `cpu` or `cuda:0`, as a worker knows it.
    pub name: String,
    /// Its model, for people.
    pub model: String,
    /// Threads of one job there.
    pub threads: u32,
    /// `CUDA_VISIBLE_DEVICES` of its worker, for a GPU.
    pub visible: Option<String>,
}

impl Device {
    /// The word for its kind in histories: `cpu`, or the model of a GPU.
    pub fn word(&self) -> &str {
        if self.name == "cpu" { "cpu" } else { &self.model }
    }
}

/// The devices to use. `inherited` is the caller's `CUDA_VISIBLE_DEVICES`: only what it names is taken.
pub fn devices(inherited: Option<&str>, cores: usize) -> Vec<Device> {
    let gpus = gpus(inherited);
    if !gpus.is_empty() {
        return gpus;
    }
    let core = |i| Device {
        slot: format!("core-{i}"),
        name: "cpu".into(),
        model: format!("one of {cores} cores"),
        threads: 1,
        visible: None,
    };
    (0..cores.max(1)).map(core).collect()
}

fn gpus(inherited: Option<&str>) -> Vec<Device> {
    // Without a driver there is no NVML, and so no GPU to use.
    let Ok(nvml) = Nvml::init() else { return vec![] };
    let count = nvml.device_count().unwrap_or(0);
    let allowed: Vec<String> = match inherited {
        Some(list) => {
            list.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect()
        }
        None => (0..count).map(|i| i.to_string()).collect(),
    };
    let model = |id: &str| {
        let device = id.parse().ok().and_then(|i: u32| nvml.device_by_index(i).ok());
        device.or_else(|| nvml.device_by_uuid(id).ok()).and_then(|d| d.name().ok())
    };
    // Each worker sees its GPU alone, and so calls it number 0.
    let gpu = |id: String| {
        let slot = format!("gpu-{id}");
        let model = model(&id)?;
        Some(Device { slot, name: "cuda:0".into(), model, threads: 1, visible: Some(id) })
    };
    allowed.into_iter().filter_map(gpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_gpus_every_core_is_a_slot_of_one_thread() {
        if Nvml::init().is_ok() {
            return;
        }
        let slots = devices(None, 3);
        assert_eq!(slots.len(), 3);
        assert!(slots.iter().all(|slot| slot.name == "cpu" && slot.threads == 1));
    }
}
