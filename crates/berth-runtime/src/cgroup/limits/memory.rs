//! Memory: `memory.*` of v1 and v2.

use oci_spec::runtime::LinuxMemory;
use rustix::io::Errno;

use super::{Plan, Setting, Version, in_range, invalid, unsupported};
use crate::cgroup::branch::Branch;
use crate::cgroup::controller::Controller::Memory;
use crate::cgroup::{Cgroup, CgroupError, files};

const LIMIT: &str = "memory limit";
const SWAP: &str = "memory plus swap limit";
const NO_SWAP: &str = "this kernel does not account swap";

/// What `-1` is on v1 (any negative number) and v2.
fn amount(bytes: i64, version: Version) -> String {
    match (bytes, version) {
        (0.., _) => bytes.to_string(),
        (_, Version::V1) => "-1".to_owned(),
        (_, Version::V2) => "max".to_owned(),
    }
}

pub(super) fn plan(memory: &LinuxMemory, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    let set = |value: Option<i64>| value.filter(|bytes| *bytes != 0);
    let limit = set(memory.limit());
    // Unlimited memory includes unlimited swap, unless that is asked otherwise.
    let swap = set(memory.swap()).or(limit.filter(|bytes| *bytes < 0));
    if let Some(bytes) = limit {
        plan_limit(bytes, plan)?;
    }
    if let Some(bytes) = swap {
        plan_swap(bytes, limit, memory.swap().is_none(), plan)?;
    }
    if let Some(bytes) = set(memory.reservation()) {
        plan_reservation(bytes, plan)?;
    }
    if let Some(bytes) = set(memory.kernel_tcp()) {
        only_v1(plan, "kernel TCP memory limit")?;
        plan.push(Setting::new(
            Memory,
            "kernel TCP memory limit",
            "memory.kmem.tcp.limit_in_bytes",
            bytes,
        ));
    }
    if let Some(swappiness) = memory.swappiness() {
        only_v1(plan, "swappiness")?;
        let value = in_range("swappiness", swappiness, 0, 100, "")?;
        plan.push(Setting::new(
            Memory,
            "swappiness",
            "memory.swappiness",
            value,
        ));
    }
    if memory.disable_oom_killer() == Some(true) {
        only_v1(plan, "switch that disables the OOM killer")?;
        let name = "switch that disables the OOM killer";
        plan.push(Setting::new(Memory, name, "memory.oom_control", 1));
    }
    Ok(())
}

fn plan_limit(bytes: i64, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    let version = plan.version(Memory, LIMIT)?;
    check_sign(LIMIT, bytes)?;
    let file = match version {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    plan.push(Setting::new(Memory, LIMIT, file, amount(bytes, version)).or_after_next());
    Ok(())
}

/// OCI counts memory and swap together, as v1 does; v2 counts swap alone.
fn plan_swap(
    bytes: i64,
    limit: Option<i64>,
    implied: bool,
    plan: &mut Plan<'_>,
) -> Result<(), CgroupError> {
    let version = plan.version(Memory, SWAP)?;
    check_sign(SWAP, bytes)?;
    if let Some(limit) = limit.filter(|limit| bytes > 0 && (*limit > bytes || *limit < 0)) {
        let limit = if limit < 0 {
            "unlimited".to_owned()
        } else {
            format!("{limit} bytes")
        };
        return Err(invalid(
            SWAP,
            format!("{bytes} bytes"),
            format!("it includes the memory limit, which is {limit}; give at least that"),
        ));
    }
    let setting = match (version, limit) {
        (Version::V1, _) => Setting::new(
            Memory,
            SWAP,
            "memory.memsw.limit_in_bytes",
            amount(bytes, version),
        ),
        (Version::V2, Some(limit)) if bytes > 0 => {
            Setting::new(Memory, SWAP, "memory.swap.max", bytes - limit)
        }
        (Version::V2, None) if bytes > 0 => {
            let why = "cgroup v2 counts swap apart from memory; give the memory limit as well";
            return Err(invalid(SWAP, format!("{bytes} bytes"), why));
        }
        (Version::V2, _) => Setting::new(Memory, SWAP, "memory.swap.max", "max"),
    };
    plan.push(setting.if_missing((!implied && bytes > 0).then_some(NO_SWAP)));
    Ok(())
}

fn plan_reservation(bytes: i64, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    const NAME: &str = "memory reservation";
    check_sign(NAME, bytes)?;
    let setting = match plan.version(Memory, NAME)? {
        Version::V1 => Setting::new(
            Memory,
            NAME,
            "memory.soft_limit_in_bytes",
            amount(bytes, Version::V1),
        ),
        // An unlimited soft limit protects nothing, which is 0 as a protection.
        Version::V2 => Setting::new(Memory, NAME, "memory.low", bytes.max(0)),
    };
    plan.push(setting);
    Ok(())
}

fn check_sign(name: &'static str, bytes: i64) -> Result<(), CgroupError> {
    if bytes < -1 {
        return Err(invalid(
            name,
            bytes,
            "give a number of bytes, or -1 for no limit",
        ));
    }
    Ok(())
}

fn only_v1(plan: &Plan<'_>, name: &str) -> Result<(), CgroupError> {
    match plan.version(Memory, name)? {
        Version::V1 => Ok(()),
        Version::V2 => Err(unsupported(
            name,
            "cgroup v2 has no such setting for a container",
        )),
    }
}

impl Cgroup {
    /// `checkBeforeUpdate`: v2 would start killing where v1 refuses.
    pub(super) fn check_memory_in_use(&self, memory: &LinuxMemory) -> Result<(), CgroupError> {
        let asked = memory.limit().filter(|bytes| *bytes > 0);
        let (Some(asked), Some(true)) = (asked, memory.check_before_update()) else {
            return Ok(());
        };
        if self.locate(Memory) != Some(Version::V2) {
            return Ok(());
        }
        let Some(branch) = &self.v2 else {
            return Ok(());
        };
        let mut used = memory_in_use(branch)?;
        if let Some(over) = used.map(|used| used - asked).filter(|over| *over > 0) {
            // As v1 does first: what is cache only goes. It came with kernel 5.19, and says EAGAIN
            // when it got less than asked.
            let reclaimed = branch
                .dir()
                .and_then(|dir| files::write_at(dir, "memory.reclaim", &over.to_string()));
            if matches!(reclaimed, Ok(()) | Err(Errno::AGAIN)) {
                used = memory_in_use(branch)?;
            }
        }
        match used {
            Some(used) if used > asked => Err(CgroupError::OutOfRange {
                limit: LIMIT,
                asked: format!("{asked} bytes"),
                least: format!("{used} bytes, which are in use"),
                most: None,
            }),
            _ => Ok(()),
        }
    }
}

/// memory.current; `None` where the file or the cgroup is not there.
fn memory_in_use(branch: &Branch) -> Result<Option<i64>, CgroupError> {
    const FILE: &str = "memory.current";
    let Some(text) = branch.read_if_present(FILE)? else {
        return Ok(None);
    };
    let used = text.trim().parse().map_err(|_| CgroupError::Malformed {
        path: branch.file(FILE),
        text,
    })?;
    Ok(Some(used))
}
