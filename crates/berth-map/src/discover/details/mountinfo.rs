//! Mounts as procfs and statmount(2) tell them, in one form. Pure.

use berth_sys::mount_list::MountStat;

use crate::model::{Mount, decode_untrusted};

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) mount: Mount,
    /// The options of the file system, which all mounts of it share.
    pub(super) shared_options: String,
}

/// Parses `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).
pub(in crate::discover) fn parse(text: &[u8]) -> Vec<Mount> {
    parse_rows(text).into_iter().map(|row| row.mount).collect()
}

/// The same with the options of the file systems.
pub(super) fn parse_rows(text: &[u8]) -> Vec<Row> {
    let lines = text.split(|b| *b == b'\n');
    lines.filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Row> {
    let mut fields = line.split(|b| *b == b' ');
    let id = parse_number(fields.next()?)?;
    let parent = parse_number(fields.next()?)?;
    let root = unescape(fields.nth(1)?);
    let point = unescape(fields.next()?);
    let options = decode_untrusted(fields.next()?);
    let tags = fields.by_ref().take_while(|field| *field != b"-");
    let propagation: Vec<String> = tags.map(decode_untrusted).collect();
    let kind = unescape(fields.next()?);
    let source = unescape(fields.next()?);
    let mount = Mount {
        id,
        parent,
        root,
        point,
        kind,
        source: some_source(source),
        options,
        propagation: propagation.join(" "),
    };
    Some(Row {
        mount,
        shared_options: fields.next().map(decode_untrusted).unwrap_or_default(),
    })
}

fn parse_number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// `none` is what the kernel writes where there is no source.
fn some_source(source: String) -> Option<String> {
    (!source.is_empty() && source != "none").then_some(source)
}

/// Undoes the octal escapes of blanks, line breaks and backslashes.
fn unescape(field: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let digits = tail.first_chunk::<3>().filter(|_| *first == b'\\');
        let octal = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = match octal {
            Some(_) => tail.get(3..).unwrap_or_default(),
            None => tail,
        };
    }
    decode_untrusted(&bytes)
}

/// The same from statmount(2).
pub(super) fn from_stat(stat: &MountStat) -> Mount {
    let mut kind = decode_untrusted(&stat.file_system);
    if !stat.subtype.is_empty() {
        kind.push('.');
        kind.push_str(&decode_untrusted(&stat.subtype));
    }
    Mount {
        id: stat.id,
        parent: stat.parent,
        root: decode_untrusted(&stat.root),
        point: decode_untrusted(&stat.point),
        kind,
        source: some_source(decode_untrusted(&stat.source)),
        options: describe_attributes(stat.attributes),
        propagation: describe_propagation(stat),
    }
}

/// MOUNT_ATTR_* as mountinfo writes them, in its order (linux `fs/proc_namespace.c`).
fn describe_attributes(attributes: u64) -> String {
    const RDONLY: u64 = 0x1;
    const ATIME_MASK: u64 = 0x70;
    const NOATIME: u64 = 0x10;
    const RELATIME: u64 = 0;
    let atime = attributes & ATIME_MASK;
    let has = |bit: u64| attributes & bit != 0;
    let words = [
        (has(RDONLY), "ro"),
        (!has(RDONLY), "rw"),
        (has(0x2), "nosuid"),
        (has(0x4), "nodev"),
        (has(0x8), "noexec"),
        (atime == NOATIME, "noatime"),
        (has(0x80), "nodiratime"),
        (atime == RELATIME, "relatime"),
        (has(0x20_0000), "nosymfollow"),
        (has(0x10_0000), "idmapped"),
    ];
    let set: Vec<&str> = words.into_iter().filter(|w| w.0).map(|w| w.1).collect();
    set.join(",")
}

/// Propagation as mountinfo writes it.
fn describe_propagation(stat: &MountStat) -> String {
    /// MS_SHARED and MS_UNBINDABLE.
    const SHARED: u64 = 1 << 20;
    const UNBINDABLE: u64 = 1 << 17;
    let mut tags = Vec::new();
    if stat.propagation & SHARED != 0 {
        tags.push(format!("shared:{}", stat.peer_group));
    }
    if stat.master != 0 {
        tags.push(format!("master:{}", stat.master));
        if stat.propagate_from != 0 && stat.propagate_from != stat.master {
            tags.push(format!("propagate_from:{}", stat.propagate_from));
        }
    }
    if stat.propagation & UNBINDABLE != 0 {
        tags.push("unbindable".to_owned());
    }
    tags.join(" ")
}

/// Orders mounts so that each comes after the one that carries it; what is carried by none of
/// them comes first. Otherwise the order stays.
pub(super) fn parents_first(mounts: Vec<Mount>) -> Vec<Mount> {
    use std::collections::{BTreeMap, BTreeSet};
    let ids: BTreeSet<u64> = mounts.iter().map(|m| m.id).collect();
    let mut carried: BTreeMap<u64, Vec<Mount>> = BTreeMap::new();
    let mut ready = Vec::new();
    for mount in mounts {
        if mount.parent != mount.id && ids.contains(&mount.parent) {
            carried.entry(mount.parent).or_default().push(mount);
        } else {
            ready.push(mount);
        }
    }
    let mut ordered = Vec::with_capacity(ids.len());
    ready.reverse();
    while let Some(mount) = ready.pop() {
        let above = carried.remove(&mount.id).unwrap_or_default();
        ready.extend(above.into_iter().rev());
        ordered.push(mount);
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_tags_and_escapes() {
        let text =
            b"36 35 98:0 /m\\134x /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root rw\n\
            40 36 0:4 net:[4026532246] /run/n rw - nsfs none rw\nbroken line\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].root, "/m\\x");
        assert_eq!(mounts[0].point, "/mnt 2");
        assert_eq!(mounts[0].propagation, "master:1 shared:7");
        assert_eq!(mounts[0].source.as_deref(), Some("/dev/root"));
        assert_eq!(mounts[1].kind, "nsfs");
        assert_eq!(mounts[1].root, "net:[4026532246]");
        assert_eq!(mounts[1].propagation, "");
        assert_eq!(mounts[1].source, None);
        assert_eq!(parse_rows(text)[0].shared_options, "rw");
    }

    #[test]
    fn parents_come_first_whatever_their_ids() {
        let mount = |id, parent| Mount {
            id,
            parent,
            root: String::new(),
            point: String::new(),
            kind: String::new(),
            source: None,
            options: String::new(),
            propagation: String::new(),
        };
        // 9 is the root; 3 moved below 7; 5 carries itself in a loop that the kernel never makes.
        let order = |mounts| -> Vec<u64> { parents_first(mounts).iter().map(|m| m.id).collect() };
        let mounts = vec![
            mount(3, 7),
            mount(7, 9),
            mount(8, 9),
            mount(9, 1),
            mount(5, 5),
        ];
        assert_eq!(order(mounts), [9, 7, 3, 8, 5]);
    }
}
