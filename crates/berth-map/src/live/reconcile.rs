//! What two snapshots differ in and no event told of. Pure.

use std::time::Duration;

use berth_base::HostPid;
use rustc_hash::{FxHashMap, FxHashSet};

use super::history::born;
use super::pace::Want;
use super::{BootTime, Event, EventKind, EventSource, Exit, Joined};
use crate::model::{Change, Changed, Diff, Process, Started, World};

/// Who ends sooner makes no difference to a frame.
const SHORT: Duration = Duration::from_millis(30);

/// What events told since the last frame: to find out what they did not, and whether a frame would
/// be any different.
#[derive(Default)]
pub(super) struct Reconciler {
    born: FxHashSet<HostPid>,
    executed: FxHashSet<HostPid>,
    moved: FxHashSet<HostPid>,
    changed: FxHashSet<HostPid>,
    /// Ended, those included that the last frame has all the same: zombies above all.
    ended: FxHashMap<HostPid, BootTime>,
    /// Born since the last frame, and alive.
    young: FxHashMap<HostPid, BootTime>,
    want: Option<Want>,
}

impl Reconciler {
    /// Hears events. `latest` is the last frame's snapshot. Those that came while it was taken are
    /// heard before and after [`Self::missing`]: it may have them or not.
    pub(super) fn hear(&mut self, events: &[Event], latest: &World) {
        for event in events {
            self.want = self.want.max(self.weigh(event, latest));
            let set = match &event.kind {
                EventKind::Forked { .. } => &mut self.born,
                EventKind::Executed { .. } => &mut self.executed,
                EventKind::Exited(_) => {
                    self.ended.insert(event.pid, event.at);
                    continue;
                }
                EventKind::CgroupMoved { .. } => &mut self.moved,
                EventKind::NamespacesChanged { .. } => &mut self.changed,
            };
            set.insert(event.pid);
        }
    }

    /// How much an event calls for a frame.
    fn weigh(&mut self, event: &Event, latest: &World) -> Option<Want> {
        let is_young = self.young.contains_key(&event.pid);
        let is_known = latest.process(event.pid).is_some();
        match &event.kind {
            EventKind::Forked { pid_namespace, .. } => {
                if !is_known {
                    self.young.insert(event.pid, event.at);
                }
                let is_new = |id| latest.namespace(id).is_none();
                pid_namespace.is_some_and(is_new).then_some(Want::Reshaped)
            }
            EventKind::Exited(_) => match self.young.remove(&event.pid) {
                Some(_) => None,
                None => is_known.then_some(Want::Happened),
            },
            EventKind::Executed { .. } => (!is_young).then_some(Want::Happened),
            EventKind::CgroupMoved { .. } | EventKind::NamespacesChanged { .. } => {
                Some(Want::Reshaped)
            }
        }
    }

    /// What frame is wanted, and in how long at the earliest, since whoever was just born may end.
    pub(super) fn wanted(&self, now: BootTime) -> Option<(Want, Duration)> {
        if let Some(want) = self.want {
            return Some((want, Duration::ZERO));
        }
        let oldest = self.young.values().min()?;
        let left = SHORT.saturating_sub(oldest.until(now));
        Some((Want::Happened, left))
    }

    /// The events between two frames, with what they differ in, that nobody told of; by time. `at` is when the second was
    /// taken; all that events told until then has been heard.
    pub(super) fn missing(
        &mut self,
        source: EventSource,
        (old, new, diff): (&World, &World, &Diff),
        at: BootTime,
    ) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for Started { process, .. } in &diff.started {
            if !self.born.contains(&process.pid) {
                events.push(birth(process, at));
            }
        }
        for ended in &diff.ended {
            if !self.ended.contains_key(&ended.pid) {
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
                self.ended.insert(process.pid, at);
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
        self.want = None;
        self.young.clear();
        self.keep_those_in(new);
        events.sort_by_key(|event| event.at);
        events
    }

    /// Remembers the ends of processes that a frame has all the same. One that is no zombie yet
    /// was on its way: another frame is to show it so.
    fn keep_those_in(&mut self, new: &World) {
        let mut is_leaving = false;
        self.ended.retain(|pid, end| {
            let listed = new.process(*pid).filter(|process| born(process) <= *end);
            is_leaving |= listed.is_some_and(|process| !process.is_zombie());
            listed.is_some()
        });
        if is_leaving {
            self.want = Some(Want::Happened);
        }
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
            if is_news && self.ended.insert(pid, at).is_none() {
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

#[cfg(test)]
mod tests;
