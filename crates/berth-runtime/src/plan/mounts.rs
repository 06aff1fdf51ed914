//! The mounts of the spec, the devices, the terminal, and what is hidden or made read-only.

use std::path::{Component, Path, PathBuf};

use berth_sys::MountAttributes as Attr;
use oci_spec::runtime::{Hooks, Mount};

use super::build::{Builder, c_path, c_string, invalid};
use super::options::{self, MountOptions};
use super::{Links, PlanError, Slot, Step, TargetKind, cgroupfs, devices, hide, rootfs};
use crate::namespaces as ns;

/// Where the mounts that later steps need ended up.
#[derive(Default)]
pub(super) struct Places {
    /// The /dev of the container.
    pub(super) dev: Option<Slot>,
    /// Its devpts.
    pub(super) devpts: Option<Slot>,
}

/// Plans everything between an opened root and the pivot, and the pivot itself.
pub(super) fn plan(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let mut places = Places::default();
    let spec = builder.spec;
    for mount in spec.mounts().iter().flatten() {
        one(builder, mount, &mut places)?;
    }
    devices::devices(builder, &places)?;
    devices::terminal(builder, &places)?;
    hide::sysctls(builder)?;
    hide::hide(builder)?;
    if builder.has_hooks(Hooks::prestart)
        || builder.has_hooks(Hooks::create_runtime)
        || builder.has_hooks(Hooks::create_container)
        || builder.has_hooks(Hooks::start_container)
    {
        builder.push(Step::AwaitHooks);
    }
    if builder.has_hooks(Hooks::create_container) {
        builder.push(Step::CreateContainerHooks);
    }
    builder.push(Step::Pivot);
    if rootfs::is_read_only(builder) {
        builder.push(Step::ReadOnlyRoot);
    }
    let propagation = spec
        .linux()
        .as_ref()
        .and_then(|l| l.rootfs_propagation().clone());
    let flags = match propagation.as_deref() {
        None | Some("" | "private" | "rprivate") => 0,
        Some("slave" | "rslave") => Attr::SLAVE,
        Some("shared" | "rshared") => Attr::SHARED,
        Some("unbindable" | "runbindable") => Attr::UNBINDABLE,
        Some(other) => return Err(invalid(&format!("unknown rootfsPropagation {other:?}"))),
    };
    if flags != 0 {
        builder.push(Step::RootPropagation { flags });
    }
    Ok(())
}

/// One mount of the spec.
fn one(builder: &mut Builder<'_>, mount: &Mount, places: &mut Places) -> Result<(), PlanError> {
    let target = clean(mount.destination())?;
    let words = mount.options().clone().unwrap_or_default();
    let mut parsed = options::parse(&words)?;
    let fstype = mount.typ().as_deref().unwrap_or("none");
    refuse_over_procfs(&target, fstype, mount.source().as_deref())?;
    if parsed.bind.is_some() || fstype == "bind" {
        return bind(builder, mount, &target, &parsed);
    }
    if let Some((source, flag)) = shared_fallback(fstype)
        && builder.has_user_namespace()
        && builder.is_hosts(flag)
    {
        // The kernel refuses a fresh instance over a namespace that belongs to the host.
        let slot = builder.slot();
        let host = c_string(source)?;
        builder.push(Step::CloneHost {
            host,
            recursive: true,
            device: None,
            slot,
        });
        attach(
            builder,
            slot,
            &target,
            rootfs::read_only_tree(),
            Links::Refused,
        )?;
        return Ok(());
    }
    if fstype == "cgroup" || fstype == "cgroup2" {
        return cgroupfs::cgroup(builder, &target, &parsed);
    }
    if fstype == "devpts" {
        drop_unmapped_group(builder, &mut parsed);
    }
    let slot = builder.slot();
    let options = std::mem::take(&mut parsed.data);
    builder.push(Step::NewFilesystem {
        fstype: c_string(fstype)?,
        options,
        attributes: parsed.attributes.set & !Attr::RDONLY,
        slot,
    });
    if fstype == "tmpfs" && parsed.copy_up {
        return Err(PlanError::Unsupported(
            "the mount option tmpcopyup is not supported by this version".into(),
        ));
    }
    match (fstype, target.to_str()) {
        ("tmpfs", Some("/dev")) => places.dev = Some(slot),
        ("devpts", _) => places.devpts = Some(slot),
        _ => {}
    }
    let links = match fstype {
        "proc" | "sysfs" => Links::Refused,
        _ => Links::InRoot,
    };
    let after = Attr {
        set: parsed.attributes.set & Attr::RDONLY,
        propagation: parsed.attributes.propagation,
        ..Attr::default()
    };
    attach(builder, slot, &target, after, links)
}

/// Files of procfs that may be covered: what lxcfs fakes, and two that only inform. The same
/// that runc allows.
const COVERABLE: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Whether a mount may cover this path of procfs.
pub(crate) fn may_cover_procfs(path: &[u8]) -> bool {
    COVERABLE
        .iter()
        .any(|coverable| coverable.as_bytes() == path)
}

/// Nothing but procfs is `/proc`, and little lies on it. This is said by the path alone, early and
/// in words; links are followed, and looked at, when the target is open.
fn refuse_over_procfs(target: &Path, fstype: &str, source: Option<&Path>) -> Result<(), PlanError> {
    use std::os::unix::ffi::OsStrExt;
    if !target.starts_with("/proc") || may_cover_procfs(target.as_os_str().as_bytes()) {
        return Ok(());
    }
    let is_procfs = fstype == "proc" || source == Some(Path::new("/proc"));
    if target == Path::new("/proc") && is_procfs {
        return Ok(());
    }
    Err(invalid(&format!(
        "a mount on {} would cover procfs, which guards the container; choose another target",
        target.display()
    )))
}

/// What to bind instead of mounting anew, when a user namespace does not own the namespace.
fn shared_fallback(fstype: &str) -> Option<(&'static str, u64)> {
    match fstype {
        "sysfs" => Some(("/sys", ns::NEW_NET)),
        "proc" => Some(("/proc", ns::NEW_PID)),
        "mqueue" => Some(("/dev/mqueue", ns::NEW_IPC)),
        _ => None,
    }
}

/// Sets attributes on a detached mount and attaches it to a directory target.
pub(super) fn attach(
    builder: &mut Builder<'_>,
    slot: Slot,
    target: &Path,
    attributes: Attr,
    links: Links,
) -> Result<(), PlanError> {
    if attributes.set | attributes.clear | attributes.propagation != 0 {
        builder.push(Step::SetAttributes { slot, attributes });
    }
    let target = c_path(target)?;
    builder.push(Step::Attach {
        slot,
        target,
        kind: TargetKind::Directory,
        links,
    });
    Ok(())
}

/// A bind mount: the source is a host path that the user named.
fn bind(
    builder: &mut Builder<'_>,
    mount: &Mount,
    target: &Path,
    parsed: &MountOptions,
) -> Result<(), PlanError> {
    let source = mount.source().as_ref().ok_or_else(|| {
        invalid(&format!(
            "the bind mount on {} names no source",
            target.display()
        ))
    })?;
    let Some(is_directory) = builder.facts.sources.get(source) else {
        return Err(invalid(&format!(
            "the source {} of the mount on {} does not exist",
            source.display(),
            target.display()
        )));
    };
    let slot = builder.slot();
    let recursive = parsed.bind == Some(true) || builder.has_user_namespace();
    let host = c_path(source)?;
    builder.push(Step::CloneHost {
        host,
        recursive,
        device: None,
        slot,
    });
    let mut whole = parsed.recursive;
    if whole.propagation == 0 && parsed.attributes.propagation == 0 {
        whole.propagation = Attr::PRIVATE;
    }
    for attributes in [whole, parsed.attributes] {
        if attributes.set | attributes.clear | attributes.propagation != 0 {
            builder.push(Step::SetAttributes { slot, attributes });
        }
    }
    let kind = if *is_directory {
        TargetKind::Directory
    } else {
        TargetKind::File
    };
    builder.push(Step::Attach {
        slot,
        target: c_path(target)?,
        kind,
        links: Links::InRoot,
    });
    Ok(())
}

/// devpts refuses a gid that the user namespace does not map.
fn drop_unmapped_group(builder: &Builder<'_>, parsed: &mut MountOptions) {
    let linux = builder.spec.linux().as_ref();
    let mappings = linux
        .and_then(|l| l.gid_mappings().clone())
        .unwrap_or_default();
    let maps = |gid: u32| {
        mappings
            .iter()
            .any(|m| gid >= m.container_id() && gid - m.container_id() < m.size())
    };
    if builder.has_user_namespace() && !maps(5) {
        parsed.data.retain(|(key, _)| key.as_c_str() != c"gid");
    }
}

/// An absolute path without `.` and `..`; a target that needs them is refused.
pub(super) fn clean(path: &Path) -> Result<PathBuf, PlanError> {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir | Component::Prefix(_) => {
                return Err(invalid(&format!(
                    "the path {} contains \"..\"",
                    path.display()
                )));
            }
        }
    }
    Ok(cleaned)
}
