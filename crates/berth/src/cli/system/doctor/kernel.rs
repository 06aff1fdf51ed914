//! Namespaces, overlay, seccomp, FUSE, BPF.

use std::path::Path;

use super::finding::{Finding, State};
use super::probe::{KINDS, try_in_child};
use super::{Patient, sysctl};

const AREA: &str = "Kernel";

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    let mut all = vec![version()];
    all.extend(KINDS.iter().map(|(kind, _)| namespace(patient, kind)));
    all.push(overlay(patient));
    all.push(fuse(patient));
    all.push(seccomp());
    all.push(btf(patient));
    all
}

/// The oldest kernel that has everything a start needs is 5.14; all is used from 6.1 on.
fn version() -> Finding {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut parts = release
        .split(['.', '-'])
        .map_while(|p| p.parse::<u32>().ok());
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let found = Finding::ok(AREA, "version", release.clone());
    if version < (5, 14) {
        found.but(
            State::Missing,
            "containers do not start",
            "boot a kernel from 5.14 on, better from 6.1",
        )
    } else {
        found.unless(
            version >= (6, 1),
            State::Warning,
            "slower starts, and no clear words where something of it is missing",
            "boot a kernel from 6.1 on",
        )
    }
}

fn namespace(patient: &Patient<'_>, kind: &str) -> Finding {
    let tried = try_in_child(&patient.context.config, kind);
    let why = tried.as_ref().err().cloned().unwrap_or_default();
    let found = Finding::ok(AREA, format!("{kind} namespaces"), why);
    if tried.is_ok() {
        return found;
    }
    match kind {
        "user" => user_namespaces(found, patient),
        "time" => found.but(
            State::Warning,
            "containers see the host's boot time",
            "boot a kernel with CONFIG_TIME_NS",
        ),
        kind => {
            let option = format!("boot a kernel with CONFIG_{}_NS", kind.to_uppercase());
            let remedy = match patient.is_root {
                true => option,
                false => "see user namespaces, which all others are made in".to_owned(),
            };
            found.but(State::Missing, "containers do not start", remedy)
        }
    }
}

/// Distributions have several ways to keep users from them.
fn user_namespaces(found: Finding, patient: &Patient<'_>) -> Finding {
    let (state, costs) = match patient.is_root {
        true => (
            State::Warning,
            "no --userns private, and nothing for users without root",
        ),
        false => (State::Missing, "no containers without root"),
    };
    let is = |name: &str, value: &str| sysctl::read(name).as_deref() == Some(value);
    let remedy = if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    } else if is("kernel/unprivileged_userns_clone", "0") {
        "sysctl -w kernel.unprivileged_userns_clone=1"
    } else if is("user/max_user_namespaces", "0") {
        "sysctl -w user.max_user_namespaces=63000"
    } else {
        "boot a kernel with CONFIG_USER_NS"
    };
    found.but(state, costs, remedy)
}

fn overlay(patient: &Patient<'_>) -> Finding {
    let tried = try_in_child(&patient.context.config, "overlay");
    let why = tried.as_ref().err().cloned().unwrap_or_default();
    Finding::ok(AREA, "overlay", why).unless(
        tried.is_ok(),
        State::Missing,
        "containers of images do not start; those of --rootfs and host are read-only",
        "modprobe overlay",
    )
}

fn fuse(patient: &Patient<'_>) -> Finding {
    // by path: a device of the host
    let opened = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse");
    let why = opened.as_ref().err().map(ToString::to_string);
    let is_denied = opened
        .as_ref()
        .is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied);
    let remedy = match (patient.is_root, is_denied) {
        (true, _) => "modprobe fuse",
        (false, true) => "have the administrator run \"chmod 666 /dev/fuse\"",
        (false, false) => "have the administrator run \"modprobe fuse\"",
    };
    Finding::ok(AREA, "FUSE", why.unwrap_or_default()).unless(
        opened.is_ok(),
        State::Warning,
        "file systems in user space cannot be given to containers (--device /dev/fuse)",
        remedy,
    )
}

fn seccomp() -> Finding {
    let actions = sysctl::read("kernel/seccomp/actions_avail").unwrap_or_default();
    let has = |action: &str| actions.split(' ').any(|word| word == action);
    let found = Finding::ok(AREA, "seccomp", actions.clone());
    if has("errno") {
        found.unless(
            has("user_notif"),
            State::Warning,
            "profiles that notify somebody are refused",
            "boot a kernel from 5.0 on",
        )
    } else {
        found.but(
            State::Missing,
            "containers start only with --security-opt seccomp=unconfined",
            "boot a kernel with CONFIG_SECCOMP_FILTER",
        )
    }
}

fn btf(patient: &Patient<'_>) -> Finding {
    let is_there = Path::new("/sys/kernel/btf/vmlinux").exists();
    let found = match is_there {
        true => "/sys/kernel/btf/vmlinux",
        false => "no /sys/kernel/btf/vmlinux",
    };
    let finding = Finding::ok(AREA, "BPF iterators", found);
    if patient.is_root {
        finding.unless(
            is_there,
            State::Warning,
            "\"berth map\" reads /proc, which is slower on a host of many processes",
            "boot a kernel with CONFIG_DEBUG_INFO_BTF",
        )
    } else {
        Finding::ok(AREA, "BPF iterators", "for root alone; the map reads /proc")
    }
}
