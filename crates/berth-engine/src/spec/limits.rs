//! The `resources` of a spec: what the cgroup limits.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::{SpecError, SpecFacts, devices};
use crate::CreateOptions;

/// The least memory limit, Docker's: below it the first process cannot even start.
const MEMORY_MIN_BYTES: u64 = 6 << 20;
/// The scheduling period in microseconds, the kernel's and Docker's default.
const PERIOD_US: u64 = 100_000;
/// The least `--cpus`, 0.01: the kernel takes no quota below 1 ms (cpu.cfs_quota_us).
const NANO_CPUS_MIN: u64 = 10_000_000;

pub(super) fn resources(
    options: &CreateOptions,
    facts: &SpecFacts,
) -> Result<LinuxResources, SpecError> {
    let mut resources = LinuxResources::default();
    resources
        .set_memory(options.memory_bytes.map(memory).transpose()?)
        .set_cpu(
            options
                .nano_cpus
                .map(|nano| cpu(nano, facts.cpus))
                .transpose()?,
        )
        .set_pids(options.pids_limit.filter(|limit| *limit > 0).map(pids));
    // Without privilege neither v1's devices controller nor a BPF program can be had; what such
    // a container may open, the kernel decides by ownership alone.
    if !facts.rootless {
        resources.set_devices(Some(if options.privileged {
            devices::all_allowed()
        } else {
            devices::default_rules()
        }));
    }
    Ok(resources)
}

/// Memory and swap together are limited to the same amount: a container with a limit does not
/// swap, so that exceeding it is an OOM kill on every host.
fn memory(bytes: u64) -> Result<LinuxMemory, SpecError> {
    if bytes < MEMORY_MIN_BYTES {
        return Err(SpecError::MemoryTooLow(bytes));
    }
    let limit = i64::try_from(bytes).map_err(|_| SpecError::MemoryTooHigh(bytes))?;
    let mut memory = LinuxMemory::default();
    memory.set_limit(Some(limit)).set_swap(Some(limit));
    Ok(memory)
}

fn cpu(nano_cpus: u64, most: u32) -> Result<LinuxCpu, SpecError> {
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
    let quota = i64::try_from(nano_cpus / (1_000_000_000 / PERIOD_US));
    let mut cpu = LinuxCpu::default();
    cpu.set_period(Some(PERIOD_US))
        .set_quota(Some(quota.map_err(|_| out_of_range())?));
    Ok(cpu)
}

fn pids(limit: i64) -> LinuxPids {
    let mut pids = LinuxPids::default();
    pids.set_limit(limit);
    pids
}
