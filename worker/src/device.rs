//! Where the tensors of a job live, and what its last bits depend on.

use crate::{cuda, modes};
use ablate::job::{Arithmetic, Job};
use ablate::problem::{Problem, Result};
use tch::Device;

/// The version of libtorch that tch is made for, as its own library reports no number.
pub const LIBTORCH: &str = "2.11.0";

/// The device of a job.
///
/// # Errors
/// If the device is not known, or not there.
pub fn of(job: &Job) -> Result<Device> {
    match job.device.split_once(':') {
        None if job.device == "cpu" => Ok(Device::Cpu),
        None if job.device == "mps" => Ok(Device::Mps),
        Some(("cuda", index)) => {
            let index = index
                .parse()
                .map_err(|_| Problem::system(format!("`{}` is no device", job.device)))?;
            if !cuda::load() {
                let problem = Problem::system(format!(
                    "the job wants {}, but libtorch finds no CUDA",
                    job.device
                ));
                return Err(problem.help(
                    "install the CUDA build of libtorch, or run with CUDA_VISIBLE_DEVICES=",
                ));
            }
            Ok(Device::Cuda(index))
        }
        _ => Err(Problem::system(format!("`{}` is no device", job.device))),
    }
}

/// Sets the threads of tensor operations, for the job that begins. What is generated, drawn and measured takes the cores
/// that nobody uses.
pub fn set_threads(threads: u32) {
    tch::set_num_threads(threads.max(1) as i32);
}

/// What the bits of a job depend on, with this many threads; `exact` asks for kernels that repeat to the bit. Sets
/// libtorch up for it.
pub fn arithmetic(device: Device, threads: u32, exact: bool) -> Arithmetic {
    // On a CPU all that we use repeat.
    let exact = exact || device == Device::Cpu;
    modes::allow_tf32(false);
    modes::repeat_exactly(exact && device != Device::Cpu);
    let model = match device {
        Device::Cpu => cpu_model(),
        other => format!("{other:?}"),
    };
    Arithmetic {
        device: model,
        threads,
        libtorch: LIBTORCH.to_owned(),
        // Apple's kernels promise nothing.
        deterministic: exact && device != Device::Mps,
    }
}

/// The processor's name, as Linux tells it.
fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split(':').nth(1)).map(str::trim);
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), str::to_owned)
}
