//! `linux`, `hostname` and `domainname` (config-linux.md).

use std::path::Path;

use oci_spec::runtime::{
    Linux, LinuxDevice, LinuxDeviceType, LinuxIntelRdt, LinuxMemoryPolicy, LinuxNamespaceType,
    LinuxSeccomp, MemoryPolicyFlagType as Flag, MemoryPolicyModeType as Mode, Spec,
};

use super::{Checked, mapping, refuse, rules};
use crate::cgroup::check_resources;
use crate::namespaces as ns;

/// Namespaces of the spec as CLONE_NEW* flags.
#[derive(Clone, Copy, Default)]
struct Namespaces {
    new: u64,
    joined: u64,
}

pub(super) fn check(spec: &Spec) -> Checked {
    let linux = spec.linux().as_ref();
    let linux = linux.ok_or_else(|| refuse("linux", "missing; it lists the namespaces"))?;
    let all = namespaces(linux)?;
    for (field, name) in [
        ("hostname", spec.hostname()),
        ("domainname", spec.domainname()),
    ] {
        let name = name.as_deref().unwrap_or_default();
        rules::text(field, name)?;
        if name.len() > 64 {
            return Err(refuse(field, "longer than the kernel's 64 bytes"));
        }
        if !name.is_empty() && (all.new | all.joined) & ns::NEW_UTS == 0 {
            return Err(refuse(
                field,
                "needs a uts namespace in linux.namespaces; else it would change the host's",
            ));
        }
    }
    mappings(linux, all)?;
    time_offsets(linux, all)?;
    sysctls(linux, all)?;
    net_devices(linux, all)?;
    for (index, device) in linux.devices().iter().flatten().enumerate() {
        self::device(&format!("linux.devices[{index}]"), device)?;
    }
    if let Some(seccomp) = linux.seccomp() {
        self::seccomp(seccomp)?;
    }
    propagation(linux)?;
    paths(linux)?;
    if let Some(resources) = linux.resources() {
        check_resources(resources).map_err(|(field, error)| refuse(field, error))?;
    }
    if let Some(rdt) = linux.intel_rdt() {
        intel_rdt(rdt)?;
    }
    if let Some(policy) = linux.memory_policy() {
        memory_policy(policy)?;
    }
    let personality = linux
        .personality()
        .as_ref()
        .and_then(|p| p.flags().as_ref());
    if personality.is_some_and(|flags| !flags.is_empty()) {
        return Err(refuse(
            "linux.personality.flags",
            "the specification defines none",
        ));
    }
    rules::text(
        "linux.mountLabel",
        linux.mount_label().as_deref().unwrap_or_default(),
    )
}

/// Each type once, paths absolute.
fn namespaces(linux: &Linux) -> Result<Namespaces, super::SpecError> {
    let mut all = Namespaces::default();
    for (index, namespace) in linux.namespaces().iter().flatten().enumerate() {
        let field = format!("linux.namespaces[{index}]");
        let flag = ns::flag_of(ns::kind_of(namespace.typ()));
        if (all.new | all.joined) & flag != 0 {
            return Err(refuse(
                field,
                format!("the namespace {} is listed twice", word(namespace.typ())),
            ));
        }
        match namespace.path().as_deref() {
            None => all.new |= flag,
            Some(path) if path.as_os_str().is_empty() => all.new |= flag,
            Some(path) => {
                absolute(&format!("{field}.path"), path)?;
                all.joined |= flag;
            }
        }
    }
    if (all.new | all.joined) & ns::NEW_MOUNT == 0 {
        return Err(refuse(
            "linux.namespaces",
            "mount is missing; without it the host's own mounts would be changed",
        ));
    }
    Ok(all)
}

/// The word of the specification for a type.
const fn word(kind: LinuxNamespaceType) -> &'static str {
    match kind {
        LinuxNamespaceType::Mount => "mount",
        LinuxNamespaceType::Network => "network",
        other => ns::kind_of(other).as_str(),
    }
}

fn mappings(linux: &Linux, all: Namespaces) -> Checked {
    for (field, list) in [
        ("linux.uidMappings", linux.uid_mappings()),
        ("linux.gidMappings", linux.gid_mappings()),
    ] {
        let list = list.as_deref().unwrap_or_default();
        mapping::check(field, list)?;
        if !list.is_empty() && (all.new | all.joined) & ns::NEW_USER == 0 {
            return Err(refuse(field, "needs a user namespace in linux.namespaces"));
        }
        if list.is_empty() && all.new & ns::NEW_USER != 0 {
            return Err(refuse(field, "missing; a new user namespace needs one"));
        }
    }
    Ok(())
}

/// time_namespaces(7): two clocks, and only before anybody is in the namespace.
fn time_offsets(linux: &Linux, all: Namespaces) -> Checked {
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        let field = format!("linux.timeOffsets.{clock}");
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(refuse(
                field,
                "there is no such clock; those with offsets are monotonic and boottime",
            ));
        }
        if all.new & ns::NEW_TIME == 0 {
            return Err(refuse(
                field,
                "needs a new time namespace in linux.namespaces",
            ));
        }
        if offset.nanosecs().unwrap_or(0) >= 1_000_000_000 {
            return Err(refuse(format!("{field}.nanosecs"), "a second or more"));
        }
    }
    Ok(())
}

/// Only sysctls of namespaces that the container has for itself, or joins (CVE-2022-0811).
fn sysctls(linux: &Linux, all: Namespaces) -> Checked {
    for (key, value) in linux.sysctl().iter().flatten() {
        let field = format!("linux.sysctl.{key}");
        let Some(path) = rules::sysctl_key(key) else {
            return Err(refuse(field, "not the name of a sysctl"));
        };
        rules::text(&field, value)?;
        let Some(namespace) = rules::sysctl_namespace(&path) else {
            return Err(refuse(field, "it is not namespaced; set it on the host"));
        };
        if (all.new | all.joined) & namespace == 0 {
            let kind = ns::names_of(namespace).join(" ");
            return Err(refuse(
                field,
                format!("needs a {kind} namespace in linux.namespaces"),
            ));
        }
        if path == "kernel/hostname" {
            return Err(refuse(field, "set hostname instead"));
        }
    }
    Ok(())
}

/// Interfaces have names of 1 to 15 bytes (IFNAMSIZ) without slash, colon and white space. Of a
/// name with `%d` in it the kernel makes the first that is free.
fn net_devices(linux: &Linux, all: Namespaces) -> Checked {
    let is_name = |name: &str| {
        (1..16).contains(&name.len())
            && !matches!(name, "." | "..")
            && !name
                .bytes()
                .any(|b| matches!(b, b'/' | b':' | b'%' | 0) || b.is_ascii_whitespace())
    };
    let mut taken = std::collections::BTreeSet::new();
    for (name, device) in linux.net_devices().iter().flatten() {
        let field = format!("linux.netDevices.{name}");
        let inside = device.name().as_deref().filter(|name| !name.is_empty());
        let inside = inside.unwrap_or(name);
        let plain = inside.replacen("%d", "0", 1);
        if !is_name(name) || !is_name(&plain) {
            return Err(refuse(field, "not the name of an interface"));
        }
        if (all.new | all.joined) & ns::NEW_NET == 0 {
            return Err(refuse(
                field,
                "needs a network namespace in linux.namespaces",
            ));
        }
        if plain == inside && !taken.insert(inside) {
            return Err(refuse(
                field,
                format!("another interface is to be {inside} as well"),
            ));
        }
    }
    Ok(())
}

/// config-linux.md, "Devices". Numbers are those of a dev_t: 12 and 20 bits.
fn device(field: &str, device: &LinuxDevice) -> Checked {
    let at = |part: &str| format!("{field}.{part}");
    absolute(&at("path"), device.path())?;
    if super::mounts::leaves(device.path()) {
        return Err(refuse(
            at("path"),
            format!("{:?} is not a place inside the container", device.path()),
        ));
    }
    if device.typ() == LinuxDeviceType::A {
        return Err(refuse(
            at("type"),
            "\"a\" is for rules; a device is c, b, u or p",
        ));
    }
    if device.typ() == LinuxDeviceType::P {
        return Ok(());
    }
    for (part, number, most) in [
        ("major", device.major(), 0xfff),
        ("minor", device.minor(), 0xf_ffff),
    ] {
        if !(0..=most).contains(&number) {
            return Err(refuse(
                at(part),
                format!("{number} is not between 0 and {most}"),
            ));
        }
    }
    Ok(())
}

/// What libseccomp would not notice (config-linux.md, "Seccomp").
fn seccomp(seccomp: &LinuxSeccomp) -> Checked {
    if seccomp.listener_metadata().is_some() && seccomp.listener_path().is_none() {
        return Err(refuse(
            "linux.seccomp.listenerMetadata",
            "needs listenerPath",
        ));
    }
    for (index, call) in seccomp.syscalls().iter().flatten().enumerate() {
        if call.names().is_empty() {
            return Err(refuse(
                format!("linux.seccomp.syscalls[{index}].names"),
                "empty; it names the system calls",
            ));
        }
    }
    Ok(())
}

fn propagation(linux: &Linux) -> Checked {
    let word = linux.rootfs_propagation().as_deref().unwrap_or_default();
    let plain = word.strip_prefix('r').unwrap_or(word);
    if matches!(plain, "" | "private" | "slave" | "shared" | "unbindable") {
        return Ok(());
    }
    Err(refuse(
        "linux.rootfsPropagation",
        format!("unknown rootfsPropagation {word:?}; there are shared, slave, private, unbindable"),
    ))
}

fn paths(linux: &Linux) -> Checked {
    for (field, list) in [
        ("linux.maskedPaths", linux.masked_paths()),
        ("linux.readonlyPaths", linux.readonly_paths()),
    ] {
        for (index, path) in list.iter().flatten().enumerate() {
            absolute(&format!("{field}[{index}]"), Path::new(path))?;
        }
    }
    Ok(())
}

/// config-linux.md, "IntelRdt".
fn intel_rdt(rdt: &LinuxIntelRdt) -> Checked {
    let at = |part: &str| format!("linux.intelRdt.{part}");
    if let Some(class) = rdt.clos_id()
        && (class.contains('/') || matches!(class.as_str(), "" | "." | ".."))
    {
        return Err(refuse(at("closID"), format!("{class:?} is not a name")));
    }
    let line = |part: &str, text: &Option<String>, prefix: &str| match text.as_deref() {
        Some(text) if text.contains('\n') || !text.starts_with(prefix) => Err(refuse(
            at(part),
            format!("{text:?} is not one line that starts with {prefix:?}"),
        )),
        _ => Ok(()),
    };
    line("memBwSchema", rdt.mem_bw_schema(), "MB:")?;
    for (index, schema) in rdt.schemata().iter().flatten().enumerate() {
        if schema.contains('\n') {
            return Err(refuse(
                at(&format!("schemata[{index}]")),
                format!("{schema:?} is not one line"),
            ));
        }
    }
    rules::texts(
        &at("schemata"),
        rdt.schemata().as_deref().unwrap_or_default(),
    )
}

/// set_mempolicy(2): which modes take nodes, and which flags go with them.
fn memory_policy(policy: &LinuxMemoryPolicy) -> Checked {
    let at = |part: &str| format!("linux.memoryPolicy.{part}");
    let nodes = policy.nodes().as_deref().unwrap_or_default();
    if rules::number_list(nodes).is_none() {
        return Err(refuse(
            at("nodes"),
            format!("{nodes:?} is not a list such as 0-1,3"),
        ));
    }
    match policy.mode() {
        Mode::MpolDefault | Mode::MpolLocal if !nodes.is_empty() => {
            return Err(refuse(at("nodes"), format!("{} takes none", policy.mode())));
        }
        Mode::MpolBind
        | Mode::MpolInterleave
        | Mode::MpolWeightedInterleave
        | Mode::MpolPreferredMany
            if nodes.is_empty() =>
        {
            return Err(refuse(
                at("nodes"),
                format!("missing; {} needs some", policy.mode()),
            ));
        }
        _ => {}
    }
    let flags = policy.flags().as_deref().unwrap_or_default();
    let has = |flag| flags.contains(&flag);
    if has(Flag::MpolFStaticNodes) && has(Flag::MpolFRelativeNodes) {
        return Err(refuse(
            at("flags"),
            "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other",
        ));
    }
    let balances = matches!(policy.mode(), Mode::MpolBind | Mode::MpolPreferredMany);
    if has(Flag::MpolFNumaBalancing) && !balances {
        return Err(refuse(
            at("flags"),
            "MPOL_F_NUMA_BALANCING needs MPOL_BIND or MPOL_PREFERRED_MANY",
        ));
    }
    Ok(())
}

fn absolute(field: &str, path: &Path) -> Checked {
    rules::text(field, &path.to_string_lossy())?;
    if path.is_absolute() {
        return Ok(());
    }
    Err(refuse(field, format!("{path:?} is not an absolute path")))
}
