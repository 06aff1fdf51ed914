//! `process` (config.md, "Process"): of a container and of an exec session.

use oci_spec::runtime::{LinuxSchedulerPolicy as Policy, Process, Scheduler, User};

use super::{Checked, refuse, rules};

pub(super) fn check(process: &Process) -> Checked {
    let args = process.args().as_deref().unwrap_or_default();
    match args.first() {
        None => return Err(refuse("process.args", "missing; it names the program")),
        Some(program) if program.is_empty() => {
            return Err(refuse("process.args[0]", "empty; it names the program"));
        }
        Some(_) => {}
    }
    rules::texts("process.args", args)?;
    environment(process)?;
    let cwd = process.cwd();
    rules::text("process.cwd", &cwd.to_string_lossy())?;
    if !cwd.is_absolute() {
        return Err(refuse(
            "process.cwd",
            format!("{cwd:?} is not an absolute path"),
        ));
    }
    user(process.user())?;
    limits(process)?;
    if let Some(score) = process.oom_score_adj()
        && !(-1000..=1000).contains(&score)
    {
        return Err(refuse(
            "process.oomScoreAdj",
            format!("{score} is not between -1000 and 1000"),
        ));
    }
    if let Some(priority) = process.io_priority() {
        io_priority(priority.priority())?;
    }
    if let Some(scheduler) = process.scheduler() {
        self::scheduler(scheduler)?;
    }
    let affinity = process.exec_cpu_affinity().as_ref();
    for (field, cpus) in [
        (
            "process.execCPUAffinity.initial",
            affinity.and_then(|a| a.initial().as_ref()),
        ),
        (
            "process.execCPUAffinity.final",
            affinity.and_then(|a| a.cpu_affinity_final().as_ref()),
        ),
    ] {
        if let Some(cpus) = cpus
            && rules::number_list(cpus).is_none()
        {
            return Err(refuse(
                field,
                format!("{cpus:?} is not a list such as 0-3,7"),
            ));
        }
    }
    for (field, label) in [
        ("process.apparmorProfile", process.apparmor_profile()),
        ("process.selinuxLabel", process.selinux_label()),
    ] {
        rules::text(field, label.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// `NAME=value`, as environ(7) has it.
fn environment(process: &Process) -> Checked {
    let env = process.env().as_deref().unwrap_or_default();
    rules::texts("process.env", env)?;
    for (index, variable) in env.iter().enumerate() {
        match variable.split_once('=') {
            Some((name, _)) if !name.is_empty() => {}
            _ => {
                return Err(refuse(
                    format!("process.env[{index}]"),
                    format!("{variable:?} is not of the form NAME=value"),
                ));
            }
        }
    }
    Ok(())
}

fn user(user: &User) -> Checked {
    /// NGROUPS_MAX, Linux 2.6.4.
    const MAX_GROUPS: usize = 65_536;
    let groups = user.additional_gids().as_deref().unwrap_or_default();
    let named = [
        ("process.user.uid".to_owned(), user.uid()),
        ("process.user.gid".to_owned(), user.gid()),
    ];
    let listed = groups
        .iter()
        .enumerate()
        .map(|(index, gid)| (format!("process.user.additionalGids[{index}]"), *gid));
    for (field, id) in named.into_iter().chain(listed) {
        // setuid(2) and chown(2) take it for "no change".
        if id == u32::MAX {
            return Err(refuse(field, format!("{id} is no id")));
        }
    }
    if groups.len() > MAX_GROUPS {
        return Err(refuse(
            "process.user.additionalGids",
            format!("{} groups; the kernel takes {MAX_GROUPS}", groups.len()),
        ));
    }
    if let Some(umask) = user.umask()
        && umask > 0o777
    {
        return Err(refuse(
            "process.user.umask",
            format!("{umask} is above 511 (octal 777)"),
        ));
    }
    Ok(())
}

/// Each limit once, its soft value at most the hard one (config.md, "POSIX process").
fn limits(process: &Process) -> Checked {
    let list = process.rlimits().as_deref().unwrap_or_default();
    for (index, limit) in list.iter().enumerate() {
        let field = format!("process.rlimits[{index}]");
        let before = list.get(..index).unwrap_or_default();
        if before.iter().any(|other| other.typ() == limit.typ()) {
            return Err(refuse(field, format!("{} is listed twice", limit.typ())));
        }
        if limit.soft() > limit.hard() {
            return Err(refuse(
                field,
                format!(
                    "the soft limit {} of {} is above the hard one, {}",
                    limit.soft(),
                    limit.typ(),
                    limit.hard()
                ),
            ));
        }
    }
    Ok(())
}

/// ioprio_set(2): eight levels; the idle class has none.
fn io_priority(priority: i64) -> Checked {
    const FIELD: &str = "process.ioPriority.priority";
    if !(0..=7).contains(&priority) {
        return Err(refuse(FIELD, format!("{priority} is not between 0 and 7")));
    }
    Ok(())
}

/// sched_setattr(2): which fields go with which policy, and their ranges.
fn scheduler(scheduler: &Scheduler) -> Checked {
    let at = |part: &str| format!("process.scheduler.{part}");
    let policy = scheduler.policy();
    let refuse_for = |part: &str| refuse(at(part), format!("does not go with the policy {policy}"));
    let real_time = matches!(policy, Policy::SchedFifo | Policy::SchedRr);
    let priority = scheduler.priority().unwrap_or(0);
    if real_time && !(1..=99).contains(&priority) {
        return Err(refuse(
            at("priority"),
            format!("{priority} is not between 1 and 99, as {policy} wants"),
        ));
    }
    if !real_time && priority != 0 {
        return Err(refuse_for("priority"));
    }
    let nice = scheduler.nice().unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        return Err(refuse(
            at("nice"),
            format!("{nice} is not between -20 and 19"),
        ));
    }
    if *policy == Policy::SchedIso {
        return Err(refuse(at("policy"), "Linux has no SCHED_ISO"));
    }
    let times = [
        ("runtime", scheduler.runtime()),
        ("deadline", scheduler.deadline()),
        ("period", scheduler.period()),
    ];
    if *policy != Policy::SchedDeadline {
        let given = times.iter().find(|(_, time)| time.unwrap_or(0) != 0);
        return given.map_or(Ok(()), |(part, _)| Err(refuse_for(part)));
    }
    let [runtime, deadline, period] = times.map(|(_, time)| time.unwrap_or(0));
    if runtime == 0 || deadline == 0 {
        return Err(refuse(
            at(if runtime == 0 { "runtime" } else { "deadline" }),
            "missing; SCHED_DEADLINE needs one",
        ));
    }
    // A period of 0 means the deadline.
    if runtime > deadline || (period != 0 && deadline > period) {
        return Err(refuse(
            at("runtime"),
            "runtime, deadline and period must not decrease in this order",
        ));
    }
    Ok(())
}
