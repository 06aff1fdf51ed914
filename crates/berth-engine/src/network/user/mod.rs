//! Networks of users without root: a program of the host carries the packets of each container.
//!
//! A user can connect nothing to the host's interfaces. pasta (of the package passt), or slirp4netns
//! where that is not installed, makes a tap inside and sockets outside instead. All is decided here,
//! as data; the stage starts the program (`berth_runtime::wiring`). The container has an address of
//! its own, never the host's: so it reaches the host at the host's address, and a program that is
//! told its own address is told the same in each run.

mod arguments;
mod tap;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use berth_base::state::{
    NetworkHelper, Readiness, STATE_VERSION, WiredInterface, WiredLink, Wiring,
};
use berth_base::{ErrorClass, MacAddress, PublishedPort, Transport};
use berth_net::host::{self, DefaultRoutes};
use berth_net::{DEFAULT_NETWORK, NetworkName};
use ipnet::{IpNet, Ipv4Net};

use self::arguments::{forward, pasta, slirp};
pub use tap::tap_device;

use super::{DefaultNetwork, NetworkRequest};
use crate::options::{NamespaceMode, NamespaceModes};
use crate::{Container, CreateOptions, Engine, EngineError};

/// The subnets of containers, of which the first one is taken that the host has no route to.
const SUBNETS: [[u8; 3]; 3] = [[10, 0, 2], [10, 211, 255], [192, 168, 211]];
/// The length of their prefixes.
const PREFIX: u8 = 24;
/// The last parts of addresses in it: slirp4netns's, so that both programs do the same.
const GATEWAY: u8 = 2;
const RESOLVER: u8 = 3;
const CONTAINER: u8 = 100;
/// The IPv6 address of a container, and its gateway: of the prefix of slirp4netns.
const CONTAINER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x64);
const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const PREFIX_V6: u8 = 64;

/// Who carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Pasta,
    Slirp,
}

impl Carrier {
    const ALL: [Self; 2] = [Self::Pasta, Self::Slirp];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pasta => "pasta",
            Self::Slirp => "slirp4netns",
        }
    }

    /// The package of Debian, Fedora and most others.
    const fn package(self) -> &'static str {
        match self {
            Self::Pasta => "passt",
            Self::Slirp => "slirp4netns",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|carrier| carrier.name() == name)
    }

    fn program(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = if path.is_empty() {
            OsStr::new("/usr/bin:/bin").to_owned()
        } else {
            path
        };
        std::env::split_paths(&path)
            .map(|folder| folder.join(self.name()))
            .find(|path| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // by path: programs of the host
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The networks of a container of a user's: one or none. What is asked for is checked, and that
/// there is a program for it.
pub(super) fn resolve(
    engine: &Engine,
    options: &CreateOptions,
) -> Result<Vec<NetworkRequest>, EngineError> {
    let named = !options.networks.is_empty() || !options.publish.is_empty() || options.publish_all;
    let joins = joins_a_user_namespace(&options.namespaces);
    if !named && (engine.config().default_network != DefaultNetwork::Bridge || joins) {
        return Ok(Vec::new());
    }
    if joins {
        let text = "cannot connect a container to a network of its own without root where it shares \
                    the user namespace of another; give --network none, or --network container:NAME";
        return Err(EngineError::new(ErrorClass::Unsupported, text).on("--network"));
    }
    let request = match options.networks.as_slice() {
        [] => NetworkRequest::named(DEFAULT_NETWORK),
        [one] => one.clone(),
        [_, second, ..] => {
            let text = "without root a container is on one network; leave out the other --network";
            return Err(EngineError::new(ErrorClass::Denied, text).on(&*second.name));
        }
    };
    check(&request)?;
    pick(&request)?;
    tap::check()?;
    Ok(vec![request])
}

/// The user namespace of a container is another's when any of its namespaces is, save the network's.
fn joins_a_user_namespace(modes: &NamespaceModes) -> bool {
    let NamespaceModes {
        pid,
        net: _,
        ipc,
        uts,
        user,
        cgroup,
        time,
    } = modes;
    let joined = |mode: &&NamespaceMode| {
        matches!(mode, NamespaceMode::Container(_) | NamespaceMode::Path(_))
    };
    let others = [pid, ipc, uts, cgroup, time];
    joined(&user) || (*user == NamespaceMode::Default && others.iter().any(joined))
}

fn check(request: &NetworkRequest) -> Result<(), EngineError> {
    let name = &*request.name;
    if name != DEFAULT_NETWORK && Carrier::named(name).is_none() {
        let text = format!(
            "cannot put the container on network {name}: that needs root; without it there are \
             pasta, slirp4netns, none, host and container:NAME"
        );
        return Err(EngineError::new(ErrorClass::Denied, text).on(name));
    }
    let wish = match request {
        NetworkRequest { ipv4: Some(_), .. } => Some("--ip"),
        NetworkRequest { ipv6: Some(_), .. } => Some("--ip6"),
        NetworkRequest { aliases, .. } if !aliases.is_empty() => Some("--network-alias"),
        _ => None,
    };
    match wish {
        None => Ok(()),
        Some(flag) => {
            let text = format!("cannot fulfil {flag}: networks with addresses and names need root");
            Err(EngineError::new(ErrorClass::Denied, text).on(flag))
        }
    }
}

/// What a network of root's cannot be called, since it means something without root.
pub(super) fn is_carriers(name: &str) -> bool {
    Carrier::named(name).is_some()
}

/// Who carries the packets, and its program: who was named, else the first that is installed and can.
fn pick(request: &NetworkRequest) -> Result<(Carrier, PathBuf), EngineError> {
    let missing = |text: String| {
        let error = EngineError::new(ErrorClass::Unavailable, text);
        Err(error.on(&*request.name))
    };
    if let Some(carrier) = Carrier::named(&request.name) {
        let name = carrier.name();
        return match carrier.program() {
            Some(program) => Ok((carrier, program)),
            None => missing(format!(
                "cannot connect the container: {name} is not installed; install the package {}, \
                 or give --network none",
                carrier.package()
            )),
        };
    }
    // pasta does not start where the host itself is not connected.
    let is_online = host::default_routes().is_ok_and(|routes| routes != DefaultRoutes::default());
    let preferred = match is_online {
        true => [Carrier::Pasta, Carrier::Slirp],
        false => [Carrier::Slirp, Carrier::Pasta],
    };
    let found = preferred
        .into_iter()
        .find_map(|carrier| Some((carrier, carrier.program()?)));
    found.map_or_else(
        || {
            missing(
                "cannot connect the container: neither pasta nor slirp4netns is installed; install \
                 the package passt or slirp4netns, or give --network none"
                    .into(),
            )
        },
        Ok,
    )
}

/// Addresses that a container of a user's gets, decided at each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    carrier: Carrier,
    subnet: [u8; 3],
    routes: DefaultRoutes,
}

impl Place {
    const fn v4(self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.subnet;
        Ipv4Addr::new(a, b, c, last)
    }

    /// Where the program answers questions for names, by asking the host's own resolver. pasta's
    /// answers come from the gateway, whatever was asked.
    const fn resolver(self) -> Ipv4Addr {
        match self.carrier {
            Carrier::Pasta => self.v4(GATEWAY),
            Carrier::Slirp => self.v4(RESOLVER),
        }
    }

    /// pasta has what the host has; slirp4netns its own.
    fn has_v4(self) -> bool {
        self.carrier == Carrier::Slirp || self.routes.ipv4
    }

    fn has_v6(self) -> bool {
        self.carrier == Carrier::Pasta && self.routes.ipv6
    }

    /// Of our own making, as on networks of root's: else the program draws one, and nobody knows it.
    const fn mac(self) -> MacAddress {
        let [a, b, c, d] = self.v4(CONTAINER).octets();
        MacAddress::new([0x02, 0x42, a, b, c, d])
    }

    fn interface(self, request: &NetworkRequest) -> WiredInterface {
        let (mut addresses, mut gateways) = (Vec::new(), Vec::new());
        if self.has_v4() {
            addresses.push((IpAddr::V4(self.v4(CONTAINER)), PREFIX));
            gateways.push(IpAddr::V4(self.v4(GATEWAY)));
        }
        if self.has_v6() {
            addresses.push((IpAddr::V6(CONTAINER_V6), PREFIX_V6));
            gateways.push(IpAddr::V6(GATEWAY_V6));
        }
        WiredInterface {
            network: request.name.clone(),
            name: "eth0".into(),
            link: WiredLink::Tap {
                helper: self.carrier.name().into(),
            },
            mac: Some(request.mac.unwrap_or_else(|| self.mac())),
            mtu: None,
            addresses,
            gateways,
            metric: 0,
        }
    }
}

fn free_subnet() -> [u8; 3] {
    let taken = host::routes().unwrap_or_default();
    let is_free = |[a, b, c]: &[u8; 3]| {
        let net = Ipv4Net::new(Ipv4Addr::new(*a, *b, *c, 0), PREFIX);
        let overlaps = |net: Ipv4Net| {
            taken.iter().any(|other| match other {
                IpNet::V4(other) => other.contains(&net) || net.contains(other),
                IpNet::V6(_) => false,
            })
        };
        net.is_ok_and(|net| !overlaps(net))
    };
    let found = SUBNETS.into_iter().find(is_free);
    found.unwrap_or([10, 0, 2])
}

/// The host's own address, as it is seen from elsewhere: where packets to the world would come from.
/// Nothing is sent.
pub(super) fn host_address() -> Option<IpAddr> {
    let from = |here: SocketAddr, there: SocketAddr| {
        let socket = UdpSocket::bind(here).ok()?;
        socket.connect(there).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_unspecified()).then_some(address)
    };
    // Of the documentation's ranges (RFC 5737, RFC 3849): only the route counts.
    let v4 = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(192, 0, 2, 1));
    let v6 = (
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    );
    from((v4.0, 0).into(), (v4.1, 9).into()).or_else(|| from((v6.0, 0).into(), (v6.1, 9).into()))
}

/// The address inside at which the host's own resolver answers, on the network of a user.
pub(super) fn forwarder(wiring: &Wiring) -> Option<Ipv4Addr> {
    wiring.interfaces.iter().find_map(|interface| {
        let WiredLink::Tap { helper } = &interface.link else {
            return None;
        };
        let gateway = interface
            .gateways
            .iter()
            .find_map(|gateway| match gateway {
                IpAddr::V4(gateway) => Some(*gateway),
                IpAddr::V6(_) => None,
            })?;
        let [a, b, c, _] = gateway.octets();
        let place = Place {
            carrier: Carrier::named(helper)?,
            subnet: [a, b, c],
            routes: DefaultRoutes::default(),
        };
        Some(place.resolver())
    })
}

/// Whether a container is connected by a program.
pub(super) fn has_tap(wiring: &Wiring) -> bool {
    let is_tap = |i: &WiredInterface| matches!(i.link, WiredLink::Tap { .. });
    wiring.interfaces.iter().any(is_tap)
}

impl Engine {
    /// What a container of a user's has on its network, and who is to carry its packets. Its ports are
    /// looked for, not held: the program takes them in a moment.
    pub(super) fn join_as_user(
        &self,
        container: &Container,
        request: &NetworkRequest,
        before: &Wiring,
    ) -> Result<(Wiring, NetworkHelper), EngineError> {
        check(request)?;
        let (carrier, program) = pick(request)?;
        tap::check()?;
        let place = Place {
            carrier,
            subnet: free_subnet(),
            routes: host::default_routes()?,
        };
        let (mut published, sockets) = self.reserve_ports(container, &before.published)?;
        drop(sockets);
        settle(&mut published, place, container)?;
        let interface = place.interface(request);
        let mac = interface.mac;
        let wiring = Wiring {
            version: STATE_VERSION,
            interfaces: vec![interface],
            published,
        };
        let helper = NetworkHelper {
            name: carrier.name().into(),
            program,
            arguments: match carrier {
                Carrier::Pasta => pasta(place, &wiring.published, mac),
                Carrier::Slirp => slirp(place, &wiring.published, mac),
            },
            readiness: match carrier {
                Carrier::Pasta => Readiness::Background,
                Carrier::Slirp => Readiness::Byte,
            },
            requests: match carrier {
                Carrier::Pasta => Vec::new(),
                Carrier::Slirp => {
                    let ports = wiring.published.iter();
                    ports.map(|port| forward(place, port)).collect()
                }
            },
        };
        Ok((wiring, helper))
    }
}

/// Leaves out addresses that the carrier does not have, where others are left for the port.
fn settle(
    published: &mut Vec<PublishedPort>,
    place: Place,
    container: &Container,
) -> Result<(), EngineError> {
    let requests = &container.create.options.publish;
    if let Some(request) = requests.iter().find(|r| r.transport == Transport::Sctp) {
        let what = format!("port {}/sctp", request.container_port);
        let text = format!("cannot publish {what}: without root there are TCP and UDP");
        return Err(EngineError::new(ErrorClass::Unsupported, text).on(what));
    }
    let can = |address: IpAddr| match address {
        IpAddr::V4(_) => place.has_v4(),
        IpAddr::V6(_) => place.has_v6(),
    };
    if let Some(address) = requests
        .iter()
        .filter_map(|r| r.host_address)
        .find(|address| !can(*address))
    {
        let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        let text = format!(
            "cannot publish on {address}: {} has no {family} here; publish on an address of the \
             other family, or on none",
            place.carrier.name()
        );
        return Err(EngineError::new(ErrorClass::Unsupported, text).on(address.to_string()));
    }
    published.retain(|port| can(port.host_address));
    if place.carrier == Carrier::Pasta
        && let Some(port) = published.iter().find(|port| is_split(port, published))
    {
        let what = format!("port {}/{}", port.host_port, port.transport);
        let text = format!(
            "cannot publish {what} on several addresses: pasta has one for each port; publish it on \
             all addresses, or with --network slirp4netns"
        );
        return Err(EngineError::new(ErrorClass::Unsupported, text).on(what));
    }
    Ok(())
}

/// Whether a port is published on several addresses that are not simply all of them.
fn is_split(port: &PublishedPort, published: &[PublishedPort]) -> bool {
    published.iter().any(|other| {
        let same = (port.transport, port.host_port) == (other.transport, other.host_port);
        let both = port.host_address.is_unspecified() && other.host_address.is_unspecified();
        let elsewhere = port.host_address != other.host_address && !both;
        same && (elsewhere || port.container_port != other.container_port)
    })
}

/// A network of root's cannot have a name that means something else without root.
pub(super) fn check_new(name: &NetworkName) -> Result<(), EngineError> {
    if !is_carriers(name.as_str()) {
        return Ok(());
    }
    let text = format!(
        "no network can be called {}: it has a meaning of its own for --network without root",
        name
    );
    Err(EngineError::new(ErrorClass::Invalid, text).on(name.as_str()))
}
