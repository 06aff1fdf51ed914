//! `berth system doctor`: what of the host is there, what is missing, what that costs, and what to do.
//!
//! Looks, and tries in children of its own where looking does not tell; changes nothing.

mod cgroups;
mod finding;
mod firewall;
mod ids;
mod kernel;
mod network;
pub(in crate::cli) mod probe;
mod storage;
mod sysctl;

use clap::Args;
use serde_json::json;

use crate::cli::failure::EXIT_FAILURE;
use crate::cli::{Context, Outcome};
use finding::{Finding, State};

/// Tell what of this host is missing for containers, and the remedy.
///
/// Each line is ok, a warning (something is slower, smaller or absent) or missing (containers do not
/// run without). Nothing is changed. The exit code is 1 where something is missing.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Doctor {
    /// A list of objects: area, name, state, found, costs, remedy
    #[arg(long)]
    json: bool,
    /// Leave out what is in order
    #[arg(short, long)]
    quiet: bool,
}

/// Who asks, and about which folders.
pub(super) struct Patient<'a> {
    pub(super) context: &'a Context,
    pub(super) is_root: bool,
}

impl Doctor {
    pub(in crate::cli) fn execute(&self, context: &mut Context) -> Outcome {
        let findings: Vec<Finding> = {
            let patient = Patient {
                context,
                is_root: rustix::process::geteuid().is_root(),
            };
            let areas: [fn(&Patient<'_>) -> Vec<Finding>; 7] = [
                kernel::look,
                cgroups::look,
                ids::look,
                network::look,
                firewall::look,
                sysctl::look,
                storage::look,
            ];
            areas.iter().flat_map(|look| look(&patient)).collect()
        };
        let has = |state| findings.iter().filter(|f| f.state == state).count();
        let (warnings, missing) = (has(State::Warning), has(State::Missing));
        let shown = findings
            .iter()
            .filter(|finding| !self.quiet || finding.state != State::Ok);
        if self.json {
            let list: Vec<_> = shown.map(Finding::json).collect();
            context.out.document(&json!(list))?;
        } else {
            let mut area = "";
            for finding in shown {
                if finding.area != area {
                    area = finding.area;
                    context.out.line(area)?;
                }
                context.out.text(&finding.text())?;
            }
            let sum = format!("{warnings} to think about, {missing} missing");
            context.out.line(&sum)?;
        }
        Ok(match missing {
            0 => 0,
            _ => EXIT_FAILURE,
        })
    }
}
