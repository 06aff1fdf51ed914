//! What the programs write for each event, and how it is read back. Pure.
//!
//! A record is a head of fixed length and a tail that depends on its kind. All numbers are in the
//! byte order of the machine.

use berth_base::{HostPid, NamespaceId, NamespaceKind};

use super::clock::Clock;
use crate::live::{Event, EventKind, Exit, Joined};
use crate::model::{NamespaceSet, decode_untrusted};

/// The most levels of PID namespaces below the first (MAX_PID_NS_LEVEL of the kernel).
pub(super) const MAX_LEVEL: i16 = 32;

/// Where the parts of a record lie, in bytes from its start.
pub(super) mod at {
    /// Which [`super::Kind`], 32 bits, as all numbers that do not say otherwise.
    pub(in super::super) const KIND: i16 = 0;
    /// The process's PID in the reader's PID namespace.
    pub(in super::super) const PID: i16 = 4;
    /// Nanoseconds since boot, 64 bits.
    pub(in super::super) const TIME: i16 = 8;
    /// When the process started, nanoseconds since boot, 64 bits.
    pub(in super::super) const START: i16 = 16;
    /// Of a process that is born: its parent's PID in the reader's PID namespace, or 0.
    pub(in super::super) const PARENT: i16 = 24;
    /// Of a process that ended: as wait(2) tells it.
    pub(in super::super) const STATUS: i16 = PARENT;
    /// Of a process that is born: how many PID namespaces lie above the one it lives in.
    pub(in super::super) const LEVEL: i16 = 28;
    /// 16 bytes, up to the first zero.
    pub(in super::super) const COMM: i16 = 32;
    /// The end of the head.
    pub(in super::super) const TAIL: i16 = 48;
    /// Of a process that is born: for each level of the system, from 0, its PID and the inode of
    /// the PID namespace.
    pub(in super::super) const LEVELS: i16 = TAIL;
    /// Of a process that was moved: the path of its cgroup, up to the first zero.
    pub(in super::super) const PATH: i16 = TAIL;
    /// Of a process that changed namespaces: their inodes, in the order of `NamespaceKind::ALL`.
    pub(in super::super) const NAMESPACES: i16 = TAIL;
}

/// Bytes for the path of a cgroup, its end included; a longer one is not told.
pub(super) const PATH_ROOM: i16 = 400;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Fork = 1,
    Exec,
    Exit,
    Cgroup,
    Setns,
    Unshare,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Fork,
        Self::Exec,
        Self::Exit,
        Self::Cgroup,
        Self::Setns,
        Self::Unshare,
    ];
}

/// A record that says nothing we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// One record.
#[derive(Clone, Copy)]
pub(super) struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn word(&self, at: i16) -> Option<u32> {
        let place = usize::try_from(at).ok()?;
        let bytes = self.0.get(place..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*bytes))
    }

    fn double(&self, at: i16) -> Option<u64> {
        let place = usize::try_from(at).ok()?;
        let bytes = self.0.get(place..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    }

    /// The bytes from a place to the first zero, at most so many.
    fn text(&self, at: i16, length: i16) -> Option<&'a [u8]> {
        let start = usize::try_from(at).ok()?;
        let end = start + usize::try_from(length).ok()?;
        self.0.get(start..end)?.split(|byte| *byte == 0).next()
    }

    /// Which process it is about, whoever has its PID next.
    pub(super) fn process(&self) -> Option<(u32, u64)> {
        Some((self.word(at::PID)?, self.double(at::START)?))
    }

    /// What happened, as a reader in this PID namespace tells it.
    pub(super) fn event(&self, reader: NamespaceId, clock: &Clock) -> Result<Event, Damaged> {
        let kind = self.word(at::KIND).ok_or(Damaged)?;
        let kind = Kind::ALL.into_iter().find(|k| u32::from(*k as u8) == kind);
        let kind = kind.ok_or(Damaged)?;
        let pid = self.word(at::PID).and_then(HostPid::new).ok_or(Damaged)?;
        // A birth is at the time by which snapshots tell processes apart: the kernel sets it first
        // and tells last, and on a busy machine much can happen between.
        let time = match kind {
            Kind::Fork => at::START,
            _ => at::TIME,
        };
        let time = self.double(time).ok_or(Damaged)?;
        Ok(Event {
            at: clock.of_boot(time),
            pid,
            kind: self.kind(kind, reader).ok_or(Damaged)?,
        })
    }

    fn kind(&self, kind: Kind, reader: NamespaceId) -> Option<EventKind> {
        let comm = || Some(decode_untrusted(self.text(at::COMM, 16)?));
        Some(match kind {
            Kind::Fork => {
                let levels = self.levels()?;
                let is_reader = |level: &(u32, u64)| level.1 == reader.inode;
                let base = levels.iter().position(is_reader)?;
                let inode = levels.last()?.1;
                EventKind::Forked {
                    parent: HostPid::new(self.word(at::PARENT)?),
                    pids: levels.into_iter().skip(base).map(|level| level.0).collect(),
                    pid_namespace: id(NamespaceKind::Pid, inode),
                    comm: comm()?,
                }
            }
            Kind::Exec => EventKind::Executed { comm: comm()? },
            Kind::Exit => EventKind::Exited(exit(self.word(at::STATUS)?)),
            Kind::Cgroup => EventKind::CgroupMoved { path: self.path()? },
            Kind::Setns | Kind::Unshare => EventKind::NamespacesChanged {
                how: match kind {
                    Kind::Setns => Joined::Setns,
                    _ => Joined::Unshare,
                },
                namespaces: self.namespaces()?,
            },
        })
    }

    /// PID and PID namespace at every level of the system.
    fn levels(&self) -> Option<Vec<(u32, u64)>> {
        let count = self.word(at::LEVEL)?.checked_add(1)?;
        let start = usize::try_from(at::LEVELS).ok()?;
        let length = usize::try_from(count).ok()?.checked_mul(8)?;
        let bytes = self.0.get(start..)?.get(..length)?;
        let level = |level: &[u8; 8]| {
            let [a, b, c, d, e, f, g, h] = *level;
            let inode = u32::from_ne_bytes([e, f, g, h]);
            (u32::from_ne_bytes([a, b, c, d]), u64::from(inode))
        };
        Some(bytes.as_chunks::<8>().0.iter().map(level).collect())
    }

    /// The path of a cgroup; none when it was cut.
    fn path(&self) -> Option<Option<String>> {
        let text = self.text(at::PATH, PATH_ROOM)?;
        let is_whole = text.len() + 1 < usize::try_from(PATH_ROOM).ok()? && !text.is_empty();
        Some(is_whole.then(|| decode_untrusted(text)))
    }

    fn namespaces(&self) -> Option<NamespaceSet> {
        let mut set = NamespaceSet::default();
        for (kind, place) in NamespaceKind::ALL.into_iter().zip((0..).step_by(4)) {
            let inode = self.word(at::NAMESPACES + place)?;
            if let Some(id) = id(kind, u64::from(inode)) {
                set.insert(id);
            }
        }
        Some(set)
    }
}

/// A namespace; inode 0 is none.
fn id(kind: NamespaceKind, inode: u64) -> Option<NamespaceId> {
    (inode != 0).then_some(NamespaceId { kind, inode })
}

/// How a process ended, from the status that wait(2) tells.
pub(super) fn exit(status: u32) -> Exit {
    let [low, high, ..] = status.to_le_bytes();
    // The eighth bit says that its memory was dumped.
    match low & 0x7f {
        0 => Exit::Code(high),
        signal => Exit::Signal(signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: NamespaceId = NamespaceId {
        kind: NamespaceKind::Pid,
        inode: 70,
    };

    /// A record of words: a head, then a tail.
    fn record(kind: Kind, detail: [u32; 2], comm: &[u8; 16], tail: &[u32]) -> Vec<u8> {
        let mut words = vec![kind as u32, 41, 1_000, 0, 5, 0];
        words.extend(detail);
        let head = words.into_iter().flat_map(u32::to_ne_bytes);
        let tail = tail.iter().flat_map(|word| word.to_ne_bytes());
        head.chain(*comm).chain(tail).collect()
    }

    fn read(bytes: &[u8]) -> Result<EventKind, Damaged> {
        let event = Record::new(bytes).event(READER, &Clock::default())?;
        let is_birth = matches!(event.kind, EventKind::Forked { .. });
        let at = if is_birth { 5 } else { 1_000 };
        assert_eq!((event.pid.get(), event.at.0), (41, at));
        Ok(event.kind)
    }

    #[test]
    fn levels_above_the_reader_are_not_told() {
        let levels = [900, 60, 41, 70, 1, 80];
        let bytes = record(Kind::Fork, [40, 2], b"a\xffb\0rest of it.\0", &levels);
        let EventKind::Forked {
            parent,
            pids,
            pid_namespace,
            comm,
        } = read(&bytes).unwrap()
        else {
            panic!("another kind");
        };
        assert_eq!(parent, HostPid::new(40));
        assert_eq!(pids, [41, 1]);
        assert_eq!(pid_namespace.map(|id| id.inode), Some(80));
        assert_eq!(comm, "a\\xffb");
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Err(Damaged));
        }
        // Of a process that the reader does not have, and with more levels than there are.
        let foreign = record(Kind::Fork, [40, 0], &[0; 16], &[900, 60]);
        assert_eq!(read(&foreign), Err(Damaged));
        let long = record(Kind::Fork, [40, u32::MAX], &[0; 16], &levels);
        assert_eq!(read(&long), Err(Damaged));
    }

    #[test]
    fn a_path_that_was_cut_is_none() {
        let path = |text: &[u8]| {
            let mut bytes = record(Kind::Cgroup, [0, 0], &[0; 16], &[]);
            let end = bytes.len() + usize::try_from(PATH_ROOM).unwrap();
            bytes.extend(text);
            bytes.resize(end, 0);
            match read(&bytes) {
                Ok(EventKind::CgroupMoved { path }) => path,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(path(b"/a/b").as_deref(), Some("/a/b"));
        assert_eq!(path(b""), None);
        assert_eq!(path(&[b'x'; 398]).map(|path| path.len()), Some(398));
        assert_eq!(path(&[b'x'; 399]), None);
    }

    #[test]
    fn ends_are_told_as_a_parent_reads_them() {
        assert_eq!(exit(0x0700), Exit::Code(7));
        assert_eq!(exit(0xff00), Exit::Code(255));
        assert_eq!(exit(0x0009), Exit::Signal(9));
        assert_eq!(exit(0x008b), Exit::Signal(11));
        let bytes = record(Kind::Exit, [0x0700, 0], &[0; 16], &[]);
        assert_eq!(read(&bytes), Ok(EventKind::Exited(Exit::Code(7))));
    }

    #[test]
    fn a_kind_that_is_not_known_is_refused() {
        let mut bytes = record(Kind::Exec, [0, 0], &[0; 16], &[]);
        assert!(read(&bytes).is_ok());
        bytes[0] = 99;
        assert_eq!(read(&bytes), Err(Damaged));
    }
}
