//! What the task program writes for each task, and how it is read back. Pure.
//!
//! A record is a head of fixed length and a tail: of a process its PIDs, of a kernel thread its
//! long name. All numbers are in the byte order of the machine.

use berth_base::{NamespaceId, NamespaceKind};

use crate::model::{NamespaceSet, decode_untrusted};

/// The most levels of PID namespaces below the first (MAX_PID_NS_LEVEL of the kernel).
pub(super) const MAX_LEVEL: i16 = 32;

/// Where the parts of a record lie, in bytes from its start.
pub(super) mod at {
    /// Length of the record, 32 bits, as all numbers that do not say otherwise.
    pub(in super::super) const LENGTH: i16 = 0;
    pub(in super::super) const FLAGS: i16 = 4;
    pub(in super::super) const PID: i16 = 8;
    pub(in super::super) const TGID: i16 = 12;
    pub(in super::super) const PARENT: i16 = 16;
    pub(in super::super) const LEVEL: i16 = 20;
    pub(in super::super) const STATE: i16 = 24;
    pub(in super::super) const EXIT_STATE: i16 = 28;
    /// Nanoseconds since boot, 64 bits.
    pub(in super::super) const START: i16 = 32;
    pub(in super::super) const EUID: i16 = 40;
    /// 1 when the namespaces changed while they were read.
    pub(in super::super) const RACED: i16 = 44;
    /// Which set of cgroups: the kernel's address of it, 64 bits. Never shown to anybody.
    pub(in super::super) const CGROUPS: i16 = 48;
    /// The id of the v2 cgroup, 64 bits.
    pub(in super::super) const CGROUP_ID: i16 = 56;
    /// 16 bytes, up to the first zero.
    pub(in super::super) const COMM: i16 = 64;
    /// Inodes of the eight namespaces, in the order of `NamespaceKind::ALL`.
    pub(in super::super) const NAMESPACES: i16 = 80;
    /// Inodes of the user namespaces that own them, in the same order.
    pub(in super::super) const OWNERS: i16 = 112;
    pub(in super::super) const PID_FOR_CHILDREN: i16 = 144;
    pub(in super::super) const TIME_FOR_CHILDREN: i16 = 148;
    /// The uid that made the user namespace, 64 bits with what pads it.
    pub(in super::super) const USER_MAKER: i16 = 152;
    /// For each level, from 0: PID, inode of the PID namespace.
    pub(in super::super) const LEVELS: i16 = 160;
    /// Of a kernel thread, behind level 0: its whole name, 64 bytes.
    pub(in super::super) const NAME: i16 = 168;
    /// Of a workqueue's thread: what it does or did last, 32 bytes.
    pub(in super::super) const DESCRIPTION: i16 = 232;
    /// Of a workqueue's thread: not 0 while it does that, 64 bits.
    pub(in super::super) const WORK: i16 = 264;
    /// Of a workqueue's thread: not 0 while it belongs to a pool, 64 bits.
    pub(in super::super) const POOL: i16 = 272;
    /// The length of a kernel thread's record.
    pub(in super::super) const KERNEL_END: i16 = 280;
}

/// PF_KTHREAD of linux/sched.h, unchanged since 2.6.27.
pub(super) const PF_KTHREAD: u32 = 0x0020_0000;
/// PF_WQ_WORKER of linux/sched.h, unchanged since 2.6.36.
pub(super) const PF_WQ_WORKER: u32 = 0x20;
/// PF_EXITING of linux/sched.h.
const PF_EXITING: u32 = 0x4;

/// Bytes of `/proc/PID/stat`'s name in the kernel's buffer, its end included (proc_task_name).
const NAME_SIZE: usize = 64;

/// The place of the namespaces of a kind in [`at::NAMESPACES`] and [`at::OWNERS`].
pub(super) fn slot(kind: NamespaceKind) -> i16 {
    let place = NamespaceKind::ALL.iter().position(|k| *k == kind);
    place.and_then(|p| i16::try_from(p * 4).ok()).unwrap_or(0)
}

/// One record.
#[derive(Clone, Copy)]
pub(super) struct TaskRecord<'a>(&'a [u8]);

impl<'a> TaskRecord<'a> {
    /// Takes the first record off a buffer; `None` when it does not hold a whole one.
    pub(super) fn take(buffer: &mut &'a [u8]) -> Option<Self> {
        let length = usize::try_from(word(buffer, at::LENGTH)?).ok()?;
        if length < usize::try_from(at::LEVELS).ok()? {
            return None;
        }
        let (record, rest) = buffer.split_at_checked(length)?;
        *buffer = rest;
        Some(Self(record))
    }

    fn word(&self, at: i16) -> u32 {
        word(self.0, at).unwrap_or(0)
    }

    fn double(&self, at: i16) -> u64 {
        let low = usize::try_from(at).unwrap_or(0);
        let bytes = self.0.get(low..low + 8).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    }

    fn text(&self, at: i16, length: usize) -> &'a [u8] {
        let start = usize::try_from(at).unwrap_or(0);
        let bytes = self.0.get(start..start + length).unwrap_or_default();
        bytes.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The thread's id in the first PID namespace of the system.
    pub(super) fn global_tid(&self) -> u32 {
        self.word(at::PID)
    }

    /// The process's PID in the first PID namespace of the system.
    pub(super) fn global_pid(&self) -> u32 {
        self.word(at::TGID)
    }

    /// The parent's PID in the first PID namespace of the system; 0 is none.
    pub(super) fn global_parent(&self) -> u32 {
        self.word(at::PARENT)
    }

    /// PID and PID namespace at every level of the system.
    pub(super) fn levels(&self) -> impl ExactSizeIterator<Item = (u32, u64)> + 'a {
        let start = usize::try_from(at::LEVELS).unwrap_or(0);
        let count = usize::try_from(self.word(at::LEVEL)).unwrap_or(0) + 1;
        let end = start.saturating_add(count.saturating_mul(8));
        let bytes = self.0.get(start..end).unwrap_or_default();
        bytes.as_chunks::<8>().0.iter().map(|level| {
            let [a, b, c, d, e, f, g, h] = *level;
            let inode = u32::from_ne_bytes([e, f, g, h]);
            (u32::from_ne_bytes([a, b, c, d]), u64::from(inode))
        })
    }

    /// Whether the namespaces changed while they were read: the record may mix old and new.
    pub(super) fn is_raced(&self) -> bool {
        self.word(at::RACED) != 0
    }

    /// The bytes that say which namespaces these are, for telling whether two records agree.
    pub(super) fn namespace_bytes(&self) -> &'a [u8] {
        let range =
            usize::try_from(at::NAMESPACES).unwrap_or(0)..usize::try_from(at::LEVELS).unwrap_or(0);
        self.0.get(range).unwrap_or_default()
    }

    /// The namespaces it lives in; of a zombie what the kernel still shows.
    pub(super) fn namespaces(&self) -> NamespaceSet {
        let of = |kind| id(kind, self.word(at::NAMESPACES + slot(kind)));
        NamespaceKind::ALL.into_iter().filter_map(of).collect()
    }

    /// The user namespace that owns its namespace of a kind.
    pub(super) fn owner(&self, kind: NamespaceKind) -> Option<NamespaceId> {
        id(NamespaceKind::User, self.word(at::OWNERS + slot(kind)))
    }

    /// The uid that made its user namespace.
    pub(super) fn user_maker(&self) -> u32 {
        self.word(at::USER_MAKER)
    }

    /// The PID and time namespaces of its next child.
    pub(super) fn for_children(&self) -> [Option<NamespaceId>; 2] {
        let time = self.word(at::TIME_FOR_CHILDREN);
        [
            id(NamespaceKind::Pid, self.word(at::PID_FOR_CHILDREN)),
            id(NamespaceKind::Time, time),
        ]
    }

    /// What tells sets of cgroups apart as `/proc/PID/cgroup` shows them: of a task that exits it
    /// shows less.
    pub(super) fn cgroup_key(&self) -> (u64, u64, bool) {
        let exiting = self.word(at::FLAGS) & PF_EXITING != 0;
        (
            self.double(at::CGROUPS),
            self.double(at::CGROUP_ID),
            exiting,
        )
    }

    /// Its effective uid as the initial user namespace counts.
    pub(super) fn uid(&self) -> u32 {
        self.word(at::EUID)
    }

    /// Start time in nanoseconds since boot.
    pub(super) fn start_nanos(&self) -> u64 {
        self.double(at::START)
    }

    /// Whether it is a thread of the kernel.
    pub(super) fn is_kernel_thread(&self) -> bool {
        self.word(at::FLAGS) & PF_KTHREAD != 0
    }

    /// The state character as `/proc/PID/stat` derives it (get_task_state in fs/proc/array.c).
    pub(super) fn state(&self) -> char {
        /// TASK_UNINTERRUPTIBLE | TASK_NOLOAD.
        const IDLE: u32 = 0x402;
        /// TASK_RTLOCK_WAIT (5.15), TASK_FROZEN (6.1): shown as uninterruptible.
        const LIKE_UNINTERRUPTIBLE: u32 = 0x9000;
        let (state, exit_state) = (self.word(at::STATE), self.word(at::EXIT_STATE));
        if state & IDLE == IDLE {
            return 'I';
        }
        let shown = match state & LIKE_UNINTERRUPTIBLE {
            0 => (state | exit_state) & 0x7f,
            _ => 0x2,
        };
        let letters = ['R', 'S', 'D', 'T', 't', 'X', 'Z', 'P'];
        let highest = usize::try_from(u32::BITS - shown.leading_zeros()).unwrap_or(0);
        letters.get(highest).copied().unwrap_or('?')
    }

    /// The name as `/proc/PID/stat` shows it (proc_task_name): that of kernel threads may be
    /// longer, that of a workqueue's thread says what it does.
    pub(super) fn comm(&self) -> String {
        let comm = self.text(at::COMM, 16);
        if !self.is_kernel_thread() {
            return decode_untrusted(comm);
        }
        let long = self.text(at::NAME, NAME_SIZE);
        let does = self.text(at::DESCRIPTION, 32);
        let is_worker = self.word(at::FLAGS) & PF_WQ_WORKER != 0;
        // Of a workqueue's thread it is shown since 6.10; those that are long begin so since 6.9.
        let is_shown = !long.is_empty() && (!is_worker || long.starts_with(b"kworker/"));
        let mut name = if is_shown { long } else { comm }.to_vec();
        if is_worker && !does.is_empty() && self.double(at::POOL) != 0 {
            name.push(match self.double(at::WORK) {
                0 => b'-',
                _ => b'+',
            });
            name.extend_from_slice(does);
        }
        name.truncate(NAME_SIZE - 1);
        decode_untrusted(&name)
    }
}

/// A namespace; inode 0 is none.
fn id(kind: NamespaceKind, inode: u32) -> Option<NamespaceId> {
    (inode != 0).then_some(NamespaceId {
        kind,
        inode: u64::from(inode),
    })
}

fn word(bytes: &[u8], at: i16) -> Option<u32> {
    let start = usize::try_from(at).ok()?;
    let four = bytes.get(start..start + 4)?;
    Some(u32::from_ne_bytes(four.try_into().ok()?))
}

#[cfg(test)]
impl<'a> TaskRecord<'a> {
    /// The record as if its namespaces had changed while they were read: garbage, and marked.
    pub(super) fn spoilt(&self, space: &'a mut Vec<u8>) -> Self {
        space.extend_from_slice(self.0);
        let mut put = |at: i16| {
            let at = usize::try_from(at).unwrap();
            space[at..at + 4].copy_from_slice(&1u32.to_ne_bytes());
        };
        put(at::RACED);
        put(at::NAMESPACES + slot(NamespaceKind::Net));
        put(at::OWNERS + slot(NamespaceKind::Net));
        put(at::PID_FOR_CHILDREN);
        Self(space)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with these fields of 32 bits.
    fn record(words: &[(i16, u32)], texts: &[(i16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(at::KERNEL_END).unwrap()];
        let length = u32::try_from(bytes.len()).unwrap();
        let words = words.iter().copied().chain([(at::LENGTH, length)]);
        for (at, word) in words {
            let at = usize::try_from(at).unwrap();
            bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        for (at, text) in texts {
            let at = usize::try_from(*at).unwrap();
            bytes[at..at + text.len()].copy_from_slice(text);
        }
        bytes
    }

    fn take(bytes: &[u8]) -> TaskRecord<'_> {
        TaskRecord::take(&mut &*bytes).unwrap()
    }

    #[test]
    fn states_are_those_of_procfs() {
        // task_struct.__state, exit_state, and what get_task_state makes of them.
        for (state, exit_state, letter) in [
            (0, 0, 'R'),
            (0x1, 0, 'S'),
            (0x2, 0, 'D'),
            (0x402, 0, 'I'),
            (0x4 | 0x100, 0, 'T'),
            (0x8, 0, 't'),
            (0x80, 0x10, 'X'),
            (0x80, 0x20, 'Z'),
            (0x40, 0, 'P'),
            (0x1000, 0, 'D'),
            (0x8000, 0, 'D'),
        ] {
            let bytes = record(&[(at::STATE, state), (at::EXIT_STATE, exit_state)], &[]);
            assert_eq!(take(&bytes).state(), letter, "{state:#x} {exit_state:#x}");
        }
    }

    #[test]
    fn a_kernel_thread_has_its_whole_name_and_says_what_it_does() {
        let kernel = [(at::FLAGS, PF_KTHREAD)];
        let worker = [(at::FLAGS, PF_KTHREAD | PF_WQ_WORKER), (at::POOL, 1)];
        let busy = [worker[0], worker[1], (at::WORK, 1)];
        let comm = (at::COMM, &b"kworker/u8:1"[..]);
        let does = (at::DESCRIPTION, &b"writeback"[..]);
        let long = (at::NAME, &b"kworker/R-a_very_long_name"[..]);
        let name = |words: &[_], texts: &[_]| take(&record(words, texts)).comm();
        assert_eq!(name(&kernel, &[comm]), "kworker/u8:1");
        assert_eq!(name(&kernel, &[comm, long]), "kworker/R-a_very_long_name");
        assert_eq!(name(&worker, &[comm, does]), "kworker/u8:1-writeback");
        let cut = (at::COMM, &b"quota_events_un"[..]);
        let whole = (at::NAME, &b"quota_events_unbound"[..]);
        assert_eq!(name(&kernel, &[cut, whole]), "quota_events_unbound");
        assert_eq!(name(&worker, &[cut, whole]), "quota_events_un");
        assert_eq!(name(&busy, &[comm, does]), "kworker/u8:1+writeback");
        // Without a pool, or as a program, the rest means nothing.
        assert_eq!(name(&worker[..1], &[comm, does]), "kworker/u8:1");
        assert_eq!(name(&[], &[comm, does, long]), "kworker/u8:1");
    }

    #[test]
    fn levels_end_where_they_end() {
        let word = |at: i16| (at, u32::from(at.unsigned_abs()));
        let levels: Vec<_> = (0..6).map(|n| word(at::LEVELS + 4 * n)).collect();
        let mut words = vec![(at::LEVEL, 2)];
        words.extend(levels);
        let bytes = record(&words, &[]);
        let all: Vec<_> = take(&bytes).levels().collect();
        assert_eq!(all, [(160, 164), (168, 172), (176, 180)]);
        // A level that cannot be is cut at the end of the record.
        let bytes = record(&[(at::LEVEL, u32::MAX)], &[]);
        assert_eq!(take(&bytes).levels().count(), 0);
    }

    #[test]
    fn half_a_record_waits_for_the_rest() {
        let bytes = record(&[], &[]);
        for end in 0..bytes.len() {
            let mut buffer = &bytes[..end];
            assert!(TaskRecord::take(&mut buffer).is_none());
            assert_eq!(buffer.len(), end);
        }
    }
}
