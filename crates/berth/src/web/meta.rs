//! What is said beside the picture: who nests in whom, wires, health. Pure.

use std::collections::{BTreeMap, HashMap};

use berth_base::{HostPid, NamespaceId, NamespaceKind, escape_untrusted};
use berth_map::World;
use berth_map::live::{EventSource, Health};
use berth_map::model::Process;
use berth_map::svg::{BoxId, Content};
use serde_json::{Value, json};

use super::hub::Scene;
use super::page::{FragmentId, ViewKey};

/// A box, and the process that stands for it.
struct Place {
    id: String,
    head: HostPid,
    /// The box around it.
    around: Option<usize>,
}

/// Everything that is said beside the picture of a view.
pub(super) fn meta(
    scene: &Scene,
    world: &World,
    root: &Content,
    key: ViewKey,
    name: Option<&str>,
) -> Value {
    let places = places(root);
    let wires: Vec<Value> = cables(world, &places)
        .into_iter()
        .chain(shared(world, &places, key))
        .collect();
    json!({
        "lens": key.lens.as_str(),
        "inside": key.inside.map(|id| json!({ "ns": id.inode.to_string(), "name": name })),
        "nests": nests(world),
        "wires": wires,
        "over": scene.over,
        "health": health_words(&scene.health),
    })
}

/// The page of a container that nobody lives in any more.
pub(super) fn ended(scene: &Scene, key: ViewKey) -> Value {
    json!({
        "lens": key.lens.as_str(),
        "inside": key.inside.map(|id| json!({ "ns": id.inode.to_string(), "name": null })),
        "over": "Nobody lives in this container any more.",
        "health": health_words(&scene.health),
    })
}

fn health_words(health: &Health) -> Value {
    let source = match health.events {
        EventSource::Bpf => "events by BPF",
        EventSource::Connector => "events by the process connector",
        EventSource::Snapshots => "snapshots alone",
    };
    json!({
        "source": source,
        "is_live": health.events != EventSource::Snapshots,
        "lost": health.lost,
        "notes": health.notes,
    })
}

/// The name of a PID namespace for people: its container's, or that of its PID 1.
pub(super) fn namespace_name(world: &World, id: NamespaceId) -> String {
    let mut all = world.processes().iter();
    let first = all.find(|p| p.pid_namespace() == Some(id) && p.is_namespace_init());
    name_by(world, id, first)
}

fn name_by(world: &World, id: NamespaceId, first: Option<&Process>) -> String {
    let container = world.container_of_namespace(id);
    match (container.and_then(|index| world.container(index)), first) {
        (Some(container), _) => escape_untrusted(&container.display_name()).into_owned(),
        (None, Some(first)) => format!("{} {}", escape_untrusted(&first.comm), first.pid),
        (None, None) => id.to_string(),
    }
}

/// Each PID namespace: the one around it, its name, its PID 1.
fn nests(world: &World) -> Value {
    let mut first: HashMap<NamespaceId, &Process> = HashMap::new();
    for process in world.processes() {
        if let (1, Some(id)) = (process.innermost_pid(), process.pid_namespace()) {
            first.insert(id, process);
        }
    }
    let host = world.host().pid_namespace;
    let all = world
        .namespaces()
        .filter(|n| n.id.kind == NamespaceKind::Pid);
    let named = all.map(|namespace| {
        let id = namespace.id;
        let is_host = Some(id) == host;
        let name = if is_host {
            "host".to_owned()
        } else {
            name_by(world, id, first.get(&id).copied())
        };
        let entry = json!({
            "up": namespace.parent.filter(|_| !is_host).map(|id| id.inode.to_string()),
            "name": name,
            "first": first.get(&id).map(|p| FragmentId::Process(p.pid).to_string()),
        });
        (id.inode.to_string(), entry)
    });
    named.collect::<serde_json::Map<_, _>>().into()
}

fn places(root: &Content) -> Vec<Place> {
    let mut places = Vec::new();
    let mut todo: Vec<(&Content, Option<usize>)> = root.inner.iter().map(|c| (c, None)).collect();
    while let Some((content, around)) = todo.pop() {
        let mut own = around;
        if let (Some(head), true) = (content.head, content.id != BoxId::Unread) {
            own = Some(places.len());
            places.push(Place {
                id: FragmentId::Box(content.id).to_string(),
                head,
                around,
            });
        }
        todo.extend(content.inner.iter().map(|inner| (inner, own)));
    }
    places
}

/// veth pairs and the like, between the boxes whose network namespaces they join.
fn cables(world: &World, places: &[Place]) -> Vec<Value> {
    let host = world.host().namespaces.of(NamespaceKind::Net);
    let mut owners: HashMap<NamespaceId, &str> = HashMap::new();
    owners.extend(host.map(|id| (id, "host")));
    // Of a box and those in it that share its network, the outer one.
    for place in places {
        let process = world.process(place.head);
        if let Some(id) = process.and_then(|p| p.namespaces.of(NamespaceKind::Net)) {
            owners.entry(id).or_insert(&place.id);
        }
    }
    let mut found = BTreeMap::new();
    for (id, network) in &world.details().networks {
        for interface in &network.interfaces {
            let peer = interface.peer.as_ref();
            let Some((peer, other)) = peer.and_then(|p| Some((p, p.namespace?))) else {
                continue;
            };
            let (Some(here), Some(there)) = (owners.get(id), owners.get(&other)) else {
                continue;
            };
            if here == there {
                continue;
            }
            let own = ((id.inode, interface.index), (other.inode, peer.index));
            let pair = if own.0 < own.1 { own } else { (own.1, own.0) };
            let name = peer.name.as_deref().map_or_else(
                || format!("if{}", peer.index),
                |n| escape_untrusted(n).into_owned(),
            );
            let label = format!("{} — {name}", escape_untrusted(&interface.name));
            found
                .entry(pair)
                .or_insert_with(|| wire("veth", here, there, &label));
        }
    }
    found.into_values().collect()
}

/// Namespaces that boxes beside each other have in common.
fn shared(world: &World, places: &[Place], key: ViewKey) -> Vec<Value> {
    let of = |at: usize, kind| {
        let place: &Place = places.get(at)?;
        world.process(place.head)?.namespaces.of(kind)
    };
    let mut by_age: Vec<usize> = (0..places.len()).collect();
    by_age.sort_by_key(|at| places.get(*at).map(|place| place.head));
    let mut pairs: BTreeMap<(usize, usize), Vec<&str>> = BTreeMap::new();
    for kind in NamespaceKind::ALL
        .into_iter()
        .filter(|kind| *kind != key.lens)
    {
        let host = world.host().namespaces.of(kind);
        let mut last: HashMap<NamespaceId, usize> = HashMap::new();
        for at in by_age.iter().copied() {
            let Some(id) = of(at, kind).filter(|id| Some(*id) != host) else {
                continue;
            };
            // What a box has from the one around it is no news.
            let around = places.get(at).and_then(|place| place.around);
            if around.is_some_and(|around| of(around, kind) == Some(id)) {
                continue;
            }
            if let Some(before) = last.insert(id, at) {
                pairs.entry((before, at)).or_default().push(kind.as_str());
            }
        }
    }
    let named = pairs.into_iter().filter_map(|((one, other), kinds)| {
        let (one, other) = (places.get(one)?, places.get(other)?);
        Some(wire("shared", &one.id, &other.id, &kinds.join(", ")))
    });
    named.collect()
}

fn wire(kind: &str, from: &str, to: &str, label: &str) -> Value {
    json!({ "kind": kind, "from": from, "to": to, "label": label })
}
