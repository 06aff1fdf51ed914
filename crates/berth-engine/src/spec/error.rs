//! What makes a request impossible to express as a spec.

use std::path::PathBuf;

use berth_base::ErrorClass;
use berth_runtime::cgroup::CgroupError;

use crate::EngineError;
use crate::capabilities::UnknownCapability;

/// A request that makes no sense, or asks for more than the caller or the kernel allows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    #[error("{first} cannot be combined with {second}: {why}")]
    Conflict {
        first: &'static str,
        second: &'static str,
        why: &'static str,
    },
    #[error(transparent)]
    Capability(#[from] UnknownCapability),
    #[error("the working directory {0:?} is not absolute; begin it with a slash")]
    Workdir(String),
    #[error("invalid environment variable {0:?}; write KEY=VALUE")]
    Env(String),
    #[error("unknown ulimit {0:?}; known are {1}")]
    UnknownUlimit(String, String),
    #[error(
        "ulimit {name}: the soft limit {soft} is above the hard limit {hard}; lower the first or raise the second"
    )]
    SoftAboveHard {
        name: String,
        soft: String,
        hard: String,
    },
    #[error(
        "ulimit {name}={asked} is above the caller's hard limit {allowed}; ask for at most {allowed}, or raise the caller's with CAP_SYS_RESOURCE"
    )]
    UlimitAboveCaller {
        name: String,
        asked: String,
        allowed: String,
    },
    #[error("the memory limit {0} is too low; the least is 6291456 (6m)")]
    MemoryTooLow(u64),
    #[error("the memory limit {0} is too high; the most is 9223372036854775807")]
    MemoryTooHigh(u64),
    #[error(
        "--cpus {asked} is out of range; it goes from 0.01 to {most}.00, the CPUs of this host"
    )]
    Cpus { asked: String, most: u32 },
    #[error(
        "--memory-swap needs --memory: it is the limit of memory and swap together; give both, or --memory-swap=-1 for no limit of swap"
    )]
    SwapWithoutMemory,
    #[error(
        "--memory-swap {swap} is less than --memory {limit}: it is the limit of memory and swap together; give at least {limit}, or -1 for no limit of swap"
    )]
    SwapBelowMemory { swap: i64, limit: i64 },
    #[error(
        "--memory-reservation {reservation} is more than --memory {limit}; lower the first or raise the second"
    )]
    ReservationAboveMemory { reservation: i64, limit: i64 },
    #[error("{flag} {asked:?} cannot be had: {why}")]
    Cpuset {
        flag: &'static str,
        asked: String,
        why: String,
    },
    #[error(transparent)]
    Resource(Box<CgroupError>),
    #[error("the device {} was not looked up; this is a defect of berth", .0.display())]
    DeviceUnknown(PathBuf),
    #[error(
        "--device-cgroup-rule needs root: without it no rule of devices can be set, and what the container may open its user's own rights decide; leave it out"
    )]
    RuleWithoutRoot,
    #[error("cannot set --sysctl {key}: {why}")]
    Sysctl { key: String, why: String },
    #[error("--oom-score-adj {0} is out of range; it goes from -1000 to 1000")]
    OomScore(i32),
    #[error("the mount target {0:?} is not an absolute path below /; write one such as /data")]
    MountTarget(String),
    #[error(
        "cannot mount over {0}: the isolation of the container depends on it; choose another target"
    )]
    MountOverProc(String),
    #[error("two mounts have the target {0}; remove one of them")]
    DuplicateMount(String),
    #[error("the mount source {} is not an absolute path; begin it with a slash", .0.display())]
    MountSource(PathBuf),
    #[error("the volume on {0} was not looked up; this is a defect of berth")]
    VolumeUnknown(String),
    #[error(
        "the id {id} of {what} is not mapped in the container's user namespace; use an id from {mapped}"
    )]
    Unmapped {
        id: u32,
        what: &'static str,
        mapped: String,
    },
    #[error("cannot write the spec: {0}; this is a defect of berth")]
    Internal(#[source] oci_spec::OciSpecError),
}

impl From<SpecError> for EngineError {
    fn from(error: SpecError) -> Self {
        let class = match &error {
            SpecError::Internal(_) | SpecError::VolumeUnknown(_) | SpecError::DeviceUnknown(_) => {
                ErrorClass::Internal
            }
            SpecError::RuleWithoutRoot => ErrorClass::Denied,
            SpecError::Resource(error) => error.class(),
            SpecError::UlimitAboveCaller { .. } => ErrorClass::Denied,
            _ => ErrorClass::Invalid,
        };
        Self::new(class, error.to_string())
    }
}
