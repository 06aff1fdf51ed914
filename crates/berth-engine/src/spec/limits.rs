//! The `resources` of a spec: what the cgroup limits.

use std::path::PathBuf;

use berth_base::state::Resources;
use berth_runtime::cgroup::{HintSupport, check_resources};
use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice,
    LinuxThrottleDeviceBuilder, LinuxWeightDeviceBuilder,
};

use super::cpuset::NumberList;
use super::{SpecError, SpecFacts, devices};
use crate::CreateOptions;
use crate::options::{DeviceAmount, Limits};

/// The least memory limit, Docker's: below it the first process cannot even start.
const MEMORY_MIN_BYTES: u64 = 6 << 20;
/// The scheduling period in microseconds, the kernel's and Docker's default.
const PERIOD_US: u64 = 100_000;
/// The least `--cpus`, 0.01: the kernel takes no quota below 1 ms (cpu.cfs_quota_us).
const NANO_CPUS_MIN: u64 = 10_000_000;
/// The kernel takes no fewer shares (cpu.shares), and makes 2 of what is less.
const SHARES_MIN: u64 = 2;

/// What limits depend on besides the options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LimitFacts {
    /// How many CPUs are online.
    pub(crate) cpus: u32,
    /// The CPUs a container may be given, as the kernel lists them; empty where unknown.
    pub(crate) cpu_list: String,
    /// The memory nodes likewise.
    pub(crate) node_list: String,
    /// Settings that bound nothing, and that this host takes.
    pub(crate) hints: HintSupport,
    /// Each block device that the options name.
    pub(crate) block_devices: BlockDevices,
}

/// Block devices by path, with their major and minor numbers.
pub(crate) type BlockDevices = Vec<(PathBuf, (u32, u32))>;

/// Everything, with warnings about what this host cannot do and need not.
pub(super) fn resources(
    options: &CreateOptions,
    facts: &SpecFacts,
    warnings: &mut Vec<String>,
) -> Result<LinuxResources, SpecError> {
    let (changeable, limits) = without_lacking(options, &facts.limit_facts.hints, warnings);
    let mut resources = changeable_part(&changeable, &limits, &facts.limit_facts)?;
    if let Some(block) = block_io(&limits, resources.block_io().clone(), &facts.limit_facts)? {
        resources.set_block_io(Some(block));
    }
    // Without privilege neither v1's devices controller nor a BPF program can be had; what such
    // a container may open, the kernel decides by ownership alone.
    if !facts.rootless {
        resources.set_devices(Some(devices::rules(options, &facts.injected.devices)));
    } else if !limits.device_rules.is_empty() {
        return Err(SpecError::RuleWithoutRoot);
    }
    check_resources(&resources).map_err(|(_, error)| SpecError::Resource(error))?;
    Ok(resources)
}

/// The part of it that `update` may change.
pub(crate) fn changeable_resources(
    options: &CreateOptions,
    facts: &LimitFacts,
    warnings: &mut Vec<String>,
) -> Result<LinuxResources, SpecError> {
    let (changeable, limits) = without_lacking(options, &facts.hints, warnings);
    changeable_part(&changeable, &limits, facts)
}

fn changeable_part(
    changeable: &Resources,
    limits: &Limits,
    facts: &LimitFacts,
) -> Result<LinuxResources, SpecError> {
    let mut resources = LinuxResources::default();
    let pids = changeable.pids_limit.filter(|limit| *limit > 0).map(pids);
    resources
        .set_memory(memory(changeable, limits)?)
        .set_cpu(cpu(changeable, facts)?)
        .set_pids(pids);
    if let Some(weight) = changeable.blkio_weight.filter(|weight| *weight != 0) {
        let mut block = LinuxBlockIo::default();
        block.set_weight(Some(weight));
        resources.set_block_io(Some(block));
    }
    check_resources(&resources).map_err(|(_, error)| SpecError::Resource(error))?;
    Ok(resources)
}

/// The limits without what this host lacks and nobody is less safe without; says so.
fn without_lacking(
    options: &CreateOptions,
    hints: &HintSupport,
    warnings: &mut Vec<String>,
) -> (Resources, Limits) {
    let mut changeable = options.resources.clone();
    let mut limits = options.limits.clone();
    if limits.kernel_memory_bytes.is_some() {
        warnings.push(
            "--kernel-memory is ignored: the kernel dropped this limit in 5.16, and counts such memory as --memory".into(),
        );
    }
    if limits.memory_swappiness.is_some() && !hints.swappiness {
        limits.memory_swappiness = None;
        warnings.push("--memory-swappiness is ignored: cgroup v2 has no such setting".into());
    }
    if limits.oom_kill_disable && !hints.oom_kill_disable {
        limits.oom_kill_disable = false;
        warnings.push(
            "--oom-kill-disable is ignored: cgroup v2 always lets the OOM killer end a process"
                .into(),
        );
    }
    if limits.oom_kill_disable && changeable.memory_bytes.is_none() {
        warnings.push(
            "--oom-kill-disable without --memory: what the container takes can leave the whole host without memory".into(),
        );
    }
    let weighs = changeable.blkio_weight.is_some() || !limits.weight_devices.is_empty();
    if weighs && !hints.block_weight {
        changeable.blkio_weight = None;
        limits.weight_devices.clear();
        warnings.push(
            "--blkio-weight and --blkio-weight-device are ignored: no I/O scheduler of this kernel weighs cgroups (BFQ does)".into(),
        );
    }
    (changeable, limits)
}

/// A limit of memory without a word about swap is of a container from before there always was one:
/// memory and swap together were limited to the same amount then.
fn memory(changeable: &Resources, limits: &Limits) -> Result<Option<LinuxMemory>, SpecError> {
    let limit = changeable.memory_bytes.map(memory_amount).transpose()?;
    let asked = changeable.memory_swap_bytes.filter(|bytes| *bytes != 0);
    let swap = match (limit, asked) {
        (None, Some(0..)) => return Err(SpecError::SwapWithoutMemory),
        (Some(limit), Some(swap @ 0..)) if swap < limit => {
            return Err(SpecError::SwapBelowMemory { swap, limit });
        }
        (limit, None) => limit,
        (_, Some(..0)) => Some(-1),
        (_, Some(swap)) => Some(swap),
    };
    let reservation = changeable
        .memory_reservation_bytes
        .map(memory_amount)
        .transpose()?;
    if let (Some(limit), Some(reservation)) = (limit, reservation)
        && reservation > limit
    {
        return Err(SpecError::ReservationAboveMemory { reservation, limit });
    }
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(limit)
        .set_swap(swap)
        .set_reservation(reservation)
        .set_swappiness(limits.memory_swappiness.map(u64::from))
        .set_disable_oom_killer(limits.oom_kill_disable.then_some(true));
    Ok((memory != LinuxMemory::default()).then_some(memory))
}

fn memory_amount(bytes: u64) -> Result<i64, SpecError> {
    if bytes < MEMORY_MIN_BYTES {
        return Err(SpecError::MemoryTooLow(bytes));
    }
    i64::try_from(bytes).map_err(|_| SpecError::MemoryTooHigh(bytes))
}

fn cpu(changeable: &Resources, facts: &LimitFacts) -> Result<Option<LinuxCpu>, SpecError> {
    let mut cpu = LinuxCpu::default();
    cpu.set_period(changeable.cpu_period_us.filter(|us| *us != 0))
        .set_quota(changeable.cpu_quota_us.filter(|us| *us != 0))
        .set_shares(
            changeable
                .cpu_shares
                .filter(|shares| *shares != 0)
                .map(|shares| shares.max(SHARES_MIN)),
        )
        .set_realtime_period(changeable.cpu_rt_period_us.filter(|us| *us != 0))
        .set_realtime_runtime(changeable.cpu_rt_runtime_us.filter(|us| *us != 0));
    if let Some(nano_cpus) = changeable.nano_cpus.filter(|nanos| *nanos != 0) {
        for (second, is_given) in [
            ("--cpu-period", cpu.period().is_some()),
            ("--cpu-quota", cpu.quota().is_some()),
        ] {
            if is_given {
                return Err(SpecError::Conflict {
                    first: "--cpus",
                    second,
                    why: "it is a quota in each period of 100 ms itself",
                });
            }
        }
        cpu.set_period(Some(PERIOD_US))
            .set_quota(Some(quota_of(nano_cpus, facts.cpus)?));
    }
    if let Some(asked) = changeable.cpuset_cpus.as_deref() {
        let list = available("--cpuset-cpus", "CPUs", asked, &facts.cpu_list)?;
        cpu.set_cpus(list);
    }
    if let Some(asked) = changeable.cpuset_mems.as_deref() {
        let list = available("--cpuset-mems", "memory nodes", asked, &facts.node_list)?;
        cpu.set_mems(list);
    }
    Ok((cpu != LinuxCpu::default()).then_some(cpu))
}

fn quota_of(nano_cpus: u64, most: u32) -> Result<i64, SpecError> {
    let out_of_range = || SpecError::Cpus {
        asked: format!(
            "{}.{:02}",
            nano_cpus / 1_000_000_000,
            nano_cpus / 10_000_000 % 100
        ),
        most,
    };
    if nano_cpus < NANO_CPUS_MIN || nano_cpus > u64::from(most) * 1_000_000_000 {
        return Err(out_of_range());
    }
    i64::try_from(nano_cpus / (1_000_000_000 / PERIOD_US)).map_err(|_| out_of_range())
}

/// A list of numbers that this host has, all of them.
fn available(
    flag: &'static str,
    what: &'static str,
    asked: &str,
    host: &str,
) -> Result<Option<String>, SpecError> {
    if asked.is_empty() {
        return Ok(None);
    }
    let unavailable = |why: String| SpecError::Cpuset {
        flag,
        asked: asked.to_owned(),
        why,
    };
    let list = NumberList::parse(asked)
        .ok_or_else(|| unavailable("give numbers and ranges like 0-3,7".into()))?;
    match NumberList::parse(host) {
        Some(host_list) if !host_list.holds(&list) => Err(unavailable(format!(
            "this host gives containers the {what} {host}"
        ))),
        _ => Ok(Some(asked.to_owned())),
    }
}

fn pids(limit: i64) -> LinuxPids {
    let mut pids = LinuxPids::default();
    pids.set_limit(limit);
    pids
}

/// What is asked of single block devices.
fn block_io(
    limits: &Limits,
    weight: Option<LinuxBlockIo>,
    facts: &LimitFacts,
) -> Result<Option<LinuxBlockIo>, SpecError> {
    let rates = |amounts: &[DeviceAmount]| -> Result<Option<Vec<LinuxThrottleDevice>>, SpecError> {
        let devices: Result<Vec<_>, _> = amounts
            .iter()
            .map(|device| {
                let (major, minor) = number_of(device, facts)?;
                LinuxThrottleDeviceBuilder::default()
                    .major(major)
                    .minor(minor)
                    .rate(device.amount)
                    .build()
                    .map_err(SpecError::Internal)
            })
            .collect();
        Ok(Some(devices?).filter(|list| !list.is_empty()))
    };
    let mut block = weight.unwrap_or_default();
    let mut weights = Vec::with_capacity(limits.weight_devices.len());
    for device in &limits.weight_devices {
        let (major, minor) = number_of(device, facts)?;
        let weight = LinuxWeightDeviceBuilder::default()
            .major(major)
            .minor(minor)
            .weight(u16::try_from(device.amount).unwrap_or(u16::MAX))
            .build()
            .map_err(SpecError::Internal)?;
        weights.push(weight);
    }
    block
        .set_weight_device(Some(weights).filter(|list| !list.is_empty()))
        .set_throttle_read_bps_device(rates(&limits.read_bps)?)
        .set_throttle_write_bps_device(rates(&limits.write_bps)?)
        .set_throttle_read_iops_device(rates(&limits.read_iops)?)
        .set_throttle_write_iops_device(rates(&limits.write_iops)?);
    Ok((block != LinuxBlockIo::default()).then_some(block))
}

fn number_of(device: &DeviceAmount, facts: &LimitFacts) -> Result<(i64, i64), SpecError> {
    let found = facts
        .block_devices
        .iter()
        .find(|(path, _)| *path == device.path);
    match found {
        Some((_, (major, minor))) => Ok((i64::from(*major), i64::from(*minor))),
        None => Err(SpecError::DeviceUnknown(device.path.clone())),
    }
}

#[cfg(test)]
mod tests;
