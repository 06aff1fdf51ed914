//! `berth create`.

use clap::{ArgAction, Args};

use super::flags::ContainerFlags;
use super::run::CidFile;
use super::{Context, Outcome};

/// Create a container without starting it.
#[derive(Args, Debug)]
#[command(
    override_usage = "berth create [OPTIONS] IMAGE [COMMAND] [ARG...]",
    disable_help_flag = true,
    args_override_self = true
)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) container: ContainerFlags,
    /// Print help
    #[arg(long, action = ArgAction::Help, help_heading = "Options")]
    help: Option<bool>,
}

impl Create {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let options = self.container.options(false)?;
        let cidfile = CidFile::open(self.container.cidfile())?;
        super::pull::ensure(context, self.container.wanted_image())?;
        let created = context.engine.create(&options)?;
        context.warn_all(&created.warnings);
        if let Err(failure) = cidfile.write(&created.id) {
            return Err(super::run::undo(context, &created.id, failure));
        }
        context.out.line(created.id.as_str())?;
        Ok(0)
    }
}
