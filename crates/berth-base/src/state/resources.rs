//! What a container may use up, as far as `update` may change it.

use serde::{Deserialize, Serialize};

/// The limits that may change during a container's life. Absent: not limited, or, in
/// `settings.json`, as the container was created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// `-m` in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// `--memory-swap`: memory and swap together in bytes, -1 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap_bytes: Option<i64>,
    /// `--memory-reservation` in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation_bytes: Option<u64>,
    /// `--cpus` in billionths of a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nano_cpus: Option<u64>,
    /// `--cpu-shares`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// `--cpu-period` in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_period_us: Option<u64>,
    /// `--cpu-quota` in microseconds; below zero for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota_us: Option<i64>,
    /// `--cpu-rt-period` in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_rt_period_us: Option<u64>,
    /// `--cpu-rt-runtime` in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_rt_runtime_us: Option<i64>,
    /// `--cpuset-cpus`, such as `0-3,7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<String>,
    /// `--pids-limit`; zero or less means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<i64>,
    /// `--blkio-weight`, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_weight: Option<u16>,
}

impl Resources {
    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// With as much swap again as memory where memory is limited and nothing is said of swap, as
    /// Docker has it.
    #[must_use]
    pub fn with_swap(self) -> Self {
        let twice = |memory: u64| i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX);
        Self {
            memory_swap_bytes: self.memory_swap_bytes.or(self.memory_bytes.map(twice)),
            ..self
        }
    }

    /// These, and what they leave open as another has it.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.or(other.memory_bytes),
            memory_swap_bytes: self.memory_swap_bytes.or(other.memory_swap_bytes),
            memory_reservation_bytes: self
                .memory_reservation_bytes
                .or(other.memory_reservation_bytes),
            nano_cpus: self.nano_cpus.or(other.nano_cpus),
            cpu_shares: self.cpu_shares.or(other.cpu_shares),
            cpu_period_us: self.cpu_period_us.or(other.cpu_period_us),
            cpu_quota_us: self.cpu_quota_us.or(other.cpu_quota_us),
            cpu_rt_period_us: self.cpu_rt_period_us.or(other.cpu_rt_period_us),
            cpu_rt_runtime_us: self.cpu_rt_runtime_us.or(other.cpu_rt_runtime_us),
            cpuset_cpus: self
                .cpuset_cpus
                .clone()
                .or_else(|| other.cpuset_cpus.clone()),
            cpuset_mems: self
                .cpuset_mems
                .clone()
                .or_else(|| other.cpuset_mems.clone()),
            pids_limit: self.pids_limit.or(other.pids_limit),
            blkio_weight: self.blkio_weight.or(other.blkio_weight),
        }
    }
}

/// What one file of a container's cgroup said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupValue {
    /// The v1 controller in whose hierarchy it is; absent for v2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// Its name, `memory.max` for one.
    pub file: String,
    /// What it said, in the form in which it can be written back.
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_swap_again_where_nothing_is_said() {
        let swap = |memory_bytes, memory_swap_bytes| {
            let resources = Resources {
                memory_bytes,
                memory_swap_bytes,
                ..Resources::default()
            };
            resources.with_swap().memory_swap_bytes
        };
        assert_eq!(swap(Some(64), None), Some(128));
        assert_eq!(swap(Some(u64::MAX), None), Some(i64::MAX));
        assert_eq!(swap(Some(64), Some(64)), Some(64));
        assert_eq!(swap(Some(64), Some(-1)), Some(-1));
        assert_eq!(swap(None, None), None);
    }

    #[test]
    fn what_is_given_wins_and_what_is_not_stays() {
        let old = Resources {
            memory_bytes: Some(1),
            cpuset_cpus: Some("0".into()),
            ..Resources::default()
        };
        let new = Resources {
            memory_bytes: Some(2),
            pids_limit: Some(-1),
            ..Resources::default()
        };
        let both = new.over(&old);
        assert_eq!(both.memory_bytes, Some(2));
        assert_eq!(both.cpuset_cpus.as_deref(), Some("0"));
        assert_eq!(both.pids_limit, Some(-1));
        assert!(Resources::default().is_empty() && !both.is_empty());
        assert_eq!(serde_json::to_string(&Resources::default()).unwrap(), "{}");
    }
}
