//! `berth logout`.

use clap::Args;

use super::failure::Failure;
use super::{Context, Outcome, registry};

/// Log out of a registry.
#[derive(Args, Debug)]
pub(crate) struct Logout {
    /// The registry, docker.io unless told otherwise
    #[arg(value_name = "HOST[:PORT]")]
    server: Option<String>,
}

impl Logout {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let server = registry::server(self.server.as_deref())?;
        let files = registry::own_auth_files()?;
        let was_there = files.erase(&server).map_err(Failure::from)?;
        let line = match was_there {
            true => format!("Removed the login for {server}"),
            false => format!("Not logged in to {server}"),
        };
        context.out.line(&line)?;
        Ok(0)
    }
}
