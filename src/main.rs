//! The `ablate` program: one subcommand a file in [`ablate::commands`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ablate::commands::main()
}
