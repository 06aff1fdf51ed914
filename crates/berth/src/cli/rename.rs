//! `berth rename`.

use berth_base::ContainerName;
use clap::Args;

use super::parse::container_name;
use super::{Context, Outcome};

/// Give a container another name.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Rename {
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Its new name
    #[arg(value_name = "NAME", value_parser = container_name)]
    name: ContainerName,
}

impl Rename {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let id = context.engine.resolve(&self.container)?;
        context.engine.rename(&id, &self.name)?;
        Ok(0)
    }
}
