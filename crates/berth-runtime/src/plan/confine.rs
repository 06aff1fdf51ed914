//! The last steps before the container's own program: limits, ids, capabilities, seccomp.

use std::ffi::CString;

use oci_spec::runtime::{Hook, Hooks, Process};

use super::build::{Builder, c_string, invalid};
use super::process::{Standing, Streams, needs_label, process_steps};
use super::{PlanError, Program, StartSignal, Step};
use crate::capability;

/// Where execvp(3) looks when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Plans the steps between the pivot and execve.
///
/// The order is the security: limits while still privileged; ids after the bounding set; the
/// seccomp filter before the capabilities go when no_new_privs does not allow it later.
pub(super) fn plan(builder: &mut Builder<'_>, process: &Process) -> Result<(), PlanError> {
    let linux = builder.spec.linux().as_ref();
    let proc = needs_label(process).then(|| builder.slot());
    if let Some(slot) = proc {
        let host = c"/proc".into();
        builder.before.push(Step::OpenHost { host, slot });
    }
    let standing = Standing {
        capabilities: builder.allowed_capabilities(),
        streams: match (builder.setup.terminal, builder.is_bundle()) {
            (Some(_), _) => Streams::Terminal,
            (None, true) => Streams::Callers,
            (None, false) => Streams::Pipes,
        },
        apparmor: builder.facts.apparmor,
        selinux: builder.facts.selinux,
        proc,
        makes_directory: true,
        joins: false,
    };
    check_limits(builder, process)?;
    let steps = process_steps(process, linux, &standing, builder.spec_has_seccomp())?;
    builder.warnings.extend(steps.warnings);
    builder.init.extend(steps.early);
    match builder.setup.start {
        StartSignal::Stage => {
            builder.push(Step::AwaitStart);
            builder.init.extend(steps.ids);
        }
        // All that can fail has failed by then; what waits has given up its ids already. Filter
        // and capabilities follow the wait, so that no filter can forbid the waiting itself.
        StartSignal::Socket => {
            builder.init.extend(steps.ids);
            builder.push(Step::FindProgram);
            builder.push(Step::AwaitStartCommand);
        }
    }
    if builder.has_hooks(Hooks::start_container) {
        builder.push(Step::StartContainerHooks);
    }
    builder.init.extend(steps.last);
    Ok(())
}

/// A bundle learns before anything is made that a limit is beyond its caller; the engine says so
/// in its own words when it is set.
fn check_limits(builder: &Builder<'_>, process: &Process) -> Result<(), PlanError> {
    if !builder.is_bundle() || builder.facts.raises_limits {
        return Ok(());
    }
    for (index, limit) in process.rlimits().iter().flatten().enumerate() {
        let name = limit.typ().to_string();
        let own = builder.facts.hard_limits.get(&name).copied();
        if limit.hard() > own.unwrap_or(u64::MAX) {
            return Err(invalid(&format!(
                "process.rlimits[{index}]: the hard limit {} of {name} is above this caller's own, {}; raising it needs CAP_SYS_RESOURCE",
                limit.hard(),
                own.unwrap_or(u64::MAX),
            )));
        }
    }
    Ok(())
}

/// The program and the places to look for it.
pub(crate) fn program(process: &Process, supervised: bool) -> Result<Program, PlanError> {
    let args = process.args().as_ref().filter(|args| !args.is_empty());
    let args = args.ok_or_else(|| invalid("the process has no arguments"))?;
    let strings = |list: &[String]| {
        list.iter()
            .map(|s| c_string(s))
            .collect::<Result<Vec<_>, _>>()
    };
    let env = without_repetitions(process.env().as_deref().unwrap_or_default());
    let path = env
        .iter()
        .rev()
        .find_map(|e| e.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    let candidates: Vec<CString> = match args.first() {
        Some(name) if name.contains('/') => vec![c_string(name)?],
        Some(name) => path
            .split(':')
            .map(|dir| if dir.is_empty() { "." } else { dir })
            .map(|dir| c_string(&format!("{}/{name}", dir.trim_end_matches('/'))))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    Ok(Program {
        candidates,
        argv: strings(args)?,
        env: strings(&env)?,
        supervised,
    })
}

/// The variables, each name once with its last value, as a shell's assignments would leave them:
/// getenv(3) would find the first.
fn without_repetitions(env: &[String]) -> Vec<String> {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<String> = env
        .iter()
        .rev()
        .filter(|variable| seen.insert(name(variable)))
        .cloned()
        .collect();
    kept.reverse();
    kept
}

impl Builder<'_> {
    /// The capabilities that a process in the container can have: root of a user namespace has
    /// all of them there, others no more than their caller.
    fn allowed_capabilities(&self) -> u64 {
        if self.has_user_namespace() {
            capability::ALL
        } else {
            self.facts.bounding
        }
    }

    /// Whether the spec has hooks at this point.
    pub(super) fn has_hooks(&self, point: fn(&Hooks) -> &Option<Vec<Hook>>) -> bool {
        let hooks = self.spec.hooks().as_ref().map(point);
        hooks.is_some_and(|list| list.iter().flatten().next().is_some())
    }

    /// Whether the spec has a seccomp profile.
    fn spec_has_seccomp(&self) -> bool {
        self.spec
            .linux()
            .as_ref()
            .is_some_and(|linux| linux.seccomp().is_some())
    }
}
