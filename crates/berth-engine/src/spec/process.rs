//! The `process` of a spec: who runs what, where, with which environment and rights.

use std::collections::HashMap;

use oci_spec::runtime::{
    Capabilities as CapSet, LinuxCapabilities, LinuxCapabilitiesBuilder, PosixRlimit,
    PosixRlimitBuilder, PosixRlimitType, Process, User,
};

use super::{CallerLimits, SpecError, SpecFacts};
use crate::capabilities::Capabilities;
use crate::options::Ulimit;
use crate::{CreateOptions, user::ResolvedUser};

/// The search path of a container that sets none, Docker's.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Names of `--ulimit` and what the spec calls them.
const LIMITS: [(&str, PosixRlimitType); 16] = [
    ("as", PosixRlimitType::RlimitAs),
    ("core", PosixRlimitType::RlimitCore),
    ("cpu", PosixRlimitType::RlimitCpu),
    ("data", PosixRlimitType::RlimitData),
    ("fsize", PosixRlimitType::RlimitFsize),
    ("locks", PosixRlimitType::RlimitLocks),
    ("memlock", PosixRlimitType::RlimitMemlock),
    ("msgqueue", PosixRlimitType::RlimitMsgqueue),
    ("nice", PosixRlimitType::RlimitNice),
    ("nofile", PosixRlimitType::RlimitNofile),
    ("nproc", PosixRlimitType::RlimitNproc),
    ("rss", PosixRlimitType::RlimitRss),
    ("rtprio", PosixRlimitType::RlimitRtprio),
    ("rttime", PosixRlimitType::RlimitRttime),
    ("sigpending", PosixRlimitType::RlimitSigpending),
    ("stack", PosixRlimitType::RlimitStack),
];

pub(super) fn process(
    options: &CreateOptions,
    facts: &SpecFacts,
    granted: Capabilities,
) -> Result<Process, SpecError> {
    let cwd = options.workdir.as_deref().unwrap_or("/");
    if !cwd.starts_with('/') || cwd.contains('\0') {
        return Err(SpecError::Workdir(cwd.to_owned()));
    }
    let rlimits = rlimits(&options.ulimits, &facts.limits)?;
    let mut process = Process::default();
    process
        .set_terminal(Some(options.terminal))
        .set_user(user(&with_groups(&facts.user, &facts.injected.groups)))
        .set_args(Some(facts.argv.clone()))
        .set_env(Some(environment(options, facts)?))
        .set_cwd(cwd.into())
        .set_capabilities(Some(capability_sets(granted, facts.user.uid)?))
        .set_rlimits((!rlimits.is_empty()).then_some(rlimits))
        .set_oom_score_adj(oom_score(options.limits.oom_score_adj)?)
        .set_no_new_privileges(Some(options.no_new_privileges));
    Ok(process)
}

/// The range of /proc/PID/oom_score_adj (proc(5)).
fn oom_score(asked: Option<i32>) -> Result<Option<i32>, SpecError> {
    match asked {
        Some(score) if !(-1000..=1000).contains(&score) => Err(SpecError::OomScore(score)),
        // As it is.
        Some(0) | None => Ok(None),
        Some(score) => Ok(Some(score)),
    }
}

/// The spec's form of a resolved user.
pub(crate) fn user(resolved: &ResolvedUser) -> User {
    let mut user = User::default();
    user.set_uid(resolved.uid)
        .set_gid(resolved.gid)
        .set_additional_gids((!resolved.groups.is_empty()).then(|| resolved.groups.clone()));
    user
}

fn with_groups(user: &ResolvedUser, further: &[u32]) -> ResolvedUser {
    let mut user = user.clone();
    for group in further {
        if !user.groups.contains(group) {
            user.groups.push(*group);
        }
    }
    user
}

/// PATH, HOSTNAME, TERM with a terminal, the user's own, and HOME unless the user set it.
fn environment(options: &CreateOptions, facts: &SpecFacts) -> Result<Vec<String>, SpecError> {
    let mut env = vec![
        format!("PATH={DEFAULT_PATH}"),
        format!("HOSTNAME={}", facts.hostname),
    ];
    if options.terminal {
        env.push("TERM=xterm".into());
    }
    merge_env(&mut env, &options.env)?;
    merge_env(&mut env, &facts.injected.env)?;
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push(format!("HOME={}", facts.user.home));
    }
    Ok(env)
}

/// Puts `KEY=VALUE` entries over an environment: a key that exists keeps its place.
pub(crate) fn merge_env(env: &mut Vec<String>, over: &[String]) -> Result<(), SpecError> {
    let mut places: HashMap<String, usize> = HashMap::new();
    for (place, entry) in env.iter().enumerate() {
        if let Some((key, _)) = entry.split_once('=') {
            places.entry(key.to_owned()).or_insert(place);
        }
    }
    for entry in over {
        let key = match entry.split_once('=') {
            Some((key, _)) if !key.is_empty() && !entry.contains('\0') => key,
            _ => return Err(SpecError::Env(entry.clone())),
        };
        let existing = places.get(key).and_then(|place| env.get_mut(*place));
        if let Some(existing) = existing {
            existing.clone_from(entry);
        } else {
            places.insert(key.to_owned(), env.len());
            env.push(entry.clone());
        }
    }
    Ok(())
}

/// The five sets of a process. Inheritable and ambient stay empty (CVE-2022-24769,
/// CVE-2016-8867); a user who is not root has the bounding set alone, which is what execve(2)
/// would leave it (capabilities(7)).
pub(crate) fn capability_sets(
    bounding: Capabilities,
    uid: u32,
) -> Result<LinuxCapabilities, SpecError> {
    let all: CapSet = bounding.iter().collect();
    let held = if uid == 0 { all.clone() } else { CapSet::new() };
    LinuxCapabilitiesBuilder::default()
        .bounding(all)
        .effective(held.clone())
        .permitted(held)
        .inheritable(CapSet::new())
        .ambient(CapSet::new())
        .build()
        .map_err(SpecError::Internal)
}

fn rlimits(ulimits: &[Ulimit], caller: &CallerLimits) -> Result<Vec<PosixRlimit>, SpecError> {
    let mut limits: Vec<PosixRlimit> = Vec::with_capacity(ulimits.len());
    for ulimit in ulimits {
        let limit = rlimit(ulimit, caller)?;
        // The spec forbids two entries of one type; the last one given wins.
        limits.retain(|l| l.typ() != limit.typ());
        limits.push(limit);
    }
    Ok(limits)
}

fn rlimit(ulimit: &Ulimit, caller: &CallerLimits) -> Result<PosixRlimit, SpecError> {
    let Some((name, kind)) = LIMITS.iter().find(|(name, _)| *name == ulimit.name) else {
        let known: Vec<&str> = LIMITS.iter().map(|(name, _)| *name).collect();
        return Err(SpecError::UnknownUlimit(
            ulimit.name.clone(),
            known.join(", "),
        ));
    };
    if ulimit.soft > ulimit.hard {
        return Err(SpecError::SoftAboveHard {
            name: ulimit.name.clone(),
            soft: limit_text(ulimit.soft),
            hard: limit_text(ulimit.hard),
        });
    }
    let allowed = caller.hard.get(name).copied().unwrap_or(u64::MAX);
    if ulimit.hard > allowed && !caller.may_raise {
        return Err(SpecError::UlimitAboveCaller {
            name: ulimit.name.clone(),
            asked: limit_text(ulimit.hard),
            allowed: limit_text(allowed),
        });
    }
    PosixRlimitBuilder::default()
        .typ(*kind)
        .soft(ulimit.soft)
        .hard(ulimit.hard)
        .build()
        .map_err(SpecError::Internal)
}

fn limit_text(limit: u64) -> String {
    if limit == u64::MAX {
        "unlimited".into()
    } else {
        limit.to_string()
    }
}
