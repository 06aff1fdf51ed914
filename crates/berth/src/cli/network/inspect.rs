//! `berth network inspect`.

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::inspect::each;
use crate::cli::{Context, Outcome};
use crate::view::network;

/// Show everything about networks.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Inspect {
    /// json, or a Go template such as {{.Driver}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Networks, by name or id
    #[arg(value_name = "NETWORK", required = true)]
    networks: Vec<String>,
}

impl Inspect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        each(
            context,
            &self.networks,
            self.format.as_deref(),
            |context, name| {
                let one = context.engine.network(name).map_err(Failure::from)?;
                Ok(network::inspect(&one))
            },
        )
    }
}
