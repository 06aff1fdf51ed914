//! A frame, and what happened since, as the page of one view. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use berth_base::{HostPid, NamespaceId};
use berth_map::World;
use berth_map::live::{Event, EventKind, Exit, Frame};
use berth_map::svg::Tint;

use super::html::push_untrusted;
use super::meta;
use super::page::{Fragment, FragmentId, Page, Pill, ViewKey, draw, places};

/// A process that an event told of and no frame has shown yet.
#[derive(Clone, Debug)]
pub(super) struct Born {
    parent: Option<HostPid>,
    pids: Vec<u32>,
    namespace: Option<NamespaceId>,
    comm: String,
}

/// Draws a frame.
pub(super) fn draw_page(frame: &Frame, key: ViewKey, number: u64) -> Page {
    let host = &frame.world;
    let (world, name) = match key.inside {
        None => (Some(Arc::clone(host)), None),
        Some(id) => (
            host.inside(id).map(Arc::new),
            Some(meta::namespace_name(host, id)),
        ),
    };
    let Some(world) = world else {
        return Page {
            number,
            world: Arc::clone(host),
            fragments: Vec::new(),
            meta: meta::ended(key, &frame.health),
        };
    };
    let (root, fragments) = draw(&world, key.lens, name.as_deref());
    Page {
        number,
        meta: meta::meta(&world, &root, key, &frame.health, name.as_deref()),
        world,
        fragments,
    }
}

/// Remembers a birth, or the name of one that is remembered.
pub(super) fn note(born: &mut HashMap<HostPid, Born>, world: &World, event: &Event) {
    match &event.kind {
        EventKind::Forked {
            parent,
            pids,
            pid_namespace,
            comm,
        } if world.process(event.pid).is_none() => {
            let new = Born {
                parent: *parent,
                pids: pids.clone(),
                namespace: *pid_namespace,
                comm: comm.clone(),
            };
            born.insert(event.pid, new);
        }
        EventKind::Executed { comm } => {
            if let Some(known) = born.get_mut(&event.pid) {
                known.comm.clone_from(comm);
            }
        }
        _ => {}
    }
}

/// The page after some events, where they change it: new pills below their parents, none for who
/// ended. The next frame says the rest.
pub(super) fn after(
    old: &Page,
    key: ViewKey,
    frame: &Frame,
    born: &HashMap<HostPid, Born>,
    events: &[Event],
) -> Option<Page> {
    let sight = Sight::of(&frame.world, key)?;
    let mut fragments = old.fragments.clone();
    let mut is_changed = false;
    for event in events {
        is_changed |= match &event.kind {
            EventKind::Forked { .. } | EventKind::Executed { .. } => {
                let newborn = born.get(&event.pid);
                newborn.is_some_and(|b| sight.add(&mut fragments, &frame.world, born, b))
            }
            EventKind::Exited(_) => {
                let pid = sight.pid_of(&frame.world, born, event.pid);
                let before = fragments.len();
                fragments.retain(|f| Some(f.id) != pid.map(FragmentId::Process));
                fragments.len() < before
            }
            EventKind::CgroupMoved { .. } | EventKind::NamespacesChanged { .. } => false,
        };
    }
    is_changed.then(|| Page {
        number: old.number + 1,
        world: Arc::clone(&old.world),
        fragments,
        meta: old.meta.clone(),
    })
}

/// Which PIDs a view shows: those from a level on, of who lives in its namespace.
struct Sight {
    level: usize,
    inside: Option<NamespaceId>,
}

impl Sight {
    fn of(world: &World, key: ViewKey) -> Option<Self> {
        let level = match key.inside {
            None => 0,
            Some(id) => world.namespace(id)?.level?,
        };
        Some(Self {
            level,
            inside: key.inside,
        })
    }

    /// The PID that the view shows of a process; `None` where it does not show the process.
    fn pid_of(
        &self,
        world: &World,
        born: &HashMap<HostPid, Born>,
        pid: HostPid,
    ) -> Option<HostPid> {
        let Some(inside) = self.inside else {
            return Some(pid);
        };
        let mut current = pid;
        // A child lives where its parent does, or deeper.
        for _ in 0..=born.len() {
            if let Some(process) = world.process(current) {
                let lives = world.pid_namespaces(process).get(self.level) == Some(&Some(inside));
                let pids = born.get(&pid).map_or(&process.pids, |b| &b.pids);
                return HostPid::new(*pids.get(self.level)?).filter(|_| lives);
            }
            current = born.get(&current)?.parent?;
        }
        None
    }

    /// Puts the pill of a newborn behind everything below its parent.
    fn add(
        &self,
        fragments: &mut Vec<Fragment>,
        world: &World,
        born: &HashMap<HostPid, Born>,
        newborn: &Born,
    ) -> bool {
        let host_pid = newborn.pids.first().copied().and_then(HostPid::new);
        let pid = host_pid.and_then(|pid| self.pid_of(world, born, pid));
        let parent = newborn.parent.and_then(|p| self.pid_of(world, born, p));
        let (Some(pid), Some(parent)) = (pid, parent) else {
            return false;
        };
        let id = FragmentId::Process(pid);
        let all = places(fragments);
        let Some(at) = all.get(&FragmentId::Process(parent)).copied() else {
            return false;
        };
        let Some((within, depth)) = fragments.get(at).map(|f| (f.within, f.depth + 1)) else {
            return false;
        };
        let fragment = Fragment {
            id,
            within,
            depth,
            html: self.pill(newborn, id, depth, parent).into(),
        };
        if let Some(known) = all.get(&id).and_then(|at| fragments.get_mut(*at)) {
            *known = fragment;
            return true;
        }
        let below = fragments.iter().skip(at + 1);
        let below = below.take_while(|f| f.within == within && f.depth >= depth);
        let end = at + 1 + below.count();
        fragments.insert(end, fragment);
        true
    }

    fn pill(&self, newborn: &Born, id: FragmentId, depth: usize, parent: HostPid) -> String {
        let pids = newborn.pids.get(self.level..).unwrap_or_default();
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        // Levels from 1 have the colours of the boxes around, as in the outline.
        let boxes = (0..pids.len()).map(|level| Tint::Box(level % 6));
        let tints: Vec<Tint> = std::iter::once(Tint::Host).chain(boxes).collect();
        let pill = Pill {
            id,
            depth,
            parent: Some(parent),
            namespace: newborn.namespace,
            count: 1,
            is_odd: false,
        };
        pill.html(&pids, &tints, |out| {
            out.push_str("<span class=\"plain\">");
            push_untrusted(out, &newborn.comm);
            out.push_str("</span>");
        })
    }
}

/// How a process ended, for its pill.
pub(super) fn exit_words(exit: Exit) -> Option<String> {
    match exit {
        Exit::Code(code) => Some(format!("exit {code}")),
        Exit::Signal(signal) => Some(format!("signal {signal}")),
        Exit::Unknown => None,
    }
}
