//! `ablate completions`: the script with which a shell completes commands and options.

use super::Done;
use clap_complete::Shell;
use std::io::Write;

/// Arguments of `ablate completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ablate completions bash > ~/.local/share/bash-completion/completions/ablate
  ablate completions zsh > ~/.zfunc/_ablate        (a folder in $fpath)
  ablate completions fish > ~/.config/fish/completions/ablate.fish")]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Done {
        let mut script = vec![];
        clap_complete::generate(self.shell, &mut super::command(), "ablate", &mut script);
        // Whoever closed the pipe has read enough.
        let _ = std::io::stdout().write_all(&script);
        Ok(0)
    }
}
