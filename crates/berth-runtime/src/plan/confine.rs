//! The last steps before the container's own program: limits, ids, capabilities, seccomp.

use std::ffi::CString;

use oci_spec::runtime::{Capabilities, Hook, Hooks, Process};

use super::build::{Builder, c_path, c_string, invalid};
use super::{PlanError, Program, StartSignal, Step};
use crate::capability;

/// Where execvp(3) looks when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Plans the steps between the pivot and execve.
///
/// The order is the security: limits while still privileged; ids after the bounding set; the
/// seccomp filter before the capabilities go when no_new_privs does not allow it later.
pub(super) fn plan(builder: &mut Builder<'_>, process: &Process) -> Result<(), PlanError> {
    builder.init.extend(resource_limits(process)?);
    let user = process.user();
    builder.push(Step::Umask(user.umask().unwrap_or(0o022) & 0o777));
    if user.uid() != 0 && builder.setup.terminal.is_none() {
        builder.push(Step::OwnStreams { uid: user.uid() });
    }
    builder.push(Step::WorkingDirectory {
        path: c_path(process.cwd())?,
        create: true,
    });
    let Confinement { ids, last } = confine(process, builder.spec_has_seccomp());
    match builder.setup.start {
        StartSignal::Stage => {
            builder.push(Step::AwaitStart);
            builder.init.extend(ids);
        }
        // All that can fail has failed by then; what waits has given up its ids already. Filter
        // and capabilities follow the wait, so that no filter can forbid the waiting itself.
        StartSignal::Socket => {
            builder.init.extend(ids);
            builder.push(Step::FindProgram);
            builder.push(Step::AwaitStartCommand);
            if builder.has_hooks(Hooks::start_container) {
                builder.push(Step::StartContainerHooks);
            }
        }
    }
    builder.init.extend(last);
    Ok(())
}

/// The resource limits of a process.
pub(crate) fn resource_limits(process: &Process) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        let name = limit.typ().to_string();
        let resource = capability::resource_number(&name)
            .ok_or_else(|| invalid(&format!("unknown resource limit {name:?}")))?;
        if limit.soft() > limit.hard() {
            return Err(invalid(&format!(
                "the soft limit {name} is above the hard one"
            )));
        }
        let (soft, hard) = (limit.soft(), limit.hard());
        steps.push(Step::ResourceLimit {
            resource,
            name: c_string(&name)?,
            soft,
            hard,
        });
    }
    Ok(steps)
}

/// Giving up privilege, in two halves between which a container can wait for its start.
pub(crate) struct Confinement {
    /// no_new_privs, the bounding set, ids.
    pub(crate) ids: Vec<Step>,
    /// The seccomp filter and the capabilities.
    pub(crate) last: Vec<Step>,
}

impl Confinement {
    /// Both halves in order.
    pub(crate) fn steps(self) -> impl Iterator<Item = Step> {
        self.ids.into_iter().chain(self.last)
    }
}

/// Ids, capabilities, no_new_privs and seccomp of one process; used for exec sessions too.
///
/// Without no_new_privs the filter needs CAP_SYS_ADMIN, so it is loaded before the capabilities
/// go; with it, last of all, so that it may forbid everything that we do ourselves.
pub(crate) fn confine(process: &Process, seccomp: bool) -> Confinement {
    let mut ids = Vec::with_capacity(3);
    let locked = process.no_new_privileges().unwrap_or(false);
    if locked {
        ids.push(Step::NoNewPrivileges);
    }
    let sets = process.capabilities().as_ref();
    let bits = |set: Option<&Option<Capabilities>>| capability::bits(set.and_then(Option::as_ref));
    let bounding = bits(sets.map(|s| s.bounding()));
    ids.push(Step::DropBounding { keep: bounding });
    let user = process.user();
    ids.push(Step::SetIds {
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
    });
    let mut last = Vec::with_capacity(2);
    if seccomp && !locked {
        last.push(Step::Seccomp);
    }
    last.push(Step::SetCapabilities {
        effective: bits(sets.map(|s| s.effective())),
        permitted: bits(sets.map(|s| s.permitted())),
        // Inheritable stays empty (CVE-2022-24769), and without it nothing can be ambient.
        ambient: 0,
    });
    if locked && seccomp {
        last.push(Step::Seccomp);
    }
    Confinement { ids, last }
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
    let env = process.env().clone().unwrap_or_default();
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

impl Builder<'_> {
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
