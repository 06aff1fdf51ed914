//! `berth completion`: what a shell needs to complete our command lines.

use clap::{Args, ValueEnum};

use super::{Context, Outcome};

/// Write the completion of a shell.
///
/// bash: berth completion bash > ~/.local/share/bash-completion/completions/berth
///
/// zsh: berth completion zsh > a file _berth in a folder of $fpath
///
/// fish: berth completion fish > ~/.config/fish/completions/berth.fish
#[derive(Args, Debug)]
#[command(args_override_self = true, verbatim_doc_comment)]
pub(crate) struct Completion {
    /// bash, zsh or fish
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    shell: Shell,
    /// Accepted for Docker's sake: descriptions are never in the way
    #[arg(long)]
    no_descriptions: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let script: &[u8] = match self.shell {
            Shell::Bash => include_bytes!("berth.bash"),
            Shell::Zsh => include_bytes!("berth.zsh"),
            Shell::Fish => include_bytes!("berth.fish"),
        };
        context.out.bytes(script)?;
        Ok(0)
    }
}
