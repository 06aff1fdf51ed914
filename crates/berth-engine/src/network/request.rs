//! What a user asks for, checked at `create`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use berth_base::{ErrorClass, MacAddress, Transport};
use berth_net::{DEFAULT_NETWORK, NetworkName};
use serde::{Deserialize, Serialize};

use super::user;
use crate::options::NamespaceMode;
use crate::{CreateOptions, Engine, EngineError, facts};

/// What containers get without `--network`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultNetwork {
    /// The network `bridge`.
    #[default]
    Bridge,
    /// A loopback alone.
    None,
}

/// One `--network NAME`, with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// The network's name.
    pub name: String,
    /// `--network-alias`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `--ip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// `--ip6`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// `--mac-address`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
}

impl NetworkRequest {
    /// A network without further wishes.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            aliases: Vec::new(),
            ipv4: None,
            ipv6: None,
            mac: None,
        }
    }
}

/// The networks that a container is to be on: what was asked for, or the default one. Each exists,
/// save the default one, which the first start makes.
pub(crate) fn resolve(
    engine: &Engine,
    options: &CreateOptions,
) -> Result<Vec<NetworkRequest>, EngineError> {
    if options.namespaces.net != NamespaceMode::Default {
        return Ok(Vec::new());
    }
    if facts::is_rootless() {
        return user::resolve(engine, options);
    }
    if options.networks.is_empty() {
        // Whoever publishes a port wants it reached.
        let publishes = !options.publish.is_empty() || options.publish_all;
        let wanted = publishes || engine.config().default_network == DefaultNetwork::Bridge;
        return Ok(Vec::from_iter(
            wanted.then(|| NetworkRequest::named(DEFAULT_NETWORK)),
        ));
    }
    for (at, request) in options.networks.iter().enumerate() {
        check(engine, request)?;
        let twice = options
            .networks
            .iter()
            .take(at)
            .any(|r| r.name == request.name);
        if twice {
            let text = format!("network {} is given twice; give each once", request.name);
            return Err(EngineError::new(ErrorClass::Invalid, text).on(&*request.name));
        }
    }
    Ok(options.networks.clone())
}

/// Whether a network exists, and what is asked of it makes sense.
pub(super) fn check(engine: &Engine, request: &NetworkRequest) -> Result<(), EngineError> {
    let name: NetworkName = request
        .name
        .parse()
        .map_err(|e| EngineError::new(ErrorClass::Invalid, format!("{e}")).on(&*request.name))?;
    if user::is_carriers(name.as_str()) {
        let text = format!(
            "{name} connects containers of users without root; root has bridges: leave out --network, \
             or name one of \"berth network ls\""
        );
        return Err(EngineError::new(ErrorClass::Invalid, text).on(name.as_str()));
    }
    if name.as_str() != DEFAULT_NETWORK && engine.networks().read(&name)?.is_none() {
        return Err(unknown(engine, &name));
    }
    if request.mac.is_some_and(|mac| !mac.is_individual()) {
        let text = "the address of --mac-address is that of a group; the second digit must be even";
        return Err(EngineError::new(ErrorClass::Invalid, text));
    }
    Ok(())
}

/// No network of that name, and which ones there are.
pub(crate) fn unknown(engine: &Engine, name: &NetworkName) -> EngineError {
    let others: Vec<String> = engine
        .networks()
        .all()
        .unwrap_or_default()
        .into_iter()
        .map(|(name, _)| name.to_string())
        .collect();
    let known = match others.len() {
        0 => "there are none yet".to_owned(),
        1 => format!("there is {}", others.join("")),
        _ => format!("there are {}", others.join(", ")),
    };
    let remedy = match facts::is_rootless() {
        true => "without root a container has one of its own, by \"berth run --network pasta\" or slirp4netns".to_owned(),
        false => format!("make it with \"berth network create {name}\""),
    };
    let text = format!("there is no network {name}: {known}; {remedy}");
    EngineError::new(ErrorClass::NotFound, text).on(name.as_str())
}

/// One port that `-p` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishRequest {
    /// The transport.
    pub transport: Transport,
    /// The host's address; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_address: Option<IpAddr>,
    /// The host's port, or a range of which a free one is taken; absent: the kernel's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ports: Option<(u16, u16)>,
    /// The container's port.
    pub container_port: u16,
}

/// The ports that a container publishes: those of `-p`, and with `-P` all that are exposed.
pub(crate) fn published(
    engine: &Engine,
    options: &CreateOptions,
) -> Result<Vec<PublishRequest>, EngineError> {
    let mut publish = options.publish.clone();
    if options.publish_all {
        for text in &options.exposed_ports {
            let exposed = exposed(text).into_iter().flatten();
            let missing = exposed.filter(|new| {
                let same = |old: &&PublishRequest| {
                    old.transport == new.transport && old.container_port == new.container_port
                };
                !options.publish.iter().any(|old| same(&old))
            });
            publish.extend(missing.collect::<Vec<_>>());
        }
    }
    for request in &mut publish {
        // Written down with the container, so that a restart does not move it.
        request.host_address = request
            .host_address
            .or(engine.config().network.publish_address);
    }
    if publish.is_empty() || !options.networks.is_empty() {
        return Ok(publish);
    }
    let why = match options.namespaces.net {
        // As Docker has it: what listens there is reachable anyway.
        NamespaceMode::Host => return Ok(Vec::new()),
        NamespaceMode::Container(_) => {
            "it shares the network of another container, which publishes"
        }
        _ => "it is on no network",
    };
    let text =
        format!("cannot publish ports of this container: {why}; leave out -p, or give --network");
    Err(EngineError::new(ErrorClass::Invalid, text).on("--publish"))
}

/// The ports of `80/tcp` or `8000-8010/udp`; images may say anything.
fn exposed(text: &str) -> Option<impl Iterator<Item = PublishRequest>> {
    let (ports, transport) = text.split_once('/').unwrap_or((text, "tcp"));
    let transport: Transport = transport.parse().ok()?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    Some((first..=last).map(move |container_port| PublishRequest {
        transport,
        host_address: None,
        host_ports: None,
        container_port,
    }))
}
