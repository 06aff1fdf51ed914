//! `berth check`: what is wrong with how containers are isolated. Pure functions on a [`World`],
//! one file for each group of rules.
//!
//! A rule that needs details ([`crate::model::Wanted`]) finds nothing where they were not read.

mod joined;
mod leaked;
mod limits;
mod rules;
mod sharing;
mod unreaped;

use berth_base::{HostPid, NamespaceId};

pub use rules::{RULES, Rule};

use crate::model::{ContainerIndex, World};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; often as it should be.
    Info,
    /// Weakens isolation, or will become trouble.
    Warning,
    /// Undoes isolation, or is trouble now.
    Error,
}

impl Severity {
    /// The word in tables and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub object: Object,
    /// Why it is a finding: half a sentence, escaped.
    pub reason: String,
    /// What to do about it, escaped.
    pub remedy: String,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// The host.
    Host,
    /// A container.
    Container(ContainerIndex),
    /// A process of no container.
    Process(HostPid),
    /// A namespace.
    Namespace(NamespaceId),
}

impl Object {
    /// Its name in tables: `host`, `container web`, `process 812`, `net:[4026532193]`; escaped.
    pub fn describe(self, world: &World) -> String {
        match self {
            Self::Host => "host".to_owned(),
            Self::Container(index) => format!("container {}", world.container_label(index)),
            Self::Process(pid) => format!("process {pid}"),
            Self::Namespace(id) => id.to_string(),
        }
    }
}

/// Looks for everything; the worst first, then by rule and object.
pub fn check(world: &World) -> Vec<Finding> {
    let groups: [fn(&World, &mut Vec<Finding>); 5] = [
        sharing::find,
        limits::find,
        unreaped::find,
        leaked::find,
        joined::find,
    ];
    let mut findings = Vec::new();
    for find in groups {
        find(world, &mut findings);
    }
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.rule.id, f.object);
        key(a).cmp(&key(b)).then_with(|| a.reason.cmp(&b.reason))
    });
    findings
}

/// The worst of some findings.
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}
