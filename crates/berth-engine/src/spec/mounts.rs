//! The `mounts` of a spec: Docker's default set, then what the user asked for.

use std::collections::HashSet;

use berth_base::NamespaceKind;
use berth_base::state::NamespaceSource;
use oci_spec::runtime::Mount;

use super::{SpecError, SpecFacts};
use crate::CreateOptions;
use crate::options::{MountRequest, VolumeBacking, VolumeMount};

/// The option by which the runtime learns which part of a volume to mount: it opens the path below
/// the source by openat2(2) and mounts what it has opened. mount(8) leaves `x-` to such uses.
const BENEATH: &str = "x-berth.beneath=";

pub(super) fn mounts(options: &CreateOptions, facts: &SpecFacts) -> Result<Vec<Mount>, SpecError> {
    let mut own = Vec::with_capacity(options.mounts.len());
    let mut targets = HashSet::new();
    for request in &options.mounts {
        let Some((target, mount)) = requested(request, facts)? else {
            continue;
        };
        if !targets.insert(target.clone()) {
            return Err(SpecError::DuplicateMount(target));
        }
        own.push(mount);
    }
    for mount in facts.injected.mounts.iter().chain(&bound_devices(facts)) {
        let target = normalise(&mount.destination().to_string_lossy())?;
        // The user's own is what is wanted.
        if targets.insert(target) {
            own.push(mount.clone());
        }
    }
    // Parents before children; sorting is stable, so that the user's order stays otherwise.
    own.sort_by_key(|mount| mount.destination().components().count());
    // A mount of the user's replaces the default one; a /dev of the user's brings its own inside.
    let mut all: Vec<Mount> = defaults(options, facts)
        .into_iter()
        .filter(|mount| {
            let target = mount.destination().to_string_lossy();
            let inside_own_dev = target.starts_with("/dev/") && targets.contains("/dev");
            !targets.contains(target.as_ref()) && !inside_own_dev
        })
        .collect();
    all.append(&mut own);
    Ok(all)
}

/// Docker's mounts. Where a user namespace does not own the PID, network or IPC namespace, the
/// kernel refuses a fresh procfs, sysfs or mqueue, and the runtime shows the host's.
fn defaults(options: &CreateOptions, facts: &SpecFacts) -> Vec<Mount> {
    let access = if options.privileged { "rw" } else { "ro" };
    let mut mounts = Vec::with_capacity(8);
    let kernel = ["nosuid", "noexec", "nodev"];
    let sys = ["nosuid", "noexec", "nodev", access];
    mounts.push(mount("/proc", "proc", "proc", &kernel));
    mounts.push(mount(
        "/dev",
        "tmpfs",
        "tmpfs",
        &["nosuid", "strictatime", "mode=755", "size=65536k"],
    ));
    mounts.push(mount(
        "/dev/pts",
        "devpts",
        "devpts",
        &[
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
        ],
    ));
    mounts.push(mount("/sys", "sysfs", "sysfs", &sys));
    mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &sys));
    let host_ipc = *facts.source(NamespaceKind::Ipc) == NamespaceSource::Host;
    // In a user namespace only the host's own could be shown.
    if !(host_ipc && facts.has_user_namespace() && !facts.host_has_mqueue) {
        mounts.push(mount("/dev/mqueue", "mqueue", "mqueue", &kernel));
    }
    if host_ipc && facts.host_has_shm {
        mounts.push(bind("/dev/shm", "/dev/shm", &["nosuid", "noexec", "nodev"]));
    } else if !options.limits.without_shm {
        let size = match options.limits.shm_bytes {
            Some(bytes) => format!("size={bytes}"),
            None => "size=65536k".to_owned(),
        };
        let all = ["nosuid", "noexec", "nodev", "mode=1777", &size];
        mounts.push(mount("/dev/shm", "tmpfs", "shm", &all));
    }
    for (name, source) in &facts.network_files {
        // Ours, below a folder that a container's root need not be able to enter.
        let mut mount = bind(&format!("/etc/{name}"), "", &["x-berth.before"]);
        mount.set_source(Some(source.clone()));
        mounts.push(mount);
    }
    mounts
}

/// Devices at another path than the host's, where a user namespace forbids to make their nodes.
fn bound_devices(facts: &SpecFacts) -> Vec<Mount> {
    let grants = facts.injected.devices.iter();
    grants
        .filter(|grant| facts.has_user_namespace() && grant.is_elsewhere())
        .map(|grant| {
            let mut mount = bind(&grant.device.path, "", &["nosuid", "noexec"]);
            mount.set_source(Some(grant.host.clone()));
            mount
        })
        .collect()
}

/// One request with its normalised target; nothing for `--volumes-from`, whose mounts stand beside it.
fn requested(
    request: &MountRequest,
    facts: &SpecFacts,
) -> Result<Option<(String, Mount)>, SpecError> {
    let (target, mount) = match request {
        MountRequest::Bind {
            source,
            target,
            read_only,
            writable_below,
            options,
            ..
        } => {
            if !source.is_absolute() {
                return Err(SpecError::MountSource(source.clone()));
            }
            let target = normalise(target)?;
            let access = match (read_only, writable_below) {
                (false, _) => "rw",
                (true, true) => "ro",
                (true, false) => "rro",
            };
            let all = bind_options(access, &[options]);
            let mut mount = mount(&target, "bind", "", &all);
            mount.set_source(Some(source.clone()));
            (target, mount)
        }
        MountRequest::Volume(volume) => {
            let target = normalise(&volume.target)?;
            let mount = volume_mount(volume, &target, facts)?;
            (target, mount)
        }
        MountRequest::Tmpfs { target, options } => {
            let target = normalise(target)?;
            let mut all: Vec<&str> = [("noexec", "exec"), ("nosuid", "suid"), ("nodev", "dev")]
                .into_iter()
                .filter(|(_, opposite)| !options.iter().any(|o| o == opposite))
                .map(|(default, _)| default)
                .filter(|default| !options.iter().any(|o| o == default))
                .collect();
            all.extend(options.iter().map(String::as_str));
            let mount = mount(&target, "tmpfs", "tmpfs", &all);
            (target, mount)
        }
        MountRequest::From { .. } => return Ok(None),
    };
    Ok(Some((target, mount)))
}

/// A volume: its folder bound, with the container's ids where it has a user namespace of root's, or a
/// tmpfs. Without root the ids on disk are those of the namespace already.
fn volume_mount(volume: &VolumeMount, target: &str, facts: &SpecFacts) -> Result<Mount, SpecError> {
    match &volume.backing {
        None => Err(SpecError::VolumeUnknown(target.to_owned())),
        Some(VolumeBacking::Folder { path, options }) => {
            let beneath = volume.subpath.as_ref().map(|s| format!("{BENEATH}{s}"));
            let access = if volume.read_only { "rro" } else { "rw" };
            let mut all = bind_options(access, &[options, &volume.options]);
            if facts.has_user_namespace() && !facts.rootless {
                all.push("idmap");
            }
            all.extend(beneath.as_deref());
            let mut mount = mount(target, "bind", "", &all);
            mount.set_source(Some(path.clone()));
            Ok(mount)
        }
        Some(VolumeBacking::Memory { options }) => {
            let mut all: Vec<&str> = options.iter().map(String::as_str).collect();
            all.extend(volume.options.iter().map(String::as_str));
            all.extend(volume.read_only.then_some("ro"));
            all.extend((!volume.no_copy).then_some("tmpcopyup"));
            Ok(mount(target, "tmpfs", "tmpfs", &all))
        }
    }
}

/// The options of a bind mount: the whole tree unless `bind` was asked for, private unless a
/// propagation was; `access` is `rw`, `ro`, or `rro` for a tree of which nothing may be written.
fn bind_options<'a>(access: &'a str, asked: &[&'a [String]]) -> Vec<&'a str> {
    let asked = || asked.iter().copied().flatten().map(String::as_str);
    let whole = !asked().any(|option| option == "bind");
    let mut all = vec![if whole { "rbind" } else { "bind" }, access];
    if !asked().any(is_propagation) {
        all.push("rprivate");
    }
    all.extend(asked().filter(|option| !matches!(*option, "bind" | "rbind")));
    all
}

fn is_propagation(option: &str) -> bool {
    matches!(
        option,
        "private"
            | "rprivate"
            | "shared"
            | "rshared"
            | "slave"
            | "rslave"
            | "unbindable"
            | "runbindable"
    )
}

/// Makes a target absolute, without empty or dot components. Nothing may cover /proc: what is
/// masked there, and the writes of the runtime, must reach the real one (CVE-2019-16884).
pub(crate) fn normalise(target: &str) -> Result<String, SpecError> {
    let bad = || SpecError::MountTarget(target.to_owned());
    if !target.starts_with('/') || target.contains('\0') {
        return Err(bad());
    }
    let parts: Vec<&str> = target
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.is_empty() || parts.contains(&"..") {
        return Err(bad());
    }
    let normal = format!("/{}", parts.join("/"));
    if parts.first() == Some(&"proc") {
        return Err(SpecError::MountOverProc(normal));
    }
    Ok(normal)
}

fn bind(target: &str, source: &str, options: &[&str]) -> Mount {
    let mut all = vec!["rbind"];
    all.extend(options);
    mount(target, "bind", source, &all)
}

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    let mut mount = Mount::default();
    mount
        .set_destination(target.into())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(options.iter().map(|o| (*o).to_owned()).collect()));
    mount
}
