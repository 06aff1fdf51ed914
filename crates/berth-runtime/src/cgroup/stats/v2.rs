//! Statistics from the v2 directory.

use super::{
    BlockEntry, HugePages, MemoryEntry, Pressure, PressureLine, Stats, flat, huge_page_sizes,
    malformed, number,
};
use crate::cgroup::CgroupError;
use crate::cgroup::branch::Branch;

const MICRO: u64 = 1_000;

/// Reads what v2 counts; pressure only where v2 is the only hierarchy.
pub(super) fn read(branch: &Branch, is_alone: bool, stats: &mut Stats) -> Result<(), CgroupError> {
    read_cpu(branch, stats)?;
    read_memory(branch, stats)?;
    stats.pids.current = number(branch, "pids.current", 0)?;
    stats.pids.limit = number(branch, "pids.max", 0)?;
    read_block(branch, stats)?;
    for size in huge_page_sizes(branch, "current")? {
        let events = flat(branch, &format!("hugetlb.{size}.events"))?;
        let pages = HugePages {
            usage: number(branch, &format!("hugetlb.{size}.current"), 0)?,
            max: 0,
            failcnt: events.get("max").copied().unwrap_or(0),
        };
        stats.hugetlb.insert(size, pages);
    }
    if is_alone {
        stats.cpu.psi = pressure(branch, "cpu.pressure")?;
        stats.memory.psi = pressure(branch, "memory.pressure")?;
        stats.blkio.psi = pressure(branch, "io.pressure")?;
    }
    Ok(())
}

fn read_cpu(branch: &Branch, stats: &mut Stats) -> Result<(), CgroupError> {
    let lines = flat(branch, "cpu.stat")?;
    let of = |key| lines.get(key).copied().unwrap_or(0);
    let nanos = |key| of(key).saturating_mul(MICRO);
    let cpu = &mut stats.cpu;
    cpu.usage.total = nanos("usage_usec");
    cpu.usage.user = nanos("user_usec");
    cpu.usage.kernel = nanos("system_usec");
    cpu.throttling.periods = of("nr_periods");
    cpu.throttling.throttled_periods = of("nr_throttled");
    cpu.throttling.throttled_time = nanos("throttled_usec");
    Ok(())
}

fn read_memory(branch: &Branch, stats: &mut Stats) -> Result<(), CgroupError> {
    let memory = &mut stats.memory;
    memory.raw = flat(branch, "memory.stat")?;
    memory.cache = memory.raw.get("file").copied().unwrap_or(0);
    let of = |file| number(branch, file, u64::MAX);
    memory.usage = MemoryEntry {
        limit: of("memory.max")?,
        usage: of("memory.current")?,
        max: of("memory.peak")?,
        failcnt: 0,
    };
    // v2 counts swap alone; the shape is that of v1, where it includes memory.
    let swap_limit = of("memory.swap.max")?;
    memory.swap = MemoryEntry {
        limit: swap_limit.saturating_add(memory.usage.limit),
        usage: of("memory.swap.current")?.saturating_add(memory.usage.usage),
        max: 0,
        failcnt: 0,
    };
    Ok(())
}

fn read_block(branch: &Branch, stats: &mut Stats) -> Result<(), CgroupError> {
    const FILE: &str = "io.stat";
    let text = branch.read_if_present(FILE)?.unwrap_or_default();
    for line in text.lines() {
        let found = device_counts(line).ok_or_else(|| malformed(branch, FILE, &text))?;
        for (is_bytes, entry) in found {
            if is_bytes {
                stats.blkio.io_service_bytes_recursive.push(entry);
            } else {
                stats.blkio.io_serviced_recursive.push(entry);
            }
        }
    }
    Ok(())
}

/// The counts of a line like `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`, each with
/// whether it is bytes. Those that v1 does not have are left out.
pub(super) fn device_counts(line: &str) -> Option<Vec<(bool, BlockEntry)>> {
    let mut words = line.split_ascii_whitespace();
    // A device that is gone has no number, and a line may hold a device alone.
    let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else {
        return Some(Vec::new());
    };
    let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
    let mut found = Vec::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            continue;
        };
        let (is_bytes, op) = match key {
            "rbytes" => (true, "Read"),
            "wbytes" => (true, "Write"),
            "rios" => (false, "Read"),
            "wios" => (false, "Write"),
            _ => continue,
        };
        let entry = BlockEntry {
            major,
            minor,
            op: op.to_owned(),
            value: value.parse().ok()?,
        };
        found.push((is_bytes, entry));
    }
    Some(found)
}

/// A pressure file, `None` where the kernel does not keep one (EOPNOTSUPP when switched off).
fn pressure(branch: &Branch, file: &str) -> Result<Option<Pressure>, CgroupError> {
    let text = match branch.read_if_present(file) {
        Err(CgroupError::Access {
            source: rustix::io::Errno::OPNOTSUPP,
            ..
        }) => return Ok(None),
        text => text?,
    };
    let Some(text) = text else { return Ok(None) };
    parse_pressure(&text)
        .map(Some)
        .ok_or_else(|| malformed(branch, file, &text))
}

/// Lines like `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
pub(super) fn parse_pressure(text: &str) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let (name, values) = line.split_once(' ')?;
        let mut parsed = PressureLine::default();
        for word in values.split_ascii_whitespace() {
            let (key, value) = word.split_once('=')?;
            match key {
                "avg10" => parsed.avg10 = value.parse().ok()?,
                "avg60" => parsed.avg60 = value.parse().ok()?,
                "avg300" => parsed.avg300 = value.parse().ok()?,
                "total" => parsed.total = value.parse().ok()?,
                _ => {}
            }
        }
        match name {
            "some" => pressure.some = parsed,
            "full" => pressure.full = parsed,
            _ => {}
        }
    }
    Some(pressure)
}
