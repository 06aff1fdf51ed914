//! `berth image` and the commands that Docker has at the top: `images`, `rmi`, `tag`, `history`.

mod filter;
mod history;
mod inspect;
mod limits;
mod ls;
mod prune;
mod rm;
mod tag;

use clap::{Args, Subcommand};

use super::import::Import;
use super::load::Load;
use super::pull::Pull;
use super::push::Push;
use super::save::Save;
use super::{Context, Outcome};

pub(crate) use filter::ImageFilters;
pub(crate) use history::History;
pub(in crate::cli) use inspect::view;
pub(in crate::cli) use limits::Amount;
pub(crate) use limits::ImageSection;
pub(crate) use ls::Images;
pub(in crate::cli) use prune::{prunable, prune};
pub(crate) use rm::Rmi;
pub(crate) use tag::{Tag, new_name};

/// Look after images.
#[derive(Args, Debug)]
pub(crate) struct Image {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Subcommand, Debug)]
enum ImageCommand {
    /// List images
    #[command(visible_alias = "list")]
    Ls(Images),
    /// Show everything about images
    Inspect(inspect::Inspect),
    /// Show how an image came about
    History(History),
    /// Give an image another name
    Tag(Tag),
    /// Download images from a registry
    Pull(Pull),
    /// Upload an image to a registry
    Push(Push),
    /// Load images from an archive
    Load(Load),
    /// Write images into an archive
    Save(Save),
    /// Make an image of the tar of a root filesystem
    Import(Import),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(Rmi),
    /// Remove images that nothing uses
    Prune(prune::Prune),
}

impl Image {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        match &self.command {
            ImageCommand::Ls(command) => command.execute(context),
            ImageCommand::Inspect(command) => command.execute(context),
            ImageCommand::History(command) => command.execute(context),
            ImageCommand::Tag(command) => command.execute(context),
            ImageCommand::Pull(command) => command.execute(context),
            ImageCommand::Push(command) => command.execute(context),
            ImageCommand::Load(command) => command.execute(context),
            ImageCommand::Save(command) => command.execute(context),
            ImageCommand::Import(command) => command.execute(context),
            ImageCommand::Rm(command) => command.execute(context),
            ImageCommand::Prune(command) => command.execute(context),
        }
    }
}
