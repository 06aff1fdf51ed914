//! Which records describe a living container.
//!
//! A record is a PID that somebody wrote down. It is believed when the process that has the PID
//! now is the one that had it then (it started before the record was written), and when whoever
//! wrote it may speak of that process: root of anything, a user of the user's own, an engine in a
//! container of what lives in its PID namespace.

use rustix::time::{ClockId, clock_gettime};

use super::record::Record;
use crate::attribute::{KnownContainer, containers_in_path};
use crate::model::Process;

/// Ticks a second of start times in procfs: USER_HZ, part of the kernel's interface (times(2)).
const TICKS_PER_S: u64 = 100;
/// Clocks of files and of processes are read at different places, and are coarse.
const SLACK_S: i64 = 2;

/// The wall clock at which the host began to count ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// In seconds since 1970.
    boot_s: i64,
}

impl Clock {
    pub(super) fn now() -> Self {
        let wall = clock_gettime(ClockId::Realtime).tv_sec;
        let since_boot = clock_gettime(ClockId::Boottime).tv_sec;
        Self {
            boot_s: wall.saturating_sub(since_boot),
        }
    }

    /// When a process started, in seconds since 1970.
    fn started_s(self, process: &Process) -> i64 {
        let since_boot = process.start_ticks / TICKS_PER_S;
        self.boot_s
            .saturating_add(i64::try_from(since_boot).unwrap_or(i64::MAX))
    }
}

/// The container that a record describes, given the process that has the recorded PID now.
///
/// `parent` is that process's, for users whose containers run under other ids than their own.
pub(super) fn believe(
    record: Record,
    init: &Process,
    parent: Option<&Process>,
    clock: Clock,
) -> Option<KnownContainer> {
    if init.is_zombie() || init.kernel_thread {
        return None;
    }
    let named = names_it(init, &record.id, record.nested);
    let same = clock.started_s(init) <= record.written_s.saturating_add(SLACK_S);
    if !named && !same {
        return None;
    }
    let reader = rustix::process::geteuid().as_raw();
    let may_speak = record.uid == 0
        || record.uid == reader
        || record.uid == init.uid
        || parent.is_some_and(|p| p.uid == record.uid);
    if !may_speak {
        return None;
    }
    Some(KnownContainer {
        engine: record.engine,
        name: record.name,
        init: init.pid,
        pid_namespace: init.pid_namespace(),
        own_pid_namespace: init.is_namespace_init(),
        cgroup_dirs: record
            .cgroup
            .as_deref()
            .map(cgroup_end)
            .into_iter()
            .collect(),
        image: record.image,
        pod: record.pod,
        evidence: record.evidence,
        id: record.id,
    })
}

/// Whether a process sits in a cgroup that bears the container's id. For an engine of the host's
/// that is the outermost container there: below its own, a container can make any.
fn names_it(init: &Process, id: &str, nested: bool) -> bool {
    let reach = if nested { usize::MAX } else { 1 };
    let mut entries = init.cgroups.entries.iter();
    entries.any(|entry| {
        let mut found = containers_in_path(&entry.path).take(reach);
        found.any(|found| found.id == id)
    })
}

/// The end of the path that a recorded cgroup has in a hierarchy: for `slice:prefix:name` the
/// scope that runc and crun make of it.
fn cgroup_end(recorded: &str) -> String {
    let parts: Vec<&str> = recorded.split(':').collect();
    match parts.as_slice() {
        [_, "", name] => format!("/{name}.scope"),
        [_, prefix, name] => format!("/{prefix}-{name}.scope"),
        _ if recorded.starts_with('/') => recorded.to_owned(),
        _ => format!("/{recorded}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_cgroups_end_as_runtimes_make_them() {
        for (recorded, end) in [
            ("/default/ship", "/default/ship"),
            ("machine.slice:libpod:ab", "/libpod-ab.scope"),
            ("machine.slice::ab", "/ab.scope"),
            ("machine-deb.scope", "/machine-deb.scope"),
        ] {
            assert_eq!(cgroup_end(recorded), end);
        }
    }
}
