//! The snapshot of another time, from the latest frame and the lives around it. Pure.

use std::sync::Arc;
use std::time::Duration;

use berth_base::HostPid;
use rustc_hash::{FxHashMap, FxHashSet};

use super::life::{Home, Kept, born};
use super::{BootTime, History};
use crate::model::{Container, Returned, World};

/// Processes that are shown after their end, at most: a storm must not bury what lives.
const MOST_RECENT: usize = 512;

impl History {
    /// The processes that were alive at a time, put into the latest frame's place.
    ///
    /// Those that live now are shown as they are now, whatever they were called then, and so are
    /// details. Of those put back, nobody remembers the state; whom no frame has seen lives where
    /// its parent did. Containers without a process at that time are left out. `None` before the
    /// first frame.
    pub fn at(&self, time: BootTime) -> Option<Arc<World>> {
        self.at_with_recent(time, Duration::ZERO, 0)
    }

    /// The same, and processes that had ended since so short a time before as if they still lived:
    /// for a view in which what ends fades. Of more than `most` of one parent, and of more than
    /// [`MOST_RECENT`] at all, the last ones.
    pub fn at_with_recent(
        &self,
        time: BootTime,
        linger: Duration,
        most: usize,
    ) -> Option<Arc<World>> {
        let nanos = u64::try_from(linger.as_nanos()).unwrap_or(u64::MAX);
        let since = BootTime(time.0.saturating_sub(nanos));
        let frame = self.latest.as_ref()?;
        let world = &frame.world;
        let out: FxHashSet<HostPid> = world
            .processes()
            .iter()
            .filter(|process| {
                let exact = self.open.get(&process.pid).filter(|life| life.is(process));
                exact.map_or_else(|| born(process), |life| life.born) > time
                    || self.gone.get(&process.pid).is_some_and(|end| {
                        // One that ended before the frame is a zombie in it, or on its way.
                        *end <= since && (*end > frame.at || !process.is_zombie())
                    })
            })
            .map(|process| process.pid)
            .collect();
        let is_missing = |life: &&Kept| {
            let listed = world.process(life.pid);
            life.lived_at(time) && !listed.is_some_and(|process| life.is(process))
        };
        let first = self.ended.partition_point(|life| life.ended <= time);
        let recent = self.ended.partition_point(|life| life.ended <= since);
        // The PID may have been given to another since.
        let is_unique = |life: &&Kept| {
            let listed = world.process(life.pid);
            life.born <= time
                && !self.open.contains_key(&life.pid)
                && listed.is_none_or(|process| out.contains(&process.pid))
        };
        let mut siblings: FxHashMap<Option<HostPid>, usize> = FxHashMap::default();
        let recent = self.ended.range(recent..first).rev().filter(is_unique);
        let recent = recent.filter(|life| {
            let count = siblings.entry(life.parent).or_default();
            *count += 1;
            *count <= most
        });
        let recent = recent.take(MOST_RECENT);
        let back: Vec<Returned> = self
            .ended
            .range(first..)
            .chain(self.open.values())
            .filter(is_missing)
            .chain(recent)
            .map(|life| Returned {
                process: life.process(),
                containers: containers(life.place.home.as_ref()),
            })
            .collect();
        if out.is_empty() && back.is_empty() {
            return Some(Arc::clone(world));
        }
        let known = self.past_namespaces.values().map(|(_, known)| known);
        Some(Arc::new(world.edited(&out, back, known)))
    }

    /// The processes that are alive now: the latest frame and what has happened since. The same
    /// [`World`] as the frame's where nothing has.
    pub fn present(&self) -> Option<Arc<World>> {
        self.at(self.now)
    }
}

/// The container that owned a process, and those around it, from the inside out.
fn containers(home: Option<&Arc<Home>>) -> Vec<Container> {
    std::iter::successors(home, |home| home.outer.as_ref())
        .map(|home| home.container.clone())
        .collect()
}
