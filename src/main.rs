//! The `ablate` program: one subcommand a file in [`ablate::commands`].

use std::process::ExitCode;

/// Planning makes and drops millions of small values on all cores, at which the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ablate::commands::main()
}
