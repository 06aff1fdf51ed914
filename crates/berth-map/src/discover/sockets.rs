//! Sockets that were made in another network namespace than their process lives in: each keeps
//! that namespace alive.
//!
//! procfs does not tell the namespace of a socket. It tells, for each network namespace, which
//! sockets are in its tables, so that most are placed without being touched. The rest (TCP, whose
//! table takes milliseconds to read for each namespace, and sockets that were never bound) is
//! duplicated by pidfd_getfd(2) and asked. A duplicate takes on the class of the receiver where
//! net_cls or net_prio is in use, which would change how the socket's packets are treated: on such
//! hosts nothing is duplicated, the table of TCP is read, and what remains is unknown.

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use berth_sys::socket;

use super::descriptors::Socket;
use super::details::Reading;
use super::hierarchy::inode_of;
use super::proc_root::read_file;
use super::threads::find;
use super::ways::{self, Way};
use crate::model::{CgroupSet, Holder, Process};

/// Tables that cost microseconds, with the column of the inode (proc_pid_net(5)).
const TABLES: [(&str, usize); 7] = [
    ("unix", 6),
    ("netlink", 9),
    ("packet", 8),
    ("udp", 9),
    ("udp6", 9),
    ("raw", 9),
    ("raw6", 9),
];
/// The table of TCP: the kernel walks that of the whole host for each namespace, 3 ms each here.
const TCP_TABLES: [(&str, usize); 2] = [("tcp", 9), ("tcp6", 9)];

/// Finds the sockets that hold a namespace.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let may_duplicate = !classes_are_in_use(&reading.scan.processes);
    let all_known = reading
        .descriptors
        .sockets
        .iter()
        .all(|s| s.namespace.is_some());
    let mut placed = HashMap::new();
    if !all_known {
        placed = read_tables(reading, &TABLES);
        if !may_duplicate {
            placed.extend(read_tables(reading, &TCP_TABLES));
        }
    }
    let mut asker = Asker::default();
    let mut unknown = 0usize;
    for socket in reading.descriptors.sockets.clone() {
        let known = socket
            .namespace
            .or_else(|| placed.get(&socket.inode).copied());
        let found = known.or_else(|| may_duplicate.then(|| asker.ask(socket))?);
        let Some(id) = found else {
            unknown += usize::from(!may_duplicate);
            continue;
        };
        placed.insert(socket.inode, id);
        let Socket { pid, fd, .. } = socket;
        if home(reading, pid) != Some(id) {
            reading.ways.insert(id, Way::Socket { pid, fd });
            reading.hold(id, Holder::Socket { pid, fd });
        }
    }
    if unknown == 0 {
        return Ok(());
    }
    Err(format!(
        "the network namespace of {unknown} sockets is not known: taking a copy of them would change their class (net_cls or net_prio)"
    ))
}

/// The network namespace that a process lives in.
fn home(reading: &Reading<'_>, pid: HostPid) -> Option<NamespaceId> {
    find(&reading.scan.processes, pid)?
        .namespaces
        .of(NamespaceKind::Net)
}

/// Whether sockets have a class or a priority by cgroup (v1 net_cls and net_prio): every process
/// is in a cgroup of each hierarchy that is in use.
fn classes_are_in_use(processes: &[Process]) -> bool {
    let mut living = processes.iter().filter(|p| !p.is_zombie());
    living.next().is_some_and(|p| has_classes(&p.cgroups))
}

fn has_classes(cgroups: &CgroupSet) -> bool {
    let mut controllers = cgroups
        .entries
        .iter()
        .flat_map(|entry| entry.controllers.split(','));
    controllers.any(|name| matches!(name, "net_cls" | "net_prio"))
}

/// Reads which sockets are in the tables of the network namespaces of processes with sockets.
fn read_tables(reading: &Reading<'_>, tables: &[(&str, usize)]) -> HashMap<u64, NamespaceId> {
    let pids: BTreeSet<HostPid> = reading.descriptors.sockets.iter().map(|s| s.pid).collect();
    let homes: BTreeSet<NamespaceId> = pids
        .into_iter()
        .filter_map(|pid| home(reading, pid))
        .collect();
    let mut placed = HashMap::new();
    let mut buffer = Vec::new();
    for id in homes {
        let Some(folder) = reading.ways.folder(id) else {
            continue;
        };
        for (table, column) in tables {
            let path = format!("{folder}/net/{table}");
            if read_file(reading.proc, path, &mut buffer).is_ok() {
                let inodes = read_column(&buffer, *column);
                placed.extend(inodes.map(|inode| (inode, id)));
            }
        }
    }
    placed
}

/// The numbers in one column of a table, its heading left out.
fn read_column(text: &[u8], column: usize) -> impl Iterator<Item = u64> + '_ {
    let lines = text.split(|b| *b == b'\n').skip(1);
    lines.filter_map(move |line| {
        let mut fields = line
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty());
        let inode = std::str::from_utf8(fields.nth(column)?)
            .ok()?
            .parse()
            .ok()?;
        (inode != 0).then_some(inode)
    })
}

/// Asks sockets for their namespace, remembering what it can.
#[derive(Default)]
struct Asker {
    /// The pidfd of the process asked last; sockets come process by process.
    process: Option<(HostPid, Option<OwnedFd>)>,
    /// Namespaces by the number that the kernel gives them; `None` may not be opened.
    cookies: HashMap<u64, Option<NamespaceId>>,
}

impl Asker {
    fn ask(&mut self, wanted: Socket) -> Option<NamespaceId> {
        if self.process.as_ref().is_none_or(|p| p.0 != wanted.pid) {
            self.process = Some((wanted.pid, ways::open_pidfd(wanted.pid)));
        }
        let pidfd = self.process.as_ref()?.1.as_ref()?;
        let duplicate = ways::duplicate_from(pidfd, wanted.fd)?;
        // The descriptor may be another one by now.
        if inode_of(&duplicate).ok()? != wanted.inode {
            return None;
        }
        match socket::network_namespace_cookie(&duplicate) {
            Ok(cookie) => *self
                .cookies
                .entry(cookie)
                .or_insert_with(|| open_namespace(&duplicate)),
            Err(_) => open_namespace(&duplicate),
        }
    }
}

fn open_namespace(duplicate: impl AsFd) -> Option<NamespaceId> {
    let descriptor = socket::open_network_namespace(duplicate).ok()?;
    Some(NamespaceId {
        kind: NamespaceKind::Net,
        inode: inode_of(&descriptor).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inodes_are_read_from_their_column() {
        let unix = b"Num RefCount Protocol Flags Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  4242 /run/a b\n\
            0000000000000000: 00000003 00000000 00000000 0001 03  4243\n";
        assert_eq!(read_column(unix, 6).collect::<Vec<_>>(), [4242, 4243]);
        // A socket without a file (TIME_WAIT) has inode 0.
        let tcp = b"  sl  local_address\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 \
            00:00000000 00000000     0        0 77 1\n   1: 0 0 06 0:0 03:0 00000000     0        0 0 3\n";
        assert_eq!(read_column(tcp, 9).collect::<Vec<_>>(), [77]);
    }

    #[test]
    fn classes_are_in_use_where_a_hierarchy_has_them() {
        let set = |text: &[u8]| super::super::parse::parse_cgroup(text);
        assert!(has_classes(&set(b"5:net_cls,net_prio:/\n0::/\n")));
        assert!(!has_classes(&set(b"5:cpu,memory:/net_cls\n0::/net_prio\n")));
    }

    #[test]
    fn own_tables_hold_own_sockets_of_each_kind() {
        use std::os::unix::fs::MetadataExt as _;
        use std::os::unix::net::UnixDatagram;
        let (unix, _other) = UnixDatagram::pair().unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let netlink = berth_sys::netlink::open().unwrap();
        // Without a bound port the kernel's table does not list it.
        let bound = rustix::net::netlink::SocketAddrNetlink::new(0, 0);
        rustix::net::bind(&netlink, &bound).unwrap();
        let inode = |fd: std::os::fd::BorrowedFd<'_>| {
            let file = std::fs::File::from(fd.try_clone_to_owned().unwrap());
            file.metadata().unwrap().ino()
        };
        let cases = [
            ("unix", 6, inode(unix.as_fd())),
            ("netlink", 9, inode(netlink.as_fd())),
            ("udp", 9, inode(udp.as_fd())),
            ("tcp", 9, inode(tcp.as_fd())),
        ];
        for (table, column, inode) in cases {
            let text = std::fs::read(format!("/proc/self/net/{table}")).unwrap();
            assert!(read_column(&text, column).any(|i| i == inode), "{table}");
        }
    }
}
