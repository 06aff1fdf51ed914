//! Networks and published ports of a container, in Docker's words.

use std::collections::BTreeMap;
use std::net::IpAddr;

use berth_base::PublishedPort;
use berth_base::state::WiredInterface;
use berth_engine::{Container, DEFAULT_NETWORK, NetworkRequest, PublishRequest};
use serde_json::{Map, Value, json};

/// Fields of `NetworkSettings` that are those of the default network.
const OLD: [&str; 8] = [
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "MacAddress",
];

/// The column of `ps`: `0.0.0.0:8080->80/tcp, 443/tcp`. Nothing for one that does not run.
pub(crate) fn column(container: &Container) -> String {
    if !container.status.is_live() {
        return String::new();
    }
    let mut published = container.wiring.published.clone();
    published.sort_by_key(|port| (port.container_port, port.transport, port.host_address));
    let mut texts: Vec<String> = published.iter().map(ToString::to_string).collect();
    for exposed in &container.create.options.exposed_ports {
        if !published.iter().any(|port| key(port) == *exposed) {
            texts.push(exposed.clone());
        }
    }
    texts.join(", ")
}

/// `80/tcp`.
pub(crate) fn key(port: &PublishedPort) -> String {
    format!("{}/{}", port.container_port, port.transport)
}

/// The names of its networks, as `ps` and `inspect` show them; `None` where it is on none of its own.
pub(crate) fn networks(container: &Container) -> Option<String> {
    let networks = &container.create.options.networks;
    let names: Vec<&str> = networks.iter().map(|n| n.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// `NetworkSettings` of `inspect`.
pub(crate) fn settings(container: &Container, ids: &BTreeMap<String, String>) -> Value {
    let live = container.live.as_ref();
    let sandbox = live.map_or_else(String::new, |live| {
        format!("/proc/{}/ns/net", live.init.pid)
    });
    let mut ports: Map<String, Value> = Map::new();
    if live.is_some() {
        for exposed in &container.create.options.exposed_ports {
            ports.insert(exposed.clone(), Value::Null);
        }
        for port in &container.wiring.published {
            let binding = json!({
                "HostIp": port.host_address.to_string(),
                "HostPort": port.host_port.to_string(),
            });
            match ports.entry(key(port)).or_insert(Value::Null) {
                Value::Array(bindings) => bindings.push(binding),
                other => *other = json!([binding]),
            }
        }
    }
    let networks: Map<String, Value> = container
        .create
        .options
        .networks
        .iter()
        .map(|request| {
            let wired = &container.wiring.interfaces;
            let wired = wired
                .iter()
                .find(|i| i.network == request.name && live.is_some());
            let mut shown = network(wired, &request.aliases, container);
            shown["IPAMConfig"] = wishes(request);
            shown["NetworkID"] = json!(ids.get(&request.name).map_or("", String::as_str));
            (request.name.clone(), shown)
        })
        .collect();
    // Of the days when there was one network: what a container has on that.
    let old = networks.get(DEFAULT_NETWORK).cloned();
    let old = old.unwrap_or_else(|| network(None, &[], container));
    let mut settings = json!({
        "Bridge": "",
        "SandboxID": live.map_or("", |_| container.id.as_str()),
        "SandboxKey": sandbox,
        "HairpinMode": false,
        "Ports": ports,
        "Networks": networks,
        // One address of a kind for each interface.
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
    });
    for key in OLD {
        settings[key] = old[key].clone();
    }
    settings
}

/// The addresses that were asked for; as with Docker, null where there were none.
fn wishes(request: &NetworkRequest) -> Value {
    let mut wishes = Map::new();
    if let Some(address) = request.ipv4 {
        wishes.insert("IPv4Address".to_owned(), json!(address));
    }
    if let Some(address) = request.ipv6 {
        wishes.insert("IPv6Address".to_owned(), json!(address));
    }
    match wishes.is_empty() {
        true => Value::Null,
        false => Value::Object(wishes),
    }
}

fn network(wired: Option<&WiredInterface>, aliases: &[String], container: &Container) -> Value {
    let address = |v6: bool| {
        let mut all = wired.iter().flat_map(|i| &i.addresses);
        all.find(|(address, _)| address.is_ipv6() == v6).copied()
    };
    let gateway = |v6: bool| {
        let mut all = wired.iter().flat_map(|i| &i.gateways);
        all.find(|gateway| gateway.is_ipv6() == v6).copied()
    };
    let text = |address: Option<IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    let (v4, v6) = (address(false), address(true));
    let mut names = vec![container.name.to_string()];
    names.extend(aliases.iter().cloned());
    names.push(container.id.short().to_owned());
    names.extend(container.create.options.hostname.clone());
    json!({
        "Aliases": aliases,
        "DNSNames": names,
        "DriverOpts": null,
        "EndpointID": wired.map_or("", |_| container.id.as_str()),
        "IPAMConfig": null,
        "Links": null,
        "MacAddress": wired.and_then(|i| i.mac).map(|mac| mac.to_string()).unwrap_or_default(),
        "Gateway": text(gateway(false)),
        "IPAddress": text(v4.map(|(address, _)| address)),
        "IPPrefixLen": v4.map_or(0, |(_, prefix)| prefix),
        "IPv6Gateway": text(gateway(true)),
        "GlobalIPv6Address": text(v6.map(|(address, _)| address)),
        "GlobalIPv6PrefixLen": v6.map_or(0, |(_, prefix)| prefix),
        "Interface": wired.map(|i| i.name.clone()).unwrap_or_default(),
    })
}

/// `HostConfig.PortBindings`: what was asked for.
pub(crate) fn bindings(requests: &[PublishRequest]) -> Value {
    let mut bindings: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for request in requests {
        let ports = match request.host_ports {
            None => String::new(),
            Some((first, last)) if first == last => first.to_string(),
            Some((first, last)) => format!("{first}-{last}"),
        };
        let address = request
            .host_address
            .map(|a| a.to_string())
            .unwrap_or_default();
        let key = format!("{}/{}", request.container_port, request.transport);
        let binding = json!({"HostIp": address, "HostPort": ports});
        bindings.entry(key).or_default().push(binding);
    }
    json!(bindings)
}
