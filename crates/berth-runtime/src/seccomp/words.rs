//! The words of a profile in libseccomp's and the kernel's terms: actions, flags, architectures,
//! conditions. What is wrong is said with the path of its field.

use std::str::FromStr as _;

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp};
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};

use super::error::SeccompError;

/// Flags of SECCOMP_SET_MODE_FILTER (seccomp(2)).
pub(super) const FLAG_LOG: u64 = 1 << 1;
pub(super) const FLAG_SPEC_ALLOW: u64 = 1 << 2;
pub(super) const FLAG_NEW_LISTENER: u64 = 1 << 3;
pub(super) const FLAG_WAIT_KILLABLE_RECV: u64 = 1 << 5;

/// EPERM, where a profile names no errno (runtime-spec, config-linux, "Seccomp").
const DEFAULT_ERRNO: u32 = 1;
/// The greatest errno that libseccomp takes, one less than the kernel's MAX_ERRNO.
const ERRNO_MAX: u16 = 4094;

/// The path of a rule in the spec.
pub(super) fn rule_path(index: usize) -> String {
    format!("linux.seccomp.syscalls[{index}]")
}

/// The flags for seccomp(2), after the checks on everything that a listener needs.
pub(super) fn flags_of(profile: &LinuxSeccomp) -> Result<u64, SeccompError> {
    let mut bits = listener(profile)?;
    let Some(flags) = profile.flags() else {
        return Ok(bits | FLAG_SPEC_ALLOW);
    };
    for (index, flag) in flags.iter().enumerate() {
        bits |= match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => FLAG_LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
            // The filter is loaded by a process with one thread.
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => {
                if bits & FLAG_NEW_LISTENER == 0 {
                    return Err(SeccompError::Invalid {
                        what: format!(
                            "linux.seccomp.flags[{index}]: \
                             SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with \
                             SCMP_ACT_NOTIFY"
                        ),
                    });
                }
                FLAG_WAIT_KILLABLE_RECV
            }
        };
    }
    Ok(bits)
}

/// [`FLAG_NEW_LISTENER`] where a rule notifies; refuses what no listener could answer.
fn listener(profile: &LinuxSeccomp) -> Result<u64, SeccompError> {
    let invalid = |what| Err(SeccompError::Invalid { what });
    let has_path = profile
        .listener_path()
        .as_ref()
        .is_some_and(|path| !path.as_os_str().is_empty());
    let has_metadata = profile
        .listener_metadata()
        .as_ref()
        .is_some_and(|text| !text.is_empty());
    if has_metadata && !has_path {
        return invalid("linux.seccomp.listenerMetadata is given without listenerPath".to_owned());
    }
    if profile.default_action() == LinuxSeccompAction::ScmpActNotify {
        return invalid(
            "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action; whoever \
             hands the listener over would wait for it"
                .to_owned(),
        );
    }
    let rules = profile.syscalls().iter().flatten().enumerate();
    let mut notifying =
        rules.filter(|(_, rule)| rule.action() == LinuxSeccompAction::ScmpActNotify);
    let Some((first, _)) = notifying.clone().next() else {
        return Ok(0);
    };
    if !has_path {
        return invalid(format!(
            "{}.action: SCMP_ACT_NOTIFY needs linux.seccomp.listenerPath",
            rule_path(first)
        ));
    }
    // As in runc, whose listener's number leaves the container's process by write(2).
    if let Some((index, _)) = notifying.find(|(_, rule)| names(rule, "write")) {
        return invalid(format!(
            "{}.names: SCMP_ACT_NOTIFY cannot be used for the write syscall",
            rule_path(index)
        ));
    }
    Ok(FLAG_NEW_LISTENER)
}

fn names(rule: &LinuxSyscall, call: &str) -> bool {
    rule.names().iter().any(|name| name == call)
}

/// The native architecture, then those of the profile, each once.
pub(super) fn architectures(profile: &LinuxSeccomp) -> Result<Vec<ScmpArch>, SeccompError> {
    let mut list = vec![ScmpArch::native()];
    for (index, arch) in profile.architectures().iter().flatten().enumerate() {
        let arch =
            ScmpArch::from_str(&arch.to_string()).map_err(|source| SeccompError::Unsupported {
                what: format!("linux.seccomp.architectures[{index}]: {arch} ({source})"),
                remedy: "remove it from the architectures",
            })?;
        if arch != ScmpArch::Native && !list.contains(&arch) {
            list.push(arch);
        }
    }
    Ok(list)
}

/// An action with its errno. `fields` are the paths of both.
pub(super) fn action(
    action: LinuxSeccompAction,
    errno: Option<u32>,
    fields: (&str, &str),
) -> Result<ScmpAction, SeccompError> {
    let takes_errno = matches!(
        action,
        LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace
    );
    let (_, field) = fields;
    if let Some(errno) = errno.filter(|_| !takes_errno) {
        return Err(SeccompError::Invalid {
            what: format!("{field}: {action} takes no errno, but {errno} is given"),
        });
    }
    let errno = errno.unwrap_or(DEFAULT_ERRNO);
    let most = if action == LinuxSeccompAction::ScmpActErrno {
        ERRNO_MAX
    } else {
        u16::MAX
    };
    let value = u16::try_from(errno)
        .ok()
        .filter(|value| *value <= most)
        .ok_or_else(|| SeccompError::Invalid {
            what: format!("{field}: {errno} is more than {most}"),
        })?;
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => {
            ScmpAction::KillThread
        }
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(i32::from(value)),
        LinuxSeccompAction::ScmpActTrace => ScmpAction::Trace(value),
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActNotify => ScmpAction::Notify,
    })
}

/// One condition of a rule; `rule` is the rule's path.
pub(super) fn condition(
    (at, arg): (usize, &LinuxSeccompArg),
    rule: &str,
) -> Result<ScmpArgCompare, SeccompError> {
    let index = u32::try_from(arg.index())
        .ok()
        .filter(|index| *index < 6)
        .ok_or_else(|| SeccompError::Invalid {
            what: format!(
                "{rule}.args[{at}].index: a system call has no argument {}",
                arg.index()
            ),
        })?;
    let (operator, value) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (ScmpCompareOp::NotEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (ScmpCompareOp::Less, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (ScmpCompareOp::Equal, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (ScmpCompareOp::Greater, arg.value()),
        // The first value is the mask, the second what is left after it.
        LinuxSeccompOperator::ScmpCmpMaskedEq => (
            ScmpCompareOp::MaskedEqual(arg.value()),
            arg.value_two().unwrap_or(0),
        ),
    };
    Ok(ScmpArgCompare::new(index, operator, value))
}
