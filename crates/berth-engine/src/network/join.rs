//! A container that starts: addresses taken, interfaces described.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use berth_base::state::{
    NetworkHelper, ResolverRequest, STATE_VERSION, WiredInterface, WiredLink, Wiring,
};
use berth_base::{ContainerId, MacAddress};
use berth_net::dns::Resolver;
use berth_net::lease::Lease;
use berth_net::{Driver, NetworkFile};
use rustix::fs::FlockOperation;

use super::packets::RulesLock;
use super::{NetworkRequest, WIRING};
use crate::store::{ContainerLock, StoreError, random_id};
use crate::{Container, Engine, EngineError, facts};

/// MACVLAN_MODE_BRIDGE (linux/if_link.h) and IPVLAN_MODE_L2.
const MACVLAN_BRIDGE: u32 = 4;
const IPVLAN_L2: u16 = 0;

/// What a container has on its networks.
#[derive(Default)]
pub(crate) struct Connected {
    /// Its interfaces and ports.
    pub(crate) wiring: Wiring,
    /// Who carries its packets, without root.
    pub(crate) helper: Option<NetworkHelper>,
    /// What reserves the ports, for as long as anybody holds it.
    pub(crate) reserved: Vec<OwnedFd>,
    /// How it asks for names, and what keeps who answers them alive until it does.
    pub(crate) resolver: Option<(ResolverRequest, Resolver)>,
    /// What keeps who looks after its ports alive until it runs.
    pub(crate) guard: Option<Resolver>,
    /// What its user should know.
    pub(crate) warning: Option<String>,
}

impl Engine {
    /// Takes the addresses and ports of a container that is about to start, writes its files and leads
    /// its ports to it. `root_ids` are those of its root, which owns the files. What it had in its last run it has again, save ports that somebody took
    /// meanwhile.
    pub(crate) fn join_networks(
        &self,
        lock: &ContainerLock,
        container: &Container,
        root_ids: Option<(u32, u32)>,
    ) -> Result<Connected, EngineError> {
        if container.create.options.networks.is_empty() {
            return Ok(Connected {
                warning: self.write_network_files(container, &Wiring::default(), root_ids)?,
                ..Connected::default()
            });
        }
        if facts::is_rootless()
            && let Some(request) = container.create.options.networks.first()
        {
            return self.join_network_of_user(lock, container, request, root_ids);
        }
        let rules = self.lock_rules(FlockOperation::LockShared)?;
        let (wiring, reserved) = self.wire(lock, container, &rules)?;
        let warning = self.write_network_files(container, &wiring, root_ids)?;
        let published = self.publish_ports(container, &wiring, &rules);
        drop(rules);
        let asked = published.and_then(|()| {
            let resolver = self.ask_resolver(container, &wiring)?;
            Ok((resolver, self.ask_guard(&wiring)?))
        });
        let (resolver, guard) = asked.inspect_err(|_| self.withdraw_ports(container, &wiring))?;
        Ok(Connected {
            wiring,
            helper: None,
            reserved,
            resolver,
            guard,
            warning,
        })
    }

    fn join_network_of_user(
        &self,
        lock: &ContainerLock,
        container: &Container,
        request: &NetworkRequest,
        root_ids: Option<(u32, u32)>,
    ) -> Result<Connected, EngineError> {
        let before = self.store().read_wiring(&container.id)?.unwrap_or_default();
        let (wiring, helper) = self.join_as_user(container, request, &before)?;
        if wiring != before {
            self.store()
                .write_volatile("container.wiring", lock, WIRING, &wiring)?;
        }
        let warning = self.write_network_files(container, &wiring, root_ids)?;
        Ok(Connected {
            wiring,
            helper: Some(helper),
            warning,
            ..Connected::default()
        })
    }

    fn wire(
        &self,
        lock: &ContainerLock,
        container: &Container,
        rules: &RulesLock,
    ) -> Result<(Wiring, Vec<OwnedFd>), EngineError> {
        let before = self.store().read_wiring(&container.id)?.unwrap_or_default();
        let mut wiring = Wiring::default();
        let wired = self
            .join_all(container, &before, &mut wiring, rules)
            .and_then(|()| self.reserve_ports(container, &before.published));
        let (published, reserved) = wired.inspect_err(|_| {
            // What it had before stays its own. What cannot be given back now, a recovery finds.
            let names = |of: &Wiring| of.interfaces.iter().map(|i| i.network.clone()).collect();
            let kept: Vec<String> = names(&before);
            wiring.interfaces.retain(|i| !kept.contains(&i.network));
            drop(self.give_back(&container.id, &wiring));
        })?;
        wiring.published = published;
        self.give_back_others(container, &before)?;
        if wiring != before {
            self.store()
                .write_volatile("container.wiring", lock, WIRING, &wiring)?;
        }
        Ok((wiring, reserved))
    }

    fn join_all(
        &self,
        container: &Container,
        before: &Wiring,
        wiring: &mut Wiring,
        rules: &RulesLock,
    ) -> Result<(), EngineError> {
        for (at, request) in container.create.options.networks.iter().enumerate() {
            let network = self.network_to_join(&request.name)?;
            self.prepare_network(&network, rules)?;
            let earlier = before.interfaces.iter().find(|i| i.network == request.name);
            let interface = self.interface(container, request, &network, (at, earlier), rules)?;
            wiring.interfaces.push(interface);
        }
        Ok(())
    }

    /// One interface: `eth0` is the first network's.
    pub(super) fn interface(
        &self,
        container: &Container,
        request: &NetworkRequest,
        network: &NetworkFile,
        (at, earlier): (usize, Option<&WiredInterface>),
        rules: &RulesLock,
    ) -> Result<WiredInterface, EngineError> {
        let name = format!("eth{at}");
        let drawn =
            random_id().map_err(|e| StoreError::io("draw an id for", self.store().root(), e))?;
        // Drawn for each run: the pair of the last one may not be gone yet.
        let host_interface = format!("bv{}", drawn.as_str().get(..10).unwrap_or_default());
        let mut lease = Lease {
            version: STATE_VERSION,
            container: container.id.clone(),
            name: container.name.as_str().to_owned(),
            aliases: aliases(container, request),
            ipv4: request.ipv4,
            ipv6: request.ipv6,
            mac: request.mac,
            interface: name.clone(),
            host_interface: (network.driver == Driver::Bridge).then(|| host_interface.clone()),
        };
        self.take_lease(network, &mut lease, earlier)?;
        let mac = request.mac.or_else(|| mac_of(&lease, &container.id));
        let link = match network.driver {
            Driver::Bridge => WiredLink::Pair {
                bridge: self.bridge_to_join(network, rules)?,
                host_interface,
                big_tcp: network.big_tcp.unwrap_or(self.config().network.big_tcp),
            },
            Driver::Macvlan => WiredLink::Macvlan {
                parent: network.interface.clone(),
                mode: MACVLAN_BRIDGE,
            },
            Driver::Ipvlan => WiredLink::Ipvlan {
                parent: network.interface.clone(),
                mode: IPVLAN_L2,
            },
        };
        let addresses = addresses(&lease, network);
        let gateways = match network.internal {
            true => Vec::new(),
            false => network.subnets.iter().filter_map(|s| s.gateway).collect(),
        };
        Ok(WiredInterface {
            network: network.name.as_str().to_owned(),
            name,
            mac: mac.filter(|_| network.driver != Driver::Ipvlan),
            link,
            mtu: network.mtu,
            addresses,
            gateways,
            metric: u32::try_from(at).unwrap_or(u32::MAX),
        })
    }

    /// The lease of the last run, if it is still this container's, else a new one.
    fn take_lease(
        &self,
        network: &NetworkFile,
        lease: &mut Lease,
        earlier: Option<&WiredInterface>,
    ) -> Result<(), EngineError> {
        let leases = self.networks().leases(&network.name);
        if let Some(earlier) = earlier {
            let address = earlier.addresses.first().map(|(address, _)| *address);
            let kept = match address {
                Some(address) => leases.read(address)?,
                None => None,
            };
            if let Some(kept) = kept.filter(|kept| kept.container == lease.container) {
                (lease.ipv4, lease.ipv6) = (kept.ipv4, kept.ipv6);
                return Ok(leases.renew(lease)?);
            }
        }
        Ok(leases.take(&network.pool(), lease)?)
    }
}

/// Further names on a network: those that were asked for and, as with Docker, `--hostname`.
fn aliases(container: &Container, request: &NetworkRequest) -> Vec<String> {
    let mut names = request.aliases.clone();
    names.extend(container.create.options.hostname.clone());
    names
}

/// The addresses of a lease, with the lengths of the network's prefixes.
fn addresses(lease: &Lease, network: &NetworkFile) -> Vec<(IpAddr, u8)> {
    let v4 = lease
        .ipv4
        .zip(network.ipv4())
        .map(|(address, (net, _))| (IpAddr::V4(address), net.prefix_len()));
    let v6 = lease
        .ipv6
        .zip(network.ipv6())
        .map(|(address, (net, _))| (IpAddr::V6(address), net.prefix_len()));
    v4.into_iter().chain(v6).collect()
}

/// A hardware address of our own making, unique on the link because the IP address is: as Docker's.
fn mac_of(lease: &Lease, id: &ContainerId) -> Option<MacAddress> {
    if let Some(v4) = lease.ipv4 {
        let [a, b, c, d] = v4.octets();
        return Some(MacAddress::new([0x02, 0x42, a, b, c, d]));
    }
    let digits = id.as_str().as_bytes().first_chunk::<4>()?;
    lease.ipv6?;
    let [a, b, c, d] = *digits;
    Some(MacAddress::new([0x02, 0x42, a, b, c, d]))
}
