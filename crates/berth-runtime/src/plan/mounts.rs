//! The mounts of the spec, the devices, the terminal, and what is hidden or made read-only.

use std::ffi::CString;
use std::path::{Component, Path, PathBuf};

use berth_sys::MountAttributes as Attr;
use oci_spec::runtime::{LinuxDeviceType, Mount};

use super::build::{Builder, c_path, c_string, invalid};
use super::options::{self, MountOptions};
use super::{DeviceNumber, Links, PlanError, Slot, Step, TargetKind, rootfs};
use crate::namespaces as ns;

/// S_IFCHR, S_IFBLK, S_IFIFO (inode(7)).
const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// The devices every container has (runtime-spec, config-linux, "Default Devices").
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links every container has in /dev.
const DEV_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Where the mounts that later steps need ended up.
#[derive(Default)]
struct Places {
    dev: Option<Slot>,
    devpts: Option<Slot>,
}

/// Plans everything between an opened root and the pivot, and the pivot itself.
pub(super) fn plan(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let mut places = Places::default();
    let spec = builder.spec;
    for mount in spec.mounts().iter().flatten() {
        one(builder, mount, &mut places)?;
    }
    devices(builder, &places)?;
    terminal(builder, &places)?;
    sysctls(builder)?;
    hide(builder)?;
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
    if parsed.bind.is_some() || fstype == "bind" {
        return bind(builder, mount, &target, &parsed);
    }
    if let Some((source, flag)) = shared_fallback(fstype)
        && builder.has_user_namespace()
        && !builder.is_new(flag)
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
        return cgroup(builder, &target, &parsed);
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
fn attach(
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
    if target.starts_with("/proc") {
        return Err(invalid(&format!(
            "a mount on {} would cover procfs, which guards the container; choose another target",
            target.display()
        )));
    }
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

/// /sys/fs/cgroup: the v2 hierarchy, or a tmpfs with one folder per v1 controller.
fn cgroup(
    builder: &mut Builder<'_>,
    target: &Path,
    parsed: &MountOptions,
) -> Result<(), PlanError> {
    let facts = builder.facts;
    let attributes = Attr {
        set: parsed.attributes.set | Attr::NOSUID | Attr::NODEV | Attr::NOEXEC,
        ..Attr::default()
    };
    if facts.cgroups.v1.is_empty() {
        if facts.cgroups.v2.is_none() || !builder.is_new(ns::NEW_CGROUP) {
            let slot = builder.slot();
            let host = c"/sys/fs/cgroup".into();
            builder.push(Step::CloneHost {
                host,
                recursive: true,
                device: None,
                slot,
            });
            return attach(
                builder,
                slot,
                target,
                rootfs::read_only_tree(),
                Links::InRoot,
            );
        }
        let slot = builder.slot();
        builder.push(Step::NewFilesystem {
            fstype: c"cgroup2".into(),
            options: Vec::new(),
            attributes: attributes.set & !Attr::RDONLY,
            slot,
        });
        let after = Attr {
            set: attributes.set & Attr::RDONLY,
            ..Attr::default()
        };
        return attach(builder, slot, target, after, Links::InRoot);
    }
    let top = builder.slot();
    builder.push(Step::NewFilesystem {
        fstype: c"tmpfs".into(),
        options: vec![(c"mode".into(), Some(c"0755".into()))],
        attributes: Attr::NOSUID | Attr::NODEV | Attr::NOEXEC,
        slot: top,
    });
    attach(builder, top, target, Attr::default(), Links::InRoot)?;
    let named = facts
        .cgroups
        .v1
        .iter()
        .map(|(name, host)| (v1_folder(name), host));
    let unified = facts
        .cgroups
        .v2
        .iter()
        .map(|host| ("unified".to_owned(), host));
    for (name, host) in named.chain(unified) {
        builder.push(Step::MakeDirectory {
            at: top,
            path: c_string(&name)?,
            mode: 0o555,
        });
        let slot = builder.slot();
        let host = c_string(host)?;
        builder.push(Step::CloneHost {
            host,
            recursive: false,
            device: None,
            slot,
        });
        attach(
            builder,
            slot,
            &target.join(name),
            attributes,
            Links::Refused,
        )?;
    }
    if attributes.set & Attr::RDONLY != 0 {
        let attributes = Attr {
            set: Attr::RDONLY,
            ..Attr::default()
        };
        builder.push(Step::SetAttributes {
            slot: top,
            attributes,
        });
    }
    Ok(())
}

/// The folder that distributions give a v1 hierarchy.
fn v1_folder(controllers: &str) -> String {
    controllers
        .strip_prefix("name=")
        .unwrap_or(controllers)
        .to_owned()
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

/// Device nodes and the links of /dev.
fn devices(builder: &mut Builder<'_>, places: &Places) -> Result<(), PlanError> {
    let Some(dev) = places.dev else { return Ok(()) };
    for (name, major, minor) in DEFAULT_DEVICES {
        let device = DeviceNumber {
            kind: CHARACTER,
            major,
            minor,
        };
        device_node(builder, dev, name, device, (0o666, 0, 0))?;
    }
    let spec = builder.spec;
    let listed = spec.linux().as_ref().and_then(|l| l.devices().as_ref());
    for device in listed.into_iter().flatten() {
        let path = device.path();
        let name = path
            .strip_prefix("/dev")
            .ok()
            .and_then(Path::to_str)
            .ok_or_else(|| invalid(&format!("the device {} is not below /dev", path.display())))?;
        if DEFAULT_DEVICES.iter().any(|(default, ..)| *default == name) {
            continue;
        }
        let kind = match device.typ() {
            LinuxDeviceType::B => BLOCK,
            LinuxDeviceType::P => FIFO,
            _ => CHARACTER,
        };
        let number = |n: i64| {
            u32::try_from(n).map_err(|_| invalid(&format!("device number {n} is out of range")))
        };
        let numbers = if kind == FIFO {
            (0, 0)
        } else {
            (number(device.major())?, number(device.minor())?)
        };
        let device_number = DeviceNumber {
            kind,
            major: numbers.0,
            minor: numbers.1,
        };
        let mode = device.file_mode().unwrap_or(0o666) & 0o7777;
        let owner = (mode, device.uid().unwrap_or(0), device.gid().unwrap_or(0));
        let mut parents: Vec<&Path> = Path::new(name).ancestors().skip(1).collect();
        parents.retain(|parent| !parent.as_os_str().is_empty());
        for parent in parents.into_iter().rev() {
            builder.push(Step::MakeDirectory {
                at: dev,
                path: c_path(parent)?,
                mode: 0o755,
            });
        }
        device_node(builder, dev, name, device_number, owner)?;
    }
    for (name, target) in DEV_LINKS {
        let (path, target) = (c_string(name)?, c_string(target)?);
        builder.push(Step::MakeSymlink {
            at: dev,
            path,
            target,
        });
    }
    Ok(())
}

/// A node of its own, or, where a user namespace forbids mknod, the host's node bound.
fn device_node(
    builder: &mut Builder<'_>,
    dev: Slot,
    name: &str,
    device: DeviceNumber,
    (mode, uid, gid): (u32, u32, u32),
) -> Result<(), PlanError> {
    if !builder.has_user_namespace() && builder.facts.privileged {
        let path = c_string(name)?;
        builder.push(Step::MakeDevice {
            at: dev,
            path,
            device,
            mode,
            uid,
            gid,
        });
        return Ok(());
    }
    let slot = builder.slot();
    let host = c_path(&Path::new("/dev").join(name))?;
    builder.push(Step::CloneHost {
        host: host.clone(),
        recursive: false,
        device: Some(device),
        slot,
    });
    builder.push(Step::Attach {
        slot,
        target: host,
        kind: TargetKind::File,
        links: Links::InRoot,
    });
    Ok(())
}

/// The pseudo terminal of `-t`.
fn terminal(builder: &mut Builder<'_>, places: &Places) -> Result<(), PlanError> {
    if !builder.config.stdio.terminal {
        return Ok(());
    }
    let devpts = places
        .devpts
        .ok_or_else(|| invalid("a terminal needs a devpts mount"))?;
    let (rows, columns) = builder.config.stdio.size;
    builder.push(Step::OpenTerminal {
        devpts,
        rows,
        columns,
    });
    if let Some(dev) = places.dev {
        builder.push(Step::BindConsole { dev });
    }
    Ok(())
}

/// Sysctls go through a procfs of our own, never through the container's.
fn sysctls(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let spec = builder.spec;
    let Some(sysctls) = spec.linux().as_ref().and_then(|l| l.sysctl().as_ref()) else {
        return Ok(());
    };
    let mut sorted: Vec<_> = sysctls.iter().collect();
    sorted.sort();
    let mut proc = None;
    for (key, value) in sorted {
        namespaced(builder, key)?;
        let proc = match proc {
            Some(slot) => slot,
            None => {
                let slot = builder.slot();
                builder.push(Step::NewFilesystem {
                    fstype: c"proc".into(),
                    options: Vec::new(),
                    attributes: Attr::NOSUID | Attr::NODEV | Attr::NOEXEC,
                    slot,
                });
                *proc.insert(slot)
            }
        };
        let path = c_string(&format!("sys/{}", key.replace('.', "/")))?;
        builder.push(Step::Sysctl {
            proc,
            path,
            value: c_string(value)?,
        });
    }
    Ok(())
}

/// Only sysctls of namespaces that the container owns may be set (CVE-2022-0811).
fn namespaced(builder: &Builder<'_>, key: &str) -> Result<(), PlanError> {
    let plain = key
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !plain || key.split('.').any(|part| part.is_empty()) {
        return Err(invalid(&format!("{key:?} is not the name of a sysctl")));
    }
    let flag = if key.starts_with("net.") {
        ns::NEW_NET
    } else if key.starts_with("fs.mqueue.")
        || ["kernel.msg", "kernel.sem", "kernel.shm"]
            .iter()
            .any(|p| key.starts_with(p))
    {
        ns::NEW_IPC
    } else if key == "kernel.domainname" || key == "kernel.hostname" {
        ns::NEW_UTS
    } else {
        return Err(invalid(&format!(
            "the sysctl {key} is not namespaced; set it on the host"
        )));
    };
    if builder.is_new(flag) {
        return Ok(());
    }
    let kinds = ns::names_of(flag).join("");
    Err(invalid(&format!(
        "the sysctl {key} needs a {kinds} namespace of the container's own"
    )))
}

/// Masked and read-only paths.
fn hide(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let spec = builder.spec;
    let Some(linux) = spec.linux() else {
        return Ok(());
    };
    let mut masked: Vec<PathBuf> = linux
        .masked_paths()
        .iter()
        .flatten()
        .map(PathBuf::from)
        .collect();
    if !builder.facts.overlay_in_memory {
        masked.extend(
            builder
                .facts
                .secrets
                .iter()
                .map(|secret| secret.path.clone()),
        );
    }
    if !masked.is_empty() {
        let null = builder.slot();
        let device = DeviceNumber {
            kind: CHARACTER,
            major: 1,
            minor: 3,
        };
        let host = c"/dev/null".into();
        builder.push(Step::OpenHost { host, slot: null });
        for path in &masked {
            let path = c_path(&clean(path)?)?;
            let (layer, empty) = (builder.layer, CString::from(rootfs::EMPTY));
            builder.push(Step::Mask {
                path,
                null,
                device,
                layer,
                empty,
            });
        }
    }
    for path in linux.readonly_paths().iter().flatten() {
        let path = c_path(&clean(Path::new(path))?)?;
        builder.push(Step::MakeReadOnly { path });
    }
    Ok(())
}

/// An absolute path without `.` and `..`; a target that needs them is refused.
fn clean(path: &Path) -> Result<PathBuf, PlanError> {
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
