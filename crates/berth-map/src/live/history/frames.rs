//! What a history learns from frames: who came and went without an event. Pure.

use std::sync::Arc;

use berth_base::HostPid;
use rustc_hash::FxHashMap;

use super::life::{Home, Kept};
use super::{BLINK, Exit, Frame, History, RECENT};
use crate::model::{ContainerIndex, Process, World};

impl History {
    pub(super) fn apply_frame(&mut self, frame: &Arc<Frame>) {
        let is_elsewhere =
            |latest: &Arc<Frame>| frame.number < latest.number || frame.at < latest.at;
        if self.latest.as_ref().is_some_and(is_elsewhere) {
            // Another stretch of a recording.
            *self = Self {
                missed: self.missed,
                ..Self::default()
            };
        }
        self.now = self.now.max(frame.at);
        let before = self.latest.replace(Arc::clone(frame));
        if self.begun.is_none() {
            self.begun = Some(frame.at);
            self.complete_since = frame.at;
        }
        if frame.health.lost != self.lost {
            self.lost = frame.health.lost;
            self.complete_since = frame.at;
        }
        let Some(before) = before else {
            self.homes = homes(&frame.world, &[]);
            return;
        };
        if Arc::ptr_eq(&before.world, &frame.world) {
            return;
        }
        self.end_the_missing(&before.world, frame);
        self.homes = homes(&frame.world, &self.homes);
        // Before those that are met, which the frame before this one did not have.
        self.gone.retain(|pid, _| {
            let was = before.world.process(*pid).map(|p| p.start_ticks);
            frame.world.process(*pid).map(|p| p.start_ticks) == was
        });
        self.meet(&before.world, frame);
        let cutoff = self.cutoff();
        self.past_namespaces.retain(|_, (at, _)| *at >= cutoff);
        for namespace in before.world.namespaces() {
            if frame.world.namespace(namespace.id).is_none() {
                let kept = (frame.at, namespace.clone());
                self.past_namespaces.insert(namespace.id, kept);
            }
        }
    }

    /// Ends those that a frame does not have and of whose end no event told.
    fn end_the_missing(&mut self, before: &World, frame: &Frame) {
        let is_there = |life: &Kept| {
            let process = frame.world.process(life.pid);
            process.is_some_and(|process| life.is(process))
        };
        let too_young = frame.at.0.saturating_sub(BLINK);
        let missing = self.open.values().filter(|life| life.born.0 < too_young);
        let missing: Vec<HostPid> = missing
            .filter(|life| !is_there(life))
            .map(|life| life.pid)
            .collect();
        for pid in missing {
            self.close(pid, frame.at, Exit::Unknown);
        }
        for process in before.processes() {
            let now = frame.world.process(process.pid).map(|p| p.start_ticks);
            if now == Some(process.start_ticks)
                || self.gone.contains_key(&process.pid)
                || self.open.contains_key(&process.pid)
            {
                continue;
            }
            let life = self.kept(before, process);
            self.open.insert(process.pid, life);
            self.close(process.pid, frame.at, Exit::Unknown);
        }
    }

    /// Learns what a frame says of those that live, and of those that no event told of.
    fn meet(&mut self, before: &World, frame: &Frame) {
        for process in frame.world.processes() {
            let pid = process.pid;
            if self.open.get(&pid).is_some_and(|life| life.is(process)) {
                let place = self.place_in(&frame.world, process);
                let comm = self.names.keep(process.comm.as_str());
                if let Some(life) = self.open.get_mut(&pid) {
                    life.refresh(process, comm, place);
                }
                continue;
            }
            let was = before.process(pid).map(|p| p.start_ticks);
            if was == Some(process.start_ticks) || self.open.contains_key(&pid) {
                continue;
            }
            if self.has_ended(process) {
                self.gone.insert(pid, frame.at);
                continue;
            }
            let life = self.kept(&frame.world, process);
            self.begin(life);
        }
    }

    /// Whether events told of its birth and its end while a frame was taken that still has it.
    fn has_ended(&self, process: &Process) -> bool {
        let mut recent = self.ended.iter().rev().take(RECENT);
        recent.any(|life| life.is(process))
    }
}

/// The containers of a world with those around them. Those that are as before are the same ones.
fn homes(world: &World, before: &[Arc<Home>]) -> Vec<Arc<Home>> {
    let mut old: FxHashMap<(&str, &str), &Arc<Home>> = FxHashMap::default();
    for home in before {
        let key = (home.container.engine.as_str(), home.container.id.as_str());
        old.insert(key, home);
    }
    let mut made: FxHashMap<ContainerIndex, Arc<Home>> = FxHashMap::default();
    for (index, _) in world.indexed_containers() {
        let mut chain: Vec<ContainerIndex> = world.enclosing(Some(index)).collect();
        // The outermost first, so that the one around is made when it is needed.
        chain.reverse();
        let mut outer: Option<Arc<Home>> = None;
        for index in chain {
            let Some(container) = world.container(index) else {
                continue;
            };
            let make = || {
                let key = (container.engine.as_str(), container.id.as_str());
                let is_same = |home: &&&Arc<Home>| {
                    home.container == *container
                        && home.outer.as_ref().map(Arc::as_ptr) == outer.as_ref().map(Arc::as_ptr)
                };
                let kept = old.get(&key).filter(is_same).map(|home| Arc::clone(home));
                kept.unwrap_or_else(|| {
                    Arc::new(Home {
                        container: container.clone(),
                        label: container.display_name().into(),
                        outer: outer.clone(),
                    })
                })
            };
            outer = Some(Arc::clone(made.entry(index).or_insert_with(make)));
        }
    }
    let mut all: Vec<(ContainerIndex, Arc<Home>)> = made.into_iter().collect();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, home)| home).collect()
}
