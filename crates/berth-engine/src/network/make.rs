//! Networks that are made without being asked for, and what a host needs before one carries packets.

use std::time::SystemTime;

use berth_base::Timestamp;
use berth_base::state::STATE_VERSION;
use berth_net::subnet::free_ipv4;
use berth_net::{DEFAULT_NETWORK, Driver, NetworkFile, NetworkName, Subnet, bridge, host};
use std::path::Path;

use super::packets::RulesLock;
use super::request::unknown;
use crate::store::StoreError;
use crate::store::random_id;
use crate::{Engine, EngineError};

/// The bridge of the default network of root's own engine.
const DEFAULT_BRIDGE: &str = "berth0";
/// Where that engine keeps its files.
pub(super) const ROOTS: &str = "/var/lib/berth";

impl Engine {
    /// Reads a network that a container is to join; the default one is made where it is missing.
    pub(super) fn network_to_join(&self, name: &str) -> Result<NetworkFile, EngineError> {
        let parsed: NetworkName = name
            .parse()
            .map_err(|e| EngineError::new(berth_base::ErrorClass::Invalid, format!("{e}")))?;
        match self.networks().read(&parsed)? {
            Some(file) => Ok(file),
            None if name == DEFAULT_NETWORK => self.make_default_network(parsed),
            None => Err(unknown(self, &parsed)),
        }
    }

    fn make_default_network(&self, name: NetworkName) -> Result<NetworkFile, EngineError> {
        let networks = self.networks();
        let lock = networks.lock()?;
        if let Some(file) = networks.read(&name)? {
            return Ok(file);
        }
        let mut taken = host::routes()?;
        for (_, file) in networks.all()? {
            taken.extend(file.iter().flat_map(|f| f.subnets.iter().map(|s| s.subnet)));
        }
        let subnet = free_ipv4(&self.config().network.pools, &taken)?;
        let id =
            random_id().map_err(|e| StoreError::io("draw an id for", self.store().root(), e))?;
        let interface = match self.store().root() == Path::new(ROOTS) {
            true => DEFAULT_BRIDGE.to_owned(),
            false => bridge_name(id.as_str()),
        };
        let file = NetworkFile {
            version: STATE_VERSION,
            id: id.as_str().to_owned(),
            name,
            created_at: Timestamp::from(SystemTime::now()),
            driver: Driver::Bridge,
            subnets: vec![Subnet {
                subnet: subnet.into(),
                range: None,
                gateway: subnet.hosts().next().map(Into::into),
                auxiliary: std::collections::BTreeMap::new(),
            }],
            internal: false,
            interface,
            mtu: None,
            big_tcp: None,
            options: std::collections::BTreeMap::new(),
            labels: std::collections::BTreeMap::new(),
        };
        networks.add(&lock, &file)?;
        Ok(file)
    }

    /// Makes the host ready to carry a network's packets.
    pub(super) fn prepare_network(
        &self,
        network: &NetworkFile,
        rules: &RulesLock,
    ) -> Result<(), EngineError> {
        if network.driver != Driver::Bridge {
            return Ok(());
        }
        let alias = format!("berth: network {}", network.name);
        let lock = || self.networks().lock();
        let open = || self.open_network(network, rules);
        match bridge::ensure(network, &alias, lock, open)? {
            true => Ok(()),
            false => self.ensure_packets(rules),
        }
    }
}

/// The name of a network's bridge; all of ours begin alike. At most 15 bytes (IFNAMSIZ).
pub(super) fn bridge_name(id: &str) -> String {
    format!("berth{}", id.get(..10).unwrap_or(id))
}
