//! CPU: `cpu.*` and `cpuset.*`. Times are microseconds.

use oci_spec::runtime::LinuxCpu;

use super::{Plan, Setting, Version, in_range, invalid, unsupported};
use crate::cgroup::CgroupError;
use crate::cgroup::controller::Controller::{Cpu, Cpuset};

/// The kernel's bounds of a period, and its least quota (kernel/sched/core.c: 1 ms to 1 s).
const PERIOD_US: (u64, u64) = (1_000, 1_000_000);
const LEAST_QUOTA_US: i64 = 1_000;
/// What v1 takes as shares without changing it.
const SHARES: (u64, u64) = (2, 262_144);

pub(super) fn plan(cpu: &LinuxCpu, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    plan_idle(cpu, plan)?;
    // The kernel refuses a weight for a group that runs only when idle.
    let shares = cpu.shares().filter(|shares| *shares != 0);
    if let Some(shares) = shares.filter(|_| cpu.idle() != Some(1)) {
        plan_shares(shares, plan)?;
    }
    plan_bandwidth(cpu, plan)?;
    plan_realtime(cpu, plan)?;
    plan_list("CPU list", "cpuset.cpus", cpu.cpus().as_deref(), plan)?;
    plan_list(
        "memory node list",
        "cpuset.mems",
        cpu.mems().as_deref(),
        plan,
    )
}

fn plan_idle(cpu: &LinuxCpu, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    const NAME: &str = "CPU idle switch";
    let Some(idle) = cpu.idle() else {
        return Ok(());
    };
    let idle = in_range(NAME, idle, 0, 1, "")?;
    plan.version(Cpu, NAME)?;
    let needed = (idle == 1).then_some("it came with kernel 5.15");
    plan.push(Setting::new(Cpu, NAME, "cpu.idle", idle).if_missing(needed));
    Ok(())
}

fn plan_shares(shares: u64, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    const NAME: &str = "CPU shares";
    let shares = in_range(NAME, shares, SHARES.0, SHARES.1, "")?;
    plan.push(match plan.version(Cpu, NAME)? {
        Version::V1 => Setting::new(Cpu, NAME, "cpu.shares", shares),
        Version::V2 => Setting::new(Cpu, NAME, "cpu.weight", weight_of_shares(shares)),
    });
    Ok(())
}

/// Turns v1 shares (2 to 262144, default 1024) into a v2 weight (1 to 10000, default 100).
///
/// The curve that runc 1.3.2 and crun 1.23 agreed on: a quadratic in log2(shares) through both
/// ends and both defaults. The older straight line made the default of a container 39, less than
/// half of what a service gets.
pub(in crate::cgroup) fn weight_of_shares(shares: u64) -> u16 {
    let shares = u32::try_from(shares).unwrap_or(u32::MAX).clamp(2, 262_144);
    let log = f64::from(shares).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    // Rounding up, less the noise of the last digits, without a cast.
    let exact = 10f64.powf(exponent) - 1e-9;
    let (mut least, mut most) = (1u16, 10_000u16);
    while least < most {
        let middle = least.midpoint(most);
        if f64::from(middle) < exact {
            least = middle + 1
        } else {
            most = middle
        }
    }
    least
}

fn plan_bandwidth(cpu: &LinuxCpu, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    const QUOTA: &str = "CPU quota";
    const PERIOD: &str = "CPU period";
    const BURST: &str = "CPU burst";
    let quota = cpu.quota().filter(|us| *us != 0);
    let period = cpu.period().filter(|us| *us != 0);
    if let Some(us) = quota.filter(|us| *us > 0) {
        in_range(QUOTA, us, LEAST_QUOTA_US, i64::MAX / 1_000, " us")?;
    }
    if let Some(us) = period {
        in_range(PERIOD, us, PERIOD_US.0, PERIOD_US.1, " us")?;
    }
    if quota.is_some() || period.is_some() {
        match plan.version(Cpu, QUOTA)? {
            Version::V1 => {
                // Both are checked together against the parent's, so either may have to be first.
                if let Some(us) = period {
                    let setting = Setting::new(Cpu, PERIOD, "cpu.cfs_period_us", us);
                    plan.push(if quota.is_some() {
                        setting.or_after_next()
                    } else {
                        setting
                    });
                }
                if let Some(us) = quota {
                    let setting = Setting::new(Cpu, QUOTA, "cpu.cfs_quota_us", us.max(-1));
                    plan.push(before_burst(setting, cpu));
                }
            }
            Version::V2 => {
                let quota = quota
                    .filter(|us| *us > 0)
                    .map_or("max".to_owned(), |us| us.to_string());
                let value = period.map_or(quota.clone(), |us| format!("{quota} {us}"));
                let setting = Setting::new(Cpu, QUOTA, "cpu.max", value);
                plan.push(before_burst(setting, cpu));
            }
        }
    }
    let Some(burst) = cpu.burst() else {
        return Ok(());
    };
    if let Some(quota) = quota.filter(|us| u64::try_from(*us).is_ok_and(|us| us < burst)) {
        let why = format!("it must not be more than the quota, which is {quota} us");
        return Err(invalid(BURST, format!("{burst} us"), why));
    }
    let file = match plan.version(Cpu, BURST)? {
        Version::V1 => "cpu.cfs_burst_us",
        Version::V2 => "cpu.max.burst",
    };
    let needed = (burst > 0).then_some("it came with kernel 5.14");
    plan.push(Setting::new(Cpu, BURST, file, burst).if_missing(needed));
    Ok(())
}

/// A quota may not go below the burst, nor a burst above the quota: which is first depends on what
/// they were.
fn before_burst(quota: Setting, cpu: &LinuxCpu) -> Setting {
    if cpu.burst().is_some() {
        quota.or_after_next()
    } else {
        quota
    }
}

fn plan_realtime(cpu: &LinuxCpu, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    const PERIOD: &str = "realtime CPU period";
    const RUNTIME: &str = "realtime CPU time";
    const NEEDS: &str = "it needs a kernel with CONFIG_RT_GROUP_SCHED";
    let period = cpu.realtime_period().filter(|us| *us != 0);
    let runtime = cpu.realtime_runtime().filter(|us| *us != 0);
    if period.is_none() && runtime.is_none() {
        return Ok(());
    }
    if plan.version(Cpu, RUNTIME)? == Version::V2 {
        return Err(unsupported(RUNTIME, "cgroup v2 has no realtime budget"));
    }
    if let Some(us) = period {
        let setting = Setting::new(Cpu, PERIOD, "cpu.rt_period_us", us).if_missing(Some(NEEDS));
        plan.push(if runtime.is_some() {
            setting.or_after_next()
        } else {
            setting
        });
    }
    if let Some(us) = runtime {
        plan.push(Setting::new(Cpu, RUNTIME, "cpu.rt_runtime_us", us).if_missing(Some(NEEDS)));
    }
    Ok(())
}

fn plan_list(
    name: &'static str,
    file: &'static str,
    list: Option<&str>,
    plan: &mut Plan<'_>,
) -> Result<(), CgroupError> {
    let Some(list) = list.map(str::trim).filter(|list| !list.is_empty()) else {
        return Ok(());
    };
    if !list
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'-'))
    {
        return Err(invalid(name, list, "give numbers and ranges like 0-3,7"));
    }
    plan.version(Cpuset, name)?;
    plan.push(Setting::new(Cpuset, name, file, list));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::weight_of_shares;

    #[test]
    fn shares_become_weights_along_the_agreed_curve() {
        for (shares, weight) in [
            (2, 1),
            (1024, 100),
            (262_144, 10_000),
            (0, 1),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        let weights: Vec<u16> = (2..=262_144).step_by(97).map(weight_of_shares).collect();
        assert!(weights.is_sorted());
    }
}
