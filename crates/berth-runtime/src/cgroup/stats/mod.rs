//! What a container uses, in the shape of `runc events --stats`.
//!
//! The field names, and which are left out when zero, are those of runc 1.1 to 1.3, which
//! containerd's shim and cAdvisor parse. Values come from whichever hierarchy has the controller;
//! a file that is missing counts as zero, as it does there. Sizes are bytes, CPU times
//! nanoseconds.

mod v1;
mod v2;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cgroup;
use super::branch::Branch;
use super::error::CgroupError;
use crate::resctrl::RdtStats;

/// The `data` of an event of type `stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time and throttling.
    pub cpu: Cpu,
    /// Placement on CPUs and memory nodes: v1 only, all zero on v2, as with runc.
    pub cpuset: CpuSet,
    /// Memory.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block I/O.
    pub blkio: BlockIo,
    /// Huge pages by size, like `2MB`.
    pub hugetlb: BTreeMap<String, HugePages>,
    /// Cache and memory bandwidth allocation; the caller fills it from [`crate::resctrl`].
    pub intel_rdt: RdtStats,
    /// Always null: the network of a container is its caller's.
    pub network_interfaces: Option<()>,
}

/// CPU time and throttling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// CPU time used.
    pub usage: CpuUsage,
    /// How often and how long the quota held it back.
    pub throttling: Throttling,
    /// v2: how long tasks waited for a CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// CPU time in nanoseconds; per CPU on v1 only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuUsage {
    /// All of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total: u64,
    /// By CPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// By CPU, in the kernel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// By CPU, in user mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// In user mode.
    pub user: u64,
}

/// What the CPU quota did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods that have passed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub periods: u64,
    /// Periods in which the quota ran out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// Nanoseconds held back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// Values of v1's cpuset, by the names of its files (cpuset(7)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the files of cpuset(7)")]
pub struct CpuSet {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Page cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache: u64,
    /// Memory.
    pub usage: MemoryEntry,
    /// Memory and swap together, on v2 too.
    pub swap: MemoryEntry,
    /// Kernel memory, v1 only.
    pub kernel: MemoryEntry,
    /// Buffers of TCP, v1 only.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// Every line of `memory.stat`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// v2: how long tasks waited for memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// One kind of memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEntry {
    /// The limit; without one the greatest number the kernel has for it.
    pub limit: u64,
    /// Now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// At most so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit, v1 only.
    pub failcnt: u64,
}

/// Tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// Now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub current: u64,
    /// The limit, left out where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Block I/O by device and operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the fields are the files of blkio-controller")]
pub struct BlockIo {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlockEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlockEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "ioQueueRecursive")]
    pub io_queued_recursive: Vec<BlockEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlockEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlockEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlockEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlockEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlockEntry>,
    /// v2: how long tasks waited for block I/O.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// One count of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockEntry {
    /// The device's major number.
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    /// Its minor number.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    /// `Read`, `Write` and, on v1, `Sync`, `Async`, `Discard`, `Total`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// Bytes, operations, or nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugePages {
    /// Now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// At most so far, v1 only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Pressure stall information: of some tasks, and of all at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// Time in which at least one task waited.
    pub some: PressureLine,
    /// Time in which all waited.
    pub full: PressureLine,
}

/// One line of a pressure file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PressureLine {
    /// Percent of the last 10 seconds.
    pub avg10: f64,
    /// Percent of the last minute.
    pub avg60: f64,
    /// Percent of the last five minutes.
    pub avg300: f64,
    /// Microseconds since the start.
    pub total: u64,
}

impl Cgroup {
    /// Reads what the container uses. All is zero once its cgroup is gone.
    pub fn stats(&self) -> Result<Stats, CgroupError> {
        let mut stats = Stats::default();
        if let Some(branch) = &self.v2 {
            v2::read(branch, self.v1.is_empty(), &mut stats)?;
        }
        v1::read(self, &mut stats)?;
        Ok(stats)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One number in a file: zero where it is missing, `unlimited` for `max`.
fn number(branch: &Branch, file: &str, unlimited: u64) -> Result<u64, CgroupError> {
    let Some(text) = branch.read_if_present(file)? else {
        return Ok(0);
    };
    match text.trim() {
        "max" => Ok(unlimited),
        number => number.parse().map_err(|_| malformed(branch, file, &text)),
    }
}

/// The lines `key value` of a file, an empty map where it is missing.
fn flat(branch: &Branch, file: &str) -> Result<BTreeMap<String, u64>, CgroupError> {
    let text = branch.read_if_present(file)?.unwrap_or_default();
    text.lines()
        .map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| malformed(branch, file, &text))
}

/// The sizes for which there are files `hugetlb.SIZE.SUFFIX`.
fn huge_page_sizes(branch: &Branch, suffix: &str) -> Result<Vec<String>, CgroupError> {
    let entries = match std::fs::read_dir(&branch.path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let source = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
            return Err(super::files::access("read", &branch.path, "")(source));
        }
    };
    let mut sizes: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let size = name.to_str()?.strip_prefix("hugetlb.")?;
            let size = size.strip_suffix(suffix)?.strip_suffix('.')?;
            (!size.contains('.')).then(|| size.to_owned())
        })
        .collect();
    sizes.sort_unstable();
    Ok(sizes)
}

fn malformed(branch: &Branch, file: &str, text: &str) -> CgroupError {
    CgroupError::Malformed {
        path: branch.file(file),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
