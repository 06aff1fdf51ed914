//! systemd-nspawn: what systemd-machined writes of a registered machine,
//! `/run/systemd/machines/NAME`, as lines of `KEY=value`.
//!
//! A machine that was started with `--register=no` is known by its program alone
//! ([`super::programs`]).

use super::record::{Record, Search};
use crate::model::Engine;

/// The folder of machined.
const MACHINES: &str = "run/systemd/machines";

/// Reads the machines.
pub(super) fn read(search: &mut Search) {
    for name in search.list_wanted(MACHINES) {
        // Links from units to machines stand beside them.
        if name.contains(':') {
            continue;
        }
        let path = format!("{MACHINES}/{name}");
        let Some(file) = search.read(&path) else {
            continue;
        };
        let text = String::from_utf8_lossy(&file.bytes);
        let value = |key: &str| find_value(&text, key);
        // Virtual machines are registered too.
        if value("CLASS").as_deref() != Some("container") {
            continue;
        }
        let Some(pid) = value("LEADER").and_then(|pid| pid.parse().ok()) else {
            search.warn(&path, "names no leader");
            continue;
        };
        search.records.push(Record {
            engine: Engine::Nspawn,
            name: name.clone(),
            pid,
            cgroup: value("SCOPE").or_else(|| value("UNIT")),
            image: value("ROOT"),
            pod: None,
            evidence: search.evidence(&path),
            written_s: file.written_s,
            uid: file.uid,
            nested: search.tree.nested.is_some(),
            id: name,
        });
    }
}

/// The value of a key. systemd puts quotes around what the shell would read otherwise.
fn find_value(text: &str, key: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    let value = lines.find(|(name, _)| *name == key)?.1;
    let value = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value);
    (!value.is_empty()).then(|| value.to_owned())
}
