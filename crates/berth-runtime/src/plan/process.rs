//! From a process of the spec to steps: of a container's first one and of exec sessions alike.

use std::ffi::CString;

use berth_sys::SchedulerAttributes;
use oci_spec::runtime::{
    Capabilities, IOPriorityClass, Linux, LinuxMemoryPolicy, LinuxPersonalityDomain,
    LinuxSchedulerFlag as SchedulerFlag, LinuxSchedulerPolicy as Policy,
    MemoryPolicyFlagType as MemoryFlag, MemoryPolicyModeType as MemoryMode, Process, Scheduler,
};
use rustix::fs::Gid;

use super::build::{c_path, c_string, invalid};
use super::{PlanError, SecurityModule, Slot, Step};
use crate::capability;
use crate::spec::number_list;

/// What the process finds when it is set up.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// The capabilities that it can have at all; others are dropped with a warning.
    pub(crate) capabilities: u64,
    /// What its standard streams are.
    pub(crate) streams: Streams,
    /// Whether AppArmor is active.
    pub(crate) apparmor: bool,
    /// Whether SELinux is active.
    pub(crate) selinux: bool,
    /// The host's procfs, opened before anything was entered; needed where [`needs_label`].
    pub(crate) proc: Option<Slot>,
    /// Whether the working directory is made when it is missing.
    pub(crate) makes_directory: bool,
    /// Whether it joins a running container (exec): it has a CPU affinity of its own then.
    pub(crate) joins: bool,
}

/// The standard streams of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    /// A terminal, whose owner is its devpts' affair.
    Terminal,
    /// Pipes of ours: only these belong to the program's user.
    Pipes,
    /// Whatever the caller gave: all belong to the program's user, so that it can reopen them.
    Callers,
}

/// The steps of one process.
pub(crate) struct ProcessSteps {
    /// While still privileged: limits, scheduling, labels, streams, directory.
    pub(crate) early: Vec<Step>,
    /// no_new_privs, the bounding set, ids. Between these and the last ones it can wait.
    pub(crate) ids: Vec<Step>,
    /// The seccomp filter and the capabilities.
    pub(crate) last: Vec<Step>,
    /// What is left out.
    pub(crate) warnings: Vec<String>,
}

/// Plans one process.
///
/// Without no_new_privs the filter needs CAP_SYS_ADMIN, so it is loaded before the capabilities
/// go; with it, last of all, so that it may forbid everything that we do ourselves.
///
/// # Errors
/// What contradicts itself, and labels of a security module that is not active.
pub(crate) fn process_steps(
    process: &Process,
    linux: Option<&Linux>,
    standing: &Standing,
    seccomp: bool,
) -> Result<ProcessSteps, PlanError> {
    let mut early = resource_limits(process)?;
    scheduling(process, linux, standing, &mut early)?;
    labels(process, standing, &mut early)?;
    let user = process.user();
    early.push(Step::Umask(user.umask().unwrap_or(0o022) & 0o777));
    let (uid, gid) = (user.uid(), user.gid());
    match standing.streams {
        Streams::Pipes if uid != 0 => early.push(Step::OwnStreams { uid }),
        Streams::Callers => early.push(Step::OwnAllStreams { uid, gid }),
        Streams::Pipes | Streams::Terminal => {}
    }
    early.push(Step::WorkingDirectory {
        path: c_path(process.cwd())?,
        create: standing.makes_directory,
    });
    let mut warnings = Vec::new();
    let sets = Sets::of(process, standing.capabilities, &mut warnings);
    let locked = process.no_new_privileges().unwrap_or(false);
    let mut ids = Vec::with_capacity(3);
    if locked {
        ids.push(Step::NoNewPrivileges);
    }
    ids.push(Step::DropBounding {
        keep: sets.bounding,
    });
    let groups = user.additional_gids().as_deref().unwrap_or_default();
    ids.push(Step::SetIds {
        uid,
        gid,
        groups: groups.iter().map(|gid| Gid::from_raw(*gid)).collect(),
    });
    let mut last = Vec::with_capacity(2);
    if seccomp && !locked {
        last.push(Step::Seccomp);
    }
    last.push(Step::SetCapabilities {
        effective: sets.effective,
        permitted: sets.permitted,
        inheritable: sets.inheritable,
        ambient: sets.ambient,
    });
    if locked && seccomp {
        last.push(Step::Seccomp);
    }
    Ok(ProcessSteps {
        early,
        ids,
        last,
        warnings,
    })
}

/// The CPUs on which an exec session's process is to be made, before it enters the container's
/// cgroups (`execCPUAffinity.initial`): for whoever clones it.
pub(crate) fn initial_affinity(process: &Process) -> Option<Vec<u64>> {
    let affinity = process.exec_cpu_affinity().as_ref()?;
    number_list(affinity.initial().as_deref()?).map(|cpus| mask(&cpus))
}

/// Whether [`process_steps`] will want the host's procfs.
pub(crate) fn needs_label(process: &Process) -> bool {
    [process.apparmor_profile(), process.selinux_label()]
        .into_iter()
        .any(|label| label.as_deref().is_some_and(|label| !label.is_empty()))
}

/// The resource limits of a process.
fn resource_limits(process: &Process) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::with_capacity(16);
    for limit in process.rlimits().iter().flatten() {
        let name = limit.typ().to_string();
        let resource = capability::resource_number(&name)
            .ok_or_else(|| invalid(&format!("unknown resource limit {name:?}")))?;
        if limit.soft() > limit.hard() {
            return Err(invalid(&format!(
                "the soft limit {name} is above the hard one"
            )));
        }
        let (soft, hard) = (limit.soft(), limit.hard());
        steps.push(Step::ResourceLimit {
            resource,
            name: c_string(&name)?,
            soft,
            hard,
        });
    }
    Ok(steps)
}

/// Who runs when and where, and where its memory comes from.
fn scheduling(
    process: &Process,
    linux: Option<&Linux>,
    standing: &Standing,
    steps: &mut Vec<Step>,
) -> Result<(), PlanError> {
    if let Some(personality) = linux.and_then(|l| l.personality().as_ref()) {
        // PER_LINUX and PER_LINUX32 (personality(2)).
        let persona = match personality.domain() {
            LinuxPersonalityDomain::PerLinux => 0,
            LinuxPersonalityDomain::PerLinux32 => 8,
        };
        steps.push(Step::Personality { persona });
    }
    if let Some(policy) = linux.and_then(|l| l.memory_policy().as_ref()) {
        steps.push(memory_policy(policy)?);
    }
    if let Some(priority) = process.io_priority() {
        let class: u32 = match priority.class() {
            IOPriorityClass::IoprioClassRt => 1,
            IOPriorityClass::IoprioClassBe => 2,
            IOPriorityClass::IoprioClassIdle => 3,
        };
        let level = u32::try_from(priority.priority()).unwrap_or(0);
        steps.push(Step::IoPriority {
            value: class << 13 | level,
        });
    }
    let affinity = process.exec_cpu_affinity().as_ref();
    let cpus = affinity.and_then(|affinity| affinity.cpu_affinity_final().as_deref());
    if let Some(cpus) = cpus.filter(|_| standing.joins) {
        let cpus = number_list(cpus)
            .ok_or_else(|| invalid("process.execCPUAffinity.final: not a list of CPUs"))?;
        steps.push(Step::Affinity { mask: mask(&cpus) });
    }
    if let Some(scheduler) = process.scheduler() {
        steps.push(Step::Scheduler(scheduler_attributes(scheduler)));
    }
    Ok(())
}

/// One bit for each number.
fn mask(numbers: &[u16]) -> Vec<u64> {
    let words = numbers
        .iter()
        .max()
        .map_or(0, |most| usize::from(*most) / 64 + 1);
    let mut mask = vec![0u64; words];
    for number in numbers {
        if let Some(word) = mask.get_mut(usize::from(*number) / 64) {
            *word |= 1 << (number % 64);
        }
    }
    mask
}

/// Numbers of linux/mempolicy.h.
fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<Step, PlanError> {
    let mode: u32 = match policy.mode() {
        MemoryMode::MpolDefault => 0,
        MemoryMode::MpolPreferred => 1,
        MemoryMode::MpolBind => 2,
        MemoryMode::MpolInterleave => 3,
        MemoryMode::MpolLocal => 4,
        MemoryMode::MpolPreferredMany => 5,
        MemoryMode::MpolWeightedInterleave => 6,
    };
    let flags = policy.flags().iter().flatten().map(|flag| match flag {
        MemoryFlag::MpolFNumaBalancing => 1 << 13,
        MemoryFlag::MpolFRelativeNodes => 1 << 14,
        MemoryFlag::MpolFStaticNodes => 1 << 15,
    });
    let nodes = number_list(policy.nodes().as_deref().unwrap_or_default())
        .ok_or_else(|| invalid("linux.memoryPolicy.nodes: not a list of nodes"))?;
    Ok(Step::MemoryPolicy {
        mode: flags.fold(mode, |mode, flag: u32| mode | flag),
        nodes: mask(&nodes),
    })
}

/// Numbers of linux/sched.h.
fn scheduler_attributes(scheduler: &Scheduler) -> SchedulerAttributes {
    let policy = match scheduler.policy() {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        Policy::SchedIso => 4,
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
    };
    let flags = scheduler.flags().iter().flatten().map(|flag| match flag {
        SchedulerFlag::SchedResetOnFork => 0x01,
        SchedulerFlag::SchedFlagReclaim => 0x02,
        SchedulerFlag::SchedFlagDLOverrun => 0x04,
        SchedulerFlag::SchedFlagKeepPolicy => 0x08,
        SchedulerFlag::SchedFlagKeepParams => 0x10,
        SchedulerFlag::SchedFlagUtilClampMin => 0x20,
        SchedulerFlag::SchedFlagUtilClampMax => 0x40,
    });
    SchedulerAttributes {
        policy,
        flags: flags.fold(0, |all: u64, flag: u64| all | flag),
        nice: scheduler.nice().unwrap_or(0),
        priority: u32::try_from(scheduler.priority().unwrap_or(0)).unwrap_or(0),
        runtime_ns: scheduler.runtime().unwrap_or(0),
        deadline_ns: scheduler.deadline().unwrap_or(0),
        period_ns: scheduler.period().unwrap_or(0),
    }
}

/// Labels that the next program gets. One that cannot be given is an error (laws of isolation).
fn labels(process: &Process, standing: &Standing, steps: &mut Vec<Step>) -> Result<(), PlanError> {
    let asked = |label: &Option<String>| label.clone().filter(|label| !label.is_empty());
    let absent = |field: &str, module: &str| {
        PlanError::Unsupported(format!(
            "{field}: {module} is not active on this host; leave the label out"
        ))
    };
    let mut add = |module: SecurityModule, text: CString| {
        let proc = standing.proc;
        let proc = proc.ok_or_else(|| invalid("process: a label needs the host's /proc"))?;
        steps.push(Step::ExecLabel { proc, module, text });
        Ok(())
    };
    if let Some(profile) = asked(process.apparmor_profile()) {
        if standing.apparmor {
            add(SecurityModule::AppArmor, c_string(&profile)?)?;
        } else if profile != "unconfined" {
            return Err(absent("process.apparmorProfile", "AppArmor"));
        }
    }
    if let Some(label) = asked(process.selinux_label()) {
        if !standing.selinux {
            return Err(absent("process.selinuxLabel", "SELinux"));
        }
        add(SecurityModule::SeLinux, c_string(&label)?)?;
    }
    Ok(())
}

/// The capability sets of a process, as bits.
struct Sets {
    bounding: u64,
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

impl Sets {
    /// What the spec asks for, within `allowed`. Inheritable capabilities survive execve of a
    /// program with file capabilities (CVE-2022-24769): only those that the spec lists are set,
    /// and the engine lists none. The kernel wants ambient ones within permitted and inheritable.
    fn of(process: &Process, allowed: u64, warnings: &mut Vec<String>) -> Self {
        let listed = process.capabilities().as_ref();
        let mut set = |name: &str, list: Option<&Option<Capabilities>>, limit: u64, why: &str| {
            let bits = capability::bits(list.and_then(Option::as_ref));
            if bits & !limit != 0 {
                let names = capability::names_of(bits & !limit).join(" ");
                warnings.push(format!(
                    "process.capabilities.{name}: {names} left out: {why}"
                ));
            }
            bits & limit
        };
        let callers = "the caller does not have it to give";
        let bounding = set("bounding", listed.map(|l| l.bounding()), allowed, callers);
        let permitted = set("permitted", listed.map(|l| l.permitted()), allowed, callers);
        let inheritable = set(
            "inheritable",
            listed.map(|l| l.inheritable()),
            allowed,
            callers,
        );
        let effective = set(
            "effective",
            listed.map(|l| l.effective()),
            permitted,
            "it is not permitted",
        );
        let ambient = set(
            "ambient",
            listed.map(|l| l.ambient()),
            permitted & inheritable,
            "it is not both permitted and inheritable",
        );
        Self {
            bounding,
            effective,
            permitted,
            inheritable,
            ambient,
        }
    }
}
