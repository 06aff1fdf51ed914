//! `berth enter`: a command in the namespaces of any process, as nsenter(1) does it, by pidfd.
//!
//! Unlike `berth exec` it needs nothing of an engine: it works for every container of everybody,
//! and for none. What is entered is all that changes: no seccomp filter, no capability and no
//! limit of the container is taken over.

mod join;
mod program;
mod target;

use berth_base::NamespaceKind;
use berth_runtime::oci::shield;
use clap::{ArgAction, Args};

use super::failure::Failure;
use super::flags::environment;
use super::parse::env::{EnvRequest, env};
use super::pid::sources;
use super::{Context, Outcome};
use join::Ids;
use program::Program;
use target::Target;

/// Run a command in the namespaces of a process.
///
/// Enters every namespace of the process that differs from yours, with its root and working
/// directory, or those of --ns alone. In a user namespace you become its uid 0. The command keeps
/// your environment, capabilities and limits, and stays in your cgroups: "berth exec" confines it
/// as the container is.
#[derive(Args, Debug)]
#[command(
    override_usage = "berth enter [OPTIONS] PID|CONTAINER [OPTIONS] [COMMAND [ARG...]]",
    args_override_self = true
)]
#[command(after_help = "Examples:
  berth enter 31995                      your shell, in all namespaces of a process
  berth enter --ns net web ss -tlnp      your programs, in web's network
  berth enter docker/web ps -ef          a container of another engine
  berth enter web:7 cat /proc/self/maps  PID 7 in container web")]
pub(crate) struct Enter {
    /// Only these: mnt, net, ipc, user, pid, uts, cgroup, time, separated by commas
    #[arg(long = "ns", value_name = "LIST", value_delimiter = ',', value_parser = kind)]
    namespaces: Vec<NamespaceKind>,
    /// Sit in the cgroups of the process as well
    #[arg(long)]
    cgroup: bool,
    /// Keep uid, gid and groups in a user namespace
    #[arg(long)]
    preserve_credentials: bool,
    /// Environment variable, KEY=VALUE, or KEY for your own value
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = env, allow_hyphen_values = true)]
    env: Vec<EnvRequest>,
    /// A host PID, CONTAINER:PID, or CONTAINER for its first process; others' as docker/web
    #[arg(value_name = "PID")]
    process: String,
    /// The command and its arguments, in which nothing is a flag of ours; your shell when absent
    #[arg(value_name = "COMMAND", trailing_var_arg = true, action = ArgAction::Append)]
    command: Vec<String>,
}

/// Accepts a kind of namespace.
fn kind(text: &str) -> Result<NamespaceKind, super::parse::Rejected> {
    let mut kinds = NamespaceKind::ALL.into_iter();
    kinds.find(|kind| kind.as_str() == text).ok_or_else(|| {
        super::parse::Rejected::new("a namespace is mnt, net, ipc, user, pid, uts, cgroup or time")
    })
}

impl Enter {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        // What enters, and what a script there names as its interpreter, is this program: nothing
        // inside is to find it on a writable mount (CVE-2019-5736).
        shield::raise().map_err(|failure| Failure::new(failure.class, failure.message))?;
        let wanted = (!self.namespaces.is_empty()).then_some(self.namespaces.as_slice());
        let sources = sources(context)?;
        let target = Target::open(context, &sources, &self.process, wanted, self.cgroup)?;
        let inside = target.enters(NamespaceKind::Mnt);
        let program = Program::new(&self.command, environment(&[], &self.env)?, inside)?;
        let ids = match (
            self.preserve_credentials,
            target.enters(NamespaceKind::User),
        ) {
            (false, true) => Ids::BecomeRoot,
            _ => Ids::Keep,
        };
        join::run(context, &target, ids, &program)
    }
}
