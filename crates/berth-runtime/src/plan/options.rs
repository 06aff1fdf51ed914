//! Mount options by name, as mount(8) and the runtime specification list them.

use std::ffi::{CStr, CString};

use berth_sys::MountAttributes as Attr;

use super::PlanError;
use super::build::c_string;

/// What the options of one mount mean.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MountOptions {
    /// `bind` (Some(false)) or `rbind` (Some(true)).
    pub(super) bind: Option<bool>,
    /// Attributes for the mount itself.
    pub(super) attributes: Attr,
    /// Attributes for the whole tree (`rro`, `rnosuid`, ...).
    pub(super) recursive: Attr,
    /// Whether `ro` or `rw` was said at all.
    pub(super) read_only: bool,
    /// What remains for the file system.
    pub(super) data: Vec<(CString, Option<CString>)>,
    /// `tmpcopyup`.
    pub(super) copy_up: bool,
    /// `remount`: the mount that is there already changes.
    pub(super) remount: bool,
    /// `idmap` (Some(false)) or `ridmap` (Some(true)).
    pub(super) idmap: Option<bool>,
}

/// Parses the options of a mount; later ones win.
pub(super) fn parse(options: &[String]) -> Result<MountOptions, PlanError> {
    let mut parsed = MountOptions::default();
    for option in options {
        if !known(option, &mut parsed) {
            let (key, value) = match option.split_once('=') {
                Some((key, value)) => (key, Some(c_string(value)?)),
                None => (option.as_str(), None),
            };
            parsed.data.push((c_string(key)?, value));
        }
    }
    parsed.recursive.recursive = true;
    Ok(parsed)
}

/// Applies one option that is not the file system's own; false when it is.
fn known(option: &str, parsed: &mut MountOptions) -> bool {
    match option {
        // Defaults, and words about what mount(8) prints.
        "defaults" | "" | "silent" | "loud" => {}
        "async" => take_back(parsed, c"sync"),
        "nolazytime" => take_back(parsed, c"lazytime"),
        "nomand" => take_back(parsed, c"mand"),
        "noiversion" => take_back(parsed, c"iversion"),
        "remount" => parsed.remount = true,
        "bind" => parsed.bind = Some(parsed.bind.unwrap_or(false)),
        "rbind" => parsed.bind = Some(true),
        "tmpcopyup" => parsed.copy_up = true,
        "idmap" => parsed.idmap = Some(parsed.idmap.unwrap_or(false)),
        "ridmap" => parsed.idmap = Some(true),
        "ro" => parsed.read_only = true,
        "rw" => parsed.read_only = false,
        "private" | "rprivate" => propagation(parsed, option, Attr::PRIVATE),
        "slave" | "rslave" => propagation(parsed, option, Attr::SLAVE),
        "shared" | "rshared" => propagation(parsed, option, Attr::SHARED),
        "unbindable" | "runbindable" => propagation(parsed, option, Attr::UNBINDABLE),
        _ => return attribute(option, parsed),
    }
    if matches!(option, "ro" | "rw") {
        change(&mut parsed.attributes, Attr::RDONLY, option == "ro");
    }
    true
}

/// An earlier option that a later one takes back.
fn take_back(parsed: &mut MountOptions, option: &CStr) {
    parsed.data.retain(|(key, _)| key.as_c_str() != option);
}

fn propagation(parsed: &mut MountOptions, option: &str, flag: u64) {
    let target = if option.starts_with('r') {
        &mut parsed.recursive
    } else {
        &mut parsed.attributes
    };
    target.propagation = flag;
}

/// Options that are bits of MOUNT_ATTR_*: name, bits, set or clear.
fn attribute(option: &str, parsed: &mut MountOptions) -> bool {
    const TABLE: [(&str, u64, bool); 12] = [
        ("ro", Attr::RDONLY, true),
        ("rw", Attr::RDONLY, false),
        ("nosuid", Attr::NOSUID, true),
        ("suid", Attr::NOSUID, false),
        ("nodev", Attr::NODEV, true),
        ("dev", Attr::NODEV, false),
        ("noexec", Attr::NOEXEC, true),
        ("exec", Attr::NOEXEC, false),
        ("nodiratime", Attr::NODIRATIME, true),
        ("diratime", Attr::NODIRATIME, false),
        ("nosymfollow", Attr::NOSYMFOLLOW, true),
        ("symfollow", Attr::NOSYMFOLLOW, false),
    ];
    let access_time = |name: &str| match name {
        "relatime" | "norelatime" | "atime" => Some(0),
        "noatime" => Some(Attr::NOATIME),
        "strictatime" => Some(Attr::STRICTATIME),
        "nostrictatime" => Some(0),
        _ => None,
    };
    let (name, target) = match option.strip_prefix('r') {
        Some(rest) if TABLE.iter().any(|(n, ..)| *n == rest) || access_time(rest).is_some() => {
            (rest, &mut parsed.recursive)
        }
        _ => (option, &mut parsed.attributes),
    };
    if let Some((_, bit, set)) = TABLE.iter().find(|(n, ..)| *n == name) {
        change(target, *bit, *set);
        return true;
    }
    if let Some(bits) = access_time(name) {
        target.clear |= Attr::ATIME_MASK;
        target.set = (target.set & !Attr::ATIME_MASK) | bits;
        return true;
    }
    false
}

fn change(target: &mut Attr, bit: u64, set: bool) {
    if set {
        target.set |= bit;
        target.clear &= !bit;
    } else {
        target.set &= !bit;
        target.clear |= bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> MountOptions {
        parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn tmpfs_options_split_from_flags() {
        let parsed = parse_words(&["nosuid", "strictatime", "mode=755", "size=65536k"]);
        assert_eq!(parsed.attributes.set, Attr::NOSUID | Attr::STRICTATIME);
        assert_eq!(parsed.data.len(), 2);
    }

    #[test]
    fn recursive_flags_are_apart() {
        let parsed = parse_words(&["rbind", "rro", "rslave"]);
        assert_eq!(parsed.bind, Some(true));
        assert_eq!(parsed.recursive.set, Attr::RDONLY);
        assert_eq!(parsed.recursive.propagation, Attr::SLAVE);
        assert_eq!(parsed.attributes, Attr::default());
    }

    #[test]
    fn later_options_win() {
        let parsed = parse_words(&["ro", "rw"]);
        assert_eq!(parsed.attributes.set & Attr::RDONLY, 0);
        assert!(!parsed.read_only);
    }

    #[test]
    fn relatime_is_not_a_recursive_elatime() {
        assert_eq!(
            parse_words(&["relatime"]).attributes.clear,
            Attr::ATIME_MASK
        );
        assert!(parse_words(&["relatime"]).data.is_empty());
    }
}
