//! What resctrl says of a group, in the shape of `intel_rdt` in `runc events --stats`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Group;

/// The allocation and use of a group; empty without `linux.intelRdt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RdtStats {
    /// What the machine's L3 caches can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_info: Option<CacheInfo>,
    /// The `L3` line of the default group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema_root: String,
    /// The `L3` line of the group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema: String,
    /// What the machine's bandwidth control can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_info: Option<ThrottleInfo>,
    /// The `MB` line of the default group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema_root: String,
    /// The `MB` line of the group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema: String,
    /// Memory traffic by L3 cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbm_stats: Option<Vec<MonitoredBandwidth>>,
    /// Occupied cache by L3 cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmt_stats: Option<Vec<MonitoredCache>>,
}

/// `info/L3` of resctrl.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are the files of resctrl.rst")]
pub struct CacheInfo {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cbm_mask: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub min_cbm_bits: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_closids: u64,
}

/// `info/MB` of resctrl.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are the files of resctrl.rst")]
pub struct ThrottleInfo {
    #[serde(skip_serializing_if = "is_zero")]
    pub bandwidth_gran: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_linear: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub min_bandwidth: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub num_closids: u64,
}

/// Memory traffic of one L3 cache, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the files of resctrl.rst")]
pub struct MonitoredBandwidth {
    pub mbm_total_bytes: u64,
    pub mbm_local_bytes: u64,
}

/// Occupied bytes of one L3 cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the files of resctrl.rst")]
pub struct MonitoredCache {
    pub llc_occupancy: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Group {
    /// Reads the group's allocation and use; what the machine does not have is left out.
    pub fn stats(&self) -> RdtStats {
        let info = |file: &str| self.root.join("info").join(file);
        let mut stats = RdtStats {
            l3_cache_schema_root: line_of(&self.root, "L3"),
            l3_cache_schema: line_of(&self.directory, "L3"),
            mem_bw_schema_root: line_of(&self.root, "MB"),
            mem_bw_schema: line_of(&self.directory, "MB"),
            ..RdtStats::default()
        };
        if info("L3").is_dir() {
            stats.l3_cache_info = Some(CacheInfo {
                cbm_mask: text(&info("L3/cbm_mask")).unwrap_or_default(),
                min_cbm_bits: number(&info("L3/min_cbm_bits")).unwrap_or(0),
                num_closids: number(&info("L3/num_closids")).unwrap_or(0),
            });
        }
        if info("MB").is_dir() {
            stats.mem_bw_info = Some(ThrottleInfo {
                bandwidth_gran: number(&info("MB/bandwidth_gran")).unwrap_or(0),
                delay_linear: number(&info("MB/delay_linear")).unwrap_or(0),
                min_bandwidth: number(&info("MB/min_bandwidth")).unwrap_or(0),
                num_closids: number(&info("MB/num_closids")).unwrap_or(0),
            });
        }
        let counted = self.monitor.as_ref().unwrap_or(&self.directory);
        let (mut traffic, mut cache) = (Vec::new(), Vec::new());
        for domain in domains(&counted.join("mon_data")) {
            let total = number(&domain.join("mbm_total_bytes"));
            let local = number(&domain.join("mbm_local_bytes"));
            if total.is_some() || local.is_some() {
                traffic.push(MonitoredBandwidth {
                    mbm_total_bytes: total.unwrap_or(0),
                    mbm_local_bytes: local.unwrap_or(0),
                });
            }
            if let Some(llc_occupancy) = number(&domain.join("llc_occupancy")) {
                cache.push(MonitoredCache { llc_occupancy });
            }
        }
        stats.mbm_stats = (!traffic.is_empty()).then_some(traffic);
        stats.cmt_stats = (!cache.is_empty()).then_some(cache);
        stats
    }
}

/// The folders `mon_L3_00` and so on, by name.
fn domains(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.starts_with("mon_L3_"))
        })
        .collect();
    found.sort_unstable();
    found
}

/// The line of a resource in a group's schemata.
fn line_of(group: &Path, resource: &str) -> String {
    let text = fs::read_to_string(group.join("schemata")).unwrap_or_default();
    text.lines()
        .map(str::trim)
        .find(|line| line.split(':').next() == Some(resource))
        .unwrap_or_default()
        .to_owned()
}

fn text(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

fn number(file: &Path) -> Option<u64> {
    text(file)?.parse().ok()
}
