//! `update`: its flags, or a file of resources.

use std::fs;
use std::io::Read;

use berth_base::ErrorClass;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};

use super::flags::{Global, UpdateFlags};
use super::lifecycle::open;
use super::log::Log;
use crate::oci::{Outcome, cannot, fail, update as updating};

pub(super) fn update(global: &Global, log: &Log, flags: &UpdateFlags) -> Outcome {
    let container = open(global, &flags.id)?;
    let resources = match flags.resources.as_deref() {
        Some(file) => from_file(file)?,
        None => from_flags(flags, log)?,
    };
    updating::update(&container, &resources)
}

fn from_file(file: &str) -> Outcome<LinuxResources> {
    let mut text = String::new();
    match file {
        "-" => std::io::stdin().read_to_string(&mut text),
        file => fs::File::open(file).and_then(|mut f| f.read_to_string(&mut text)),
    }
    .map_err(|e| cannot(&format!("read the resources from {file}"), e))?;
    let mut resources: LinuxResources = serde_json::from_str(&text)
        .map_err(|e| fail(ErrorClass::Invalid, format!("--resources {file}: {e}")))?;
    // Which devices a container may use is decided when it is created.
    resources.set_devices(None);
    Ok(resources)
}

fn from_flags(flags: &UpdateFlags, log: &Log) -> Outcome<LinuxResources> {
    if flags.l3_cache_schema.is_some() || flags.mem_bw_schema.is_some() {
        return Err(fail(
            ErrorClass::Unsupported,
            "--l3-cache-schema, --mem-bw-schema: this machine has no resource director",
        ));
    }
    if flags.kernel_memory.is_some() || flags.kernel_memory_tcp.is_some() {
        log.warning("limits on kernel memory are ignored: the kernel has none any more");
    }
    let bytes =
        |text: &Option<String>, flag| text.as_deref().map(|t| parse_bytes(t, flag)).transpose();
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(bytes(&flags.memory, "--memory")?)
        .set_reservation(bytes(&flags.memory_reservation, "--memory-reservation")?)
        .set_swap(bytes(&flags.memory_swap, "--memory-swap")?);
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(flags.cpu_share)
        .set_quota(flags.cpu_quota)
        .set_burst(flags.cpu_burst)
        .set_period(flags.cpu_period.filter(|period| *period != 0))
        .set_idle(flags.cpu_idle)
        .set_realtime_period(flags.cpu_rt_period)
        .set_realtime_runtime(flags.cpu_rt_runtime)
        .set_cpus(flags.cpuset_cpus.clone())
        .set_mems(flags.cpuset_mems.clone());
    let mut resources = LinuxResources::default();
    resources
        .set_devices(None)
        .set_memory(Some(memory))
        .set_cpu(Some(cpu));
    if let Some(limit) = flags.pids_limit {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        resources.set_pids(Some(pids));
    }
    if let Some(weight) = flags.blkio_weight {
        let mut block = LinuxBlockIo::default();
        block.set_weight(Some(weight));
        resources.set_block_io(Some(block));
    }
    Ok(resources)
}

/// Bytes with an optional unit (`64m`, `1g`), or -1 for no limit.
fn parse_bytes(text: &str, flag: &str) -> Outcome<i64> {
    let invalid = || {
        fail(
            ErrorClass::Invalid,
            format!("{flag}: {text:?} is not a number of bytes, such as 67108864 or 64m, or -1"),
        )
    };
    if text == "-1" {
        return Ok(-1);
    }
    let lower = text.to_ascii_lowercase();
    let plain = lower.trim_end_matches("ib").trim_end_matches('b');
    let (digits, shift) = match plain.char_indices().last() {
        Some((at, 'k')) => (plain.get(..at), 10),
        Some((at, 'm')) => (plain.get(..at), 20),
        Some((at, 'g')) => (plain.get(..at), 30),
        Some((at, 't')) => (plain.get(..at), 40),
        _ => (Some(plain), 0),
    };
    let number: i64 = digits.and_then(|d| d.parse().ok()).ok_or_else(invalid)?;
    if number < 0 {
        return Err(invalid());
    }
    number.checked_mul(1 << shift).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn bytes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("67108864", 64 << 20),
            ("64m", 64 << 20),
            ("64MiB", 64 << 20),
            ("1g", 1 << 30),
            ("-1", -1),
        ] {
            assert_eq!(parse_bytes(text, "--memory").unwrap(), bytes, "{text}");
        }
        for bad in ["", "m", "-2", "1x", "9999999999t"] {
            assert!(parse_bytes(bad, "--memory").is_err(), "{bad}");
        }
    }
}
