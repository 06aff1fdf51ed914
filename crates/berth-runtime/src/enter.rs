//! Entering the namespaces of a running container, for exec sessions of both kinds.
//!
//! Who we are: a short-lived process of its own, not dumpable, with the caller's privilege; what
//! we enter belongs to somebody who may be hostile.

use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};

use berth_base::protocol::Failure;
use berth_base::{ErrorClass, NamespaceKind};
use oci_spec::runtime::Process;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::process::Pid;
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::failure;
use crate::plan::{self, Slot, Step};
use crate::stage::internal;

/// What entering changed.
pub(crate) struct Entered {
    user: bool,
    /// The container's cgroup namespace, still to be joined.
    cgroup: Option<OwnedFd>,
}

/// Enters every namespace of the container that is not ours already, but for the cgroup
/// namespace: on a v2 hierarchy mounted with nsdelegate, as systemd mounts it, nobody moves a
/// process into a cgroup from within a namespace that does not hold its present one (ENOENT).
/// The session init joins that one when it sits in the cgroup.
pub(crate) fn enter(pid: Pid, pidfd: BorrowedFd<'_>) -> Result<Entered, Failure> {
    let pid = pid.as_raw_nonzero();
    let mut flags = ThreadNameSpaceType::empty();
    let mut user = false;
    let mut cgroup = None;
    for kind in NamespaceKind::ALL {
        let name = kind.as_str();
        // by path: procfs of the host; no namespace has been entered
        let theirs = fs::metadata(format!("/proc/{pid}/ns/{name}"));
        // by path: as above
        let ours = fs::metadata(format!("/proc/self/ns/{name}"));
        use std::os::unix::fs::MetadataExt;
        let (Ok(theirs), Ok(ours)) = (theirs, ours) else {
            continue;
        };
        if theirs.ino() == ours.ino() {
            continue;
        }
        if kind == NamespaceKind::Cgroup {
            let path = format!("/proc/{pid}/ns/{name}");
            // by path: as above
            let opened = fs::File::open(&path)
                .map_err(|e| internal("open the container's cgroup namespace", &e))?;
            cgroup = Some(OwnedFd::from(opened));
        } else {
            flags |= flag(kind);
            user |= kind == NamespaceKind::User;
        }
    }
    move_into_thread_name_spaces(pidfd, flags)
        .map_err(|e| internal("enter the container's namespaces", &e.into()))?;
    Ok(Entered { user, cgroup })
}

/// The steps of the process that enters, and the descriptors for their first slots.
pub(crate) fn steps(
    entered: Entered,
    process: &Process,
    seccomp: bool,
    size: (u16, u16),
) -> Result<(Vec<OwnedFd>, Vec<Step>), Failure> {
    let planned = |e: plan::PlanError| failure::engine(e.class(), e.to_string());
    let mut slots = Vec::new();
    let mut steps = vec![Step::EnterCgroups, Step::NewSession, Step::NewKeyring];
    if entered.user {
        steps.push(Step::BecomeNamespaceRoot);
    }
    if process.terminal().unwrap_or(false) {
        slots.push(open_devpts()?);
        let (rows, columns) = size;
        steps.push(Step::OpenTerminal {
            devpts: Slot(0),
            rows,
            columns,
        });
    }
    steps.extend(plan::resource_limits(process).map_err(planned)?);
    steps.push(Step::Umask(process.user().umask().unwrap_or(0o022) & 0o777));
    let uid = process.user().uid();
    if uid != 0 && slots.is_empty() {
        steps.push(Step::OwnStreams { uid });
    }
    if let Some(namespace) = entered.cgroup {
        steps.push(Step::JoinCgroupNamespace {
            slot: Slot(slots.len()),
        });
        slots.push(namespace);
    }
    let path = std::ffi::CString::new(process.cwd().as_os_str().as_encoded_bytes())
        .map_err(|_| failure::engine(ErrorClass::Invalid, "NUL in the directory".into()))?;
    steps.push(Step::WorkingDirectory {
        path,
        create: false,
    });
    steps.push(Step::AwaitStart);
    steps.extend(plan::confine(process, seccomp).steps());
    Ok((slots, steps))
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
