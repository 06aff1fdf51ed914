//! Collects the records of one pass. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::task_record::TaskRecord;
use super::tasks::Clock;
use crate::model::{CgroupSet, Links, Namespace, Process, Thread};

/// The records so far.
pub(super) struct Gather {
    /// The reader's PID namespace.
    own: NamespaceId,
    clock: Clock,
    /// At which level of the system it is; known with the first record.
    base: Option<usize>,
    /// What counts as having no cgroups, until they are read.
    no_cgroups: Arc<CgroupSet>,
    set_by_key: FxHashMap<(u64, u64, bool), usize>,
    /// The last task's: neighbours often share theirs.
    last_set: Option<((u64, u64, bool), usize)>,
    /// What has been said about namespaces, byte for byte.
    seen: FxHashSet<Vec<u8>>,
    /// What was said last.
    last_seen: Vec<u8>,
    pub(super) gathered: Gathered,
}

/// What the records said.
#[derive(Default)]
pub(super) struct Gathered {
    /// The processes, by ascending PID, without parents and cgroups.
    pub(super) processes: Vec<Process>,
    /// What belongs to each of them.
    pub(super) extras: Vec<Extra>,
    /// Other threads.
    pub(super) threads: Vec<(Thread, Extra)>,
    /// Namespaces of children, where they are not the process's own.
    pub(super) for_children: Vec<(NamespaceId, HostPid)>,
    /// Of each set of cgroups the oldest process, with its start: the one that is least likely to
    /// be on its way to another.
    pub(super) sets: Vec<(u64, HostPid)>,
    /// Parents and owners of namespaces that have processes.
    pub(super) namespaces: BTreeMap<NamespaceId, Namespace>,
    /// PID and user namespaces above those of processes.
    pub(super) above: BTreeMap<NamespaceId, Above>,
}

/// What a record says beside the process.
#[derive(Clone, Copy)]
pub(super) struct Extra {
    /// The process, as the system's first PID namespace counts it.
    pub(super) global_pid: u32,
    /// Its parent, likewise; 0 is none.
    pub(super) global_parent: u32,
    /// Its place in [`Gathered::sets`].
    pub(super) set: usize,
    /// Whether the record mixes old and new namespaces.
    pub(super) raced: bool,
}

/// A namespace that is reached through a process below it.
pub(super) struct Above {
    /// The process.
    pub(super) through: HostPid,
    /// The namespace of that kind that it lives in.
    pub(super) from: NamespaceId,
    /// The parent, when the record says it.
    pub(super) parent: Option<NamespaceId>,
}

impl Gather {
    /// Nothing yet.
    pub(super) fn new(own: NamespaceId, clock: Clock) -> Self {
        Self {
            own,
            clock,
            base: None,
            no_cgroups: Arc::default(),
            set_by_key: FxHashMap::default(),
            last_set: None,
            seen: FxHashSet::default(),
            last_seen: Vec::new(),
            gathered: Gathered::default(),
        }
    }

    /// At which level of the system the reader's PID namespace is.
    pub(super) fn base(&self) -> usize {
        self.base.unwrap_or(0)
    }

    /// Takes one record in. A task that was reaped meanwhile has no PIDs and is left out.
    pub(super) fn add(&mut self, record: &TaskRecord<'_>) {
        let own = self.own.inode;
        let found = || record.levels().position(|level| level.1 == own);
        let Some(base) = self.base.or_else(found) else {
            return;
        };
        self.base = Some(base);
        let pids: Vec<u32> = record.levels().skip(base).map(|level| level.0).collect();
        let Some(pid) = pids.first().and_then(|pid| HostPid::new(*pid)) else {
            return;
        };
        let start_ticks = self.clock.ticks(record.start_nanos());
        let extra = Extra {
            global_pid: record.global_pid(),
            global_parent: record.global_parent(),
            set: self.set(record, (start_ticks, pid)),
            raced: record.is_raced(),
        };
        if !extra.raced {
            self.note_namespaces(record, pid, base);
        }
        let namespaces = record.namespaces();
        if record.global_tid() != record.global_pid() {
            let thread = Thread {
                tid: pid,
                tids: pids,
                namespaces,
                comm: record.comm(),
                state: record.state(),
                start_ticks,
            };
            self.gathered.threads.push((thread, extra));
            return;
        }
        if !extra.raced {
            for id in record.for_children().into_iter().flatten() {
                if namespaces.of(id.kind) != Some(id) {
                    self.gathered.for_children.push((id, pid));
                }
            }
        }
        let process = Process {
            pid,
            pids,
            namespaces,
            links: Links::Read,
            parent: None,
            comm: record.comm(),
            state: record.state(),
            start_ticks,
            cgroups: Arc::clone(&self.no_cgroups),
            uid: record.uid(),
            kernel_thread: record.is_kernel_thread(),
        };
        self.gathered.processes.push(process);
        self.gathered.extras.push(extra);
    }

    /// The place of a task's set of cgroups.
    fn set(&mut self, record: &TaskRecord<'_>, task: (u64, HostPid)) -> usize {
        let key = record.cgroup_key();
        let sets = &mut self.gathered.sets;
        let place = match self.last_set {
            Some((last, place)) if last == key => place,
            _ => *self.set_by_key.entry(key).or_insert_with(|| {
                sets.push(task);
                sets.len() - 1
            }),
        };
        self.last_set = Some((key, place));
        if let Some(oldest) = sets.get_mut(place) {
            *oldest = (*oldest).min(task);
        }
        place
    }

    /// Notes parents and owners, of namespaces that have not been met.
    fn note_namespaces(&mut self, record: &TaskRecord<'_>, pid: HostPid, base: usize) {
        let bytes = record.namespace_bytes();
        if self.last_seen == bytes {
            return;
        }
        self.last_seen.clear();
        self.last_seen.extend_from_slice(bytes);
        if self.seen.contains(bytes) {
            return;
        }
        self.seen.insert(bytes.to_vec());
        for id in record.namespaces().iter() {
            let mut namespace = Namespace::new(id);
            namespace.owner = record.owner(id.kind);
            match id.kind {
                NamespaceKind::Pid => namespace.parent = self.note_chain(record, (pid, id), base),
                NamespaceKind::User => {
                    namespace.parent = namespace.owner;
                    namespace.owner_uid = Some(record.user_maker());
                    if let Some(parent) = namespace.parent {
                        self.note_above(parent, (pid, id), None);
                    }
                }
                _ => {}
            }
            self.gathered.namespaces.entry(id).or_insert(namespace);
        }
    }

    /// Notes the PID namespaces above a process's; returns the next one.
    fn note_chain(
        &mut self,
        record: &TaskRecord<'_>,
        from: (HostPid, NamespaceId),
        base: usize,
    ) -> Option<NamespaceId> {
        let mut parent = None;
        for (_, inode) in record.levels().skip(base) {
            let id = NamespaceId {
                kind: NamespaceKind::Pid,
                inode,
            };
            if id == from.1 {
                return parent;
            }
            self.note_above(id, from, parent);
            parent = Some(id);
        }
        None
    }

    fn note_above(
        &mut self,
        id: NamespaceId,
        (through, from): (HostPid, NamespaceId),
        parent: Option<NamespaceId>,
    ) {
        self.gathered.above.entry(id).or_insert(Above {
            through,
            from,
            parent,
        });
    }
}
