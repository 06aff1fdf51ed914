//! The fields of `HostConfig` that are about names, paths, and what Docker has for others.

use std::path::Path;

use berth_engine::{Container, Particulars};
use serde_json::{Map, Value, json};

/// Those that a container of Berth has by what it was given, and those of other systems, which are
/// the same for each.
pub(super) fn fields(container: &Container, particulars: &Particulars) -> Map<String, Value> {
    let options = &container.create.options;
    let names = &options.names;
    let hosts: Vec<String> = names
        .add_hosts
        .iter()
        .map(|(name, address)| format!("{name}:{address}"))
        .collect();
    let fields = json!({
        "Cgroup": "",
        // Whoever starts it has a terminal, whoever makes it has none.
        "ConsoleSize": [0, 0],
        "ContainerIDFile": options.cid_file.as_deref().unwrap_or(Path::new("")),
        "Dns": names.dns,
        "DnsOptions": names.resolver_options,
        "DnsSearch": names.search,
        "ExtraHosts": (!hosts.is_empty()).then_some(hosts),
        "Links": null,
        "MaskedPaths": particulars.masked,
        "PublishAllPorts": options.publish_all,
        "ReadonlyPaths": particulars.read_only,
        "VolumeDriver": "",
        // Of Windows alone.
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumBandwidth": 0,
        "IOMaximumIOps": 0,
        "Isolation": "",
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
