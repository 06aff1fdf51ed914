//! Failures of stage, init and sessions, in words.

use berth_base::ErrorClass;
use berth_base::protocol::Failure;
use rustix::io::Errno;

use crate::plan::{Overlay, Program, SecurityModule, Step};

/// The engine itself failed (Docker's 125).
pub(crate) const ENGINE: u8 = 125;
/// The program exists but cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// The program does not exist.
pub(crate) const NOT_FOUND: u8 = 127;

/// A failure of the engine's own making.
pub(crate) fn engine(class: ErrorClass, message: String) -> Failure {
    Failure {
        class,
        message,
        exit_code: ENGINE,
    }
}

/// A failed step: what, on which object, why.
pub(crate) fn step(step: Option<&Step>, errno: Errno) -> Failure {
    let what = step.map_or_else(|| "set up the container".to_owned(), Step::describe);
    let class = match errno {
        Errno::PERM | Errno::ACCESS => ErrorClass::Denied,
        Errno::NOENT | Errno::NOTDIR => ErrorClass::NotFound,
        Errno::NOSYS | Errno::OPNOTSUPP => ErrorClass::Unsupported,
        Errno::NOMEM | Errno::NOSPC | Errno::AGAIN => ErrorClass::Unavailable,
        Errno::INVAL => ErrorClass::Invalid,
        _ => ErrorClass::Internal,
    };
    let hint = match (step, errno) {
        (Some(Step::WorkingDirectory { .. }), Errno::NOTDIR) => "; choose another with -w",
        (Some(Step::ResourceLimit { .. }), Errno::PERM) => {
            "; it is above this caller's own hard limit, ask for less with --ulimit"
        }
        (Some(Step::Attach { .. }), Errno::NOTDIR | Errno::EXIST) => {
            "; source and target must both be directories or both be files"
        }
        (Some(Step::IdMap { .. } | Step::IdMapBy { .. }), Errno::INVAL) => {
            "; the file system takes no id mapping, use --userns host"
        }
        (Some(Step::Overlay(overlay)), errno) => overlay_hint(overlay, errno),
        (Some(Step::Attach { .. }), Errno::BUSY) => {
            "; nothing is mounted over procfs, which guards the container"
        }
        (Some(Step::MemoryPolicy { mode, .. }), Errno::INVAL) => memory_policy_hint(*mode),
        (
            Some(Step::ExecLabel {
                module: SecurityModule::AppArmor,
                ..
            }),
            Errno::NOENT,
        ) => "; no such profile is loaded, load it with apparmor_parser",
        (Some(Step::Attach { .. }), Errno::LOOP) => "; the target is a symbolic link",
        _ => "",
    };
    engine(class, format!("cannot {what}: {}{hint}", describe(errno)))
}

/// What may be wrong with an overlay: the kernel tells its log more than it tells us.
fn overlay_hint(overlay: &Overlay, errno: Errno) -> &'static str {
    match errno {
        Errno::NODEV => "; this kernel has no overlayfs, load it with modprobe overlay",
        Errno::PERM => "; this kernel lets no user namespace mount overlayfs",
        Errno::NAMETOOLONG => {
            "; the layers are more than fit into a page of options, which takes Linux 6.8"
        }
        Errno::LOOP => "; one of the layers lies inside another",
        Errno::ROFS => {
            "; overlayfs cannot write to the container's own layer: is its disk full or read-only?"
        }
        Errno::INVAL | Errno::OPNOTSUPP if overlay.owner.is_some() => {
            "; does the file system of the container's own layer take extended attributes, and does \
             the one of the layers take id mappings? If not, use --userns host"
        }
        Errno::INVAL | Errno::OPNOTSUPP => {
            "; the container's own layer needs a file system with extended attributes, such as \
             ext4, xfs or btrfs, and one that a --rm container has used cannot be used again"
        }
        _ => "",
    }
}

/// Which kernel a memory policy needs (set_mempolicy(2)), or what else may be wrong with it.
const fn memory_policy_hint(mode: u32) -> &'static str {
    /// MPOL_F_NUMA_BALANCING, the lowest of the flags.
    const FLAGS: u32 = 1 << 13;
    match mode % FLAGS {
        5 => "; MPOL_PREFERRED_MANY needs Linux 5.15",
        6 => "; MPOL_WEIGHTED_INTERLEAVE needs Linux 6.9",
        _ => "; are all of its nodes there, and do its flags go together?",
    }
}

/// execve failed, or would.
///
/// Clients of runc tell 127 from 126 by its words, which are here too: "executable file not found
/// in", "no such file or directory", "permission denied".
pub(crate) fn exec(program: &Program, errno: Errno) -> Failure {
    let name = program.argv.first().map(|name| name.to_string_lossy());
    let name = name.as_deref().unwrap_or("nothing");
    let (class, exit_code, why) = match errno {
        Errno::NOENT if name.contains('/') => (
            ErrorClass::NotFound,
            NOT_FOUND,
            "no such file or directory in the container".to_owned(),
        ),
        Errno::NOENT | Errno::NOTDIR => (
            ErrorClass::NotFound,
            NOT_FOUND,
            "executable file not found in the container's PATH".to_owned(),
        ),
        Errno::ACCESS | Errno::PERM => (
            ErrorClass::Denied,
            NOT_EXECUTABLE,
            "permission denied; it is a directory, or lacks the execute permission".to_owned(),
        ),
        Errno::NOEXEC => (
            ErrorClass::Invalid,
            NOT_EXECUTABLE,
            "exec format error; it is neither a program of this architecture nor a script with #!"
                .to_owned(),
        ),
        Errno::TOOBIG => (ErrorClass::Invalid, NOT_EXECUTABLE, too_long(program)),
        other => (ErrorClass::Invalid, NOT_EXECUTABLE, describe(other)),
    };
    Failure {
        class,
        message: format!("cannot run {:?}: {why}", shortened(name, NAME_MAX)),
        exit_code,
    }
}

/// Why arguments and environment do not fit (execve(2), "Limits on size of arguments and
/// environment").
fn too_long(program: &Program) -> String {
    let strings = || program.argv.iter().chain(&program.env);
    let longest = strings().max_by_key(|string| string.count_bytes());
    let (Some(longest), limit) = (longest, string_max()) else {
        return describe(Errno::TOOBIG);
    };
    let length = longest.count_bytes() + 1;
    if length <= limit {
        // With the pointers to them, since Linux 4.13.
        let all: usize = strings().map(|s| s.count_bytes() + 1 + 8).sum();
        return format!(
            "argument list too long; arguments and environment have {all} bytes, and Linux takes a \
             quarter of the limit of the stack (--ulimit stack), at most 6 MiB"
        );
    }
    let text = longest.to_string_lossy();
    let which = match text.split_once('=') {
        Some((name, _)) if program.env.contains(longest) => {
            format!("the variable {}", shortened(name, NAME_MAX))
        }
        _ => "an argument".to_owned(),
    };
    format!("argument list too long; {which} has {length} bytes, and Linux takes {limit} in one")
}

/// MAX_ARG_STRLEN: 32 pages.
const fn string_max() -> usize {
    32 * 4096
}

/// So much of a name is shown in a message.
const NAME_MAX: usize = 200;

/// The beginning of a text that is too long to be shown.
fn shortened(text: &str, limit: usize) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

/// The JSON form of a failure, with as much of its message as fits into so many bytes.
pub(crate) fn encode_within(mut failure: Failure, limit: usize) -> Vec<u8> {
    loop {
        // Three plain fields always have a JSON form.
        let json = serde_json::to_vec(&failure).unwrap_or_default();
        let length = failure.message.chars().count();
        if json.len() <= limit || length == 0 {
            return json;
        }
        failure.message = shortened(&failure.message, length / 2).into_owned();
    }
}

/// The errno in words, without the number.
pub(crate) fn describe(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_lowercase(),
        None => text.to_lowercase(),
    }
}
