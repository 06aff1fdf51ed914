//! `network create`, `ls`, `inspect`, `rm`, `prune`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::time::SystemTime;

use berth_base::state::STATE_VERSION;
use berth_base::{ContainerId, ErrorClass, Timestamp};
use berth_net::lease::Lease;
use berth_net::subnet::{free_ipv4, unique_local};
use berth_net::{DEFAULT_NETWORK, Driver, NetworkFile, NetworkName, Subnet, bridge, host};
use ipnet::IpNet;
use rustix::fs::FlockOperation;

use super::make::bridge_name;
use super::request::unknown;
use super::user;
use crate::store::{StoreError, random_bytes, random_id};
use crate::{Engine, EngineError, events, facts};

/// The option that names the host's interface of macvlan and ipvlan networks, as Docker's.
const PARENT: &str = "parent";
/// Docker's options of bridges that are ours, too.
const MTU: &str = "com.docker.network.driver.mtu";
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// `off`: pieces of TCP on its bridge are as small as the kernel has them.
const BIG_TCP: &str = "berth.big-tcp";
/// The options that are known, by driver.
const BRIDGE_OPTIONS: [&str; 3] = [MTU, BRIDGE_NAME, BIG_TCP];
const SHARED_OPTIONS: [&str; 2] = [MTU, PARENT];

/// What `network create` accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateNetwork {
    /// Its name.
    pub name: NetworkName,
    /// `--driver`; absent: `bridge`.
    pub driver: Option<String>,
    /// `--subnet`, one of each family at most.
    pub subnets: Vec<IpNet>,
    /// `--gateway`, each inside of a subnet.
    pub gateways: Vec<IpAddr>,
    /// `--ip-range`.
    pub ranges: Vec<IpNet>,
    /// `--aux-address`.
    pub auxiliary: BTreeMap<String, IpAddr>,
    /// `--ipv6`: IPv6 addresses also where no subnet of them is given.
    pub ipv6: bool,
    /// `--internal`.
    pub internal: bool,
    /// `--opt`.
    pub options: BTreeMap<String, String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
}

/// A network and who is on it.
#[derive(Debug)]
pub struct Network {
    /// Its record.
    pub file: NetworkFile,
    /// The containers that have addresses there.
    pub leases: Vec<Lease>,
}

impl Engine {
    /// Makes a network. Its bridge is made when its first container starts.
    ///
    /// # Errors
    /// The name is taken, the addresses are unfit or overlap others, the driver or an option is
    /// unknown; the caller is not root.
    pub fn create_network(&self, request: &CreateNetwork) -> Result<NetworkFile, EngineError> {
        let driver = driver(request.driver.as_deref())?;
        check_options(driver, &request.options)?;
        user::check_new(&request.name)?;
        if facts::is_rootless() {
            let text = format!(
                "cannot make network {}: networks need root; without it each container has one of its own, by pasta or slirp4netns",
                request.name
            );
            return Err(EngineError::new(ErrorClass::Denied, text).on(request.name.as_str()));
        }
        self.recover_after_boot()?;
        let networks = self.networks();
        let lock = networks.lock()?;
        if networks.read(&request.name)?.is_some() {
            let text = format!(
                "there is a network {0} already; remove it with \"berth network rm {0}\", or take another name",
                request.name
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(request.name.as_str()));
        }
        let id =
            random_id().map_err(|e| StoreError::io("draw an id for", self.store().root(), e))?;
        let id = id.as_str().to_owned();
        let file = NetworkFile {
            version: STATE_VERSION,
            name: request.name.clone(),
            created_at: Timestamp::from(SystemTime::now()),
            driver,
            subnets: self.subnets(request, driver, &id)?,
            internal: request.internal,
            interface: interface(request, driver, &id)?,
            mtu: mtu(&request.options)?,
            big_tcp: big_tcp(&request.options)?,
            options: request.options.clone(),
            labels: request.labels.clone(),
            id,
        };
        networks.add(&lock, &file)?;
        self.emit(events::network(&file, "create"));
        Ok(file)
    }

    /// All networks that can be read, by name; the default one also before anybody was on it.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn list_networks(&self) -> Result<Vec<NetworkFile>, EngineError> {
        let all = self.networks().all()?;
        Ok(all.into_iter().filter_map(|(_, file)| file.ok()).collect())
    }

    /// The networks whose record cannot be read, each with the reason.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn unreadable_networks(&self) -> Result<Vec<(NetworkName, EngineError)>, EngineError> {
        let all = self.networks().all()?;
        let failed = all
            .into_iter()
            .filter_map(|(name, file)| Some((name, file.err()?.into())));
        Ok(failed.collect())
    }

    /// One network, by name, id or unique beginning of an id.
    ///
    /// # Errors
    /// There is none, or several, or it cannot be read.
    pub fn network(&self, reference: &str) -> Result<Network, EngineError> {
        let file = self.find_network(reference)?;
        let leases = self.networks().leases(&file.name).all()?;
        let mut seen = HashSet::new();
        let mut leases: Vec<Lease> = leases.into_values().flatten().collect();
        leases.retain(|lease| seen.insert(lease.container.clone()));
        Ok(Network { file, leases })
    }

    pub(crate) fn find_network(&self, reference: &str) -> Result<NetworkFile, EngineError> {
        let name = reference.parse::<NetworkName>();
        if let Ok(name) = &name
            && let Some(file) = self.networks().read(name)?
        {
            return Ok(file);
        }
        let mut fitting = self.list_networks()?;
        fitting.retain(|file| !reference.is_empty() && file.id.starts_with(reference));
        match (fitting.pop(), fitting.is_empty()) {
            (Some(file), true) => Ok(file),
            (Some(_), false) => {
                let text = format!(
                    "several networks have an id that begins with {reference}; give more of it"
                );
                Err(EngineError::new(ErrorClass::Invalid, text).on(reference))
            }
            (None, _) => match name {
                Ok(name) => Err(unknown(self, &name)),
                Err(error) => {
                    Err(EngineError::new(ErrorClass::NotFound, error.to_string()).on(reference))
                }
            },
        }
    }

    /// Removes a network that no running container is on, with its bridge.
    ///
    /// # Errors
    /// There is none, or it is in use.
    pub fn remove_network(&self, reference: &str) -> Result<(), EngineError> {
        let file = self.find_network(reference)?;
        if file.is_default() {
            let text = format!(
                "cannot remove the network {DEFAULT_NETWORK}: containers without --network are on it"
            );
            return Err(EngineError::new(ErrorClass::Denied, text).on(DEFAULT_NETWORK));
        }
        let rules = self.lock_rules(FlockOperation::LockExclusive)?;
        let networks = self.networks();
        let lock = networks.lock()?;
        let users = self.running_on(&file)?;
        if !users.is_empty() {
            let text = format!(
                "cannot remove network {}: {} on it; stop {} first, or disconnect with \"berth network disconnect\"",
                file.name,
                match users.as_slice() {
                    [one] => format!("container {one} is"),
                    several => format!("containers {} are", several.join(", ")),
                },
                if users.len() == 1 { "it" } else { "them" },
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(file.name.as_str()));
        }
        // A user without root has the record at most, of an earlier version.
        if file.driver == Driver::Bridge && !facts::is_rootless() {
            bridge::remove(&file)?;
            self.close_network(&file, &rules)?;
        }
        networks.remove(&lock, &file.name)?;
        self.emit(events::network(&file, "destroy"));
        Ok(())
    }

    /// The names of the networks that a container is on, running or not.
    ///
    /// # Errors
    /// The containers cannot be listed.
    pub fn networks_in_use(&self) -> Result<HashSet<String>, EngineError> {
        let mut used = HashSet::new();
        for id in self.store().ids()? {
            if let Ok(create) = self.read_create(&id) {
                used.extend(create.options.networks.into_iter().map(|n| n.name));
            }
        }
        Ok(used)
    }

    /// The networks that no container is on, running or not, less the default one; removes those
    /// that `fits` likes and answers their names.
    ///
    /// # Errors
    /// The networks cannot be listed; failures of single ones are returned beside the names.
    pub fn prune_networks(
        &self,
        fits: &dyn Fn(&NetworkFile) -> bool,
    ) -> Result<(Vec<NetworkName>, Vec<EngineError>), EngineError> {
        let wanted = self.networks_in_use()?;
        let (mut removed, mut errors) = (Vec::new(), Vec::new());
        for file in self.list_networks()? {
            if file.is_default() || wanted.contains(file.name.as_str()) || !fits(&file) {
                continue;
            }
            match self.remove_network(file.name.as_str()) {
                Ok(()) => removed.push(file.name),
                Err(error) if error.class == ErrorClass::NotFound => {}
                Err(error) => errors.push(error),
            }
        }
        Ok((removed, errors))
    }

    /// The names of the running containers that have an address on a network.
    fn running_on(&self, file: &NetworkFile) -> Result<Vec<String>, EngineError> {
        let mut names = Vec::new();
        let leases = self.networks().leases(&file.name).all()?;
        let ids: BTreeSet<ContainerId> = leases
            .into_values()
            .flatten()
            .map(|lease| lease.container)
            .collect();
        for id in ids {
            if let Ok(view) = self.view(&id)
                && view.container.status.is_live()
            {
                names.push(view.container.name.as_str().to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The subnets of a new network: those asked for, checked, and free ones for the rest.
    fn subnets(
        &self,
        request: &CreateNetwork,
        driver: Driver,
        id: &str,
    ) -> Result<Vec<Subnet>, EngineError> {
        let mut taken: Vec<(IpNet, String)> = Vec::new();
        if driver == Driver::Bridge {
            let routes = host::routes()?.into_iter();
            taken.extend(routes.map(|net| (net, "a route of this host".to_owned())));
        }
        for file in self.list_networks()? {
            let name = format!("network {}", file.name);
            taken.extend(file.subnets.iter().map(|s| (s.subnet, name.clone())));
        }
        let mut nets = request.subnets.clone();
        for net in &nets {
            check_subnet(*net, &taken)?;
        }
        if !nets.iter().any(|net| matches!(net, IpNet::V4(_))) {
            let taken: Vec<IpNet> = taken.iter().map(|(net, _)| *net).collect();
            nets.push(free_ipv4(&self.config().network.pools, &taken)?.into());
        }
        if request.ipv6 && !nets.iter().any(|net| matches!(net, IpNet::V6(_))) {
            let global = random_bytes::<5>()
                .map_err(|e| StoreError::io("draw a prefix for", self.store().root(), e))?;
            nets.push(unique_local(global, id).into());
        }
        let mut subnets: Vec<Subnet> = nets
            .into_iter()
            .map(|net| Subnet {
                subnet: net.trunc(),
                range: None,
                gateway: None,
                auxiliary: BTreeMap::new(),
            })
            .collect();
        place(request, &mut subnets)?;
        for subnet in &mut subnets {
            // The first address, as everywhere.
            let first = match subnet.subnet {
                IpNet::V4(net) => net.hosts().next().map(IpAddr::V4),
                IpNet::V6(net) => net.hosts().nth(1).map(IpAddr::V6),
            };
            let wanted = !(request.internal && driver != Driver::Bridge);
            subnet.gateway = subnet.gateway.or(first.filter(|_| wanted));
        }
        Ok(subnets)
    }
}

fn driver(name: Option<&str>) -> Result<Driver, EngineError> {
    match name {
        None | Some("bridge" | "") => Ok(Driver::Bridge),
        Some("macvlan") => Ok(Driver::Macvlan),
        Some("ipvlan") => Ok(Driver::Ipvlan),
        Some(other) => {
            let text = format!(
                "there is no network driver {other}; there are bridge, macvlan and ipvlan, and \"--network host\" and \"--network none\" need no network"
            );
            Err(EngineError::new(ErrorClass::Invalid, text).on(other))
        }
    }
}

fn check_options(driver: Driver, options: &BTreeMap<String, String>) -> Result<(), EngineError> {
    let known: &[&str] = match driver {
        Driver::Bridge => &BRIDGE_OPTIONS,
        Driver::Macvlan | Driver::Ipvlan => &SHARED_OPTIONS,
    };
    match options.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let text = format!(
                "the driver {} has no option {key}; there are {}",
                driver.as_str(),
                known.join(", ")
            );
            Err(EngineError::new(ErrorClass::Invalid, text).on(key))
        }
    }
}

fn mtu(options: &BTreeMap<String, String>) -> Result<Option<u32>, EngineError> {
    let Some(text) = options.get(MTU) else {
        return Ok(None);
    };
    match text.parse() {
        // What IPv4 needs at least (RFC 791), and what an interface takes at most.
        Ok(mtu @ 68..=65_535) => Ok(Some(mtu)),
        _ => {
            let text = format!("{text:?} is no MTU; give a number from 68 to 65535");
            Err(EngineError::new(ErrorClass::Invalid, text).on(MTU))
        }
    }
}

fn big_tcp(options: &BTreeMap<String, String>) -> Result<Option<bool>, EngineError> {
    match options.get(BIG_TCP).map(String::as_str) {
        None => Ok(None),
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some(other) => {
            let text = format!("{BIG_TCP} is on or off, not {other:?}");
            Err(EngineError::new(ErrorClass::Invalid, text).on(BIG_TCP))
        }
    }
}

fn interface(request: &CreateNetwork, driver: Driver, id: &str) -> Result<String, EngineError> {
    let (key, name) = match driver {
        Driver::Bridge => match request.options.get(BRIDGE_NAME) {
            None => return Ok(bridge_name(id)),
            Some(name) => (BRIDGE_NAME, name),
        },
        Driver::Macvlan | Driver::Ipvlan => match request.options.get(PARENT) {
            Some(name) => (PARENT, name),
            None => {
                let text = format!(
                    "a network of driver {} stands on an interface of the host; name it with -o parent=INTERFACE",
                    driver.as_str()
                );
                return Err(EngineError::new(ErrorClass::Invalid, text));
            }
        },
    };
    // dev_valid_name (net/core/dev.c).
    let fits = !name.is_empty()
        && name.len() <= 15
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_ascii_whitespace())
        && name != "."
        && name != "..";
    if fits {
        return Ok(name.clone());
    }
    let text = format!(
        "{name:?} is no name for an interface; it has at most 15 bytes, without blanks, colons and slashes"
    );
    Err(EngineError::new(ErrorClass::Invalid, text).on(key))
}

fn check_subnet(net: IpNet, taken: &[(IpNet, String)]) -> Result<(), EngineError> {
    if net.trunc() != net {
        let text = format!(
            "{net} is no subnet: bits of the host are set; did you mean {}?",
            net.trunc()
        );
        return Err(EngineError::new(ErrorClass::Invalid, text).on(net.to_string()));
    }
    let overlaps = |other: &IpNet| net.contains(other) || other.contains(&net);
    match taken.iter().find(|(other, _)| overlaps(other)) {
        None => Ok(()),
        Some((other, whose)) => {
            let text = format!(
                "cannot use the subnet {net}: it overlaps {other}, {whose}; give another one by --subnet, or none"
            );
            Err(EngineError::new(ErrorClass::Conflict, text).on(net.to_string()))
        }
    }
}

/// Puts gateways, ranges and auxiliary addresses to the subnets that they lie in.
fn place(request: &CreateNetwork, subnets: &mut [Subnet]) -> Result<(), EngineError> {
    let outside = |what: &str, text: String| {
        let text = format!("cannot use the {what} {text}: no --subnet contains it");
        EngineError::new(ErrorClass::Invalid, text)
    };
    for gateway in &request.gateways {
        let home = subnets.iter_mut().find(|s| s.subnet.contains(gateway));
        let home = home.ok_or_else(|| outside("gateway", gateway.to_string()))?;
        home.gateway = Some(*gateway);
    }
    for range in &request.ranges {
        let home = subnets.iter_mut().find(|s| s.subnet.contains(range));
        let home = home.ok_or_else(|| outside("range", range.to_string()))?;
        home.range = Some(range.trunc());
    }
    for (name, address) in &request.auxiliary {
        let home = subnets.iter_mut().find(|s| s.subnet.contains(address));
        let home = home.ok_or_else(|| outside("address", address.to_string()))?;
        home.auxiliary.insert(name.clone(), *address);
    }
    Ok(())
}
