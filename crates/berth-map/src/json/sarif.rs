//! `berth check --sarif`: the findings as a SARIF 2.1.0 log (OASIS), for code scanning services.
//!
//! A container is no file, so a result has a logical location and no physical one.

use serde::Serialize;
use serde_json::{Value, json};

use super::key;
use crate::check::{Finding, Object, RULES, Severity};
use crate::model::World;

/// The schema that a log names (section 3.13.3).
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// A log with one run (section 3.13).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SarifLog(Value);

impl SarifLog {
    /// Describes the findings of this world; `tool_version` is the caller's.
    pub fn new(world: &World, findings: &[Finding], tool_version: &str) -> Self {
        let rules: Vec<Value> = RULES
            .iter()
            .map(|rule| {
                json!({
                    "id": rule.id,
                    "name": pascal_case(rule.name),
                    "shortDescription": { "text": rule.name.replace('-', " ") },
                    "fullDescription": { "text": rule.summary },
                    "help": { "text": rule.summary },
                })
            })
            .collect();
        let results: Vec<Value> = findings.iter().map(|f| result(world, f)).collect();
        Self(json!({
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "berth check",
                    "version": tool_version,
                    "rules": rules,
                }},
                // Characters are counted in UTF-16 code units or in code points; there are no
                // regions here, but the log says which (section 3.14.17).
                "columnKind": "unicodeCodePoints",
                "results": results,
            }],
        }))
    }
}

/// One result (section 3.27).
fn result(world: &World, finding: &Finding) -> Value {
    let object = finding.object.describe(world);
    let index = RULES.iter().position(|rule| *rule == finding.rule);
    let (name, kind) = match finding.object {
        Object::Host => ("host".to_owned(), "host"),
        Object::Container(index) => (key(world, index), "container"),
        Object::Process(pid) => (pid.to_string(), "process"),
        Object::Namespace(id) => (id.to_string(), "namespace"),
    };
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": { "text": format!("{object}: {}. Remedy: {}.", finding.reason, finding.remedy) },
        "locations": [{ "logicalLocations": [{
            "name": object,
            "fullyQualifiedName": name,
            "kind": kind,
        }]}],
    })
}

/// The word of SARIF (section 3.27.10).
const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// A rule's name as SARIF recommends it (section 3.49.7): `SharedPidNamespace`.
fn pascal_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(capital).collect()
}
