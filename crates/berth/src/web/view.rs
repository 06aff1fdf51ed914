//! A frame, and what happened since, as the page of one view. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use berth_base::{HostPid, NamespaceId};
use berth_map::World;
use berth_map::live::{Event, EventKind, Exit};
use berth_map::svg::push_text;

use super::fragments::Fragments;
use super::hub::Scene;
use super::meta;
use super::page::{Fragment, FragmentId, Page, Pill, ViewKey, draw};

/// A process that an event told of and no frame has shown yet.
#[derive(Clone, Debug)]
pub(super) struct Born {
    parent: Option<HostPid>,
    pids: Vec<u32>,
    namespace: Option<NamespaceId>,
    comm: String,
}

/// Draws the host, or what a container sees of it.
pub(super) fn draw_page(scene: &Scene, key: ViewKey, number: u64) -> Page {
    let host = Arc::clone(&scene.host);
    let (world, name) = match key.inside {
        None => (Some(Arc::clone(&host)), None),
        Some(id) => (
            host.inside(id).map(Arc::new),
            Some(meta::namespace_name(&host, id)),
        ),
    };
    let (meta, fragments) = match world {
        Some(world) => {
            let (root, fragments) = draw(&world, key.lens, name.as_deref());
            let meta = meta::meta(scene, &world, &root, key, name.as_deref());
            (meta, fragments)
        }
        None => (meta::ended(scene, key), Fragments::default()),
    };
    Page {
        number,
        host,
        fragments,
        meta,
        messages: Mutex::default(),
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
    born: &HashMap<HostPid, Born>,
    events: &[Event],
) -> Option<Page> {
    let blinks = blinks(events);
    let seen = |event: &&Event| !blinks.contains(&event.pid);
    if !events.iter().any(|event| seen(&event)) {
        return None;
    }
    let sight = Sight::of(&old.host, key)?;
    let mut fragments = old.fragments.clone();
    let mut is_changed = false;
    for event in events.iter().filter(seen) {
        is_changed |= match &event.kind {
            EventKind::Forked { .. } | EventKind::Executed { .. } => {
                let newborn = born.get(&event.pid);
                newborn.is_some_and(|b| sight.add(&mut fragments, &old.host, born, b))
            }
            EventKind::Exited(_) => {
                let pid = sight.pid_of(&old.host, born, event.pid);
                pid.is_some_and(|pid| fragments.remove(FragmentId::Process(pid)))
            }
            EventKind::CgroupMoved { .. } | EventKind::NamespacesChanged { .. } => false,
        };
    }
    is_changed.then(|| Page {
        number: old.number + 1,
        host: Arc::clone(&old.host),
        fragments,
        meta: old.meta.clone(),
        messages: Mutex::default(),
    })
}

/// Who was born and ended within these events, and has no child in them: nobody sees them.
fn blinks(events: &[Event]) -> HashSet<HostPid> {
    let mut born = HashSet::new();
    let mut parents = HashSet::new();
    let mut blinks = HashSet::new();
    for event in events {
        match &event.kind {
            EventKind::Forked { parent, .. } => {
                born.insert(event.pid);
                parents.extend(*parent);
                // A PID that is given anew is another process.
                blinks.remove(&event.pid);
            }
            EventKind::Exited(_) if born.contains(&event.pid) => {
                blinks.insert(event.pid);
            }
            _ => {}
        }
    }
    blinks.retain(|pid| !parents.contains(pid));
    blinks
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
        fragments: &mut Fragments,
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
        let Some(at) = fragments.place(FragmentId::Process(parent)) else {
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
        if let Some(known) = fragments.place(id) {
            fragments.replace(known, fragment);
            return true;
        }
        let below = fragments.range(at + 1..fragments.len());
        let below = below.take_while(|f| f.within == within && f.depth >= depth);
        let end = at + 1 + below.count();
        fragments.insert(end, fragment);
        true
    }

    fn pill(&self, newborn: &Born, id: FragmentId, depth: usize, parent: HostPid) -> String {
        let pids = newborn.pids.get(self.level..).unwrap_or_default();
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let pill = Pill {
            id,
            depth,
            parent: Some(parent),
            namespace: newborn.namespace,
            count: 1,
            is_odd: false,
        };
        pill.html(&pids, |out| {
            out.push_str("<span class=\"plain\">");
            push_text(out, &newborn.comm);
            out.push_str("</span>");
        })
    }
}

/// The PID on the host of a process that a view shows, by another maybe.
pub(super) fn host_pid(host: &World, key: ViewKey, pid: HostPid) -> Option<HostPid> {
    let Some(inside) = key.inside else {
        return Some(pid);
    };
    let level = host.namespace(inside)?.level?;
    let all = host.processes().iter();
    let mut same = all.filter(|p| p.pids.get(level) == Some(&pid.get()));
    let found = same.find(|p| host.pid_namespaces(p).get(level) == Some(&Some(inside)));
    found.map(|p| p.pid)
}

/// How a process ended, for its pill.
pub(super) fn exit_words(exit: Exit) -> Option<String> {
    match exit {
        Exit::Code(code) => Some(format!("exit {code}")),
        Exit::Signal(signal) => Some(format!("signal {signal}")),
        Exit::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use berth_base::NamespaceKind;
    use berth_map::live::{BootTime, Health};
    use berth_map::model::{
        Details, Extent, Host, Links, Namespace, NamespaceSet, Parts, Process, Source,
    };

    use super::*;

    const OUTER: u64 = 100;
    const INNER: u64 = 200;

    fn id(inode: u64) -> NamespaceId {
        NamespaceId {
            kind: NamespaceKind::Pid,
            inode,
        }
    }

    fn pid(number: u32) -> HostPid {
        HostPid::new(number).unwrap()
    }

    fn process(pids: &[u32], parent: u32, comm: &str) -> Process {
        let namespace = if pids.len() == 1 { OUTER } else { INNER };
        Process {
            pid: pid(pids[0]),
            pids: pids.to_vec(),
            namespaces: NamespaceSet::from_iter([id(namespace)]),
            links: Links::Read,
            parent: HostPid::new(parent),
            comm: comm.to_owned(),
            state: 'S',
            start_ticks: u64::from(pids[0]),
            cgroups: Arc::default(),
            uid: 0,
            kernel_thread: false,
        }
    }

    /// A host with a container of two processes.
    fn page(key: ViewKey) -> Page {
        let world = World::assemble(Parts {
            source: Source::Procfs,
            extent: Extent::Host,
            host: Host {
                pid_namespace: Some(id(OUTER)),
                namespaces: NamespaceSet::from_iter([id(OUTER)]),
                ..Host::default()
            },
            processes: vec![
                process(&[1], 0, "init"),
                process(&[50, 1], 1, "sh"),
                process(&[51, 7], 50, "worker"),
                process(&[60], 1, "last"),
            ],
            namespaces: vec![
                Namespace::new(id(OUTER)),
                Namespace {
                    parent: Some(id(OUTER)),
                    ..Namespace::new(id(INNER))
                },
            ],
            known: Vec::new(),
            stale: Vec::new(),
            details: Details::default(),
            warnings: Vec::new(),
        });
        let scene = Scene {
            host: Arc::new(world),
            health: Health::default(),
            over: None,
        };
        draw_page(&scene, key, 1)
    }

    fn key(inside: Option<u64>) -> ViewKey {
        ViewKey {
            lens: NamespaceKind::Pid,
            inside: inside.map(id),
            at: None,
        }
    }

    fn ids(page: &Page) -> Vec<String> {
        page.fragments.iter().map(|f| f.id.to_string()).collect()
    }

    fn event(number: u32, kind: EventKind) -> Event {
        Event {
            at: BootTime(1),
            pid: pid(number),
            kind,
        }
    }

    fn fork(pids: &[u32], parent: u32) -> Event {
        let kind = EventKind::Forked {
            parent: Some(pid(parent)),
            pids: pids.to_vec(),
            pid_namespace: None,
            comm: "<b>".to_owned(),
        };
        event(pids[0], kind)
    }

    fn follow(page: &Page, key: ViewKey, events: &[Event]) -> Option<Page> {
        let mut born = HashMap::new();
        events
            .iter()
            .for_each(|event| note(&mut born, &page.host, event));
        after(page, key, &born, events)
    }

    #[test]
    fn newborns_stand_below_their_parents_and_the_dead_nowhere() {
        let old = page(key(None));
        assert_eq!(ids(&old), ["host", "p1", "p60", "b200", "p50", "p51"]);
        // A child, and a child of that, which no frame has seen.
        let events = [fork(&[70, 9], 51), fork(&[71, 10], 70), fork(&[72], 1)];
        let new = follow(&old, key(None), &events).unwrap();
        let wanted = [
            "host", "p1", "p60", "p72", "b200", "p50", "p51", "p70", "p71",
        ];
        assert_eq!(ids(&new), wanted);
        let html = &new.fragments.get(8).unwrap().html;
        assert!(
            html.contains("data-up=\"p70\"") && html.contains(">10</b>"),
            "{html}"
        );
        assert!(
            html.contains("&lt;b&gt;") && !html.contains("<b>"),
            "{html}"
        );
        let exits = [event(51, EventKind::Exited(Exit::Code(3)))];
        let new = follow(&new, key(None), &exits).unwrap();
        assert!(!ids(&new).contains(&"p51".to_owned()));
        // What nobody shows changes nothing.
        assert!(
            follow(
                &old,
                key(None),
                &[event(999, EventKind::Exited(Exit::Unknown))]
            )
            .is_none()
        );
    }

    #[test]
    fn who_blinks_is_not_drawn_but_its_child_is() {
        let old = page(key(None));
        let exit = |number| event(number, EventKind::Exited(Exit::Code(0)));
        let blink = [fork(&[70, 9], 51), exit(70)];
        assert!(follow(&old, key(None), &blink).is_none());
        // Twice: the second process that has the PID lives on.
        let again = [fork(&[70, 9], 51), exit(70), fork(&[70, 10], 51)];
        let new = follow(&old, key(None), &again).unwrap();
        assert!(ids(&new).contains(&"p70".to_owned()));
        let orphan = [fork(&[70, 9], 51), fork(&[71, 10], 70), exit(70)];
        let new = follow(&old, key(None), &orphan).unwrap();
        let wanted = ["host", "p1", "p60", "b200", "p50", "p51", "p71"];
        assert_eq!(ids(&new), wanted);
    }

    #[test]
    fn inside_a_container_events_have_its_pids_and_others_none() {
        let inside = key(Some(INNER));
        let old = page(inside);
        assert_eq!(ids(&old), ["host", "p1", "p7"]);
        let new = follow(&old, inside, &[fork(&[70, 9], 51)]).unwrap();
        assert_eq!(ids(&new), ["host", "p1", "p7", "p9"]);
        assert!(!new.fragments.get(3).unwrap().html.contains("70"));
        assert!(follow(&old, inside, &[fork(&[72], 1)]).is_none());
        let exits = [event(51, EventKind::Exited(Exit::Unknown))];
        assert_eq!(ids(&follow(&old, inside, &exits).unwrap()), ["host", "p1"]);
        assert_eq!(host_pid(&old.host, inside, pid(7)), Some(pid(51)));
    }
}
