//! The limits and devices of `HostConfig`, in Docker's names.

use berth_engine::{Container, DeviceAmount, DeviceRequest, DeviceRule, GpuRequest};
use serde_json::{Map, Value, json};

/// The size of /dev/shm when none is asked for.
const SHM_BYTES: u64 = 64 << 20;

/// Every field of `HostConfig` that is about limits and devices.
pub(super) fn limits(container: &Container) -> Map<String, Value> {
    let options = &container.create.options;
    let (resources, limits) = (&options.resources, &options.limits);
    let memory = resources.memory_bytes.unwrap_or(0);
    // A container with a limit and no word about swap has none.
    let swap = match resources.memory_swap_bytes {
        Some(swap) => json!(swap),
        None => json!(memory),
    };
    let ulimits: Vec<Value> = options
        .ulimits
        .iter()
        .map(|limit| {
            json!({"Name": limit.name, "Soft": signed(limit.soft), "Hard": signed(limit.hard)})
        })
        .collect();
    let rules: Vec<String> = limits.device_rules.iter().map(rule).collect();
    let fields = json!({
        "BlkioWeight": resources.blkio_weight.unwrap_or(0),
        "BlkioWeightDevice": amounts(&limits.weight_devices, "Weight"),
        "BlkioDeviceReadBps": amounts(&limits.read_bps, "Rate"),
        "BlkioDeviceWriteBps": amounts(&limits.write_bps, "Rate"),
        "BlkioDeviceReadIOps": amounts(&limits.read_iops, "Rate"),
        "BlkioDeviceWriteIOps": amounts(&limits.write_iops, "Rate"),
        "CgroupParent": options.cgroup_parent.as_deref().unwrap_or(""),
        "CpuPeriod": resources.cpu_period_us.unwrap_or(0),
        "CpuQuota": resources.cpu_quota_us.unwrap_or(0),
        "CpuRealtimePeriod": resources.cpu_rt_period_us.unwrap_or(0),
        "CpuRealtimeRuntime": resources.cpu_rt_runtime_us.unwrap_or(0),
        "CpuShares": resources.cpu_shares.unwrap_or(0),
        "CpusetCpus": resources.cpuset_cpus.as_deref().unwrap_or(""),
        "CpusetMems": resources.cpuset_mems.as_deref().unwrap_or(""),
        "DeviceCgroupRules": (!rules.is_empty()).then_some(rules),
        "DeviceRequests": device_requests(container),
        "Devices": devices(&limits.devices),
        "Memory": memory,
        "MemoryReservation": resources.memory_reservation_bytes.unwrap_or(0),
        "MemorySwap": swap,
        "MemorySwappiness": limits.memory_swappiness,
        "NanoCpus": resources.nano_cpus.unwrap_or(0),
        "OomKillDisable": limits.oom_kill_disable,
        "OomScoreAdj": limits.oom_score_adj.unwrap_or(0),
        "PidsLimit": resources.pids_limit,
        "ShmSize": limits.shm_bytes.unwrap_or(SHM_BYTES),
        "Ulimits": ulimits,
    });
    let mut fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    // As with Docker, absent where there are none.
    if !limits.sysctls.is_empty() {
        fields.insert("Sysctls".to_owned(), json!(limits.sysctls));
    }
    if !limits.annotations.is_empty() {
        fields.insert("Annotations".to_owned(), json!(limits.annotations));
    }
    fields
}

fn amounts(list: &[DeviceAmount], word: &str) -> Vec<Value> {
    list.iter()
        .map(|device| json!({"Path": device.path, word: device.amount}))
        .collect()
}

fn devices(requests: &[DeviceRequest]) -> Vec<Value> {
    let paths = requests.iter().filter_map(|request| match request {
        DeviceRequest::Path {
            host,
            container,
            access,
        } => Some(json!({
            "PathOnHost": host,
            "PathInContainer": container,
            "CgroupPermissions": access,
        })),
        DeviceRequest::Cdi { .. } => None,
    });
    paths.collect()
}

/// What is asked for by name: CDI devices, and GPUs.
fn device_requests(container: &Container) -> Option<Vec<Value>> {
    let limits = &container.create.options.limits;
    let names: Vec<&str> = limits
        .devices
        .iter()
        .filter_map(|request| match request {
            DeviceRequest::Cdi { name } => Some(name.as_str()),
            DeviceRequest::Path { .. } => None,
        })
        .collect();
    let mut requests = Vec::new();
    if let Some(gpus) = &limits.gpus {
        let (count, ids) = match gpus {
            GpuRequest::All => (-1, None),
            GpuRequest::Count(count) => (i64::from(*count), None),
            GpuRequest::Devices(ids) => (0, Some(ids)),
        };
        requests.push(json!({
            "Driver": "", "Count": count, "DeviceIDs": ids, "Capabilities": [["gpu"]], "Options": {},
        }));
    }
    if !names.is_empty() {
        requests.push(json!({
            "Driver": "cdi", "Count": 0, "DeviceIDs": names, "Capabilities": [], "Options": null,
        }));
    }
    (!requests.is_empty()).then_some(requests)
}

fn rule(rule: &DeviceRule) -> String {
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    let (major, minor) = (number(rule.major), number(rule.minor));
    format!("{} {major}:{minor} {}", rule.kind, rule.access)
}

/// A limit as Docker writes it: unlimited is -1.
fn signed(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(-1)
}
