//! The text formats of procfs (proc_pid_stat(5), proc_pid_status(5), cgroups(7)). Pure.

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use crate::model::{CgroupEntry, CgroupSet, IdRange, decode_untrusted};

/// What is taken from `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) comm: String,
    pub(super) state: char,
    pub(super) parent: Option<HostPid>,
    pub(super) kernel_thread: bool,
    /// How many threads its process has.
    pub(super) threads: u32,
    pub(super) start_ticks: u64,
}

/// What is taken from `/proc/PID/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// Effective uid.
    pub(super) uid: u32,
    /// The NSpid line, outermost first.
    pub(super) pids: Vec<u32>,
}

/// PF_KTHREAD of linux/sched.h, unchanged since 2.6.27; field 9 of stat shows it.
const PF_KTHREAD: u32 = 0x0020_0000;

/// Parses `/proc/PID/stat`. The name may hold spaces and parentheses: it ends at the last one.
pub(super) fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let comm = decode_untrusted(text.get(open + 1..close)?);
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    // Fields 3, 4, 9, 20 and 22 of the manual page.
    let state = fields.next()?.chars().next()?;
    let parent = HostPid::new(fields.next()?.parse().ok()?);
    let flags: u32 = fields.nth(4)?.parse().ok()?;
    let threads = fields.nth(10)?.parse().ok()?;
    let start_ticks = fields.nth(1)?.parse().ok()?;
    Some(Stat {
        comm,
        state,
        parent,
        kernel_thread: flags & PF_KTHREAD != 0,
        threads,
        start_ticks,
    })
}

/// Parses `/proc/PID/status`. Kernels without PID namespaces have no NSpid line: then the list is
/// empty.
pub(super) fn parse_status(text: &[u8]) -> Option<Status> {
    let mut uid = None;
    let mut pids = Vec::new();
    for line in text.split(|b| *b == b'\n') {
        if let Some(ids) = line.strip_prefix(b"Uid:") {
            uid = numbers(ids).nth(1);
        } else if let Some(chain) = line.strip_prefix(b"NSpid:") {
            pids = numbers(chain).collect();
            break;
        }
    }
    Some(Status { uid: uid?, pids })
}

/// The decimal numbers of a line.
fn numbers(line: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let words = line.split(u8::is_ascii_whitespace);
    words.filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

/// Parses the target of a namespace link, such as `net:[4026531840]`.
pub(super) fn parse_link(kind: NamespaceKind, target: &[u8]) -> Option<NamespaceId> {
    let text = std::str::from_utf8(target).ok()?;
    let rest = text.strip_prefix(kind.as_str())?.strip_prefix(":[")?;
    let inode: u64 = rest.strip_suffix(']')?.parse().ok()?;
    (inode != 0).then_some(NamespaceId { kind, inode })
}

/// Parses the target of a descriptor or link that may be a namespace of any kind.
pub(super) fn parse_any_link(target: &[u8]) -> Option<NamespaceId> {
    let mut kinds = NamespaceKind::ALL.into_iter();
    kinds.find_map(|kind| parse_link(kind, target))
}

/// Parses the target of a descriptor that is a socket, `socket:[INODE]`.
pub(super) fn parse_socket(target: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(target).ok()?;
    let inode = text.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

/// Parses `/proc/PID/uid_map` or `gid_map` (user_namespaces(7)).
pub(super) fn parse_id_map(text: &[u8]) -> Vec<IdRange> {
    let lines = text.split(|b| *b == b'\n');
    let ranges = lines.filter_map(|line| {
        let mut fields = numbers(line);
        Some(IdRange {
            inside: fields.next()?,
            outside: fields.next()?,
            count: fields.next()?,
        })
    });
    ranges.collect()
}

/// Parses `/proc/PID/cgroup`. Line breaks in a path cannot occur: the kernel refuses such names.
pub(super) fn parse_cgroup(text: &[u8]) -> CgroupSet {
    let lines = text.split(|b| *b == b'\n');
    let entries = lines.filter_map(|line| {
        let line = decode_untrusted(line);
        let mut fields = line.splitn(3, ':');
        let hierarchy = fields.next()?.parse().ok()?;
        let controllers = fields.next()?.to_owned();
        let path = fields.next()?;
        // The kernel marks the path of a removed v2 cgroup so (cgroups(7)); a zombie can have one.
        let path = path.strip_suffix(" (deleted)").unwrap_or(path).to_owned();
        Some(CgroupEntry {
            hierarchy,
            controllers,
            path,
        })
    });
    CgroupSet {
        entries: entries.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_line_breaks_is_whole() {
        let text = b"12 (a) R (\n) Z 7 12 12 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 998877 0 0\n";
        let stat = parse_stat(text).unwrap();
        assert_eq!(stat.comm, "a) R (\n");
        assert_eq!(stat.state, 'Z');
        assert_eq!(stat.parent, HostPid::new(7));
        assert!(stat.kernel_thread);
        assert_eq!((stat.threads, stat.start_ticks), (1, 998_877));
    }

    #[test]
    fn cut_records_are_refused() {
        for text in [&b""[..], b"1", b"1 (x", b"1 (x)", b"1 (x) S", b") ("] {
            assert_eq!(parse_stat(text), None);
        }
    }

    #[test]
    fn status_gives_the_effective_uid_and_every_level() {
        let text = b"Name:\tx\nUid:\t0\t1000\t0\t0\nNSpid:\t31995\t12\t1\nNSpgid:\t9\n";
        let status = parse_status(text).unwrap();
        assert_eq!(status.uid, 1000);
        assert_eq!(status.pids, [31_995, 12, 1]);
        assert_eq!(parse_status(b"Uid:\t5\t5\n").unwrap().pids, [0u32; 0]);
    }

    #[test]
    fn only_links_of_the_kind_are_read() {
        let id = parse_link(NamespaceKind::Pid, b"pid:[18446744073709551615]").unwrap();
        assert_eq!(id.inode, u64::MAX);
        for wrong in [&b"net:[1]"[..], b"pid:[]", b"pid:[0]", b"pid:[1", b"pid:1"] {
            assert_eq!(parse_link(NamespaceKind::Pid, wrong), None);
        }
    }

    #[test]
    fn descriptors_are_namespaces_sockets_or_neither() {
        let id = parse_any_link(b"time:[4026531834]").unwrap();
        assert_eq!(id.to_string(), "time:[4026531834]");
        assert_eq!(parse_socket(b"socket:[77]"), Some(77));
        for other in [
            &b"/dev/null"[..],
            b"pipe:[7]",
            b"socket:[7",
            b"anon_inode:[net]",
        ] {
            assert_eq!(parse_any_link(other), None);
            assert_eq!(parse_socket(other), None);
        }
    }

    #[test]
    fn id_maps_are_read_line_by_line() {
        let text = b"         0     100000      65536\n     65536          7          1\n";
        let ranges = parse_id_map(text);
        assert_eq!(ranges.len(), 2);
        assert_eq!(
            ranges[0],
            IdRange {
                inside: 0,
                outside: 100_000,
                count: 65_536
            }
        );
        assert_eq!(parse_id_map(b"0 0 4294967295\n")[0].count, u32::MAX);
        assert_eq!(parse_id_map(b"0 0\n\n"), []);
    }

    #[test]
    fn cgroup_paths_may_hold_colons() {
        let set = parse_cgroup(b"3:cpu,cpuacct:/a:b\n1:name=systemd:/x (deleted)\n0::/\n");
        let paths: Vec<_> = set.entries.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["/a:b", "/x", "/"]);
        assert_eq!(set.entries[0].controllers, "cpu,cpuacct");
        assert_eq!(set.path(0), Some("/"));
    }
}
