//! Making mounts, attached nowhere yet.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use berth_sys::{MountAttributes, mount_setattr};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::Context;
use crate::plan::{DeviceNumber, Step};

pub(super) fn perform(step: &Step, cx: &mut Context<'_>) -> Result<(), Errno> {
    match step {
        Step::IsolateMounts => propagate(c"/", MountAttributes::PRIVATE, true),
        Step::FollowMounts => propagate(c"/", MountAttributes::SLAVE, true),
        Step::IsolateMount { host } => propagate(host, MountAttributes::PRIVATE, false),
        Step::AttachInPlace { slot, host } => attach_in_place(cx.get(*slot)?, host),
        Step::IdMapBy {
            slot,
            namespace,
            recursive,
        } => map_ids(cx.get(*slot)?, cx.get(*namespace)?, *recursive),
        Step::OpenHost { .. }
        | Step::OpenFolder { .. }
        | Step::CloneHost { .. }
        | Step::CloneBeneath { .. } => open_or_clone(step, cx),
        Step::IdMap { slot, .. } => {
            let namespace = cx.user_namespace.ok_or(Errno::BADF)?;
            map_ids(cx.get(*slot)?, namespace, false)
        }
        Step::NewFilesystem {
            fstype,
            source,
            options,
            attributes,
            slot,
        } => {
            let fd = new_filesystem(fstype, source, options, *attributes)?;
            cx.put(*slot, fd)
        }
        Step::Overlay(overlay) => {
            let fd = super::overlay::make(overlay, cx)?;
            cx.put(overlay.slot, fd)
        }
        Step::SetAttributes { slot, attributes } => {
            mount_setattr(cx.get(*slot)?, c"", *attributes, None)
        }
        Step::AttachScratch { slot } => attach_scratch(cx.get(*slot)?),
        Step::ReceiveRoot { slot } => {
            let (kind, root) = crate::wire::receive_descriptor(cx.stage)?;
            if kind != crate::wire::ROOT {
                return Err(Errno::PROTO);
            }
            attach_scratch(root.as_fd())?;
            cx.put(*slot, root)
        }
        Step::ActAs { uid, gid } => berth_sys::set_filesystem_ids(*uid, *gid),
        _ => Err(Errno::NOSYS),
    }
}

/// What is taken of the host's tree: a descriptor of it, or a mount of its own.
fn open_or_clone(step: &Step, cx: &mut Context<'_>) -> Result<(), Errno> {
    match step {
        Step::OpenHost { host, slot } => {
            // by path: `host` names a path of the host's (plan::Step)
            let fd = open(
                host.as_c_str(),
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            cx.put(*slot, fd)
        }
        Step::CloneHost {
            host,
            recursive,
            device,
            slot,
        } => {
            let fd = clone_host(host, *recursive, *device)?;
            cx.put(*slot, fd)
        }
        Step::CloneBeneath {
            host,
            path,
            recursive,
            slot,
        } => {
            let fd = clone_beneath(host, path, *recursive)?;
            cx.put(*slot, fd)
        }
        Step::OpenFolder { folder, slot } => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let at = cx.get(folder.at)?;
            let fd = openat(at, folder.path.as_c_str(), flags, Mode::empty())?;
            cx.put(*slot, fd)
        }
        _ => Err(Errno::NOSYS),
    }
}

/// Stacks a mount on `/`, from where the pivot takes it.
fn attach_scratch(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    move_mount(
        mount,
        c"",
        // by path: our own root
        CWD,
        c"/",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

/// Gives a detached mount, or the whole tree of it, the mapping of a user namespace.
fn map_ids(mount: BorrowedFd<'_>, namespace: BorrowedFd<'_>, recursive: bool) -> Result<(), Errno> {
    let attributes = MountAttributes {
        recursive,
        ..MountAttributes::default()
    };
    mount_setattr(mount, c"", attributes, Some(namespace))
}

/// Stacks a mount on a host path, or on `/` where the path is out of our reach: in a user
/// namespace its folders may be closed to us, in a joined mount namespace it may not exist.
fn attach_in_place(mount: BorrowedFd<'_>, host: &CStr) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // by path: the host's tree, before the pivot; the bundle's owner named it
    match open(host, flags, Mode::empty()) {
        Ok(target) => super::root::attach(mount, target.as_fd()),
        Err(Errno::ACCESS | Errno::NOENT | Errno::NOTDIR) => attach_scratch(mount),
        Err(error) => Err(error),
    }
}

/// Sets what a mount of the namespace, or all of them, tell the host's and hear of them.
fn propagate(path: &CStr, propagation: u64, recursive: bool) -> Result<(), Errno> {
    let attributes = MountAttributes {
        propagation,
        recursive,
        ..MountAttributes::default()
    };
    // by path: the host's tree, before the pivot; ours or the bundle's own
    let mount = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    mount_setattr(mount.as_fd(), c"", attributes, None)
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags | OpenTreeFlags::AT_RECURSIVE
    } else {
        flags
    }
}

/// Clones the mount at a host path; a device is checked on the descriptor that will be mounted.
fn clone_host(
    host: &CStr,
    recursive: bool,
    device: Option<DeviceNumber>,
) -> Result<OwnedFd, Errno> {
    // by path: `host` names a path of the host's (plan::Step)
    let fd = open_tree(CWD, host, clone_flags(recursive))?;
    if let Some(expected) = device {
        verify_device(&fd, expected)?;
    }
    Ok(fd)
}

/// Clones the mount at a path below a host path, by the descriptor of what was opened there.
fn clone_beneath(host: &CStr, path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    // by path: `host` names a path of the host's (plan::Step); what lies below is opened by it
    let base = open(host, flags | OFlags::DIRECTORY, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    loop {
        match openat2(&base, path, flags, Mode::empty(), resolve) {
            // A rename raced with the walk; openat2(2) asks to try again.
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error),
            Ok(found) => {
                let flags = clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH;
                return open_tree(found, c"", flags);
            }
        }
    }
}

/// ENODEV unless the descriptor is the device (CVE-2025-31133).
pub(super) fn verify_device(
    fd: &impl std::os::fd::AsFd,
    expected: DeviceNumber,
) -> Result<(), Errno> {
    let stat = fstat(fd)?;
    let number = rustix::fs::makedev(expected.major, expected.minor);
    let kind = FileType::from_raw_mode(expected.kind);
    if FileType::from_raw_mode(stat.st_mode) == kind && stat.st_rdev == number {
        Ok(())
    } else {
        Err(Errno::NODEV)
    }
}

/// fsopen(2), fsconfig(2), fsmount(2).
fn new_filesystem(
    fstype: &CStr,
    source: &CStr,
    options: &[(CString, Option<CString>)],
    attributes: u64,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC)?;
    // What mountinfo shows as the device.
    fsconfig_set_string(&context, c"source", source)?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(&context, key.as_c_str(), value.as_c_str())?,
            None => fsconfig_set_flag(&context, key.as_c_str())?,
        }
    }
    finish(&context, attributes)
}

pub(super) fn finish(context: &OwnedFd, attributes: u64) -> Result<OwnedFd, Errno> {
    fsconfig_create(context)?;
    let attributes = u32::try_from(attributes).map_err(|_| Errno::INVAL)?;
    let flags = MountAttrFlags::from_bits_retain(attributes);
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
}
