//! What happens below the container's root, and the step into it.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use berth_sys::{MountAttributes, mount_setattr};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, StatxFlags, fstat, fstatfs, open, statx,
};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

use super::Context;
use super::mount::verify_device;
use super::path::{open_in_root, open_target};
use crate::plan::{DeviceNumber, Links, Slot, Step, may_cover_procfs};

pub(super) fn perform(step: &Step, cx: &Context<'_>) -> Result<(), Errno> {
    match step {
        Step::Attach {
            slot,
            target,
            kind,
            links,
        } => {
            let opened = open_target(cx.root()?, target, *kind, *links)?;
            let mount = cx.get(*slot)?;
            guard_procfs(mount, opened.as_fd(), target)?;
            attach(mount, opened.as_fd())
        }
        Step::Mask {
            path,
            null,
            device,
            layer,
            empty,
        } => mask(cx, path, (*null, *device), (*layer, empty)),
        Step::MakeReadOnly { path } => make_read_only(cx, path),
        Step::Pivot => pivot(cx.root()?, Old::Private),
        Step::PivotFromShared => pivot(cx.root()?, Old::Shared),
        Step::Remount { path, attributes } => {
            let mount = open_in_root(cx.root()?, path, Links::InRoot)?;
            mount_setattr(mount.as_fd(), c"", *attributes, None)
        }
        Step::MoveRoot => move_root(cx.root()?),
        Step::ReadOnlyRoot => set_root(MountAttributes {
            set: MountAttributes::RDONLY,
            ..MountAttributes::default()
        }),
        Step::RootPropagation { flags } => set_root(MountAttributes {
            propagation: *flags,
            ..MountAttributes::default()
        }),
        _ => Err(Errno::NOSYS),
    }
}

/// EBUSY where a mount would cover procfs, by whatever links its target was reached, or where
/// something else than procfs would be `/proc` (CVE-2019-16884): what is written there, such as a
/// label, and what is masked there would then land elsewhere.
fn guard_procfs(mount: BorrowedFd<'_>, target: BorrowedFd<'_>, path: &CStr) -> Result<(), Errno> {
    let is_procfs = |fd| fstatfs(fd).map(|stat| stat.f_type == PROC_SUPER_MAGIC);
    let allowed = if path == c"/proc" {
        is_procfs(mount)?
    } else {
        may_cover_procfs(path.to_bytes()) || !is_procfs(target)?
    };
    if allowed { Ok(()) } else { Err(Errno::BUSY) }
}

/// Moves a detached mount onto an open target.
pub(super) fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", target, c"", flags)
}

/// Hides a path: a file behind the null device, a folder behind our empty one. What does not
/// exist needs no mask.
fn mask(
    cx: &Context<'_>,
    path: &CStr,
    (null, device): (Slot, DeviceNumber),
    (layer, empty): (Slot, &CStr),
) -> Result<(), Errno> {
    let target = match open_in_root(cx.root()?, path, Links::InRoot) {
        Ok(target) => target,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(error) => return Err(error),
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let is_folder = FileType::from_raw_mode(fstat(&target)?.st_mode) == FileType::Directory;
    let cover = if is_folder {
        let cover = open_tree(cx.get(layer)?, empty, flags)?;
        let read_only = MountAttributes {
            set: MountAttributes::RDONLY,
            ..MountAttributes::default()
        };
        mount_setattr(cover.as_fd(), c"", read_only, None)?;
        cover
    } else {
        let cover = open_tree(cx.get(null)?, c"", flags | OpenTreeFlags::AT_EMPTY_PATH)?;
        verify_device(&cover, device)?;
        cover
    };
    attach(cover.as_fd(), target.as_fd())
}

/// Binds a path over itself, read-only with all below it. What does not exist stays so.
fn make_read_only(cx: &Context<'_>, path: &CStr) -> Result<(), Errno> {
    let target = match open_in_root(cx.root()?, path, Links::InRoot) {
        Ok(target) => target,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(error) => return Err(error),
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(&target, c"", flags)?;
    let read_only = MountAttributes {
        set: MountAttributes::RDONLY,
        recursive: true,
        ..MountAttributes::default()
    };
    mount_setattr(tree.as_fd(), c"", read_only, None)?;
    attach(tree.as_fd(), target.as_fd())
}

/// What the mounts of the old root are to the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    /// Nothing, or what only hears.
    Private,
    /// The same.
    Shared,
}

/// Makes the root mount `/` and lets go of the old one.
///
/// Both arguments of pivot_root(2) are `.`: the old root ends up stacked on the new one, with
/// whatever was stacked on it before, so no folder for it is needed inside. Unmounting goes on
/// until the topmost mount at `.` is our root.
fn pivot(root: BorrowedFd<'_>, old: Old) -> Result<(), Errno> {
    fchdir(root)?;
    // by path: "." is the root's descriptor
    pivot_root(c".", c".")?;
    if old == Old::Shared {
        // Else the host would lose the mounts that we let go of.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // by path: the old root, which is stacked on ours
        let stacked = open(c"/..", flags, Mode::empty())?;
        let private = MountAttributes {
            propagation: MountAttributes::PRIVATE,
            recursive: true,
            ..MountAttributes::default()
        };
        mount_setattr(stacked.as_fd(), c"", private, None)?;
    }
    unstack()?;
    // by path: our own root
    chdir(c"/")
}

/// Moves the root mount over `/` and makes it ours, for hosts whose root cannot be pivoted away
/// (initramfs). Their tree stays below it, out of reach of paths.
fn move_root(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    // by path: `/`, which is the host's until it is ours
    move_mount(root, c"", CWD, c"/", flags)?;
    // by path: the root that we are in, by its descriptor
    chroot(c".")?;
    // by path: the root itself, which is ours now
    chdir(c"/")
}

/// Lets go of everything that is stacked on `/`.
///
/// A walk to "/.." steps onto what is stacked on the root, one to "/" does not; umount2(2) always
/// takes the topmost. It tells the peers of each mount in the tree, which still may be the host's
/// (`rootfsPropagation` shared): the host would lose /proc and all the rest with us. So the tree
/// stops talking first (mount_namespaces(7), "Propagation type transitions").
pub(super) fn unstack() -> Result<(), Errno> {
    // by path: our own root, and what is stacked on it
    let ours = mount_id(CWD, c"/", AtFlags::empty())?;
    // by path: as above
    while mount_id(CWD, c"/..", AtFlags::empty())? != ours {
        // by path: as above
        let top = open(c"/..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let silent = MountAttributes {
            propagation: MountAttributes::SLAVE,
            recursive: true,
            ..MountAttributes::default()
        };
        mount_setattr(top.as_fd(), c"", silent, None)?;
        drop(top);
        // by path: as above
        unmount(c"/..", UnmountFlags::DETACH)?;
    }
    Ok(())
}

/// The mount that a path leads to (statx(2), STATX_MNT_ID, Linux 5.8).
fn mount_id(at: BorrowedFd<'_>, path: &CStr, flags: AtFlags) -> Result<u64, Errno> {
    statx(at, path, flags, StatxFlags::MNT_ID).map(|stat| stat.stx_mnt_id)
}

/// Changes the root mount itself, after the pivot.
fn set_root(attributes: MountAttributes) -> Result<(), Errno> {
    // by path: our own root, after the pivot
    let root = open(c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    mount_setattr(root.as_fd(), c"", attributes, None)
}
