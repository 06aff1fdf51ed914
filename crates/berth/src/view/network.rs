//! A network in listings, and as `docker network inspect` shows one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use berth_engine::{Lease, Network, NetworkFile};
use serde_json::{Map, Value, json};

use super::listing::{Column, Row};
use super::row::Width;
use super::span;
use super::wires::Wires;

/// What `network ls` shows without `--format`.
pub(crate) const TABLE: &str = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

/// What `--format` of `network ls` may name.
pub(crate) const COLUMNS: [Column; 9] = [
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv4", "IPV4"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];

/// Digits of a short id.
const SHORT: usize = 12;

/// Makes the row of a network.
pub(crate) fn row(file: &NetworkFile, width: Width) -> Row {
    let id = match width {
        Width::Full => &*file.id,
        Width::Short => file.id.get(..SHORT).unwrap_or(&file.id),
    };
    let labels: Vec<String> = file
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Row {
        fields: json!({
            "CreatedAt": span::date(file.created_at),
            "Driver": file.driver.as_str(),
            "ID": id,
            "IPv4": file.subnets.iter().any(|one| one.subnet.addr().is_ipv4()).to_string(),
            "IPv6": file.ipv6().is_some().to_string(),
            "Internal": file.internal.to_string(),
            "Labels": labels.join(","),
            "Name": file.name.as_str(),
            "Scope": "local",
        }),
        beside: json!(file.labels),
    }
}

/// The object of `network inspect`.
pub(crate) fn inspect(network: &Network, wires: &Wires) -> Value {
    let file = &network.file;
    let created = UNIX_EPOCH + Duration::from_nanos(file.created_at.as_nanos());
    let pools: Vec<Value> = file
        .subnets
        .iter()
        .map(|subnet| {
            let mut pool = Map::new();
            pool.insert("Subnet".into(), json!(subnet.subnet.to_string()));
            if let Some(range) = &subnet.range {
                pool.insert("IPRange".into(), json!(range.to_string()));
            }
            if let Some(gateway) = &subnet.gateway {
                pool.insert("Gateway".into(), json!(gateway.to_string()));
            }
            if !subnet.auxiliary.is_empty() {
                pool.insert("AuxiliaryAddresses".into(), json!(subnet.auxiliary));
            }
            pool.into()
        })
        .collect();
    let containers: BTreeMap<&str, Value> = network
        .leases
        .iter()
        .map(|lease| {
            let id = lease.container.as_str();
            (id, container(lease, file, wires.mac_of(id)))
        })
        .collect();
    json!({
        "Name": file.name.as_str(),
        "Id": file.id,
        "Created": humantime::format_rfc3339_nanos(created).to_string(),
        "Scope": "local",
        "Driver": file.driver.as_str(),
        "EnableIPv4": file.ipv4().is_some(),
        "EnableIPv6": file.ipv6().is_some(),
        "IPAM": {"Driver": "default", "Options": {}, "Config": pools},
        "Internal": file.internal,
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": false,
        "Containers": containers,
        "Options": file.options,
        "Labels": file.labels,
        "Berth": wires,
    })
}

/// `mac` is what its interface has, where it runs. On an ipvlan it is the parent's, and as with Docker
/// not shown as its own.
fn container(lease: &Lease, file: &NetworkFile, mac: Option<&str>) -> Value {
    let wished = lease.mac.map(|mac| mac.to_string());
    let mac = match file.driver.as_str() {
        "ipvlan" => None,
        _ => mac.map(str::to_owned).or(wished),
    };
    let with_prefix = |address: Option<IpAddr>, prefix: Option<u8>| match (address, prefix) {
        (Some(address), Some(prefix)) => format!("{address}/{prefix}"),
        _ => String::new(),
    };
    let v4 = file.ipv4().map(|(net, _)| net.prefix_len());
    let v6 = file.ipv6().map(|(net, _)| net.prefix_len());
    json!({
        "Name": lease.name,
        "EndpointID": "",
        "MacAddress": mac.unwrap_or_default(),
        "IPv4Address": with_prefix(lease.ipv4.map(IpAddr::V4), v4),
        "IPv6Address": with_prefix(lease.ipv6.map(IpAddr::V6), v6),
    })
}
