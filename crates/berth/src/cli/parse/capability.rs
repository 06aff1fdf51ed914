//! `--cap-add` and `--cap-drop`.

use berth_engine::Capability;

use super::Rejected;
use super::nearest::nearest;

/// capabilities(7) without the prefix `CAP_`, up to CAP_CHECKPOINT_RESTORE (5.9), the last one
/// as of Linux 6.18.
pub(crate) const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// Reads a capability in either case, with or without `CAP_`; `ALL` means every one.
pub(crate) fn capability(text: &str) -> Result<Capability, Rejected> {
    let upper = text.trim().to_ascii_uppercase();
    if upper == "ALL" {
        return Ok(Capability(upper));
    }
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if CAPABILITIES.contains(&bare) {
        return Ok(Capability(format!("CAP_{bare}")));
    }
    Err(Rejected::new(match nearest(bare, CAPABILITIES) {
        Some(near) => format!("no capability is called so; did you mean {near}?"),
        None => "no capability is called so; the names are in capabilities(7), ALL means every one"
            .to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for text in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin"] {
            assert_eq!(capability(text), Ok(Capability("CAP_NET_ADMIN".into())));
        }
        assert_eq!(capability("all"), Ok(Capability("ALL".into())));
    }

    #[test]
    fn unknown_names_get_a_suggestion() {
        insta::assert_snapshot!(capability("net_admn").unwrap_err(), @"no capability is called so; did you mean NET_ADMIN?");
        assert!(capability("").is_err());
        assert!(capability("CAP_ALL").is_err());
    }
}
