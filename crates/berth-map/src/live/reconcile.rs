//! What two snapshots differ in and no event told of. Pure.

use berth_base::HostPid;
use rustc_hash::FxHashSet;

use super::history::born;
use super::{BootTime, Event, EventKind, EventSource, Exit, Joined};
use crate::model::{Change, Changed, Diff, Process, Started, World};

/// What events told since the last frame, to find out what they did not.
#[derive(Default)]
pub(super) struct Reconciler {
    born: FxHashSet<HostPid>,
    executed: FxHashSet<HostPid>,
    moved: FxHashSet<HostPid>,
    changed: FxHashSet<HostPid>,
    /// Ended, those included that the last frame has as zombies.
    ended: FxHashSet<HostPid>,
}

impl Reconciler {
    /// Hears events.
    pub(super) fn hear(&mut self, events: &[Event]) {
        for event in events {
            let set = match &event.kind {
                EventKind::Forked { .. } => &mut self.born,
                EventKind::Executed { .. } => &mut self.executed,
                EventKind::Exited(_) => &mut self.ended,
                EventKind::CgroupMoved { .. } => &mut self.moved,
                EventKind::NamespacesChanged { .. } => &mut self.changed,
            };
            set.insert(event.pid);
        }
    }

    /// The events between two frames that nobody told of, by time. `at` is when the second was
    /// taken; all that events told until then has been heard.
    pub(super) fn missing(
        &mut self,
        source: EventSource,
        old: &World,
        new: &World,
        at: BootTime,
    ) -> Vec<Event> {
        let diff = Diff::between(old, new);
        let mut events: Vec<Event> = Vec::new();
        for Started { process, .. } in &diff.started {
            if !self.born.contains(&process.pid) {
                events.push(birth(process, at));
            }
        }
        for ended in &diff.ended {
            if !self.ended.contains(&ended.pid) {
                events.push(end(ended.pid, at));
            }
        }
        for changed in &diff.changed {
            self.missing_changes(source, old, changed, at, &mut events);
        }
        // Without events a new zombie is the end that they would have told of.
        if source == EventSource::Snapshots {
            for Started { process, .. } in diff.started.iter().filter(|s| s.process.is_zombie()) {
                events.push(end(process.pid, at));
                self.ended.insert(process.pid);
            }
        }
        for told in [
            &mut self.born,
            &mut self.executed,
            &mut self.moved,
            &mut self.changed,
        ] {
            told.clear();
        }
        let is_zombie = |pid: &HostPid| new.process(*pid).is_some_and(Process::is_zombie);
        self.ended.retain(is_zombie);
        events.sort_by_key(|event| event.at);
        events
    }

    fn missing_changes(
        &mut self,
        source: EventSource,
        old: &World,
        Changed {
            process, changes, ..
        }: &Changed,
        at: BootTime,
        events: &mut Vec<Event>,
    ) {
        let pid = process.pid;
        if process.is_zombie() {
            // It has no namespaces and cgroups any more.
            let is_news = source == EventSource::Snapshots
                && old.process(pid).is_some_and(|was| !was.is_zombie());
            if is_news && self.ended.insert(pid) {
                events.push(end(pid, at));
            }
            return;
        }
        let mut push = |kind| events.push(Event { at, pid, kind });
        let has = |wanted: fn(&Change) -> bool| changes.iter().any(wanted);
        // Names change by prctl(2) too, and those of kernel threads all the time.
        if source == EventSource::Snapshots
            && !process.kernel_thread
            && has(|change| matches!(change, Change::Comm { .. }))
        {
            let comm = process.comm.clone();
            push(EventKind::Executed { comm });
        }
        if !self.moved.contains(&pid) && has(|change| matches!(change, Change::Cgroups)) {
            let path = moved_to(old.process(pid), process);
            push(EventKind::CgroupMoved { path });
        }
        if !self.changed.contains(&pid)
            && let Some(how) = joined(old, changes)
        {
            let namespaces = process.namespaces;
            push(EventKind::NamespacesChanged { how, namespaces });
        }
    }

    /// Forgets everything: nobody looked for a while.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

fn birth(process: &Process, at: BootTime) -> Event {
    Event {
        at: born(process).min(at),
        pid: process.pid,
        kind: EventKind::Forked {
            parent: process.parent,
            pids: process.pids.clone(),
            pid_namespace: process.pid_namespace(),
            comm: process.comm.clone(),
        },
    }
}

fn end(pid: HostPid, at: BootTime) -> Event {
    Event {
        at,
        pid,
        kind: EventKind::Exited(Exit::Unknown),
    }
}

/// The path in the first hierarchy in which it is another.
fn moved_to(was: Option<&Process>, is: &Process) -> Option<String> {
    let entry = is.cgroups.entries.iter().find(|entry| {
        let before = was.and_then(|was| was.cgroups.path(entry.hierarchy));
        before != Some(entry.path.as_str())
    });
    entry.map(|entry| entry.path.clone())
}

/// How it came to live elsewhere: in what was there before it joined, else it made it. `None` when
/// it lives where it did, or links became readable.
fn joined(old: &World, changes: &[Change]) -> Option<Joined> {
    let mut to = changes.iter().filter_map(|change| match change {
        Change::Namespace {
            from: Some(_),
            to: Some(to),
        } => Some(*to),
        _ => None,
    });
    let first = to.next()?;
    let is_new = |id| old.namespace(id).is_none();
    Some(match is_new(first) || to.any(is_new) {
        true => Joined::Unshare,
        false => Joined::Setns,
    })
}
