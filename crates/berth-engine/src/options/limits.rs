//! Limits and devices that stay as a container was created; what may change later is
//! [`berth_base::state::Resources`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a container may use up and reach, beyond what `update` may change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// `--memory-swappiness`, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swappiness: Option<u8>,
    /// `--kernel-memory` in bytes; no kernel has it any more, so it is not kept.
    #[serde(skip)]
    pub kernel_memory_bytes: Option<u64>,
    /// `--oom-kill-disable`.
    #[serde(skip_serializing_if = "is_false")]
    pub oom_kill_disable: bool,
    /// `--oom-score-adj`, -1000 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// `--shm-size` in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_bytes: Option<u64>,
    /// `--ipc none`: there is no /dev/shm.
    #[serde(skip_serializing_if = "is_false")]
    pub without_shm: bool,
    /// `--blkio-weight-device`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weight_devices: Vec<DeviceAmount>,
    /// `--device-read-bps`, in bytes per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_bps: Vec<DeviceAmount>,
    /// `--device-write-bps`, in bytes per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write_bps: Vec<DeviceAmount>,
    /// `--device-read-iops`, reads per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read_iops: Vec<DeviceAmount>,
    /// `--device-write-iops`, writes per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub write_iops: Vec<DeviceAmount>,
    /// `--device`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceRequest>,
    /// `--device-cgroup-rule`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_rules: Vec<DeviceRule>,
    /// `--gpus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<GpuRequest>,
    /// `--sysctl`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// `--annotation`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Limits {
    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An amount for one block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAmount {
    /// Its node, such as `/dev/sda`.
    pub path: PathBuf,
    /// How much.
    pub amount: u64,
}

/// `--device`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum DeviceRequest {
    /// A node of the host, or a directory with nodes in it.
    Path {
        /// On the host.
        host: PathBuf,
        /// In the container.
        container: PathBuf,
        /// `r`, `w` and `m`, in any order.
        access: String,
    },
    /// A device of the Container Device Interface, `vendor.com/class=name`.
    Cdi {
        /// As typed.
        name: String,
    },
}

/// `--device-cgroup-rule`: what may be opened, whatever nodes there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// `a`, `b` or `c`.
    pub kind: char,
    /// Absent: any.
    pub major: Option<u32>,
    /// Absent: any.
    pub minor: Option<u32>,
    /// `r`, `w` and `m`, in any order.
    pub access: String,
}

/// `--gpus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "of")]
pub enum GpuRequest {
    /// All there are.
    All,
    /// The first so many.
    Count(u32),
    /// By index or name.
    Devices(Vec<String>),
}

const fn is_false(value: &bool) -> bool {
    !*value
}
