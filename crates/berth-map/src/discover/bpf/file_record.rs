//! What the file program writes for each descriptor of a namespace or a socket, and how it is read
//! back. Pure.

use berth_base::{HostPid, NamespaceId, NamespaceKind};

/// Where the parts of a record lie, in bytes from its start: 32 bits where nothing else is said.
pub(super) mod at {
    /// Length of the record, which no task's has.
    pub(in super::super) const LENGTH: i16 = 0;
    pub(in super::super) const FD: i16 = 4;
    /// The inode number of the file, 64 bits.
    pub(in super::super) const INODE: i16 = 8;
    /// The thread's id in the reader's PID namespace.
    pub(in super::super) const TID: i16 = 16;
    /// Of a socket: inode of the network namespace it was made in.
    pub(in super::super) const NET: i16 = 20;
    /// Inode of the network namespace that the thread lives in; 0 when it exits.
    pub(in super::super) const OWN_NET: i16 = 24;
    /// Not 0 for a thread other than the first of its process.
    pub(in super::super) const IS_THREAD: i16 = 28;
    /// CLONE_NEW* of a namespace; 0 is a socket.
    pub(in super::super) const KIND: i16 = 32;
    /// The length of a record, a multiple of eight.
    pub(in super::super) const END: i16 = 40;
}

/// Bytes of a record.
const LENGTH: usize = 40;

/// What one descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A namespace.
    Namespace(NamespaceId),
    /// A socket.
    Socket {
        /// Its inode number.
        inode: u64,
        /// The network namespace it was made in.
        net: NamespaceId,
        /// Whether the thread lives in another one.
        is_foreign: bool,
    },
}

/// One descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenFile {
    /// The process, or the thread that shares no descriptors with its process.
    pub(super) pid: HostPid,
    /// The number of the descriptor.
    pub(super) fd: u32,
    /// Whether it is a thread.
    pub(super) is_thread: bool,
    /// What it refers to.
    pub(super) target: Target,
}

/// Takes the first record off a buffer; `None` when it does not hold a whole one, or begins with
/// one of a task. The inner `None` is a descriptor that is nothing we know.
pub(super) fn take(buffer: &mut &[u8]) -> Option<Option<OpenFile>> {
    let (record, rest) = buffer.split_first_chunk::<LENGTH>()?;
    let (length, _) = record.split_first_chunk()?;
    if usize::try_from(u32::from_ne_bytes(*length)) != Ok(LENGTH) {
        return None;
    }
    *buffer = rest;
    Some(decode(record))
}

fn decode(record: &[u8; LENGTH]) -> Option<OpenFile> {
    let word = |at: i16| {
        let start = usize::try_from(at).ok()?;
        let four = record.get(start..start + 4)?;
        Some(u32::from_ne_bytes(four.try_into().ok()?))
    };
    let start = usize::try_from(at::INODE).ok()?;
    let inode = u64::from_ne_bytes(record.get(start..start + 8)?.try_into().ok()?);
    let target = match word(at::KIND)? {
        0 => Target::Socket {
            inode,
            net: NamespaceId {
                kind: NamespaceKind::Net,
                inode: u64::from(word(at::NET).filter(|net| *net != 0)?),
            },
            is_foreign: word(at::NET)? != word(at::OWN_NET)?,
        },
        flag => Target::Namespace(NamespaceId {
            kind: kind(flag)?,
            inode,
        }),
    };
    Some(OpenFile {
        pid: HostPid::new(word(at::TID)?)?,
        fd: word(at::FD)?,
        is_thread: word(at::IS_THREAD)? != 0,
        target,
    })
}

/// The kind with this CLONE_NEW* flag (linux/sched.h).
fn kind(flag: u32) -> Option<NamespaceKind> {
    Some(match flag {
        0x80 => NamespaceKind::Time,
        0x0002_0000 => NamespaceKind::Mnt,
        0x0200_0000 => NamespaceKind::Cgroup,
        0x0400_0000 => NamespaceKind::Uts,
        0x0800_0000 => NamespaceKind::Ipc,
        0x1000_0000 => NamespaceKind::User,
        0x2000_0000 => NamespaceKind::Pid,
        0x4000_0000 => NamespaceKind::Net,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u32, inode: u64, net: [u32; 2]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(40u32.to_ne_bytes());
        bytes.extend(5u32.to_ne_bytes());
        bytes.extend(inode.to_ne_bytes());
        bytes.extend(70u32.to_ne_bytes());
        for inode in net {
            bytes.extend(inode.to_ne_bytes());
        }
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn namespaces_and_sockets_are_told_apart() {
        let mut bytes = record(0x4000_0000, 9, [0, 3]);
        bytes.extend(record(0, 77, [4, 3]));
        bytes.extend(record(1, 77, [4, 3]));
        let mut buffer = bytes.as_slice();
        let net = |inode| NamespaceId {
            kind: NamespaceKind::Net,
            inode,
        };
        let first = take(&mut buffer).unwrap().unwrap();
        assert_eq!(first.target, Target::Namespace(net(9)));
        assert_eq!((first.pid.get(), first.fd), (70, 5));
        let socket = Target::Socket {
            inode: 77,
            net: net(4),
            is_foreign: true,
        };
        assert_eq!(take(&mut buffer).unwrap().unwrap().target, socket);
        assert_eq!(take(&mut buffer), Some(None));
        assert_eq!(take(&mut buffer), None);
    }
}
