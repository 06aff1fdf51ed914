//! Which network namespace each socket was made in: one that is not where its process lives keeps
//! that namespace alive. TCP sockets that listen are noted on the way.
//!
//! procfs does not tell the namespace of a socket. It tells, for each network namespace, which
//! sockets are in its tables, so that most are placed without being touched. The rest (TCP, whose
//! table takes milliseconds to read for each namespace, and sockets that were never bound) is
//! duplicated by pidfd_getfd(2) and asked, unless they are so many in one namespace that its table
//! is the quicker way. A duplicate takes on the class of the receiver where net_cls or net_prio is
//! in use, which would change how the socket's packets are treated: on such hosts nothing is
//! duplicated, the tables of TCP are read, and what remains is unknown.

use std::collections::{BTreeMap, HashMap};

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use super::Reading;
use super::asker::Asker;
use super::descriptors::Socket;
use crate::discover::proc_root::read_file;
use crate::discover::threads::find;
use crate::discover::ways::Way;
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

/// A socket costs 3 us to ask, the tables of TCP 6 ms: beyond this many the tables are quicker.
const MANY: usize = 1_000;

/// Places the sockets, and finds those that hold a namespace.
pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), String> {
    let may_duplicate = !classes_are_in_use(&reading.scan.processes);
    let own = reading.own_network();
    let sockets = std::mem::take(&mut reading.descriptors.sockets);
    let mut placed = place_by_tables(reading, &sockets, own, may_duplicate);
    let mut asker = Asker::new(own);
    let mut unknown = 0usize;
    for socket in &sockets {
        let found = placed.get(&socket.inode).copied().or_else(|| {
            let is_asked = may_duplicate && is_question(reading, socket, own);
            let told = is_asked.then(|| asker.ask(*socket)).flatten();
            told.or(socket.namespace)
        });
        let Some(id) = found else {
            unknown += usize::from(!may_duplicate);
            continue;
        };
        placed.insert(socket.inode, id);
        let Socket { pid, fd, .. } = *socket;
        if reading.wanted.holders && home(reading, pid) != Some(id) {
            let way = if may_duplicate {
                Way::Socket { pid, fd }
            } else {
                Way::Passed
            };
            reading.ways.insert(id, way);
            reading.hold(id, Holder::Socket { pid, fd });
        }
    }
    reading.descriptors.sockets = sockets;
    reading.tcp = asker.into_tcp();
    if unknown == 0 || !reading.wanted.holders {
        return Ok(());
    }
    Err(format!(
        "the network namespace of {unknown} sockets is not known: taking a copy of them would change their class (net_cls or net_prio)"
    ))
}

/// Whether there is something to find out about a socket: its namespace, where holders are wanted;
/// whether it listens, where networks are, in one that is not our own: that is asked otherwise.
fn is_question(reading: &Reading<'_>, socket: &Socket, own: Option<NamespaceId>) -> bool {
    let place = socket.namespace.or_else(|| home(reading, socket.pid));
    let unplaced = reading.wanted.holders && socket.namespace.is_none();
    unplaced || (reading.wanted.networks && place != own)
}

/// Places as many sockets as the tables do that are worth reading.
fn place_by_tables(
    reading: &Reading<'_>,
    sockets: &[Socket],
    own: Option<NamespaceId>,
    may_duplicate: bool,
) -> HashMap<u64, NamespaceId> {
    let mut rest: BTreeMap<NamespaceId, Vec<u64>> = BTreeMap::new();
    for socket in sockets {
        if is_question(reading, socket, own)
            && let Some(id) = socket.namespace.or_else(|| home(reading, socket.pid))
        {
            rest.entry(id).or_default().push(socket.inode);
        }
    }
    let mut placed = HashMap::new();
    let mut buffer = Vec::new();
    for id in rest.keys() {
        read_tables(reading, *id, &TABLES, &mut buffer, &mut placed);
    }
    for (id, inodes) in &rest {
        let unplaced = inodes.iter().filter(|inode| !placed.contains_key(inode));
        let count = unplaced.count();
        if count > MANY || (count > 0 && !may_duplicate) {
            read_tables(reading, *id, &TCP_TABLES, &mut buffer, &mut placed);
        }
    }
    placed
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

/// Reads which sockets are in tables of a network namespace.
fn read_tables(
    reading: &Reading<'_>,
    id: NamespaceId,
    tables: &[(&str, usize)],
    buffer: &mut Vec<u8>,
    placed: &mut HashMap<u64, NamespaceId>,
) {
    let Some(folder) = reading.ways.folder(id) else {
        return;
    };
    for (table, column) in tables {
        let path = format!("{folder}/net/{table}");
        if read_file(reading.proc, path, buffer).is_ok() {
            placed.extend(read_column(buffer, *column).map(|inode| (inode, id)));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

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
        let set = |text: &[u8]| crate::discover::parse::parse_cgroup(text);
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
