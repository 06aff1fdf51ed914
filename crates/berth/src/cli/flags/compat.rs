//! Flags that mean nothing here and stand in many a script: accepted where they ask for what is so.

use clap::Args;

use crate::cli::parse::Rejected;

/// What is so anyway.
#[derive(Args, Debug)]
#[command(next_help_heading = "Accepted for Docker's sake")]
pub(super) struct CompatFlags {
    /// Nothing: images are checked by their digests, and no notary is asked
    #[arg(long)]
    disable_content_trust: bool,
    /// default, which is a container
    #[arg(long, value_name = "KIND", value_parser = isolation)]
    isolation: Option<()>,
    /// local, which keeps every volume
    #[arg(long, value_name = "DRIVER", value_parser = volume_driver)]
    volume_driver: Option<()>,
}

fn isolation(text: &str) -> Result<(), Rejected> {
    only(text, "default", "the others are Windows'")
}

fn volume_driver(text: &str) -> Result<(), Rejected> {
    only(text, "local", "berth has no other driver of volumes")
}

/// Takes one word, and the empty one that stands for it.
fn only(text: &str, word: &str, why: &str) -> Result<(), Rejected> {
    match text.is_empty() || text == word {
        true => Ok(()),
        false => Err(Rejected::new(format!("give {word}: {why}"))),
    }
}
