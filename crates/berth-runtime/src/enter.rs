//! Entering the namespaces of a running container, for exec sessions of both kinds.
//!
//! Who we are: a short-lived process of its own, not dumpable, with the caller's privilege; what
//! we enter belongs to somebody who may be hostile.

use std::fmt::Display;
use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use berth_base::protocol::Failure;
use berth_base::{ErrorClass, NamespaceKind};
use oci_spec::runtime::{Linux, Process};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::facts::HostFacts;
use crate::plan::{self, Slot, Standing, Step, Streams};
use crate::stage::internal;
use crate::{capability, failure};

/// What entering changed.
pub(crate) struct Entered {
    user: bool,
    /// The host as it was before.
    facts: HostFacts,
    /// The host's procfs, where a label goes through it.
    proc: Option<OwnedFd>,
    /// The container's cgroup namespace, still to be joined.
    cgroup: Option<OwnedFd>,
}

/// Enters every namespace of the container that is not ours already, but for the cgroup
/// namespace: on a v2 hierarchy mounted with nsdelegate, as systemd mounts it, nobody moves a
/// process into a cgroup from within a namespace that does not hold its present one (ENOENT).
/// The session init joins that one when it sits in the cgroup.
///
/// `made` are the kinds that were made for the container: they need no comparison with ours, for
/// which the kernel would look at two files in procfs.
pub(crate) fn enter(
    pid: Pid,
    pidfd: BorrowedFd<'_>,
    process: &Process,
    made: &[NamespaceKind],
) -> Result<Entered, Failure> {
    let pid = pid.as_raw_nonzero();
    let facts = HostFacts::for_process(process).map_err(|e| internal("look at this host", &e))?;
    let proc = match plan::needs_label(process) {
        false => None,
        true => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            // by path: procfs of the host; no namespace has been entered
            let opened = rustix::fs::open(c"/proc", flags, Mode::empty());
            Some(opened.map_err(|e| internal("open /proc", &e.into()))?)
        }
    };
    let mut flags = ThreadNameSpaceType::empty();
    let mut user = false;
    let mut cgroup = None;
    for kind in NamespaceKind::ALL {
        let name = kind.as_str();
        if !made.contains(&kind) && !is_apart(&pid, name) {
            continue;
        }
        if kind == NamespaceKind::Cgroup {
            let path = format!("/proc/{pid}/ns/{name}");
            // by path: procfs of the host; no namespace has been entered
            let opened = fs::File::open(&path).map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => has_ended(),
                _ => internal("open the container's cgroup namespace", &e),
            })?;
            cgroup = Some(OwnedFd::from(opened));
        } else {
            flags |= flag(kind);
            user |= kind == NamespaceKind::User;
        }
    }
    move_into_thread_name_spaces(pidfd, flags).map_err(|errno| match errno {
        Errno::SRCH => has_ended(),
        errno => internal("enter the container's namespaces", &errno.into()),
    })?;
    Ok(Entered {
        user,
        facts,
        proc,
        cgroup,
    })
}

/// Whether a process is in another namespace of this name than we are; not where the kernel has
/// no such namespaces.
fn is_apart(pid: &impl Display, name: &str) -> bool {
    // by path: procfs of the host; no namespace has been entered
    let theirs = fs::metadata(format!("/proc/{pid}/ns/{name}"));
    // by path: as above
    let ours = fs::metadata(format!("/proc/self/ns/{name}"));
    matches!((theirs, ours), (Ok(theirs), Ok(ours)) if theirs.ino() != ours.ino())
}

fn has_ended() -> Failure {
    let text = "the container has ended meanwhile; start it with \"berth start\"".to_owned();
    failure::engine(ErrorClass::Conflict, text)
}

/// What is asked for beside the process itself.
pub(crate) struct Wish<'a> {
    /// The process.
    pub(crate) process: &'a Process,
    /// The container's own section: execution domain and memory policy hold for all of it.
    pub(crate) linux: Option<&'a Linux>,
    /// Whether it gets the container's filter.
    pub(crate) seccomp: bool,
    /// Rows and columns of its terminal.
    pub(crate) size: (u16, u16),
    /// What its streams are, without a terminal.
    pub(crate) streams: Streams,
}

/// The steps of the process that enters, and the descriptors for their first slots.
pub(crate) struct Entrance {
    /// Descriptors for the first slots.
    pub(crate) slots: Vec<OwnedFd>,
    /// The steps.
    pub(crate) steps: Vec<Step>,
    /// What is left out.
    pub(crate) warnings: Vec<String>,
}

/// Plans the process that enters.
pub(crate) fn steps(entered: Entered, wish: &Wish<'_>) -> Result<Entrance, Failure> {
    let process = wish.process;
    let mut slots = Vec::new();
    let mut add = |descriptor| {
        slots.push(descriptor);
        Slot(slots.len() - 1)
    };
    let mut steps = vec![Step::EnterCgroups, Step::NewSession, Step::NewKeyring];
    if entered.user {
        steps.push(Step::BecomeNamespaceRoot);
    }
    let terminal = process.terminal().unwrap_or(false);
    if terminal {
        let devpts = add(open_devpts()?);
        let (rows, columns) = wish.size;
        steps.push(Step::OpenTerminal {
            devpts,
            rows,
            columns,
        });
    }
    if let Some(namespace) = entered.cgroup {
        let slot = add(namespace);
        steps.push(Step::JoinCgroupNamespace { slot });
    }
    let standing = Standing {
        capabilities: if entered.user {
            capability::ALL
        } else {
            entered.facts.bounding
        },
        streams: if terminal {
            Streams::Terminal
        } else {
            wish.streams
        },
        apparmor: entered.facts.apparmor,
        selinux: entered.facts.selinux,
        proc: entered.proc.map(add),
        makes_directory: false,
        joins: true,
    };
    let planned = plan::process_steps(process, wish.linux, &standing, wish.seccomp)
        .map_err(|e| failure::engine(e.class(), e.to_string()))?;
    steps.extend(planned.early);
    steps.push(Step::AwaitStart);
    steps.extend(planned.ids);
    steps.extend(planned.last);
    Ok(Entrance {
        slots,
        steps,
        warnings: planned.warnings,
    })
}

/// The container's devpts, checked to be one: we are inside its mount namespace, its root is
/// ours, and whatever lies at /dev/pts is the container's to arrange.
fn open_devpts() -> Result<OwnedFd, Failure> {
    const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // by path: our own root, which is the container's
    let opened = rustix::fs::open(c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .and_then(|root| openat2(&root, c"dev/pts", flags, Mode::empty(), resolve));
    let folder = opened.map_err(|e| internal("open /dev/pts of the container", &e.into()))?;
    match rustix::fs::fstatfs(&folder) {
        Ok(stat) if stat.f_type == DEVPTS_SUPER_MAGIC => Ok(folder),
        _ => Err(failure::engine(
            ErrorClass::Conflict,
            "cannot give a terminal: /dev/pts of the container is no devpts; run without -t".into(),
        )),
    }
}

const fn flag(kind: NamespaceKind) -> ThreadNameSpaceType {
    match kind {
        NamespaceKind::Cgroup => ThreadNameSpaceType::CONTROL_GROUP,
        NamespaceKind::Ipc => ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION,
        NamespaceKind::Mnt => ThreadNameSpaceType::MOUNT,
        NamespaceKind::Net => ThreadNameSpaceType::NETWORK,
        NamespaceKind::Pid => ThreadNameSpaceType::PROCESS_ID,
        NamespaceKind::Time => ThreadNameSpaceType::TIME,
        NamespaceKind::User => ThreadNameSpaceType::USER,
        NamespaceKind::Uts => ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME,
    }
}
