//! The `ablate-worker` program: runs one job after another until its input closes, or the one job
//! named on its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    ablate_worker::serve::main()
}
