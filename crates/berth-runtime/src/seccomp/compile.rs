//! Compiling an OCI profile with libseccomp.
//!
//! What runc decided where the specification is silent is kept: names that libseccomp does not
//! know are skipped, rules with the default action are skipped, conditions that name one argument
//! twice are alternatives, an errno left out is EPERM, and flags left out are SPEC_ALLOW.

use std::io::{Read as _, Seek as _};
use std::str::FromStr as _;

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};

use super::error::SeccompError;
use super::prelude;

/// The longest program the kernel takes (BPF_MAXINSNS).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// Flags of SECCOMP_SET_MODE_FILTER (seccomp(2)).
const FILTER_FLAG_LOG: u64 = 1 << 1;
const FILTER_FLAG_SPEC_ALLOW: u64 = 1 << 2;

/// A program for seccomp(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledFilter {
    /// The instructions, each a `struct sock_filter` in native byte order; at most
    /// [`MAX_INSTRUCTIONS`].
    pub program: Vec<[u8; 8]>,
    /// Flags for seccomp(2): SECCOMP_FILTER_FLAG_LOG (4.14) and SPEC_ALLOW (4.17).
    pub flags: u64,
}

/// Compiles a profile.
///
/// A system call newer than any that libseccomp knows answers ENOSYS where the default action
/// would be an errno or a kill, so that programs which probe for it fall back.
pub fn compile(profile: &LinuxSeccomp) -> Result<CompiledFilter, SeccompError> {
    let flags = flags_of(profile)?;
    let default = action(
        profile.default_action(),
        profile.default_errno_ret(),
        "the default",
    )?;
    let mut context = context(profile, default)?;
    for rule in profile.syscalls().iter().flatten() {
        add(&mut context, rule, default)?;
    }
    let compiled = export(&context)?;
    let mut program = match default {
        ScmpAction::Errno(_) | ScmpAction::KillProcess | ScmpAction::KillThread => {
            prelude::unknown_calls(&architectures(profile)?)
        }
        _ => Vec::new(),
    };
    program.extend(compiled);
    if program.len() > MAX_INSTRUCTIONS {
        return Err(SeccompError::TooLong {
            instructions: program.len(),
        });
    }
    Ok(CompiledFilter { program, flags })
}

/// The flags for seccomp(2).
pub(super) fn flags_of(profile: &LinuxSeccomp) -> Result<u64, SeccompError> {
    let Some(flags) = profile.flags() else {
        return Ok(FILTER_FLAG_SPEC_ALLOW);
    };
    let mut bits = 0;
    for flag in flags {
        bits |= match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => FILTER_FLAG_LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => FILTER_FLAG_SPEC_ALLOW,
            // The filter is loaded by a process with one thread.
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => {
                return Err(SeccompError::Unsupported {
                    what: "the flag SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a listener"
                        .to_owned(),
                    remedy: "remove the flag",
                });
            }
        };
    }
    Ok(bits)
}

fn architectures(profile: &LinuxSeccomp) -> Result<Vec<ScmpArch>, SeccompError> {
    let mut list = vec![ScmpArch::native()];
    for arch in profile.architectures().iter().flatten() {
        let arch = ScmpArch::from_str(&arch.to_string())
            .map_err(|source| library(format!("architecture {arch}"), source))?;
        if arch != ScmpArch::Native && !list.contains(&arch) {
            list.push(arch);
        }
    }
    Ok(list)
}

fn context(profile: &LinuxSeccomp, default: ScmpAction) -> Result<ScmpFilterContext, SeccompError> {
    let mut context = ScmpFilterContext::new(default)
        .map_err(|source| library("the default action".to_owned(), source))?;
    for arch in architectures(profile)? {
        context
            .add_arch(arch)
            .map_err(|source| SeccompError::Unsupported {
                what: format!("libseccomp does not have the architecture {arch:?} ({source})"),
                remedy: "remove it from the architectures",
            })?;
    }
    // A binary tree instead of a chain (2.5): the kernel walks the program for every call number
    // when it is loaded, to remember which are always allowed (5.11).
    context
        .set_ctl_optimize(2)
        .map_err(|source| library("optimisation".to_owned(), source))?;
    Ok(context)
}

fn action(
    action: LinuxSeccompAction,
    errno: Option<u32>,
    place: &str,
) -> Result<ScmpAction, SeccompError> {
    let takes_errno = matches!(
        action,
        LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace
    );
    if let Some(errno) = errno.filter(|_| !takes_errno) {
        return Err(SeccompError::Invalid {
            what: format!("{place}: {action} takes no errno, but {errno} is given"),
        });
    }
    let value = u16::try_from(errno.unwrap_or(1)).map_err(|_| SeccompError::Invalid {
        what: format!(
            "{place}: errno {} is more than 65535",
            errno.unwrap_or_default()
        ),
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
        LinuxSeccompAction::ScmpActNotify => {
            return Err(SeccompError::Unsupported {
                what: format!("{place} asks for SCMP_ACT_NOTIFY, a listener outside"),
                remedy: "use SCMP_ACT_ERRNO or SCMP_ACT_ALLOW",
            });
        }
    })
}

fn add(
    context: &mut ScmpFilterContext,
    rule: &LinuxSyscall,
    default: ScmpAction,
) -> Result<(), SeccompError> {
    let place = || format!("the rule for {}", rule.names().join(", "));
    if rule.names().is_empty() {
        return Err(SeccompError::Invalid {
            what: "a rule names no system call".to_owned(),
        });
    }
    let action = action(rule.action(), rule.errno_ret(), &place())?;
    if action == default {
        return Ok(());
    }
    let conditions = rule
        .args()
        .iter()
        .flatten()
        .map(|arg| condition(arg, &place))
        .collect::<Result<Vec<_>, _>>()?;
    let indices: Vec<usize> = rule
        .args()
        .iter()
        .flatten()
        .map(LinuxSeccompArg::index)
        .collect();
    for name in rule.names() {
        // Unknown: too new for this libseccomp, or of an architecture it does not have.
        let Ok(call) = ScmpSyscall::from_name(name) else {
            continue;
        };
        let added = if conditions.is_empty() {
            context.add_rule(action, call).map(drop)
        } else if has_twins(&indices) {
            conditions.iter().try_for_each(|condition| {
                context
                    .add_rule_conditional(action, call, std::slice::from_ref(condition))
                    .map(drop)
            })
        } else {
            context
                .add_rule_conditional(action, call, &conditions)
                .map(drop)
        };
        added.map_err(|source| library(format!("system call {name}"), source))?;
    }
    Ok(())
}

fn has_twins(indices: &[usize]) -> bool {
    indices
        .iter()
        .enumerate()
        .any(|(at, index)| indices.iter().skip(at + 1).any(|i| i == index))
}

fn condition(
    arg: &LinuxSeccompArg,
    place: &dyn Fn() -> String,
) -> Result<ScmpArgCompare, SeccompError> {
    let index = u32::try_from(arg.index())
        .ok()
        .filter(|index| *index < 6)
        .ok_or_else(|| SeccompError::Invalid {
            what: format!("{}: a system call has no argument {}", place(), arg.index()),
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

/// Fetches the program; libseccomp 2.5 writes it to a descriptor only.
fn export(context: &ScmpFilterContext) -> Result<Vec<[u8; 8]>, SeccompError> {
    let failed = |step| move |source| SeccompError::Export { step, source };
    let memory = rustix::fs::memfd_create("seccomp", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(failed("make a memory file"))?;
    context
        .export_bpf(&memory)
        .map_err(|source| library("export".to_owned(), source))?;
    let mut file = std::fs::File::from(memory);
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
        .map_err(failed("read the memory file"))?;
    let (program, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() {
        Ok(program.to_vec())
    } else {
        Err(failed("read whole instructions")(rustix::io::Errno::IO))
    }
}

fn library(step: String, source: libseccomp::error::SeccompError) -> SeccompError {
    SeccompError::Library { step, source }
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
