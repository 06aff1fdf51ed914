//! The last ten minutes, as a view remembers them. Pure.
//!
//! A [`History`] is fed with every update that its view gets, and knows every process that started
//! or ended in the last ten minutes, those included that no frame has seen. It is bounded: what
//! has no room is forgotten from the oldest on, and [`History::complete_since`] says so.

mod density;
mod frames;
mod inside;
mod life;
mod past;
mod shared;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use berth_base::{HostPid, NamespaceId, NamespaceKind};
use rustc_hash::FxHashMap;

use self::density::Counts;
use self::life::{Home, Kept, Place};
use self::shared::Shared;
use super::{BootTime, Event, EventKind, Exit, Frame, Update};
use crate::model::{Namespace, Process, World};

pub use density::Density;
pub use life::Life;
pub(super) use life::born;

/// How far back a history goes.
const MEMORY: Duration = Duration::from_secs(600);

/// Ended lives that are kept at most: ten minutes of 1,000 a second, 46 MB.
const MAX_ENDED: usize = 640_000;

/// Different names, and different places, that are kept at most besides those in use by the living.
const MAX_SHARED: usize = 65_536;

/// Room for so many lives is not worth giving back.
const ROOM: usize = 4_096;

/// A process that began so short a time before a frame may be missing in it.
const BLINK: u64 = 50_000_000;

/// An end that comes after a frame without the process is looked for among so many lives.
const RECENT: usize = 4_096;

/// What happened in the last ten minutes. Fed with updates by [`Self::apply`].
#[derive(Default)]
pub struct History {
    latest: Option<Arc<Frame>>,
    /// The containers of the latest frame, at the same places.
    homes: Vec<Arc<Home>>,
    /// Alive, and born since the history began or heard of since.
    open: FxHashMap<HostPid, Kept>,
    /// When processes of the latest frame ended, which may be before it: zombies.
    gone: FxHashMap<HostPid, BootTime>,
    /// By the time of their end.
    ended: VecDeque<Kept>,
    counts: Counts,
    names: Shared<str>,
    places: Shared<Place>,
    /// Namespaces that no later frame has, with the time of that one.
    past_namespaces: BTreeMap<NamespaceId, (BootTime, Namespace)>,
    now: BootTime,
    begun: Option<BootTime>,
    complete_since: BootTime,
    lost: u64,
    missed: u64,
}

impl History {
    /// Remembers what an update says.
    pub fn apply(&mut self, update: &Update) {
        match update {
            Update::Frame(frame) => self.apply_frame(frame),
            Update::Events(events) => events.iter().for_each(|event| self.apply_event(event)),
            Update::End(_) => {}
        }
        self.forget();
    }

    /// Hears how many events a view missed so far ([`super::Subscription::missed`]).
    pub fn note_missed(&mut self, missed: u64) {
        if missed != self.missed {
            self.missed = missed;
            self.complete_since = self.now;
        }
    }

    /// The latest frame.
    pub fn latest(&self) -> Option<&Arc<Frame>> {
        self.latest.as_ref()
    }

    /// The time of the latest update.
    pub fn now(&self) -> BootTime {
        self.now
    }

    /// The earliest time that can be looked at: where the history began, ten minutes ago at most.
    pub fn earliest(&self) -> BootTime {
        self.cutoff().max(self.begun.unwrap_or(self.now))
    }

    /// Since when no process is missing: since the history began, since the last one that was
    /// forgotten for want of room, since events were last lost.
    pub fn complete_since(&self) -> BootTime {
        self.complete_since
    }

    /// How many lives are remembered, those included that have not ended.
    pub fn len(&self) -> usize {
        self.ended.len() + self.open.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The processes that started or ended between two times, both included: first those that
    /// ended, by the time of their end, then those that live on.
    pub fn lives(&self, from: BootTime, to: BootTime) -> impl Iterator<Item = Life> + '_ {
        let within = move |time: BootTime| from <= time && time <= to;
        let first = self.ended.partition_point(|life| life.ended < from);
        let ended = self.ended.range(first..);
        ended
            .chain(self.open.values())
            .filter(move |life| within(life.born) || within(life.ended))
            .map(Kept::life)
    }

    /// The last life of a PID on the host that is remembered, which may go on.
    pub fn life(&self, pid: HostPid) -> Option<Life> {
        let ended = || self.ended.iter().rev().find(|life| life.pid == pid);
        self.open.get(&pid).or_else(ended).map(Kept::life)
    }

    /// How many processes started and ended between two times, in so many slots of equal length.
    /// Counted in grains of 100 ms, and complete where [`Self::lives`] is not for want of room.
    pub fn density(&self, from: BootTime, to: BootTime, slots: usize) -> Vec<Density> {
        self.counts.slots(from, to, slots)
    }

    fn cutoff(&self) -> BootTime {
        let nanos = u64::try_from(MEMORY.as_nanos()).unwrap_or(u64::MAX);
        BootTime(self.now.0.saturating_sub(nanos))
    }

    fn apply_event(&mut self, event: &Event) {
        self.now = self.now.max(event.at);
        match &event.kind {
            EventKind::Forked { .. } => self.fork(event),
            EventKind::Executed { comm } => {
                let comm = self.names.keep(comm.as_str());
                if let Some(life) = self.open_life(event.pid) {
                    life.comm = comm;
                }
            }
            EventKind::Exited(exit) => self.exit(event, *exit),
            EventKind::NamespacesChanged { namespaces, .. } => {
                let Some(life) = self.open_life(event.pid) else {
                    return;
                };
                let mut place = Place::clone(&life.place);
                namespaces.iter().for_each(|id| place.namespaces.insert(id));
                let place = self.places.keep(place);
                if let Some(life) = self.open_life(event.pid) {
                    life.place = place;
                }
            }
            EventKind::CgroupMoved { .. } => {}
        }
    }

    fn fork(&mut self, event: &Event) {
        let EventKind::Forked {
            parent,
            pids,
            pid_namespace,
            comm,
        } = &event.kind
        else {
            return;
        };
        if let Some(known) = self.birth(event.pid) {
            if known.0.abs_diff(event.at.0) <= BLINK {
                // A frame told of it already.
                return;
            }
            // The PID has been given to another: the end of this one was lost.
            self.open_life(event.pid);
            self.close(event.pid, event.at, Exit::Unknown);
        }
        let place = self.birthplace(*parent, *pid_namespace);
        let comm = self.names.keep(comm.as_str());
        let life = Kept::new((event.pid, pids), *parent, comm, event.at, place);
        self.begin(life);
    }

    /// When the process that has this PID was born, as far as is known.
    fn birth(&self, pid: HostPid) -> Option<BootTime> {
        if let Some(life) = self.open.get(&pid) {
            return Some(life.born);
        }
        let process = self.latest.as_ref()?.world.process(pid)?;
        (!self.gone.contains_key(&pid)).then(|| born(process))
    }

    fn begin(&mut self, life: Kept) {
        let started = Density {
            started: 1,
            ended: 0,
        };
        self.counts.add(life.born, started);
        self.open.insert(life.pid, life);
    }

    /// Where a child lives: where its parent does, but for what the event says.
    fn birthplace(
        &mut self,
        parent: Option<HostPid>,
        pid_namespace: Option<NamespaceId>,
    ) -> Arc<Place> {
        let place = parent.and_then(|parent| self.place_of(parent));
        let known = place.as_ref().map(|p| p.namespaces.of(NamespaceKind::Pid));
        if let Some(place) = &place
            && (pid_namespace.is_none() || known == Some(pid_namespace))
        {
            return Arc::clone(place);
        }
        let mut place = place.map_or_else(Place::unknown, |place| Place::clone(&place));
        if let Some(id) = pid_namespace {
            place.namespaces.insert(id);
            let index = self
                .latest
                .as_ref()
                .and_then(|f| f.world.container_of_namespace(id));
            if let Some(home) = index.and_then(|index| self.homes.get(index.0)) {
                place.home = Some(Arc::clone(home));
            }
        }
        self.places.keep(place)
    }

    fn place_of(&mut self, pid: HostPid) -> Option<Arc<Place>> {
        if let Some(life) = self.open.get(&pid) {
            return Some(Arc::clone(&life.place));
        }
        let frame = self.latest.clone()?;
        let process = frame.world.process(pid)?;
        Some(self.place_in(&frame.world, process))
    }

    /// Where a process of the latest frame lives.
    fn place_in(&mut self, world: &World, process: &Process) -> Arc<Place> {
        let home = world.owner(process.pid).and_then(|i| self.homes.get(i.0));
        self.places.keep(Place::of(process, home.cloned()))
    }

    /// A life that goes on, taken from the latest frame where no event told of its start.
    fn open_life(&mut self, pid: HostPid) -> Option<&mut Kept> {
        if !self.open.contains_key(&pid) && !self.gone.contains_key(&pid) {
            let frame = self.latest.clone()?;
            let process = frame.world.process(pid)?;
            let life = self.kept(&frame.world, process);
            self.open.insert(pid, life);
        }
        self.open.get_mut(&pid)
    }

    fn kept(&mut self, world: &World, process: &Process) -> Kept {
        let place = self.place_in(world, process);
        let comm = self.names.keep(process.comm.as_str());
        let pids = (process.pid, process.pids.as_slice());
        Kept::new(pids, process.parent, comm, born(process), place)
    }

    fn exit(&mut self, event: &Event, exit: Exit) {
        if self.open_life(event.pid).is_some() {
            self.close(event.pid, event.at, exit);
            return;
        }
        // A frame without it was quicker than the event.
        let life = self.ended.iter_mut().rev().take(RECENT);
        let mut life = life.filter(|life| life.pid == event.pid);
        if let Some(life) = life.next().filter(|life| life.exit == Some(Exit::Unknown)) {
            life.exit = Some(exit);
        }
    }

    /// Ends a life.
    fn close(&mut self, pid: HostPid, at: BootTime, exit: Exit) {
        let Some(mut life) = self.open.remove(&pid) else {
            return;
        };
        life.ended = at.max(life.born);
        life.exit = Some(exit);
        let listed = self.latest.as_ref().and_then(|f| f.world.process(pid));
        if listed.is_some_and(|process| life.is(process)) {
            self.gone.insert(pid, life.ended);
        }
        let ended = Density {
            started: 0,
            ended: 1,
        };
        self.counts.add(life.ended, ended);
        let place = match self.ended.back() {
            Some(last) if last.ended > life.ended => self
                .ended
                .partition_point(|other| other.ended <= life.ended),
            _ => self.ended.len(),
        };
        if self.ended.len() == self.ended.capacity() {
            // By a quarter, not to twice the size: this is nearly all of the memory.
            self.ended.reserve_exact(self.ended.len() / 4 + ROOM / 4);
        }
        self.ended.insert(place, life);
    }

    /// Forgets what is too old, and what there is no room for.
    fn forget(&mut self) {
        let cutoff = self.cutoff();
        while self.ended.front().is_some_and(|life| life.ended < cutoff) {
            self.ended.pop_front();
        }
        if self.ended.len() > MAX_ENDED {
            self.drop_oldest(self.ended.len() - MAX_ENDED);
        }
        if self.ended.capacity() > 4 * self.ended.len() + ROOM {
            // What a storm took is given back.
            self.ended.shrink_to(2 * self.ended.len() + ROOM / 2);
        }
        let crowded = |history: &Self| {
            history.names.len().max(history.places.len()) > MAX_SHARED
                || history.past_namespaces.len() > MAX_SHARED
        };
        while crowded(self) {
            self.names.sweep();
            self.places.sweep();
            if !crowded(self) {
                return;
            }
            self.past_namespaces.clear();
            if self.ended.is_empty() {
                return;
            }
            self.drop_oldest(self.ended.len() / 4 + 1);
        }
    }

    fn drop_oldest(&mut self, count: usize) {
        if let Some(last) = self.ended.drain(..count).next_back() {
            self.complete_since = self.complete_since.max(last.ended);
        }
    }
}
