//! The fields of Docker's types that their JSON leaves out where they are empty.

use serde_json::{Value, json};

/// Those of an object that `inspect` shows, whatever it is.
pub(crate) fn zeros(object: &Value) -> Value {
    let has = |field: &str| object.get(field).is_some();
    if has("HostConfig") {
        return container();
    }
    if has("RootFS") {
        return image();
    }
    match has("IPAM") {
        true => network(),
        false => volume(),
    }
}

fn container() -> Value {
    json!({
        "Args": [],
        "ExecIDs": [],
        "SizeRw": null,
        "SizeRootFs": null,
        "GraphDriver": {"Data": {}},
        "State": {"Health": {"?": {"Log": []}}},
        "Mounts": [{"Name": "", "Driver": ""}],
        "Config": config(),
        "HostConfig": host_config(),
        "NetworkSettings": {
            "Ports": {},
            "SecondaryIPAddresses": [],
            "SecondaryIPv6Addresses": [],
            "Networks": {"*": {
                "Aliases": [],
                "DNSNames": [],
                "DriverOpts": {},
                "GwPriority": 0,
                "IPAMConfig": {"?": {"IPv4Address": "", "IPv6Address": "", "LinkLocalIPs": []}},
                "Links": [],
            }},
        },
    })
}

fn host_config() -> Value {
    json!({
        "Annotations": {},
        "Binds": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceWriteIOps": [],
        "BlkioWeightDevice": [],
        "CapAdd": [],
        "CapDrop": [],
        "DeviceCgroupRules": [],
        "DeviceRequests": [],
        "Devices": [],
        "Dns": [],
        "DnsOptions": [],
        "DnsSearch": [],
        "ExtraHosts": [],
        "GroupAdd": [],
        "Init": null,
        "Links": [],
        "LogConfig": {"Config": {}},
        "MaskedPaths": [],
        "MemorySwappiness": null,
        "Mounts": [],
        "OomKillDisable": null,
        "PidsLimit": null,
        "PortBindings": {},
        "ReadonlyPaths": [],
        "SecurityOpt": [],
        "StorageOpt": {},
        "Sysctls": {},
        "Tmpfs": {},
        "Ulimits": [],
        "VolumesFrom": [],
    })
}

/// `Config` of containers and of images.
fn config() -> Value {
    json!({
        "ArgsEscaped": false,
        "AttachStderr": false,
        "AttachStdin": false,
        "AttachStdout": false,
        "Cmd": [],
        "Domainname": "",
        "Entrypoint": [],
        "Env": [],
        "ExposedPorts": {},
        "Healthcheck": {"?": {
            "Test": [],
            "Interval": 0,
            "Timeout": 0,
            "StartPeriod": 0,
            "StartInterval": 0,
            "Retries": 0,
        }},
        "Hostname": "",
        "Image": "",
        "Labels": {},
        "MacAddress": "",
        "NetworkDisabled": false,
        "OnBuild": [],
        "OpenStdin": false,
        "Shell": [],
        "StdinOnce": false,
        "StopSignal": "",
        "StopTimeout": null,
        "Tty": false,
        "User": "",
        "Volumes": {},
        "WorkingDir": "",
    })
}

fn image() -> Value {
    json!({
        "Author": "",
        "Comment": "",
        "Config": config(),
        "Created": "",
        "DockerVersion": "",
        "GraphDriver": {"Data": {}},
        "OsVersion": "",
        "Parent": "",
        "RepoDigests": [],
        "RepoTags": [],
        "RootFS": {"Layers": []},
        "Variant": "",
    })
}

fn network() -> Value {
    json!({
        "ConfigFrom": {"Network": ""},
        "Containers": {"*": {}},
        "IPAM": {
            "Config": [{"AuxiliaryAddresses": {}, "Gateway": "", "IPRange": "", "Subnet": ""}],
            "Options": {},
        },
        "Labels": {},
        "Options": {},
        "Peers": [],
        "Services": {},
    })
}

fn volume() -> Value {
    json!({
        "ClusterVolume": null,
        "CreatedAt": "",
        "Labels": {},
        "Options": {},
        "Status": {},
        "UsageData": null,
    })
}
