//! Giving up privilege, in the order of the plan.

use std::ffi::CStr;
use std::os::fd::AsFd;

use berth_sys::{net, unshare_namespaces};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Rlimit, chdir, fchdir, set_dumpable_behavior, setrlimit, setsid, umask,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, LinkNameSpaceType, clear_ambient_capability_set,
    configure_capability_in_ambient_set, move_into_link_name_space,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::Context;
use super::path::{open_in_root, open_target};
use crate::plan::{Links, Step, TargetKind};
use crate::{capability, namespaces};

pub(super) fn perform(step: &Step, cx: &Context<'_>) -> Result<(), Errno> {
    match step {
        Step::BecomeNamespaceRoot => become_namespace_root(),
        Step::EnterCgroups => enter_cgroups(cx),
        Step::UnshareCgroupNamespace => unshare_namespaces(namespaces::NEW_CGROUP),
        Step::JoinCgroupNamespace { slot } => {
            move_into_link_name_space(cx.get(*slot)?, Some(LinkNameSpaceType::ControlGroup))
        }
        Step::NewSession => setsid().map(drop),
        Step::NewKeyring => match berth_sys::join_anonymous_session_keyring() {
            // A kernel without keyrings has none to leak.
            Err(Errno::NOSYS) => Ok(()),
            other => other,
        },
        Step::LoopbackUp => net::loopback_up(),
        Step::Hostname(name) => rustix::system::sethostname(name.to_bytes()),
        Step::Domainname(name) => rustix::system::setdomainname(name.to_bytes()),
        Step::ResourceLimit {
            resource,
            soft,
            hard,
            ..
        } => limit(*resource, *soft, *hard),
        Step::Umask(mask) => {
            umask(Mode::from_raw_mode(*mask));
            Ok(())
        }
        Step::OwnStreams { uid } => own_streams(*uid),
        Step::DropBounding { keep } => drop_bounding(*keep),
        Step::SetIds { uid, gid, groups } => set_ids(*uid, *gid, groups),
        Step::SetCapabilities {
            effective,
            permitted,
            inheritable,
            ambient,
        } => {
            set_all_capabilities([*effective, *permitted, *inheritable])?;
            raise_ambient(*ambient)
        }
        Step::NoNewPrivileges => set_no_new_privs(true),
        Step::Seccomp => super::start::load_filter(cx),
        Step::WorkingDirectory { path, create } => working_directory(path, *create),
        _ => Err(Errno::NOSYS),
    }
}

/// uid 0 and gid 0 of a fresh user namespace; setgroups may be denied there (single mapping).
fn become_namespace_root() -> Result<(), Errno> {
    match set_thread_groups(&[]) {
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// Joins the v1 cgroups. A thread that writes 0 moves itself without the lock that makes any
/// other migration wait for an RCU grace period.
fn enter_cgroups(cx: &Context<'_>) -> Result<(), Errno> {
    for tasks in cx.tasks {
        rustix::io::write(tasks, b"0")?;
    }
    Ok(())
}

fn limit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let index = usize::try_from(resource).map_err(|_| Errno::INVAL)?;
    let resource = capability::RESOURCES
        .get(index)
        .copied()
        .ok_or(Errno::INVAL)?;
    let finite = |value: u64| (value != u64::MAX).then_some(value);
    setrlimit(
        resource,
        Rlimit {
            current: finite(soft),
            maximum: finite(hard),
        },
    )
}

/// Pipes belong to whoever made them; a container's user must be able to reopen /dev/stdout.
fn own_streams(uid: u32) -> Result<(), Errno> {
    let streams = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    for stream in streams {
        let stat = rustix::fs::fstat(stream)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo {
            fchown(stream, Some(Uid::from_raw(uid)), None)?;
        }
    }
    Ok(())
}

/// Removes every capability but `keep` from the bounding set. Numbers above the kernel's last
/// one answer EINVAL and end the walk.
fn drop_bounding(keep: u64) -> Result<(), Errno> {
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if keep & capability.bits() != 0 {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            Err(Errno::INVAL) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Groups, then gid, then uid; permitted capabilities survive for [`set_all_capabilities`].
fn set_ids(uid: u32, gid: u32, groups: &[Gid]) -> Result<(), Errno> {
    match set_thread_groups(groups) {
        // A user namespace without setgroups keeps the caller's groups. Asking for none is met, and
        // the main group alone is in no need of a list: nothing there can leave a group.
        Err(Errno::PERM) if groups.iter().all(|group| group.as_raw() == gid) => {}
        other => other?,
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid)?;
    set_keep_capabilities(true)?;
    set_thread_res_uid(uid, uid, uid)?;
    set_keep_capabilities(false)
}

/// Effective, permitted and inheritable. What is inheritable survives execve of any program, so
/// the plan has only what the spec lists.
fn set_all_capabilities(sets: [u64; 3]) -> Result<(), Errno> {
    match clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    let [effective, permitted, inheritable] = sets.map(CapabilitySet::from_bits_retain);
    let sets = CapabilitySets {
        effective: effective & permitted,
        permitted,
        inheritable,
    };
    set_capabilities(None, sets)
}

/// Raises ambient capabilities, one by one; the plan has none that the kernel would refuse.
fn raise_ambient(ambient: u64) -> Result<(), Errno> {
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(ambient & (1 << bit));
        if !capability.is_empty() {
            configure_capability_in_ambient_set(capability, true)?;
        }
    }
    Ok(())
}

/// Enters the working directory, made when missing, and checks that it lies inside the root
/// (CVE-2024-21626). Runs after the pivot: `/` is the container's root.
fn working_directory(path: &CStr, create: bool) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // by path: our own root
    let root = openat(rustix::fs::CWD, c"/", flags, Mode::empty())?;
    let root = root.as_fd();
    let directory = if create {
        open_target(root, path, TargetKind::Directory, Links::InRoot)?
    } else {
        open_in_root(root, path, Links::InRoot)?
    };
    fchdir(&directory)?;
    // getcwd(2) writes "(unreachable)..." for a directory outside the root.
    let mut buffer = [0u8; 4096];
    match berth_sys::current_directory(&mut buffer) {
        Ok(inside) if inside.first() == Some(&b'/') => Ok(()),
        Ok(_) => {
            // by path: our own root
            chdir(c"/")?;
            Err(Errno::XDEV)
        }
        Err(error) => Err(error),
    }
}
