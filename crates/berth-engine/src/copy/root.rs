//! A container's root as an open folder.
//!
//! The worker stays in the mount namespace it was started in, where /proc and all else is the
//! host's: nothing of a container can be loaded or executed (CVE-2019-14271). Only a thread goes
//! to the container's mount namespace, opens `/` there, and ends.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use berth_base::{ErrorClass, HostPid, ProcessIdentity};
use berth_image::layer::merged::Stack;
use berth_image::layer::tree::IdShift;
use rustix::fs::{CWD, Mode, openat};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Gid, Signal, Uid, getppid, set_dumpable_behavior,
    set_parent_process_death_signal,
};
use rustix::thread::{
    ThreadNameSpaceType, capabilities, move_into_thread_name_spaces, set_capabilities,
    set_thread_gid, set_thread_groups, set_thread_uid,
};

use super::host::searchable;
use super::job::{CopyJob, Direction, Place};
use super::overlay;
use crate::process::Process;
use crate::subid::{IdKind, map_of};
use crate::{EngineError, storage};

/// CLONE_NEWNS (clone(2)); it gives a thread a root and a working directory of its own as well.
const MOUNTS: u64 = 0x0002_0000;

/// A root, and whose ids its files have.
pub(super) struct Root {
    pub(super) stack: Stack,
    /// Set where the files of the container have other ids than it has them itself: first uids, then
    /// gids, of what is copied into it.
    pub(super) shift: Option<(IdShift, IdShift)>,
}

/// Opens it. We are the worker with one thread; what is opened of the caller's is open already.
pub(super) fn open(job: &CopyJob) -> Result<Root, EngineError> {
    let root = open_place(job)?;
    end_with(job.caller)?;
    Ok(root)
}

/// Ends this process with the caller, whose lock keeps others from starting the container. Not
/// before now: a change of ids or capabilities takes it back (prctl(2)).
fn end_with(caller: u32) -> Result<(), EngineError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| internal("end with the caller", e))?;
    let parent = getppid().map(|pid| pid.as_raw_nonzero().get());
    if parent.map(i32::cast_unsigned) == Some(caller) {
        return Ok(());
    }
    Err(internal("end with the caller", Errno::SRCH))
}

fn open_place(job: &CopyJob) -> Result<Root, EngineError> {
    let unshifted = |stack| Root { stack, shift: None };
    match &job.place {
        Place::Process(identity) => of_process(job, identity),
        Place::File(path) => plain(folder_of(path)?).map(unshifted),
        Place::Folder(path) => {
            // by path: a root or a source of a mount, which the user named
            let folder = openat(CWD, path, searchable(), Mode::empty());
            let folder = folder.map_err(|e| internal(&format!("open {}", path.display()), e))?;
            plain(folder).map(unshifted)
        }
        Place::Layers {
            lowers,
            upper,
            work,
        } => match job.direction {
            Direction::Out => {
                let all: Vec<_> = std::iter::once(upper).chain(lowers).cloned().collect();
                storage::stack(&all, job.rootless).map(unshifted)
            }
            Direction::In => {
                let mount = overlay::make(lowers, upper, work, job.rootless)?;
                plain(mount).map(unshifted)
            }
        },
    }
}

fn plain(folder: OwnedFd) -> Result<Stack, EngineError> {
    Stack::plain(folder).map_err(|e| {
        let text = format!("cannot open the root of the container: {e}");
        EngineError::new(ErrorClass::Denied, text)
    })
}

/// Becomes who may work in a running container, and opens its root.
///
/// A user enters the container's user namespace, which it owns. So does root where no file of the
/// caller's is needed any more; else it stays who it is, since root of a user namespace could not
/// read the files of the host's, and makes files in the name of the container's root.
fn of_process(job: &CopyJob, identity: &ProcessIdentity) -> Result<Root, EngineError> {
    // Nothing inside may trace us, or look at what we hold open.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| internal("become undumpable", e))?;
    let process = Process::open(identity).ok_or_else(gone)?;
    let pid = process.pid();
    let is_foreign = has_other_users(pid).map_err(|e| internal("read its user namespace", e))?;
    let mut shift = None;
    if is_foreign && (job.rootless || job.host.is_none()) {
        enter_users(&process, job.rootless)?;
    } else if is_foreign {
        let ids = (
            first_map(pid, IdKind::Uid, job.direction)?,
            first_map(pid, IdKind::Gid, job.direction)?,
        );
        if job.direction == Direction::In {
            act_as(ids.0.to, ids.1.to)?;
        }
        shift = Some(ids);
    }
    let root = open_inside(process.pidfd()).map_err(|e| internal("open its root", e))?;
    // It lived when the namespaces were looked at, or they may have been those of another.
    if process.has_ended() {
        return Err(gone());
    }
    let stack = plain(root)?;
    Ok(Root { stack, shift })
}

fn has_other_users(pid: HostPid) -> io::Result<bool> {
    // by path: procfs of the host
    let own = std::fs::metadata("/proc/self/ns/user")?;
    // by path: procfs of the host
    let theirs = std::fs::metadata(format!("/proc/{pid}/ns/user"))?;
    Ok((own.dev(), own.ino()) != (theirs.dev(), theirs.ino()))
}

fn enter_users(process: &Process, rootless: bool) -> Result<(), EngineError> {
    move_into_thread_name_spaces(process.pidfd(), ThreadNameSpaceType::USER).map_err(
        |e| match e {
            Errno::SRCH => gone(),
            e => internal("enter its user namespace", e),
        },
    )?;
    if !rootless {
        // A user's own groups may be what lets it read its files.
        set_thread_groups(&[]).map_err(|e| internal("leave our groups", e))?;
    }
    set_thread_gid(Gid::ROOT).map_err(|e| internal("become its root's group", e))?;
    set_thread_uid(Uid::ROOT).map_err(|e| internal("become its root", e))
}

/// The range that has the container's root, from the source's point of view to the destination's.
fn first_map(pid: HostPid, kind: IdKind, direction: Direction) -> Result<IdShift, EngineError> {
    let map = map_of(pid, kind).into_iter().find(|map| map.inside == 0);
    let map = map.ok_or_else(gone)?;
    let (from, to) = match direction {
        Direction::In => (map.inside, map.outside),
        Direction::Out => (map.outside, map.inside),
    };
    Ok(IdShift {
        from,
        to,
        size: map.size,
    })
}

/// Makes files in the name of others, with all our capabilities.
fn act_as(uid: u32, gid: u32) -> Result<(), EngineError> {
    let ours = capabilities(None).map_err(|e| internal("read our capabilities", e))?;
    berth_sys::set_filesystem_ids(uid, gid).map_err(|e| internal("act as its root", e))?;
    // Other filesystem ids have taken some away.
    set_capabilities(None, ours).map_err(|e| internal("keep our capabilities", e))
}

/// Opens `/` in a process's mount namespace. Only the thread that does so goes there.
fn open_inside(process: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let open = || {
        berth_sys::unshare_namespaces(MOUNTS)?;
        move_into_thread_name_spaces(process, ThreadNameSpaceType::MOUNT)?;
        // by path: the root of that namespace, which this thread has for its own now
        openat(CWD, "/", searchable(), Mode::empty())
    };
    std::thread::scope(|scope| scope.spawn(open).join().unwrap_or(Err(Errno::IO)))
}

fn gone() -> EngineError {
    let text = "cannot copy: the container has stopped meanwhile; try again";
    EngineError::new(ErrorClass::Conflict, text)
}

fn internal(what: &str, error: impl Into<io::Error>) -> EngineError {
    let error: io::Error = error.into();
    if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) {
        return gone();
    }
    let class = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorClass::Denied,
        io::ErrorKind::NotFound => ErrorClass::NotFound,
        _ => ErrorClass::Unavailable,
    };
    let text = format!("cannot reach the files of the container: cannot {what}: {error}");
    EngineError::new(class, text)
}

/// The folder of a mounted file, opened.
pub(super) fn folder_of(path: &Path) -> Result<OwnedFd, EngineError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    // by path: the source of a mount, which the user named
    openat(CWD, folder, searchable(), Mode::empty())
        .map_err(|e| internal(&format!("open {}", folder.display()), e))
}
