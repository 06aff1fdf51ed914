//! Making overlays, attached nowhere yet.
//!
//! Layers are named through /proc/self/fd: every kernel with overlayfs in user namespaces takes
//! that, where descriptors as such only came with 6.13, and a container that reads its own
//! mountinfo does not learn where the host keeps them.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use berth_sys::{MountAttributes, mount_setattr};
use rustix::fs::{CWD, StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, MountFlags, OpenTreeFlags, UnmountFlags, fsconfig_set_flag, fsconfig_set_string,
    fsopen, mount, open_tree, unmount,
};
use rustix::process::chdir;
use rustix::thread::{capabilities, set_capabilities};

use super::Context;
use super::mount::finish;
use super::path::StackPath;
use crate::plan::{LowerOption, Overlay, Place};

/// Makes an overlay as a detached mount.
pub(super) fn make(overlay: &Overlay, cx: &Context<'_>) -> Result<OwnedFd, Errno> {
    let made = match overlay.owner {
        None => make_as_we_are(overlay, cx)?,
        Some(owner) => make_as(owner, overlay, cx)?,
    };
    // Where overlayfs cannot write to its work folder it mounts read-only and says so in the
    // kernel's log alone.
    if overlay.on_disk && fstatvfs(&made)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(Errno::ROFS);
    }
    Ok(made)
}

/// overlayfs keeps the ids of who mounts it, and makes files with them. Ours have no place in
/// layers that are mapped: EOVERFLOW, or an overlay that cannot be written. It keeps the
/// capabilities as well, by which it reads files that only their owner may read.
fn make_as((uid, gid): (u32, u32), overlay: &Overlay, cx: &Context<'_>) -> Result<OwnedFd, Errno> {
    let ours = capabilities(None)?;
    berth_sys::set_filesystem_ids(uid, gid)?;
    let made = set_capabilities(None, ours).and_then(|()| make_as_we_are(overlay, cx));
    berth_sys::set_filesystem_ids(0, 0)?;
    made
}

fn make_as_we_are(overlay: &Overlay, cx: &Context<'_>) -> Result<OwnedFd, Errno> {
    match overlay.lower_option {
        LowerOption::Single => by_strings(overlay, cx, c"lowerdir"),
        LowerOption::Appended => by_strings(overlay, cx, c"lowerdir+"),
        LowerOption::Page => by_page(overlay, cx),
    }
}

/// fsopen(2), fsconfig(2), fsmount(2).
fn by_strings(
    overlay: &Overlay,
    cx: &Context<'_>,
    lower_key: &std::ffi::CStr,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", c"overlay")?;
    let lowers = overlay.lowers.iter().map(|lower| (lower_key, lower));
    let upper = [(c"upperdir", &overlay.upper), (c"workdir", &overlay.work)];
    for (key, place) in lowers.chain(upper) {
        let mut path = StackPath::new();
        path.push(FOLDER)?.push(b"/")?;
        push_place(&mut path, cx, place)?;
        fsconfig_set_string(&context, key, path.as_c_str()?)?;
    }
    for (key, value) in &overlay.options {
        match value {
            Some(value) => fsconfig_set_string(&context, key.as_c_str(), value.as_c_str())?,
            None => fsconfig_set_flag(&context, key.as_c_str())?,
        }
    }
    finish(&context, overlay.attributes)
}

/// The folder of our descriptors.
const FOLDER: &[u8] = b"/proc/self/fd";

/// mount(2) with a page of options, which holds five hundred layers when each is a name in
/// /proc/self/fd; what it attaches, on `/` of our own mount namespace, is cloned and let go of.
fn by_page(overlay: &Overlay, cx: &Context<'_>) -> Result<OwnedFd, Errno> {
    let mut page = StackPath::new();
    let mut separator: &[u8] = b"lowerdir=";
    for lower in &overlay.lowers {
        page.push(separator)?;
        push_place(&mut page, cx, lower)?;
        separator = b":";
    }
    page.push(b",upperdir=")?;
    push_place(&mut page, cx, &overlay.upper)?;
    page.push(b",workdir=")?;
    push_place(&mut page, cx, &overlay.work)?;
    for (key, value) in &overlay.options {
        page.push(b",")?.push(key.to_bytes())?;
        if let Some(value) = value {
            page.push(b"=")?.push(value.to_bytes())?;
        }
    }
    // by path: procfs of the host, where our descriptors are
    chdir(c"/proc/self/fd")?;
    // by path: our own root
    let mounted = mount(
        c"overlay",
        c"/",
        c"overlay",
        MountFlags::empty(),
        page.as_c_str()?,
    );
    // by path: our own root
    chdir(c"/")?;
    mounted?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    // by path: what is stacked on our own root; a walk to "/.." steps onto it
    let clone = open_tree(CWD, c"/..", flags)?;
    // by path: as above
    unmount(c"/..", UnmountFlags::DETACH)?;
    let attributes = MountAttributes {
        set: overlay.attributes,
        propagation: MountAttributes::PRIVATE,
        ..MountAttributes::default()
    };
    mount_setattr(clone.as_fd(), c"", attributes, None)?;
    Ok(clone)
}

/// `N[/path]`, a name in the folder of our descriptors.
fn push_place(path: &mut StackPath, cx: &Context<'_>, place: &Place) -> Result<(), Errno> {
    let number = u32::try_from(cx.get(place.at)?.as_raw_fd()).map_err(|_| Errno::BADF)?;
    path.push_number(number)?;
    if !place.path.is_empty() {
        path.push(b"/")?.push(place.path.to_bytes())?;
    }
    Ok(())
}
