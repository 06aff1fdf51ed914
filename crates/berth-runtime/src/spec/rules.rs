//! Root, hooks, annotations, and the rules that plan and reader share.

use oci_spec::runtime::{Hook, Spec};

use super::{Checked, refuse};
use crate::namespaces as ns;

/// `root` is required on Linux (config.md, "Root").
pub(super) fn root(spec: &Spec) -> Checked {
    let root = spec
        .root()
        .as_ref()
        .ok_or_else(|| refuse("root", "missing"))?;
    text("root.path", &root.path().to_string_lossy())?;
    if root.path().as_os_str().is_empty() {
        return Err(refuse("root.path", "missing"));
    }
    Ok(())
}

/// Paths are absolute, timeouts above zero (config.md, "POSIX-platform Hooks").
pub(super) fn hooks(spec: &Spec) -> Checked {
    let Some(hooks) = spec.hooks() else {
        return Ok(());
    };
    let points: [(&str, &Option<Vec<Hook>>); 6] = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (point, list) in points {
        for (index, hook) in list.iter().flatten().enumerate() {
            one_hook(&format!("hooks.{point}[{index}]"), hook)?;
        }
    }
    Ok(())
}

fn one_hook(field: &str, hook: &Hook) -> Checked {
    let at = |part: &str| format!("{field}.{part}");
    text(&at("path"), &hook.path().to_string_lossy())?;
    if !hook.path().is_absolute() {
        return Err(refuse(
            at("path"),
            format!("{:?} is not an absolute path", hook.path()),
        ));
    }
    if let Some(timeout) = hook.timeout()
        && timeout <= 0
    {
        return Err(refuse(
            at("timeout"),
            format!("{timeout} is not a number of seconds above 0"),
        ));
    }
    texts(&at("args"), hook.args().as_deref().unwrap_or_default())?;
    texts(&at("env"), hook.env().as_deref().unwrap_or_default())
}

/// Keys must not be empty (config.md, "Annotations").
pub(super) fn annotations(spec: &Spec) -> Checked {
    let mut keys = spec.annotations().iter().flatten().map(|(key, _)| key);
    if keys.any(String::is_empty) {
        return Err(refuse("annotations", "a key is empty"));
    }
    Ok(())
}

/// Refuses NUL bytes: no system call can take them.
pub(super) fn text(field: &str, text: &str) -> Checked {
    if text.contains('\0') {
        return Err(refuse(field, "contains a NUL byte"));
    }
    Ok(())
}

/// [`text`] for each element of a list.
pub(super) fn texts(field: &str, list: &[String]) -> Checked {
    for (index, element) in list.iter().enumerate() {
        text(&format!("{field}[{index}]"), element)?;
    }
    Ok(())
}

/// The numbers of a list such as `0-3,7`, as the kernel writes sets of CPUs and nodes; an empty
/// list is the empty set. `None` when it is none, or names a number above 65535.
pub(crate) fn number_list(text: &str) -> Option<Vec<u16>> {
    let mut numbers = std::collections::BTreeSet::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().ok();
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers.into_iter().collect())
}

/// The name of a sysctl as a path below /proc/sys; `None` when it is none.
///
/// As in sysctl(8), the first separator decides: in `net.ipv4.conf.eth0/1.forwarding` a slash
/// stands for the dot of an interface's name, in `net/ipv4/conf/eth0.1/forwarding` a dot does.
pub fn sysctl_key(key: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_' | b'-' | b':');
    if !key.bytes().all(plain) {
        return None;
    }
    let dots = key.find('.').unwrap_or(usize::MAX) < key.find('/').unwrap_or(usize::MAX);
    let path: String = match dots {
        false => key.to_owned(),
        true => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
    };
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(is_name).then_some(path)
}

/// The CLONE_NEW* flag of the namespace that a sysctl belongs to, by its path below /proc/sys;
/// `None` for those of the whole host (CVE-2022-0811).
pub fn sysctl_namespace(path: &str) -> Option<u64> {
    /// Files of IPC namespaces among those of the host (ipc_namespaces(7), ipc/ipc_sysctl.c).
    const OF_IPC: [&str; 12] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
        "kernel/shm_next_id",
        "kernel/msg_next_id",
        "kernel/sem_next_id",
        "kernel/auto_msgmni",
    ];
    if path.starts_with("net/") {
        Some(ns::NEW_NET)
    } else if path.starts_with("fs/mqueue/") || OF_IPC.contains(&path) {
        Some(ns::NEW_IPC)
    } else if matches!(path, "kernel/hostname" | "kernel/domainname") {
        Some(ns::NEW_UTS)
    } else if path.starts_with("user/") {
        Some(ns::NEW_USER)
    } else {
        None
    }
}
