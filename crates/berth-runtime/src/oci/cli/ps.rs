//! `ps`: the processes of a container, with their PIDs on the host and inside.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use berth_base::{ErrorClass, HostPid};

use super::flags::{Format, Global, PsFlags};
use super::inspect::{columns, print};
use super::lifecycle::open;
use crate::oci::container::Container;
use crate::oci::{Outcome, cannot, fail};

/// What `ps` shows when it is told nothing, as runc does.
const DEFAULT: &str = "-ef";

pub(super) fn ps(global: &Global, flags: &PsFlags) -> Outcome {
    let container = open(global, &flags.id)?;
    let pids = pids(&container)?;
    if flags.format == Format::Json {
        let numbers: Vec<u32> = pids.iter().map(|pid| pid.get()).collect();
        let text = serde_json::to_string(&numbers).map_err(|e| cannot("encode JSON", e))?;
        return print(&(text + "\n"));
    }
    let arguments = if flags.args.is_empty() {
        vec![DEFAULT.to_owned()]
    } else {
        flags.args.clone()
    };
    let table = host_table(&arguments)?;
    print(&with_inner_pids(&table, &pids)?)
}

fn pids(container: &Container) -> Outcome<Vec<HostPid>> {
    let cgroup = container.cgroup();
    if cgroup.is_nowhere() {
        return Err(fail(
            ErrorClass::Unsupported,
            "ps: the container has no cgroup by which its processes could be told",
        ));
    }
    let mut pids = cgroup
        .processes()
        .map_err(|e| fail(e.class(), e.to_string()))?;
    pids.sort_unstable();
    Ok(pids)
}

/// The host's ps, whose many columns nobody needs to write again.
fn host_table(arguments: &[String]) -> Outcome<String> {
    // by path: the host's ps, in the caller's own place
    let output = Command::new("ps")
        .args(arguments)
        .output()
        .map_err(|e| cannot("run ps on the host", e))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(fail(
            ErrorClass::Invalid,
            format!("ps {}: {}", arguments.join(" "), said.trim()),
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The rows of the container's processes, each with its PIDs from level 1 inwards before it.
fn with_inner_pids(table: &str, pids: &[HostPid]) -> Outcome<String> {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let at = header
        .split_whitespace()
        .position(|column| column == "PID")
        .ok_or_else(|| {
            fail(
                ErrorClass::Invalid,
                "ps: its output has no column PID, by which rows are chosen; add one",
            )
        })?;
    let inner: BTreeMap<u32, String> = pids
        .iter()
        .map(|pid| (pid.get(), inner_pids(*pid)))
        .collect();
    let mut rows = vec![vec!["NSPID".to_owned(), header.to_owned()]];
    for line in lines {
        let pid = line.split_whitespace().nth(at).and_then(|p| p.parse().ok());
        if let Some(inside) = pid.and_then(|pid: u32| inner.get(&pid)) {
            let shown = berth_base::escape_untrusted(line).into_owned();
            rows.push(vec![inside.clone(), shown]);
        }
    }
    Ok(columns(&rows))
}

/// NSpid of /proc/PID/status without its first number, which is the host's; `-` where the process
/// lives in the host's PID namespace.
fn inner_pids(pid: HostPid) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let inner: Vec<&str> = numbers
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .collect();
    match inner.as_slice() {
        [] => "-".to_owned(),
        inner => inner.join(","),
    }
}
