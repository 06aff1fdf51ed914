//! Compiling an OCI profile with libseccomp.
//!
//! What runc decided where the specification is silent is kept: rules with the default action are
//! skipped, conditions that name one argument twice are alternatives, an errno left out is EPERM,
//! flags left out are SPEC_ALLOW, and a name that libseccomp does not know is skipped. Not where
//! that would leave a call allowed that the profile wants stopped: this is an error.

use std::io::{Read as _, Seek as _};

use libseccomp::{ScmpAction, ScmpFilterContext, ScmpSyscall, ScmpVersion};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};

use super::error::SeccompError;
use super::prelude;
use super::shrink;
use super::words::{self, FLAG_NEW_LISTENER};

/// The longest program the kernel takes (BPF_MAXINSNS).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// With more rules than this a binary tree is worth its instructions. With none, libseccomp
/// before 2.5.5 builds a wrong one.
const RULES_WORTH_A_TREE: usize = 32;

/// A program for seccomp(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledFilter {
    /// The instructions, each a `struct sock_filter` in native byte order; at most
    /// [`MAX_INSTRUCTIONS`].
    pub program: Vec<[u8; 8]>,
    /// Flags for seccomp(2): SECCOMP_FILTER_FLAG_LOG (4.14), SPEC_ALLOW (4.17), NEW_LISTENER
    /// (5.0), WAIT_KILLABLE_RECV (5.19).
    pub flags: u64,
}

impl CompiledFilter {
    /// Whether seccomp(2) answers with the descriptor of a listener, which belongs to the agent
    /// at the profile's `listenerPath`: until that one has it, every call that the profile gives
    /// to SCMP_ACT_NOTIFY waits.
    pub const fn wants_listener(&self) -> bool {
        self.flags & FLAG_NEW_LISTENER != 0
    }
}

/// Compiles a profile.
///
/// A system call newer than any that libseccomp knows answers ENOSYS where the default action
/// would be an errno or a kill, so that programs which probe for it fall back.
pub fn compile(profile: &LinuxSeccomp) -> Result<CompiledFilter, SeccompError> {
    let flags = words::flags_of(profile)?;
    let program = shrink::shrink(unshrunk(profile)?);
    if program.len() > MAX_INSTRUCTIONS {
        return Err(SeccompError::TooLong {
            instructions: program.len(),
        });
    }
    Ok(CompiledFilter { program, flags })
}

/// The prelude, and libseccomp's program.
pub(super) fn unshrunk(profile: &LinuxSeccomp) -> Result<Vec<[u8; 8]>, SeccompError> {
    let default = words::action(
        profile.default_action(),
        profile.default_errno_ret(),
        (
            "linux.seccomp.defaultAction",
            "linux.seccomp.defaultErrnoRet",
        ),
    )?;
    let mut context = context(profile, default)?;
    for (index, rule) in profile.syscalls().iter().flatten().enumerate() {
        add(&mut context, &words::rule_path(index), rule, default)?;
    }
    let compiled = export(&context)?;
    let mut program = match default {
        ScmpAction::Errno(_) | ScmpAction::KillProcess | ScmpAction::KillThread => {
            prelude::unknown_calls(&words::architectures(profile)?)
        }
        _ => Vec::new(),
    };
    program.extend(compiled);
    Ok(program)
}

fn context(profile: &LinuxSeccomp, default: ScmpAction) -> Result<ScmpFilterContext, SeccompError> {
    let mut context = ScmpFilterContext::new(default)
        .map_err(|source| library("linux.seccomp.defaultAction".to_owned(), source))?;
    for arch in words::architectures(profile)? {
        context
            .add_arch(arch)
            .map_err(|source| SeccompError::Unsupported {
                what: format!(
                    "linux.seccomp.architectures: libseccomp does not have {arch:?} beside the \
                     native one ({source})"
                ),
                remedy: "remove it from the architectures",
            })?;
    }
    let names = profile.syscalls().iter().flatten().map(|r| r.names().len());
    if names.sum::<usize>() > RULES_WORTH_A_TREE {
        // Instead of a chain (2.5): the kernel walks the program for every call number when it is
        // loaded, to remember which are always allowed (5.11).
        context
            .set_ctl_optimize(2)
            .map_err(|source| library("optimisation".to_owned(), source))?;
    }
    Ok(context)
}

fn add(
    context: &mut ScmpFilterContext,
    path: &str,
    rule: &LinuxSyscall,
    default: ScmpAction,
) -> Result<(), SeccompError> {
    if rule.names().is_empty() {
        return Err(SeccompError::Invalid {
            what: format!("{path}.names is empty"),
        });
    }
    let fields = (format!("{path}.action"), format!("{path}.errnoRet"));
    let action = words::action(rule.action(), rule.errno_ret(), (&fields.0, &fields.1))?;
    let args = rule.args().as_deref().unwrap_or_default();
    let conditions = args
        .iter()
        .enumerate()
        .map(|arg| words::condition(arg, path))
        .collect::<Result<Vec<_>, _>>()?;
    let has_twins = has_twins(args);
    for (at, name) in rule.names().iter().enumerate() {
        check_name(name, &format!("{path}.names[{at}]"))?;
        if action == default {
            continue;
        }
        // Unknown: too new for this libseccomp, or of an architecture it does not have.
        let Ok(call) = ScmpSyscall::from_name(name) else {
            if permits(default) && !permits(action) {
                return Err(stays_allowed(name, &format!("{path}.names[{at}]")));
            }
            continue;
        };
        let added = if conditions.is_empty() {
            context.add_rule(action, call).map(drop)
        } else if has_twins {
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
        added.map_err(|source| library(format!("{path}.names[{at}] ({name})"), source))?;
    }
    Ok(())
}

/// Refuses what can name no system call of any kernel.
fn check_name(name: &str, field: &str) -> Result<(), SeccompError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !name.is_empty() && name.bytes().all(fits) {
        return Ok(());
    }
    Err(SeccompError::Invalid {
        what: format!("{field}: {name:?} is not the name of a system call"),
    })
}

/// Whether the call is made.
const fn permits(action: ScmpAction) -> bool {
    matches!(action, ScmpAction::Allow | ScmpAction::Log)
}

fn stays_allowed(name: &str, field: &str) -> SeccompError {
    let version = ScmpVersion::current().map_or_else(
        |_| "libseccomp".to_owned(),
        |v| format!("libseccomp {}.{}.{}", v.major, v.minor, v.micro),
    );
    SeccompError::Unsupported {
        what: format!("{field}: {version} does not know {name}, which would stay allowed"),
        remedy: "remove the name, or list what is allowed instead",
    }
}

fn has_twins(args: &[LinuxSeccompArg]) -> bool {
    args.iter()
        .enumerate()
        .any(|(at, arg)| args.iter().skip(at + 1).any(|a| a.index() == arg.index()))
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
