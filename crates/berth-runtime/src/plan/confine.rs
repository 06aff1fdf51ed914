//! The last steps before the container's own program: limits, ids, capabilities, seccomp.

use std::ffi::CString;

use oci_spec::runtime::{Capabilities, Process};

use super::build::{Builder, c_path, c_string, invalid};
use super::{PlanError, Program, Step};
use crate::capability;

/// Where execvp(3) looks when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Plans the steps between the pivot and execve.
///
/// The order is the security: limits while still privileged; the seccomp filter before the
/// capabilities go when no_new_privs does not allow it later; ids after the bounding set.
pub(super) fn plan(builder: &mut Builder<'_>, process: &Process) -> Result<(), PlanError> {
    builder.init.extend(resource_limits(process)?);
    let user = process.user();
    builder.push(Step::Umask(user.umask().unwrap_or(0o022) & 0o777));
    if user.uid() != 0 && !builder.config.stdio.terminal {
        builder.push(Step::OwnStreams { uid: user.uid() });
    }
    builder.push(Step::WorkingDirectory {
        path: c_path(process.cwd())?,
        create: true,
    });
    builder.push(Step::AwaitStart);
    let steps = confine(process, builder.spec_has_seccomp())?;
    builder.init.extend(steps);
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

/// Ids, capabilities, no_new_privs and seccomp of one process; used for exec sessions too.
pub(crate) fn confine(process: &Process, seccomp: bool) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::with_capacity(8);
    let locked = process.no_new_privileges().unwrap_or(false);
    if locked {
        steps.push(Step::NoNewPrivileges);
    } else if seccomp {
        steps.push(Step::Seccomp);
    }
    let sets = process.capabilities().as_ref();
    let bits = |set: Option<&Option<Capabilities>>| capability::bits(set.and_then(Option::as_ref));
    let bounding = bits(sets.map(|s| s.bounding()));
    steps.push(Step::DropBounding { keep: bounding });
    let user = process.user();
    steps.push(Step::SetIds {
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
    });
    steps.push(Step::SetCapabilities {
        effective: bits(sets.map(|s| s.effective())),
        permitted: bits(sets.map(|s| s.permitted())),
        // Inheritable stays empty (CVE-2022-24769), and without it nothing can be ambient.
        ambient: 0,
    });
    if locked && seccomp {
        steps.push(Step::Seccomp);
    }
    Ok(steps)
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
    /// Whether the spec has a seccomp profile.
    fn spec_has_seccomp(&self) -> bool {
        self.spec
            .linux()
            .as_ref()
            .is_some_and(|linux| linux.seccomp().is_some())
    }
}
