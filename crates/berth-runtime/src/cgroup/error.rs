//! What can go wrong with the cgroups of a container.

use std::fmt;
use std::path::PathBuf;

use berth_base::ErrorClass;
use rustix::io::Errno;

use crate::Survivor;

/// How many survivors a message lists.
const MOST_LISTED: usize = 10;

/// A cgroup operation failed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The path of a cgroup is not usable.
    #[error("invalid cgroup path {path:?}: {why}; give one like /berth/ID")]
    InvalidPath {
        /// The path as asked.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No cgroup hierarchy is mounted, or none that the caller may write.
    #[error(
        "cannot make cgroup {path}: no writable cgroup hierarchy is mounted; mount cgroup2 at /sys/fs/cgroup"
    )]
    NoHierarchy {
        /// The path as asked.
        path: String,
    },
    /// A hierarchy is mounted read-only.
    #[error(
        "cannot make cgroup {path} in hierarchy {hierarchy}: {mount} is mounted read-only; remount it read-write"
    )]
    ReadOnly {
        /// The path as asked.
        path: String,
        /// `v2`, or the controllers of the v1 hierarchy.
        hierarchy: String,
        /// Where it is mounted.
        mount: PathBuf,
    },
    /// A directory could not be made.
    #[error("cannot make cgroup {path}: {source}{}", hint_make(*.source))]
    Make {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// The directory is there already and is not an empty leftover of ours.
    #[error("cannot make cgroup {path}: it exists already and {state}; {remedy}")]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        state: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A file or directory of a cgroup could not be opened, read or written.
    #[error("cannot {verb} {path}: {source}")]
    Access {
        /// `open`, `read`, `write` or `watch`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A file of a cgroup holds something unexpected.
    #[error("cannot understand {path}: it says {text:?}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// A limit could not be written.
    #[error("cannot set the {limit} to {value} in {path}: {source}{}", hint_limit(*.source))]
    Limit {
        /// The limit in the user's words.
        limit: String,
        /// The value as written.
        value: String,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A value lies outside what the kernel or a container can work with.
    #[error("the {limit} of {asked} is out of range; give at least {least}{}", most_text(.most))]
    OutOfRange {
        /// The limit in the user's words.
        limit: &'static str,
        /// What was asked.
        asked: String,
        /// The least value, with its unit.
        least: String,
        /// The greatest value, where there is one.
        most: Option<String>,
    },
    /// A value makes no sense.
    #[error("invalid {limit} {asked:?}: {why}")]
    Invalid {
        /// The limit in the user's words.
        limit: &'static str,
        /// What was asked.
        asked: String,
        /// What is wrong with it.
        why: String,
    },
    /// A limit was asked that this host cannot set.
    #[error("cannot set the {limit}: {why}")]
    Unsupported {
        /// The limit in the user's words.
        limit: String,
        /// What is missing, and what to do.
        why: String,
    },
    /// The device filter of cgroup v2 could not be loaded or attached.
    #[error(
        "cannot {verb} the device filter of {path}: {reason}; loading it needs CAP_BPF or CAP_SYS_ADMIN and a kernel with CONFIG_CGROUP_BPF"
    )]
    DeviceFilter {
        /// `load`, `attach` or `replace`.
        verb: &'static str,
        /// The cgroup.
        path: PathBuf,
        /// What the kernel said.
        reason: String,
    },
    /// The cgroup's processes did not all stop in time.
    #[error(
        "cannot freeze {path}: it is still {state} after {waited_ms} ms; a process may be in uninterruptible sleep"
    )]
    NotFrozen {
        /// The cgroup.
        path: PathBuf,
        /// What the kernel says of it.
        state: String,
        /// How long we waited.
        waited_ms: u128,
    },
    /// Processes did not end in time.
    #[error("cannot end everything in {path}: {}", survivors_text(.survivors))]
    Survivors {
        /// The cgroup.
        path: PathBuf,
        /// Who is left; none where they are not visible.
        survivors: Vec<Survivor>,
    },
    /// Some directories could not be removed.
    #[error("cannot remove cgroups: {}", list(.failures))]
    Remove {
        /// Each directory that is left, and why.
        failures: Vec<RemoveFailure>,
    },
    /// An operation failed, and so did undoing what it had made.
    #[error("{cause}; afterwards these could not be removed: {}", list(.failures))]
    Undo {
        /// What failed first.
        cause: Box<CgroupError>,
        /// Each directory that is left, and why.
        failures: Vec<RemoveFailure>,
    },
    /// There is no systemd to be asked.
    #[error("cannot use the systemd cgroup driver: {why}")]
    NoSystemd {
        /// Why it cannot be reached, and what to do.
        why: String,
    },
    /// systemd did not do what the systemd driver asked.
    #[error("cannot {what} the systemd unit {unit}: {why}")]
    Systemd {
        /// `start`, `stop`, `change` or `find`.
        what: &'static str,
        /// The unit.
        unit: String,
        /// What systemd said, or why it could not be asked, and what to do.
        why: String,
    },
    /// The container has no cgroup that could do this.
    #[error("cannot {verb}: the container has no cgroup on this host")]
    NoCgroup {
        /// What was to be done.
        verb: &'static str,
    },
}

/// One directory that could not be removed.
#[derive(Debug)]
pub struct RemoveFailure {
    /// The directory.
    pub path: PathBuf,
    /// What the kernel said.
    pub source: Errno,
    /// Processes still in it or below, as far as they are visible.
    pub processes: Vec<u32>,
}

impl fmt::Display for RemoveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.path.display(), self.source)?;
        if let [first, rest @ ..] = self.processes.as_slice() {
            write!(f, ", held by PID {first}")?;
            if !rest.is_empty() {
                write!(f, " and {} more", rest.len())?;
            }
        }
        f.write_str(")")
    }
}

impl CgroupError {
    /// The class of this error.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::InvalidPath { .. } | Self::OutOfRange { .. } | Self::Invalid { .. } => {
                ErrorClass::Invalid
            }
            Self::NoHierarchy { .. }
            | Self::Unsupported { .. }
            | Self::NoCgroup { .. }
            | Self::NoSystemd { .. } => ErrorClass::Unsupported,
            Self::ReadOnly { .. } => ErrorClass::Denied,
            Self::Occupied { .. } => ErrorClass::Conflict,
            Self::NotFrozen { .. }
            | Self::Survivors { .. }
            | Self::Remove { .. }
            | Self::Systemd { .. } => ErrorClass::Unavailable,
            Self::Undo { cause, .. } => cause.class(),
            Self::DeviceFilter { .. } => ErrorClass::Unsupported,
            Self::Malformed { .. } => ErrorClass::Internal,
            Self::Make { source, .. }
            | Self::Access { source, .. }
            | Self::Limit { source, .. } => class_of(*source),
        }
    }
}

fn class_of(errno: Errno) -> ErrorClass {
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorClass::Denied,
        Errno::INVAL | Errno::RANGE => ErrorClass::Invalid,
        Errno::NOENT => ErrorClass::NotFound,
        Errno::BUSY | Errno::AGAIN | Errno::NOSPC | Errno::NOMEM => ErrorClass::Unavailable,
        Errno::OPNOTSUPP => ErrorClass::Unsupported,
        _ => ErrorClass::Internal,
    }
}

fn hint_make(errno: Errno) -> &'static str {
    match errno {
        Errno::ACCESS | Errno::PERM => {
            "; run as root, or name a delegated cgroup with --cgroup-parent"
        }
        Errno::AGAIN => "; cgroup.max.descendants or cgroup.max.depth of a parent is reached",
        _ => "",
    }
}

fn hint_limit(errno: Errno) -> &'static str {
    match errno {
        Errno::INVAL | Errno::RANGE => {
            "; the kernel or a limit of a parent cgroup excludes this value"
        }
        Errno::BUSY => "; more than that is in use, stop the container first or choose more",
        Errno::NODEV => "; no such device, see lsblk",
        _ => "",
    }
}

fn most_text(most: &Option<String>) -> String {
    most.as_ref()
        .map(|most| format!(" and at most {most}"))
        .unwrap_or_default()
}

fn survivors_text(survivors: &[Survivor]) -> String {
    if survivors.is_empty() {
        return "its processes are not visible from here".to_owned();
    }
    let more = survivors.len().saturating_sub(MOST_LISTED);
    let shown = survivors.iter().take(MOST_LISTED);
    let mut text = shown
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    if more > 0 {
        text += &format!("; and {more} more");
    }
    text + "; a process in state D goes when its I/O ends, a traced one with its tracer"
}

fn list(failures: &[RemoveFailure]) -> String {
    failures
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
