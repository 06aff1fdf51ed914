//! The document of `berth check --json`.

use serde::Serialize;

use super::{VERSION, key};
use crate::check::{Finding, Object, Severity};
use crate::model::World;
use crate::ns_table::unseen;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckDocument {
    /// [`VERSION`].
    pub version: u32,
    /// Where the processes were read from.
    pub source: &'static str,
    /// How many there are.
    pub summary: CheckSummary,
    /// The findings, the worst first.
    pub findings: Vec<FindingDocument>,
    /// What could not be read.
    pub warnings: Vec<String>,
}

/// Findings by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckSummary {
    /// Severity error.
    pub errors: usize,
    /// Severity warning.
    pub warnings: usize,
    /// Severity info.
    pub infos: usize,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindingDocument {
    /// The stable id of the rule.
    pub id: &'static str,
    /// The stable name of the rule.
    pub rule: &'static str,
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    /// What it is about, in words.
    pub object: String,
    /// Containers: the key.
    pub container: Option<String>,
    /// Processes: the host PID.
    pub pid: Option<u32>,
    /// Namespaces: kind and id, as in `net:[4026532193]`.
    pub namespace: Option<String>,
    /// Why.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl CheckDocument {
    /// Describes the findings of this world.
    pub fn new(world: &World, findings: &[Finding]) -> Self {
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        Self {
            version: VERSION,
            source: world.source().as_str(),
            summary: CheckSummary {
                errors: count(Severity::Error),
                warnings: count(Severity::Warning),
                infos: count(Severity::Info),
            },
            findings: findings.iter().map(|f| document(world, f)).collect(),
            warnings: world
                .warnings()
                .iter()
                .cloned()
                .chain(unseen(world))
                .collect(),
        }
    }
}

fn document(world: &World, finding: &Finding) -> FindingDocument {
    let object = finding.object;
    FindingDocument {
        id: finding.rule.id,
        rule: finding.rule.name,
        severity: finding.severity.as_str(),
        object: object.describe(world),
        container: match object {
            Object::Container(index) => Some(key(world, index)),
            _ => None,
        },
        pid: match object {
            Object::Process(pid) => Some(pid.get()),
            _ => None,
        },
        namespace: match object {
            Object::Namespace(id) => Some(id.to_string()),
            _ => None,
        },
        reason: finding.reason.clone(),
        remedy: finding.remedy.clone(),
    }
}
