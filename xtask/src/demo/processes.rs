//! Processes as the kernel shows them, without Berth's help.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Outcome};

/// One process, and when it was started: a PID alone can be reused.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// The kernel's name for it, up to 15 bytes.
    pub(super) name: String,
    /// In how many PID namespaces it is visible, ours included.
    pub(super) levels: usize,
    started: String,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self {
            pid,
            name: field(&status, "Name")?.to_owned(),
            levels: field(&status, "NSpid")?.split_whitespace().count(),
            started: started(pid)?,
        })
    }

    /// Whether this very process still exists.
    pub(super) fn lives(&self) -> bool {
        started(self.pid).as_ref() == Some(&self.started)
    }
}

/// Every process with a cgroup whose path names the container.
///
/// # Errors
/// /proc cannot be listed.
pub(super) fn in_cgroup(id: &str) -> Outcome<Vec<Process>> {
    let folder = Path::new("/proc");
    let entries = fs::read_dir(folder).map_err(|error| Failure::file("list", folder, &error))?;
    let mut found: Vec<Process> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| text.contains(id))
        })
        .filter_map(Process::read)
        .collect();
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

/// A line of a process's status file, as it is.
///
/// # Errors
/// The process or the line does not exist.
pub(super) fn status_line(pid: &str, key: &str) -> Outcome<String> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::file("read", Path::new(&path), &error))?;
    text.lines()
        .find(|line| line.starts_with(key))
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("{path} has no line {key}")))
}

fn field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
}

/// Field 22 of proc_pid_stat(5); the name before it may contain anything.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_very_process() {
        let own = Process::read(std::process::id()).unwrap();
        assert!(own.lives());
        assert!(own.levels >= 1);
        let line = status_line(&own.pid.to_string(), "NSpid").unwrap();
        assert!(line.starts_with("NSpid:"), "{line}");
        let other = Process {
            started: "1".to_owned(),
            ..own
        };
        assert!(!other.lives());
    }
}
