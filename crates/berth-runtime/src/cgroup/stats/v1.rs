//! Statistics from v1 controllers.

use super::{
    BlockEntry, CpuSet, HugePages, MemoryEntry, Stats, flat, huge_page_sizes, malformed, number,
};
use crate::cgroup::branch::Branch;
use crate::cgroup::{Cgroup, CgroupError};

/// What a tick of cpuacct.stat lasts: USER_HZ is 100 on every architecture that counts.
const TICK_NANOS: u64 = 10_000_000;

/// Adds what v1 controllers count to what v2 counted.
pub(super) fn read(cgroup: &Cgroup, stats: &mut Stats) -> Result<(), CgroupError> {
    if let Some(branch) = cgroup.v1_branch("cpuacct") {
        read_cpu_time(branch, stats)?;
    }
    if let Some(branch) = cgroup.v1_branch("cpu") {
        let lines = flat(branch, "cpu.stat")?;
        let of = |key| lines.get(key).copied().unwrap_or(0);
        stats.cpu.throttling.periods = of("nr_periods");
        stats.cpu.throttling.throttled_periods = of("nr_throttled");
        stats.cpu.throttling.throttled_time = of("throttled_time");
    }
    if let Some(branch) = cgroup.v1_branch("cpuset") {
        stats.cpuset = read_cpuset(branch)?;
    }
    if let Some(branch) = cgroup.v1_branch("memory") {
        let memory = &mut stats.memory;
        memory.raw = flat(branch, "memory.stat")?;
        memory.cache = memory.raw.get("cache").copied().unwrap_or(0);
        memory.usage = read_memory(branch, "memory")?;
        memory.swap = read_memory(branch, "memory.memsw")?;
        memory.kernel = read_memory(branch, "memory.kmem")?;
        memory.kernel_tcp = read_memory(branch, "memory.kmem.tcp")?;
    }
    if let Some(branch) = cgroup.v1_branch("pids") {
        stats.pids.current = number(branch, "pids.current", 0)?;
        stats.pids.limit = number(branch, "pids.max", 0)?;
    }
    if let Some(branch) = cgroup.v1_branch("blkio") {
        read_block(branch, stats)?;
    }
    if let Some(branch) = cgroup.v1_branch("hugetlb") {
        for size in huge_page_sizes(branch, "usage_in_bytes")? {
            let of = |what| number(branch, &format!("hugetlb.{size}.{what}"), 0);
            let pages = HugePages {
                usage: of("usage_in_bytes")?,
                max: of("max_usage_in_bytes")?,
                failcnt: of("failcnt")?,
            };
            stats.hugetlb.insert(size, pages);
        }
    }
    Ok(())
}

fn read_cpu_time(branch: &Branch, stats: &mut Stats) -> Result<(), CgroupError> {
    let usage = &mut stats.cpu.usage;
    usage.total = number(branch, "cpuacct.usage", 0)?;
    let ticks = flat(branch, "cpuacct.stat")?;
    let nanos = |key| ticks.get(key).map_or(0, |t| t.saturating_mul(TICK_NANOS));
    usage.user = nanos("user");
    usage.kernel = nanos("system");
    usage.percpu = numbers(branch, "cpuacct.usage_percpu")?;
    // A header, then `CPU USER SYSTEM`.
    const ALL: &str = "cpuacct.usage_all";
    let text = branch.read_if_present(ALL)?.unwrap_or_default();
    for line in text.lines().skip(1) {
        let words: Vec<u64> = line
            .split_ascii_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        let [_, user, kernel] = words.as_slice() else {
            return Err(malformed(branch, ALL, &text));
        };
        usage.percpu_user.push(*user);
        usage.percpu_kernel.push(*kernel);
    }
    Ok(())
}

fn numbers(branch: &Branch, file: &str) -> Result<Vec<u64>, CgroupError> {
    let text = branch.read_if_present(file)?.unwrap_or_default();
    text.split_ascii_whitespace()
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()
        .ok_or_else(|| malformed(branch, file, &text))
}

fn read_cpuset(branch: &Branch) -> Result<CpuSet, CgroupError> {
    let of = |file: &str| number(branch, &format!("cpuset.{file}"), 0);
    let list = |file: &str| {
        let text = branch.read_if_present(file)?.unwrap_or_default();
        parse_list(text.trim()).ok_or_else(|| malformed(branch, file, &text))
    };
    const RELAX: &str = "cpuset.sched_relax_domain_level";
    let relax = branch.read_if_present(RELAX)?;
    let relax = relax.unwrap_or_else(|| "0".to_owned());
    Ok(CpuSet {
        cpus: list("cpuset.cpus")?,
        cpu_exclusive: of("cpu_exclusive")?,
        mems: list("cpuset.mems")?,
        mem_hardwall: of("mem_hardwall")?,
        mem_exclusive: of("mem_exclusive")?,
        memory_migrate: of("memory_migrate")?,
        memory_spread_page: of("memory_spread_page")?,
        memory_spread_slab: of("memory_spread_slab")?,
        memory_pressure: of("memory_pressure")?,
        sched_load_balance: of("sched_load_balance")?,
        sched_relax_domain_level: relax
            .trim()
            .parse()
            .map_err(|_| malformed(branch, RELAX, &relax))?,
    })
}

/// The numbers of a list like `0-2,5`.
pub(super) fn parse_list(text: &str) -> Option<Vec<u16>> {
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<u16>().ok()?..=last.parse().ok()?);
    }
    Some(numbers)
}

fn read_memory(branch: &Branch, prefix: &str) -> Result<MemoryEntry, CgroupError> {
    let of = |what| number(branch, &format!("{prefix}.{what}"), 0);
    Ok(MemoryEntry {
        limit: of("limit_in_bytes")?,
        usage: of("usage_in_bytes")?,
        max: of("max_usage_in_bytes")?,
        failcnt: of("failcnt")?,
    })
}

/// From the BFQ scheduler where it counted anything, else from the throttling layer.
fn read_block(branch: &Branch, stats: &mut Stats) -> Result<(), CgroupError> {
    let block = &mut stats.blkio;
    for family in ["blkio.bfq", "blkio.throttle"] {
        let of = |what: &str| entries(branch, &format!("{family}.{what}"));
        block.io_serviced_recursive = of("io_serviced_recursive")?;
        if block.io_serviced_recursive.is_empty() {
            continue;
        }
        block.io_service_bytes_recursive = of("io_service_bytes_recursive")?;
        block.io_queued_recursive = of("io_queued_recursive")?;
        block.io_service_time_recursive = of("io_service_time_recursive")?;
        block.io_wait_time_recursive = of("io_wait_time_recursive")?;
        block.io_merged_recursive = of("io_merged_recursive")?;
        block.io_time_recursive = of("time_recursive")?;
        block.sectors_recursive = of("sectors_recursive")?;
        return Ok(());
    }
    Ok(())
}

fn entries(branch: &Branch, file: &str) -> Result<Vec<BlockEntry>, CgroupError> {
    let text = branch.read_if_present(file)?.unwrap_or_default();
    text.lines()
        // The total of all devices.
        .filter(|line| !line.starts_with("Total"))
        .map(entry)
        .collect::<Option<_>>()
        .ok_or_else(|| malformed(branch, file, &text))
}

/// A line `8:0 Read 4096` or `8:0 4096`.
pub(super) fn entry(line: &str) -> Option<BlockEntry> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (device, op, value) = match words.as_slice() {
        [device, op, value] => (device, *op, value),
        [device, value] => (device, "", value),
        _ => return None,
    };
    let (major, minor) = device.split_once(':')?;
    Some(BlockEntry {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        op: op.to_owned(),
        value: value.parse().ok()?,
    })
}
