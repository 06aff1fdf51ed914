//! Which bridge of its network a container is put on ([`berth_net::bridge::shards`]).

use berth_base::state::{WiredInterface, WiredLink, Wiring};
use berth_net::bridge::shards::{self, MAX_PORTS, Spread};
use berth_net::{Driver, NetworkFile, NetworkName};
use rustix::fs::FlockOperation;

use super::packets::RulesLock;
use crate::{Container, Engine, EngineError};

impl Engine {
    /// The bridge that a network's next container is put on, made where it is not there.
    pub(super) fn bridge_to_join(
        &self,
        network: &NetworkFile,
        rules: &RulesLock,
    ) -> Result<String, EngineError> {
        let networks = self.networks();
        let shards = shards::read(&networks, network);
        if shards.next > 0 {
            let lock = || networks.lock();
            let open = || self.open_network(network, rules);
            shards::ensure(network, shards.next, lock, open)?;
        }
        Ok(shards::name(network, shards.next))
    }

    /// The first bridge of the network of an interface, which has the host's addresses.
    pub(super) fn first_bridge(
        &self,
        interface: &WiredInterface,
    ) -> Result<Option<String>, EngineError> {
        let Some((name, _)) = bridged(interface) else {
            return Ok(None);
        };
        let network = self.networks().read(&name)?;
        Ok(network.map(|network| network.interface))
    }

    /// Looks at the ports that a container got just now. Where one is near the last one, the next
    /// container goes to another bridge; a line for the user about each network of which that holds.
    pub(crate) fn look_at_ports(&self, wiring: &Wiring) -> Result<Vec<String>, EngineError> {
        let ends: Vec<&str> = wiring
            .interfaces
            .iter()
            .filter_map(|interface| match &interface.link {
                WiredLink::Pair { host_interface, .. } => Some(host_interface.as_str()),
                _ => None,
            })
            .collect();
        if ends.is_empty() || !shards::is_near_the_end(&ends)? {
            return Ok(Vec::new());
        }
        self.spread(wiring)
    }

    /// Whether a container that could not be started may be, on another bridge: its own was full, or
    /// is not the one for the next container any more.
    pub(crate) fn made_room(&self, container: &Container) -> bool {
        let Ok(Some(wiring)) = self.store().read_wiring(&container.id) else {
            return false;
        };
        if self.spread(&wiring).is_err() {
            return false;
        }
        let networks = self.networks();
        let mut bridges = wiring.interfaces.iter().filter_map(bridged);
        bridges.any(|(name, bridge)| match networks.read(&name) {
            Ok(Some(network)) => {
                let next = shards::read(&networks, &network).next;
                shards::name(&network, next) != bridge
            }
            _ => false,
        })
    }

    fn spread(&self, wiring: &Wiring) -> Result<Vec<String>, EngineError> {
        let rules = self.lock_rules(FlockOperation::LockShared)?;
        let networks = self.networks();
        let mut lines = Vec::new();
        for (name, _) in wiring.interfaces.iter().filter_map(bridged) {
            let Some(network) = networks.read(&name)? else {
                continue;
            };
            if network.driver != Driver::Bridge {
                continue;
            }
            let lock = networks.lock()?;
            let found = shards::spread(&networks, &lock, &network)?;
            drop(lock);
            if found.is_some() {
                self.bridge_to_join(&network, &rules)?;
            }
            lines.extend(found.map(|spread| line(&network, &spread)));
        }
        Ok(lines)
    }
}

/// The network and the bridge of an interface that is one end of a pair.
fn bridged(interface: &WiredInterface) -> Option<(NetworkName, &str)> {
    match &interface.link {
        WiredLink::Pair { bridge, .. } => Some((interface.network.parse().ok()?, bridge)),
        _ => None,
    }
}

fn line(network: &NetworkFile, spread: &Spread) -> String {
    format!(
        "the bridge {} of network {} has {} of its {MAX_PORTS} ports in use; further containers are put on {}, which is joined to it",
        spread.full, network.name, spread.ports, spread.next
    )
}
