//! OCI resources as unit properties (systemd.resource-control(5)).
//!
//! Pure. systemd writes what its properties say again whenever it likes, on a reload for one; so
//! every limit that has a property is told to it as well, and stays. What has none is written to
//! the files alone, which systemd leaves be in a delegated unit. Values are taken as
//! [`crate::cgroup::Cgroup::apply`] has checked them, or will.

use std::collections::HashMap;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::property::{Property, Value};
use crate::cgroup::controller::Controller;
use crate::cgroup::error::CgroupError;
use crate::cgroup::limits::{Version, scaled, weight_of_shares};

/// What systemd takes for "no limit".
const INFINITY: u64 = u64::MAX;
/// The kernel's own CPU period in microseconds.
const PERIOD_US: u64 = 100_000;
const SECOND_US: u64 = 1_000_000;
/// systemd counts CPU time in percent: hundredths of a second.
const PERCENT_US: u64 = 10_000;
/// More CPUs or memory nodes than any kernel has.
const MOST_BITS: usize = 8_192;

/// Where a controller is.
pub(super) type Locate<'a> = &'a dyn Fn(Controller) -> Option<Version>;

/// The properties for the limits in `resources`, device rules aside.
pub(super) fn properties(
    resources: &LinuxResources,
    locate: Locate<'_>,
) -> Result<Vec<Property>, CgroupError> {
    let mut found = Properties(Vec::new());
    if let (Some(memory), Some(version)) = (resources.memory(), locate(Controller::Memory)) {
        found.memory(memory, version);
    }
    if let (Some(cpu), Some(version)) = (resources.cpu(), locate(Controller::Cpu)) {
        found.cpu(cpu, version);
    }
    // v1's cpuset is not systemd's.
    if let (Some(cpu), Some(Version::V2)) = (resources.cpu(), locate(Controller::Cpuset)) {
        found.list("AllowedCPUs", cpu.cpus().as_deref())?;
        found.list("AllowedMemoryNodes", cpu.mems().as_deref())?;
    }
    if let Some(pids) = resources.pids() {
        match pids.limit() {
            0 => {}
            limit => found.number("TasksMax", u64::try_from(limit).unwrap_or(INFINITY)),
        }
    }
    if let (Some(block), Some(version)) = (resources.block_io(), locate(Controller::BlockIo)) {
        found.block(block, version);
    }
    if let Some(unified) = resources.unified() {
        found.unified(unified)?;
    }
    Ok(found.0)
}

struct Properties(Vec<Property>);

impl Properties {
    /// Sets a property; a later value replaces an earlier one.
    fn set(&mut self, name: &str, value: Value) {
        self.0.retain(|property| property.name != name);
        self.0.push(Property::new(name, value));
    }

    fn number(&mut self, name: &str, value: u64) {
        self.set(name, Value::U64(value));
    }

    fn memory(&mut self, memory: &LinuxMemory, version: Version) {
        let set = |value: Option<i64>| value.filter(|bytes| *bytes != 0);
        let amount = |bytes: i64| u64::try_from(bytes).unwrap_or(INFINITY);
        let limit = set(memory.limit());
        if version == Version::V1 {
            if let Some(bytes) = limit {
                self.number("MemoryLimit", amount(bytes));
            }
            return;
        }
        if let Some(bytes) = limit {
            self.number("MemoryMax", amount(bytes));
        }
        if let Some(bytes) = set(memory.reservation()) {
            self.number("MemoryLow", u64::try_from(bytes).unwrap_or(0));
        }
        // OCI counts memory and swap together, systemd and v2 count swap alone.
        match (set(memory.swap()), limit) {
            (Some(..0), _) | (None, Some(..0)) => self.number("MemorySwapMax", INFINITY),
            (Some(both), Some(limit @ 0..)) => {
                self.number("MemorySwapMax", u64::try_from(both - limit).unwrap_or(0));
            }
            _ => {}
        }
    }

    fn cpu(&mut self, cpu: &LinuxCpu, version: Version) {
        // An idle group has no weight, see the limits.
        let shares = cpu.shares().filter(|shares| *shares != 0);
        if let Some(shares) = shares.filter(|_| cpu.idle() != Some(1)) {
            match version {
                Version::V1 => self.number("CPUShares", shares),
                Version::V2 => self.number("CPUWeight", u64::from(weight_of_shares(shares))),
            }
        }
        let quota = cpu.quota().filter(|us| *us != 0);
        let period = cpu.period().filter(|us| *us != 0);
        self.bandwidth(
            quota.map(|us| u64::try_from(us).unwrap_or(INFINITY)),
            period,
        );
    }

    fn bandwidth(&mut self, quota: Option<u64>, period: Option<u64>) {
        if let Some(period) = period {
            self.number("CPUQuotaPeriodUSec", period);
        }
        let Some(quota) = quota else { return };
        let period = period.unwrap_or(PERIOD_US).max(1);
        let per_second = match quota {
            INFINITY => INFINITY,
            // Rounded up to whole percents: the files hold the exact value, and systemd's must
            // not be less.
            quota => quota
                .saturating_mul(SECOND_US)
                .div_ceil(period)
                .div_ceil(PERCENT_US)
                .saturating_mul(PERCENT_US),
        };
        self.number("CPUQuotaPerSecUSec", per_second);
    }

    fn block(&mut self, block: &LinuxBlockIo, version: Version) {
        if let Some(weight) = block.weight().filter(|weight| *weight != 0) {
            match version {
                Version::V1 => self.number("BlockIOWeight", u64::from(weight)),
                Version::V2 => self.number("IOWeight", u64::from(scaled(weight))),
            }
        }
    }

    fn list(&mut self, name: &str, list: Option<&str>) -> Result<(), CgroupError> {
        let Some(list) = list.map(str::trim).filter(|list| !list.is_empty()) else {
            return Ok(());
        };
        let bits = bit_mask(list).ok_or_else(|| CgroupError::Invalid {
            limit: "CPU or memory node list",
            asked: list.to_owned(),
            why: "give numbers and ranges like 0-3,7".to_owned(),
        })?;
        self.set(name, Value::Bytes(bits));
        Ok(())
    }

    /// Files of v2 that are properties too. Others are written to the files alone.
    fn unified(&mut self, files: &HashMap<String, String>) -> Result<(), CgroupError> {
        let mut files: Vec<_> = files.iter().collect();
        files.sort_unstable();
        for (file, value) in files {
            let value = value.trim();
            let property = match file.as_str() {
                "cpu.max" => {
                    let (quota, period) = value.split_once(' ').unwrap_or((value, ""));
                    self.bandwidth(amount(quota), period.trim().parse().ok());
                    continue;
                }
                "cpuset.cpus" => {
                    self.list("AllowedCPUs", Some(value))?;
                    continue;
                }
                "cpuset.mems" => {
                    self.list("AllowedMemoryNodes", Some(value))?;
                    continue;
                }
                "cpu.weight" => "CPUWeight",
                "memory.high" => "MemoryHigh",
                "memory.low" => "MemoryLow",
                "memory.max" => "MemoryMax",
                "memory.min" => "MemoryMin",
                "memory.swap.max" => "MemorySwapMax",
                "pids.max" => "TasksMax",
                _ => continue,
            };
            // What is no number the kernel will refuse.
            if let Some(number) = amount(value) {
                self.number(property, number);
            }
        }
        Ok(())
    }
}

fn amount(text: &str) -> Option<u64> {
    match text {
        "max" => Some(INFINITY),
        number => number.parse().ok(),
    }
}

/// A list like `0-3,7` as a bit mask, least byte first.
fn bit_mask(list: &str) -> Option<Vec<u8>> {
    let mut mask = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST_BITS {
            return None;
        }
        if mask.len() <= last / 8 {
            mask.resize(last / 8 + 1, 0u8);
        }
        for bit in first..=last {
            *mask.get_mut(bit / 8)? |= 1 << (bit % 8);
        }
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(json: &str, version: Version) -> String {
        let locate = |controller: Controller| match version {
            Version::V2 => controller.v2_name().map(|_| version),
            Version::V1 => Some(version),
        };
        properties(&serde_json::from_str(json).unwrap(), &locate)
            .unwrap()
            .iter()
            .map(|property| format!("{} {:?}\n", property.name, property.value))
            .collect()
    }

    const EVERYTHING: &str = r#"{
        "memory": {"limit": 536870912, "reservation": 268435456, "swap": 1073741824},
        "cpu": {"shares": 1024, "quota": 33333, "period": 100000, "cpus": "0-1,9", "mems": "0"},
        "pids": {"limit": 512},
        "blockIO": {"weight": 500},
        "unified": {"memory.high": "max", "pids.max": "7", "memory.oom.group": "1"}
    }"#;

    #[test]
    fn everything_on_v2() {
        insta::assert_snapshot!(show(EVERYTHING, Version::V2), @r"
        MemoryMax U64(536870912)
        MemoryLow U64(268435456)
        MemorySwapMax U64(536870912)
        CPUWeight U64(100)
        CPUQuotaPeriodUSec U64(100000)
        CPUQuotaPerSecUSec U64(340000)
        AllowedCPUs Bytes([3, 2])
        AllowedMemoryNodes Bytes([1])
        IOWeight U64(4950)
        MemoryHigh U64(18446744073709551615)
        TasksMax U64(7)
        ");
    }

    #[test]
    fn everything_on_v1() {
        let text = EVERYTHING.replace("\"pids.max\": \"7\", ", "");
        insta::assert_snapshot!(show(&text, Version::V1), @r"
        MemoryLimit U64(536870912)
        CPUShares U64(1024)
        CPUQuotaPeriodUSec U64(100000)
        CPUQuotaPerSecUSec U64(340000)
        TasksMax U64(512)
        BlockIOWeight U64(500)
        MemoryHigh U64(18446744073709551615)
        ");
    }

    #[test]
    fn no_limit_is_infinity() {
        let json = r#"{"memory": {"limit": -1}, "cpu": {"quota": -1, "idle": 1, "shares": 5}, "pids": {"limit": -1},
            "unified": {"cpu.max": "max 50000"}}"#;
        insta::assert_snapshot!(show(json, Version::V2), @r"
        MemoryMax U64(18446744073709551615)
        MemorySwapMax U64(18446744073709551615)
        TasksMax U64(18446744073709551615)
        CPUQuotaPeriodUSec U64(50000)
        CPUQuotaPerSecUSec U64(18446744073709551615)
        ");
        assert_eq!(
            show(
                r#"{"memory": {"limit": 0}, "pids": {"limit": 0}, "cpu": {}}"#,
                Version::V2
            ),
            ""
        );
    }

    #[test]
    fn lists_become_bits() {
        assert_eq!(bit_mask("0"), Some(vec![1]));
        assert_eq!(bit_mask("0-7,8"), Some(vec![255, 1]));
        assert_eq!(bit_mask("15"), Some(vec![0, 128]));
        for bad in ["", "a", "3-1", "0-9999", "-1"] {
            assert_eq!(bit_mask(bad), None, "{bad}");
        }
    }
}
