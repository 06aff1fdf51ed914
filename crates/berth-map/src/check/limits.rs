//! BM020, BM021: limits of the number of processes.

use std::collections::BTreeMap;

use super::{Finding, Object, Severity, rules};
use crate::model::{CgroupUsage, World};

/// From here on a limit is near: 90 of 100.
const NEAR_PERCENT: u64 = 90;
/// From here on the host's PIDs are used up, for all that the next pid_max/50 processes matter.
const FULL_PERCENT: u64 = 98;

/// Compares what is used with what is allowed.
pub(super) fn find(world: &World, findings: &mut Vec<Finding>) {
    cgroups(world, findings);
    pid_max(world, findings);
}

/// One finding for each container (or the host, for processes of none): the fullest cgroup.
fn cgroups(world: &World, findings: &mut Vec<Finding>) {
    let mut fullest: BTreeMap<Object, (u64, u64)> = BTreeMap::new();
    for process in world.processes() {
        let Some(CgroupUsage {
            pids: Some(used),
            pids_max: Some(limit),
            ..
        }) = world.usage(process).copied()
        else {
            continue;
        };
        let owner = world.owner(process.pid);
        let object = owner.map_or(Object::Host, Object::Container);
        let best = fullest.entry(object).or_insert((used, limit));
        if percent(used, limit) > percent(best.0, best.1) {
            *best = (used, limit);
        }
    }
    for (object, (used, limit)) in fullest {
        if percent(used, limit) < NEAR_PERCENT {
            continue;
        }
        let severity = match used >= limit {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let whose = match object {
            Object::Host => "a cgroup of no container has",
            _ => "it has",
        };
        findings.push(Finding {
            rule: &rules::PIDS_MAX,
            severity,
            object,
            reason: format!("{whose} {used} of at most {limit} processes and threads (pids.max); at the limit fork fails with EAGAIN"),
            remedy: "look for what forks (\"berth top\"), or raise its limit (--pids-limit)".to_owned(),
        });
    }
}

fn pid_max(world: &World, findings: &mut Vec<Finding>) {
    let Some(limit) = world.host().pid_max.map(u64::from) else {
        return;
    };
    let threads: usize = world.details().threads.values().map(Vec::len).sum();
    let used = u64::try_from(world.processes().len() + threads).unwrap_or(u64::MAX);
    let severity = match percent(used, limit) {
        FULL_PERCENT.. => Severity::Error,
        NEAR_PERCENT.. => Severity::Warning,
        _ => return,
    };
    findings.push(Finding {
        rule: &rules::PID_MAX,
        severity,
        object: Object::Host,
        reason: format!("at least {used} of {limit} PIDs are taken (kernel.pid_max); at the limit no process of the host can fork"),
        remedy: format!(
            "raise it with \"sysctl kernel.pid_max={}\", and limit containers with --pids-limit",
            (limit * 4).min(PID_MAX_LIMIT)
        ),
    });
}

/// The most that the kernel takes (PID_MAX_LIMIT on 64 bit).
const PID_MAX_LIMIT: u64 = 4_194_304;

/// How full something is. A limit of 0 is full.
fn percent(used: u64, limit: u64) -> u64 {
    match limit {
        0 => 100,
        limit => used.saturating_mul(100) / limit,
    }
}
