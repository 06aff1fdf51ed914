//! The plan: from (spec, host facts) to an ordered list of steps.
//!
//! Pure. A plan is data: `berth-runtime plan` prints it, tests compare it, stage and init
//! execute it. It may not open, read or change anything.

mod binds;
mod build;
mod cgroupfs;
mod confine;
mod describe;
mod devices;
mod hide;
mod host_image;
mod layers;
mod mounts;
mod network;
mod options;
mod process;
mod rootfs;
mod setup;
mod step;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::ops::Range;

use berth_base::NamespaceKind;
use oci_spec::runtime::LinuxResources;

pub(crate) use binds::beneath;
pub use build::build;
pub(crate) use confine::program;
pub(crate) use mounts::may_cover_procfs;
pub(crate) use process::{Standing, Streams, initial_affinity, needs_label, process_steps};
pub use setup::{CgroupEntry, Keyring, RootChange, RootPlace, Setup, StartSignal, Supervision};
pub use step::{
    DeviceNumber, Links, LowerOption, Overlay, Place, SecurityModule, Slot, Step, TargetKind,
};

/// A spec asks for something that cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The spec contradicts itself or the specification.
    #[error("{0}")]
    Invalid(String),
    /// This build or kernel cannot do it.
    #[error("{0}")]
    Unsupported(String),
}

impl PlanError {
    /// The same, of one field of the spec.
    fn of(self, field: &str) -> Self {
        match self {
            Self::Invalid(why) => Self::Invalid(format!("{field}: {why}")),
            Self::Unsupported(why) => Self::Unsupported(format!("{field}: {why}")),
        }
    }

    /// The class of the error.
    pub const fn class(&self) -> berth_base::ErrorClass {
        match self {
            Self::Invalid(_) => berth_base::ErrorClass::Invalid,
            Self::Unsupported(_) => berth_base::ErrorClass::Unsupported,
        }
    }
}

/// Everything stage and init do, in order.
#[derive(Debug)]
pub struct Plan {
    /// Namespaces joined by the stage, in order.
    pub joins: Vec<Join>,
    /// CLONE_NEW* flags for clone3.
    pub new_namespaces: u64,
    /// Lines for /proc/self/timens_offsets, written by the stage before anybody enters.
    pub time_offsets: Vec<String>,
    /// Mappings of a new user namespace.
    pub mappings: Option<Mappings>,
    /// The container's cgroup and its limits.
    pub cgroup: CgroupPlan,
    /// oom_score_adj of the container.
    pub oom_score_adj: Option<i32>,
    /// Executed before anything is joined or cloned: what only the host's side can open. The
    /// slots it fills are init's.
    pub before: Vec<Step>,
    /// Executed by the stage once init's id mappings are written: composes the root of a
    /// container with a user namespace.
    pub host: Vec<Step>,
    /// Executed by init.
    pub init: Vec<Step>,
    /// How many slots the steps use.
    pub slots: usize,
    /// What is executed in the end.
    pub program: Program,
    /// The seccomp profile to load at [`Step::Seccomp`].
    pub seccomp: Option<oci_spec::runtime::LinuxSeccomp>,
    /// Whether the first process gets a PID namespace of its own.
    pub own_pid_namespace: bool,
    /// Which fields of the spec the steps come from, of a bundle.
    pub fields: Fields,
    /// What was asked for and is left out, for the caller to print.
    pub warnings: Vec<String>,
}

/// Which field of the spec a range of steps comes from.
#[derive(Debug, Default)]
pub struct Fields {
    /// Of [`Plan::before`].
    before: Vec<(Range<usize>, String)>,
    /// Of [`Plan::init`].
    init: Vec<(Range<usize>, String)>,
}

/// A namespace to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Its kind, checked by setns(2).
    pub kind: NamespaceKind,
    /// Path of an nsfs file on the host.
    pub path: CString,
}

/// The contents of uid_map and gid_map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mappings {
    /// Triples of container id, host id, size.
    pub uids: Vec<(u32, u32, u32)>,
    /// Triples of container id, host id, size.
    pub gids: Vec<(u32, u32, u32)>,
}

/// Where the container's cgroup is and what it may use.
#[derive(Clone, Debug)]
pub struct CgroupPlan {
    /// Path below the hierarchies' roots.
    pub path: String,
    /// Limits and device rules.
    pub resources: Option<LinuxResources>,
}

/// The program that the container runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Paths to try in turn: one, or one per element of PATH.
    pub candidates: Vec<CString>,
    /// Its arguments.
    pub argv: Vec<CString>,
    /// Its environment.
    pub env: Vec<CString>,
    /// Runs as the child of our reaping init instead of being the first process itself.
    pub supervised: bool,
}

impl Plan {
    /// The field of the spec that a step of init comes from, for the message of its failure.
    pub(crate) fn field_of(&self, index: usize) -> Option<&str> {
        let mut listed = self.fields.init.iter();
        listed
            .find(|(range, _)| range.contains(&index))
            .map(|(_, field)| field.as_str())
            .or_else(|| self.init.get(index).and_then(Step::field))
    }

    /// The same of a step before the clone; `None` outside of bundles.
    pub(crate) fn field_before(&self, index: usize) -> Option<&str> {
        let mut listed = self.fields.before.iter();
        let found = listed.find(|(range, _)| range.contains(&index));
        found.map(|(_, field)| field.as_str())
    }

    /// The plan as text: one line per step, the actor before it.
    pub fn render(&self) -> String {
        let mut lines: Vec<_> = self
            .warnings
            .iter()
            .map(|w| format!("warn   {w}"))
            .collect();
        lines.extend(self.before.iter().map(|step| format!("before {step}")));
        for join in &self.joins {
            lines.push(format!(
                "stage  join the {} namespace of {}",
                join.kind.as_str(),
                join.path.to_string_lossy()
            ));
        }
        lines.push(format!("stage  make the cgroup {}", self.cgroup.path));
        for offset in &self.time_offsets {
            lines.push(format!("stage  set the clock offset {offset}"));
        }
        let kinds: Vec<_> = crate::namespaces::names_of(self.new_namespaces);
        lines.push(format!(
            "stage  clone into new namespaces: {}",
            kinds.join(" ")
        ));
        if let Some(mappings) = &self.mappings {
            lines.push(format!(
                "stage  map uids {:?}, gids {:?}",
                mappings.uids, mappings.gids
            ));
        }
        lines.extend(self.host.iter().map(|step| format!("stage  {step}")));
        lines.extend(self.init.iter().map(|step| format!("init   {step}")));
        let program = self.program.candidates.first().map(|p| p.to_string_lossy());
        lines.push(format!(
            "init   execute {}",
            program.as_deref().unwrap_or("nothing")
        ));
        lines.join("\n") + "\n"
    }
}
