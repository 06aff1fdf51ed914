//! The mounts of the spec, the devices, the terminal, and what is hidden or made read-only.

use std::ffi::CString;
use std::path::{Component, Path, PathBuf};

use berth_sys::MountAttributes as Attr;
use oci_spec::runtime::{Hooks, Mount};

use super::build::{Builder, c_path, c_string, invalid};
use super::options::{self, MountOptions};
use super::{Links, PlanError, RootChange, Slot, Step, TargetKind};
use super::{binds, cgroupfs, devices, hide, rootfs};
use crate::namespaces as ns;

/// Where the mounts that later steps need ended up.
#[derive(Default)]
pub(super) struct Places {
    /// The /dev of the container.
    pub(super) dev: Option<Slot>,
    /// Its devpts.
    pub(super) devpts: Option<Slot>,
    /// Whether the spec binds something of the host's over /dev: nothing is made in there.
    pub(super) foreign_dev: bool,
}

/// Plans everything between an opened root and the pivot, and the pivot itself.
pub(super) fn plan(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let mut places = Places::default();
    let spec = builder.spec;
    let label = spec
        .linux()
        .as_ref()
        .and_then(|l| l.mount_label().as_deref());
    if label.is_some_and(|label| !label.is_empty()) && !builder.facts.selinux {
        return Err(PlanError::Unsupported(
            "linux.mountLabel: SELinux is not active on this host".into(),
        ));
    }
    for (index, mount) in spec.mounts().iter().flatten().enumerate() {
        let starts = (builder.before.len(), builder.init.len());
        one(builder, index, mount, &mut places).map_err(|error| {
            // The engine's users know no index of a mount; they know its target.
            if builder.is_bundle() {
                error.of(&format!("mounts[{index}]"))
            } else {
                error
            }
        })?;
        builder.name(starts, || format!("mounts[{index}]"));
    }
    devices::devices(builder, &places)?;
    devices::terminal(builder, &places)?;
    for slot in std::mem::take(&mut builder.seals) {
        let attributes = Attr {
            set: Attr::RDONLY,
            ..Attr::default()
        };
        builder.push(Step::SetAttributes { slot, attributes });
    }
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
    builder.push(match builder.setup.root_change {
        RootChange::Pivot if rootfs::stays_shared(builder) => Step::PivotFromShared,
        RootChange::Pivot => Step::Pivot,
        RootChange::Move => Step::MoveRoot,
    });
    if rootfs::is_read_only(builder) {
        builder.push(Step::ReadOnlyRoot);
    }
    let flags = match rootfs::propagation(builder) {
        "" | "private" => 0,
        "slave" => Attr::SLAVE,
        "shared" => Attr::SHARED,
        "unbindable" => Attr::UNBINDABLE,
        other => {
            return Err(invalid(&format!(
                "unknown linux.rootfsPropagation {other:?}"
            )));
        }
    };
    if flags != 0 {
        builder.push(Step::RootPropagation { flags });
    }
    Ok(())
}

/// One mount of the spec.
fn one(
    builder: &mut Builder<'_>,
    index: usize,
    mount: &Mount,
    places: &mut Places,
) -> Result<(), PlanError> {
    let target = clean(mount.destination())?;
    if mount.destination().is_relative() {
        builder.warnings.push(format!(
            "mounts[{index}].destination: {} is relative; it is taken as {}",
            mount.destination().display(),
            target.display()
        ));
    }
    let words = mount.options().as_deref().unwrap_or_default();
    let mut parsed = options::parse(words)?;
    let fstype = mount.typ().as_deref().unwrap_or("none");
    if parsed.remount {
        for attributes in [parsed.recursive, parsed.attributes] {
            if attributes.set | attributes.clear | attributes.propagation != 0 {
                let path = c_path(&target)?;
                builder.push(Step::Remount { path, attributes });
            }
        }
        return Ok(());
    }
    if parsed.bind.is_some() || fstype == "bind" {
        if target == Path::new("/dev") {
            places.foreign_dev = true;
        }
        return binds::bind(builder, index, mount, &target, &parsed);
    }
    guard_proc(&target, fstype == "proc")?;
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
    new_filesystem(builder, mount, fstype, &target, parsed, places)
}

/// A file system of its own.
fn new_filesystem(
    builder: &mut Builder<'_>,
    mount: &Mount,
    fstype: &str,
    target: &Path,
    parsed: MountOptions,
    places: &mut Places,
) -> Result<(), PlanError> {
    let slot = builder.slot();
    let mut options = parsed.data;
    label(builder, fstype, &mut options)?;
    if is_virtual(fstype) {
        // mount(2) would set a flag that no file system in memory looks at; fsconfig(2) has none.
        options.retain(|(key, _)| key.as_c_str() != c"iversion");
    }
    // One mount is the whole tree.
    let attributes = parsed.attributes.set | parsed.recursive.set;
    let read_only = attributes & Attr::RDONLY;
    if read_only != 0 && !is_virtual(fstype) {
        // A device may be read-only itself: then even opening it for writing fails.
        options.push((c"ro".into(), None));
    }
    let source = mount.source().as_deref().unwrap_or(Path::new(fstype));
    builder.push(Step::NewFilesystem {
        fstype: c_string(fstype)?,
        source: c_path(source)?,
        options,
        attributes: attributes & !Attr::RDONLY,
        slot,
    });
    if parsed.copy_up {
        builder.push(Step::CopyUp {
            path: c_path(target)?,
            slot,
        });
    }
    match (fstype, target.to_str()) {
        ("tmpfs", Some("/dev")) => {
            places.dev = Some(slot);
            places.foreign_dev = false;
        }
        ("devpts", Some("/dev/pts")) => places.devpts = Some(slot),
        _ => {}
    }
    let links = match fstype {
        "proc" | "sysfs" => Links::Refused,
        _ => Links::InRoot,
    };
    let mut after = Attr {
        set: read_only,
        propagation: parsed.attributes.propagation | parsed.recursive.propagation,
        ..Attr::default()
    };
    if fstype == "tmpfs" && read_only != 0 {
        // Devices, and targets of later mounts, still have to be made in it.
        after.set = 0;
        builder.seals.push(slot);
    }
    attach(builder, slot, target, after, links)
}

/// File systems without a device behind them.
fn is_virtual(fstype: &str) -> bool {
    matches!(
        fstype,
        "tmpfs" | "ramfs" | "proc" | "sysfs" | "devpts" | "mqueue" | "devtmpfs" | "securityfs"
    )
}

/// The SELinux context of `linux.mountLabel`, for the file systems that take one.
fn label(
    builder: &Builder<'_>,
    fstype: &str,
    options: &mut Vec<(CString, Option<CString>)>,
) -> Result<(), PlanError> {
    let linux = builder.spec.linux().as_ref();
    let label = linux.and_then(|l| l.mount_label().as_deref());
    let Some(label) = label.filter(|label| !label.is_empty()) else {
        return Ok(());
    };
    let given = options.iter().any(|(key, _)| key.as_c_str() == c"context");
    if !given && matches!(fstype, "tmpfs" | "ramfs" | "devpts" | "mqueue" | "overlay") {
        options.push((c"context".into(), Some(c_string(label)?)));
    }
    Ok(())
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

/// What to bind instead of mounting anew, when a user namespace does not own the namespace.
fn shared_fallback(fstype: &str) -> Option<(&'static str, u64)> {
    match fstype {
        "sysfs" => Some(("/sys", ns::NEW_NET)),
        "proc" => Some(("/proc", ns::NEW_PID)),
        "mqueue" => Some(("/dev/mqueue", ns::NEW_IPC)),
        _ => None,
    }
}

/// Nothing but procfs is `/proc`, and little lies on it (CVE-2019-16884). This is said by the path
/// alone, early and in words; links are followed, and looked at, when the target is open.
pub(super) fn guard_proc(target: &Path, is_procfs: bool) -> Result<Links, PlanError> {
    use std::os::unix::ffi::OsStrExt;
    if !target.starts_with("/proc") || may_cover_procfs(target.as_os_str().as_bytes()) {
        return Ok(Links::InRoot);
    }
    if target == Path::new("/proc") && is_procfs {
        return Ok(Links::Refused);
    }
    Err(invalid(&format!(
        "a mount on {} would cover procfs, which guards the container; choose another target",
        target.display()
    )))
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
