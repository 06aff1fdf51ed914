//! The wires of a network: each container's pair with both ends, its addresses, the ports that lead
//! to it and who listens there; as data for `network inspect`, and as text.
//!
//! Who is on the network is the engine's word, what is there of it the kernel's, by the map.

use std::collections::{BTreeMap, BTreeSet};

use berth_base::{HostPid, NamespaceId, NamespaceKind, PublishedPort, escape_untrusted};
use berth_engine::{Lease, Network, NetworkFile};
use berth_map::World;
use berth_map::model::{Engine, Interface, Network as Found};
use serde::Serialize;

/// The ports of the host that lead to containers, by the containers' ids.
pub(crate) type Published = BTreeMap<String, Vec<PublishedPort>>;

/// What is known of a network's wires.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Wires {
    /// The bridge, or the interface of the host that the containers' stand on.
    interface: String,
    /// The bridges, or that interface, as they are.
    carriers: Vec<End>,
    /// By the containers' ids.
    containers: BTreeMap<String, Endpoint>,
    /// What could not be read, and why.
    notes: Vec<String>,
}

/// A container on the network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    name: String,
    aliases: Vec<String>,
    /// Whether it has a living process.
    running: bool,
    /// The number of its network namespace.
    network_namespace: Option<String>,
    /// What it has a lease for.
    addresses: Vec<String>,
    /// Its interface.
    interface: Option<End>,
    /// The other end of the pair, a port of the bridge.
    host_interface: Option<End>,
    published: Vec<Port>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct End {
    name: String,
    index: Option<u32>,
    up: Option<bool>,
    mac_address: Option<String>,
    mtu: Option<u32>,
    addresses: Vec<String>,
    /// The bridge that it is a port of.
    bridge: Option<String>,
}

/// One published port.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    protocol: &'static str,
    host_address: String,
    host_port: u16,
    container_port: u16,
    /// Who listens; `null` where that cannot be known.
    listeners: Option<Vec<Listener>>,
    #[serde(skip)]
    shown: String,
}

/// A process that listens on a container's port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listener {
    /// `null` for a socket of which no process can be seen.
    process: Option<String>,
    /// Its PID on the host.
    host_pid: Option<u32>,
    /// Its PID in its own PID namespace.
    pid: Option<u32>,
    address: String,
}

impl Wires {
    /// Puts together what the engine and the map know; `world` is why there is none.
    pub(crate) fn new(
        network: &Network,
        published: &Published,
        world: Result<&World, &str>,
    ) -> Self {
        let mut wires = Self {
            interface: network.file.interface.clone(),
            carriers: Vec::new(),
            containers: BTreeMap::new(),
            notes: Vec::new(),
        };
        match world {
            Err(why) => wires.notes.push(format!("the kernel was not asked: {why}")),
            Ok(world) => wires.carriers = carriers(world, &network.file),
        }
        let mut hidden = BTreeSet::new();
        for lease in &network.leases {
            let ports = published.get(lease.container.as_str());
            let ports = ports.map_or(&[][..], Vec::as_slice);
            let place = world.ok().and_then(|world| Place::of(world, lease));
            let endpoint = endpoint(lease, &network.file, ports, place.as_ref());
            if endpoint.running && endpoint.interface.is_none() {
                hidden.insert(endpoint.name.clone());
            }
            let id = lease.container.as_str().to_owned();
            wires.containers.insert(id, endpoint);
        }
        if !hidden.is_empty() {
            let names: Vec<String> = hidden.into_iter().collect();
            wires.notes.push(format!(
                "the network namespace of {} could not be read; root can read it",
                names.join(", ")
            ));
        }
        wires
    }

    /// The hardware address that a container's interface has; `None` where none can be seen.
    pub(crate) fn mac_of(&self, container: &str) -> Option<&str> {
        let interface = self.containers.get(container)?.interface.as_ref();
        interface?.mac_address.as_deref()
    }
}

/// Where a container's lease is lived in.
struct Place<'w> {
    world: &'w World,
    namespace: Option<NamespaceId>,
    found: Option<&'w Found>,
}

impl<'w> Place<'w> {
    /// `None` for a container that does not run.
    fn of(world: &'w World, lease: &Lease) -> Option<Self> {
        let mut containers = world.containers().iter();
        let container =
            containers.find(|c| c.engine == Engine::Berth && c.id == lease.container.as_str())?;
        let init = world.process(container.init?)?;
        let namespace = init.namespaces.of(NamespaceKind::Net);
        let found = namespace.and_then(|id| world.details().networks.get(&id));
        Some(Self {
            world,
            namespace,
            found,
        })
    }

    fn interface(&self, name: &str) -> Option<&'w Interface> {
        self.found?.interfaces.iter().find(|i| i.name == name)
    }

    fn listeners(&self, port: &PublishedPort) -> Option<Vec<Listener>> {
        let sockets = self.found?.behind(port)?;
        let mut all: Vec<Listener> = sockets
            .iter()
            .map(|socket| self.listener(socket.process, socket.address))
            .collect();
        all.dedup();
        Some(all)
    }

    fn listener(&self, pid: Option<HostPid>, address: std::net::IpAddr) -> Listener {
        let process = pid.and_then(|pid| self.world.process(pid));
        Listener {
            process: process.map(|p| p.comm.clone()),
            host_pid: pid.map(HostPid::get),
            pid: process.map(|p| p.innermost_pid()),
            address: address.to_string(),
        }
    }
}

fn endpoint(
    lease: &Lease,
    file: &NetworkFile,
    ports: &[PublishedPort],
    place: Option<&Place<'_>>,
) -> Endpoint {
    let v4 = lease.ipv4.zip(file.ipv4());
    let v4 = v4.map(|(address, (net, _))| format!("{address}/{}", net.prefix_len()));
    let v6 = lease.ipv6.zip(file.ipv6());
    let v6 = v6.map(|(address, (net, _))| format!("{address}/{}", net.prefix_len()));
    let inside = place.and_then(|place| place.interface(&lease.interface));
    let host = place.zip(inside).and_then(|(place, inside)| {
        let peer = inside
            .peer
            .as_ref()
            .filter(|_| inside.kind.as_deref() == Some("veth"))?;
        let far = peer
            .namespace
            .and_then(|id| interface_at(place.world, id, peer.index));
        Some(match (far, peer.namespace) {
            (Some(far), Some(id)) => End::of(place.world, id, far),
            // Its namespace cannot be read; the pair is known by its number all the same.
            _ => End::named(lease.host_interface.clone().unwrap_or_default(), peer.index),
        })
    });
    Endpoint {
        name: lease.name.clone(),
        aliases: lease.aliases.clone(),
        running: place.is_some(),
        network_namespace: place
            .and_then(|place| place.namespace)
            .map(|id| id.inode.to_string()),
        addresses: v4.into_iter().chain(v6).collect(),
        interface: place.and_then(|place| Some(End::of(place.world, place.namespace?, inside?))),
        host_interface: host,
        published: ports.iter().map(|p| Port::new(p, place)).collect(),
    }
}

impl Port {
    fn new(port: &PublishedPort, place: Option<&Place<'_>>) -> Self {
        Self {
            protocol: port.transport.as_str(),
            host_address: port.host_address.to_string(),
            host_port: port.host_port,
            container_port: port.container_port,
            listeners: place.and_then(|place| place.listeners(port)),
            shown: port.to_string(),
        }
    }
}

impl End {
    fn named(name: String, index: u32) -> Self {
        Self {
            name,
            index: Some(index),
            up: None,
            mac_address: None,
            mtu: None,
            addresses: Vec::new(),
            bridge: None,
        }
    }

    fn of(world: &World, namespace: NamespaceId, interface: &Interface) -> Self {
        let master = interface.master;
        let bridge = master.and_then(|index| interface_at(world, namespace, index));
        Self {
            up: Some(interface.is_up),
            mac_address: interface.mac.map(|mac| mac.to_string()),
            mtu: interface.mtu,
            addresses: interface
                .addresses
                .iter()
                .map(|(address, prefix)| format!("{address}/{prefix}"))
                .collect(),
            bridge: bridge.map(|bridge| bridge.name.clone()),
            ..Self::named(interface.name.clone(), interface.index)
        }
    }
}

fn interface_at(world: &World, id: NamespaceId, index: u32) -> Option<&Interface> {
    let network = world.details().networks.get(&id)?;
    network.interfaces.iter().find(|i| i.index == index)
}

/// The interfaces of a network's own: its bridges, by their names and by what is noted beside them,
/// or the one that its containers' stand on.
fn carriers(world: &World, file: &NetworkFile) -> Vec<End> {
    let networks = world.details().networks.iter();
    let all = networks.flat_map(|(id, network)| network.interfaces.iter().map(move |i| (*id, i)));
    let is_ours = |interface: &Interface| {
        let is_further = interface.name.starts_with(&file.interface)
            && interface.carries() == Some(file.name.as_str());
        interface.name == file.interface || is_further
    };
    all.filter(|(_, interface)| is_ours(interface))
        .map(|(id, interface)| End::of(world, id, interface))
        .collect()
}

/// The same as text, for people.
pub(crate) fn table(network: &Network, wires: &Wires) -> String {
    let file = &network.file;
    let mut lines = vec![format!("{}  {}", file.name, file.driver.as_str())];
    for subnet in &file.subnets {
        let gateway = subnet.gateway.map(|gateway| format!("  gateway {gateway}"));
        let gateway = gateway.unwrap_or_default();
        lines.push(format!("  {}{gateway}", subnet.subnet));
    }
    if file.internal {
        lines.push("  internal: no way in or out".to_owned());
    }
    match wires.carriers.as_slice() {
        [] => lines.push(format!("  {}  not there yet", wires.interface)),
        all => lines.extend(all.iter().map(|end| format!("  {}", shown(end)))),
    }
    let mut endpoints: Vec<&Endpoint> = wires.containers.values().collect();
    endpoints.sort_by_key(|endpoint| &endpoint.name);
    lines.extend(endpoints.into_iter().flat_map(describe));
    let notes = wires.notes.iter().map(|note| format!("note: {note}"));
    lines.extend(notes);
    lines.join("\n")
}

fn describe(endpoint: &Endpoint) -> Vec<String> {
    let state = match endpoint.running {
        true => "",
        false => "  not running, keeps",
    };
    let addresses = endpoint.addresses.join("  ");
    let mut lines = vec![format!("  {}{state}  {addresses}", endpoint.name)];
    if let Some(end) = &endpoint.interface {
        lines.push(format!("    {}", shown(end)));
    }
    if let Some(end) = &endpoint.host_interface {
        lines.push(format!("    <-> {}", shown(end)));
    }
    lines.extend(endpoint.published.iter().map(|port| {
        let who = match port.listeners.as_deref() {
            None => String::new(),
            Some([]) => "  nobody listens".to_owned(),
            Some(all) => {
                let mut names: Vec<String> = all.iter().map(Listener::shown).collect();
                names.dedup();
                format!("  {}", names.join(", "))
            }
        };
        format!("    {}{who}", port.shown)
    }));
    lines
}

/// `eth0 (2)  02:42:0a:dc:00:02  mtu 1500  on berth0`.
fn shown(end: &End) -> String {
    let mut text = escape_untrusted(&end.name).into_owned();
    if let Some(index) = end.index {
        text.push_str(&format!(" ({index})"));
    }
    if let Some(mac) = &end.mac_address {
        text.push_str(&format!("  {mac}"));
    }
    if let Some(mtu) = end.mtu {
        text.push_str(&format!("  mtu {mtu}"));
    }
    if let Some(bridge) = &end.bridge {
        text.push_str(&format!("  on {}", escape_untrusted(bridge)));
    }
    if end.up == Some(false) {
        text.push_str("  down");
    }
    text
}

impl Listener {
    /// `httpd (pid 7, host 31995)`.
    fn shown(&self) -> String {
        match (&self.process, self.pid, self.host_pid) {
            (Some(name), Some(pid), Some(host)) => {
                format!("{} (pid {pid}, host {host})", escape_untrusted(name))
            }
            (_, _, Some(host)) => format!("host {host}"),
            _ => "somebody listens".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_map::model::{
        Container, Details, Extent, Host, Links, NamespaceSet, Parts, Process, Source,
    };

    fn network() -> Network {
        let id = "a".repeat(64);
        let file = serde_json::json!({
            "version": 1, "id": id, "name": "blue", "created_at": "2026-11-26T00:00:00Z",
            "driver": "bridge", "internal": true, "interface": "berth0",
            "subnets": [{"subnet": "10.50.0.0/24"}],
        });
        let lease = serde_json::json!({
            "version": 1, "container": id, "name": "web", "ipv4": "10.50.0.2",
            "interface": "eth0", "host_interface": "bv01",
        });
        Network {
            file: serde_json::from_value(file).unwrap(),
            leases: vec![serde_json::from_value(lease).unwrap()],
        }
    }

    /// A world in which the container's first process has namespaces that nobody may look at.
    fn refused() -> World {
        let process = Process {
            pid: HostPid::new(7).unwrap(),
            pids: vec![7, 1],
            namespaces: NamespaceSet::default(),
            links: Links::Denied,
            parent: None,
            comm: "web".to_owned(),
            state: 'S',
            start_ticks: 1,
            cgroups: std::sync::Arc::default(),
            uid: 0,
            kernel_thread: false,
        };
        let known = berth_map::attribute::KnownContainer {
            engine: Engine::Berth,
            id: "a".repeat(64),
            name: "web".to_owned(),
            init: process.pid,
            pid_namespace: None,
            own_pid_namespace: true,
            cgroup_dirs: Vec::new(),
            image: None,
            pod: None,
            evidence: berth_map::model::Evidence {
                kind: berth_map::model::EvidenceKind::RunFile,
                detail: String::new(),
            },
        };
        World::assemble(Parts {
            source: Source::Procfs,
            extent: Extent::Host,
            host: Host::default(),
            processes: vec![process],
            namespaces: Vec::new(),
            known: vec![known],
            stale: Vec::new(),
            details: Details::default(),
            warnings: Vec::new(),
        })
    }

    #[test]
    fn what_may_not_be_read_is_said() {
        let network = network();
        let world = refused();
        let names: Vec<&str> = world
            .containers()
            .iter()
            .map(|c: &Container| &*c.name)
            .collect();
        assert_eq!(names, ["web"]);
        let port = PublishedPort {
            transport: berth_base::Transport::Tcp,
            host_address: "127.0.0.1".parse().unwrap(),
            host_port: 8080,
            container_port: 80,
        };
        let published = Published::from([("a".repeat(64), vec![port])]);
        let wires = Wires::new(&network, &published, Ok(&world));
        insta::assert_snapshot!(table(&network, &wires), @r"
        blue  bridge
          10.50.0.0/24
          internal: no way in or out
          berth0  not there yet
          web  10.50.0.2/24
            127.0.0.1:8080->80/tcp
        note: the network namespace of web could not be read; root can read it
        ");
        let json = serde_json::to_value(&wires).unwrap();
        let web = &json["Containers"]["a".repeat(64)];
        assert_eq!(web["Running"], true);
        assert!(web["Interface"].is_null() && web["Published"][0]["Listeners"].is_null());
    }

    #[test]
    fn without_a_map_there_is_what_the_engine_knows() {
        let wires = Wires::new(&network(), &Published::new(), Err("no procfs"));
        let json = serde_json::to_value(&wires).unwrap();
        assert_eq!(json["Notes"][0], "the kernel was not asked: no procfs");
        assert_eq!(
            json["Containers"]["a".repeat(64)]["Addresses"][0],
            "10.50.0.2/24"
        );
    }
}
