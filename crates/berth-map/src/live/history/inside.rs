//! What of a history is a PID namespace's own: its processes, and those of the namespaces nested
//! in it. Pure.

use berth_base::{NamespaceId, NamespaceKind};
use rustc_hash::FxHashMap;

use super::life::Kept;
use super::{BootTime, Density, History, Life};

/// Levels of PID namespaces at most (MAX_PID_NS_LEVEL).
const MOST_LEVELS: usize = 32;

impl History {
    /// [`Self::lives`] as a PID namespace sees them: those of processes that live in it or deeper,
    /// with their PIDs from its level on. A namespace that no frame has shown counts as nobody's.
    pub fn lives_inside(
        &self,
        (from, to): (BootTime, BootTime),
        outer: NamespaceId,
    ) -> impl Iterator<Item = Life> + '_ {
        let mut known = FxHashMap::default();
        self.lives(from, to).filter_map(move |mut life| {
            let depth = self.depth(&mut known, life.pid_namespace?, outer)?;
            let level = life.pids.len().checked_sub(depth + 1)?;
            life.pids.drain(..level);
            Some(life)
        })
    }

    /// [`Self::density`] of [`Self::lives_inside`]. It takes a look at each life since then.
    pub fn density_inside(
        &self,
        (from, to): (BootTime, BootTime),
        slots: usize,
        outer: NamespaceId,
    ) -> Vec<Density> {
        let mut counted = vec![Density::default(); slots];
        let span = u128::from(to.0.saturating_sub(from.0));
        let place = |time: BootTime| {
            let since = u128::from(time.0.checked_sub(from.0)?);
            usize::try_from((since * slots as u128).checked_div(span)?).ok()
        };
        let mut known = FxHashMap::default();
        let first = self.ended.partition_point(|life| life.ended < from);
        for life in self.ended.range(first..).chain(self.open.values()) {
            let born = place(life.born).filter(|at| *at < slots);
            let ended = place(life.ended).filter(|at| *at < slots && life.ended != Kept::ALIVE);
            if born.is_none() && ended.is_none() {
                continue;
            }
            let namespace = life.place.namespaces.of(NamespaceKind::Pid);
            if namespace
                .and_then(|id| self.depth(&mut known, id, outer))
                .is_none()
            {
                continue;
            }
            if let Some(slot) = born.and_then(|at| counted.get_mut(at)) {
                slot.started = slot.started.saturating_add(1);
            }
            if let Some(slot) = ended.and_then(|at| counted.get_mut(at)) {
                slot.ended = slot.ended.saturating_add(1);
            }
        }
        counted
    }

    /// How many levels a PID namespace is below another; `None` where it is not. Remembers.
    fn depth(
        &self,
        known: &mut FxHashMap<NamespaceId, Option<usize>>,
        id: NamespaceId,
        outer: NamespaceId,
    ) -> Option<usize> {
        *known.entry(id).or_insert_with(|| {
            let mut above = std::iter::successors(Some(id), |id| self.parent_of(*id));
            above
                .by_ref()
                .take(MOST_LEVELS + 1)
                .position(|id| id == outer)
        })
    }

    fn parent_of(&self, id: NamespaceId) -> Option<NamespaceId> {
        let latest = self.latest.as_ref()?.world.namespace(id);
        let past = || self.past_namespaces.get(&id).map(|(_, past)| past);
        latest.or_else(past)?.parent
    }
}
