//! What is read of one process for the details, beyond the snapshot.
//!
//! A thread of its own reads it: a procfs that hangs (a FUSE file system behind a mount, a memory
//! lock that is held) must not hold up keys.

use std::sync::mpsc::{Receiver, Sender, channel};

use berth_base::{HostPid, escape_untrusted};
use berth_map::Sources;
use berth_map::model::Mount;

/// Which process, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Its PID.
    pub(crate) pid: HostPid,
    /// When it started.
    pub(crate) start_ticks: u64,
    /// Whether its command line is wanted.
    pub(crate) command: bool,
}

/// What was found. Everything is escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// There is no such process any more.
    pub(crate) is_gone: bool,
    /// Its capabilities; `None` where they could not be read.
    pub(crate) capabilities: Option<Capabilities>,
    /// Whether it can gain privilege by execve(2) no more.
    pub(crate) no_new_privileges: Option<bool>,
    /// Whether system calls are filtered: 0 no, 1 strict, 2 by filters.
    pub(crate) seccomp: Option<u8>,
    /// How many threads it has.
    pub(crate) threads: Option<u32>,
    /// Memory that it has resident, in KiB.
    pub(crate) resident_kib: Option<u64>,
    /// Limits that are not infinite: name, soft, hard.
    pub(crate) limits: Vec<(String, String, String)>,
    /// Its mounts.
    pub(crate) mounts: Vec<MountFact>,
    /// Why the mounts are not known.
    pub(crate) mounts_error: Option<String>,
    /// Its command line, where wanted.
    pub(crate) command: Option<String>,
}

/// Sets of capabilities, one bit each (capabilities(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    pub(crate) bounding: u64,
    pub(crate) ambient: u64,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountFact {
    /// Where.
    pub(crate) point: String,
    /// The type of the file system.
    pub(crate) kind: String,
    /// Where it comes from, if that says something.
    pub(crate) source: Option<String>,
    /// Whether it cannot be written.
    pub(crate) is_read_only: bool,
}

/// A thread that reads facts.
pub(crate) struct Inspector {
    requests: Sender<Request>,
    answers: Receiver<(Request, Facts)>,
    asked: std::cell::Cell<Option<Request>>,
}

impl Inspector {
    /// Starts it. It ends by itself when this is dropped.
    pub(crate) fn start(sources: Sources) -> Self {
        let (requests, waiting) = channel::<Request>();
        let (give, answers) = channel();
        std::thread::spawn(move || {
            while let Ok(mut request) = waiting.recv() {
                // Of several only the last one still matters.
                while let Ok(newer) = waiting.try_recv() {
                    request = newer;
                }
                if give.send((request, read(&sources, request))).is_err() {
                    return;
                }
            }
        });
        Self {
            requests,
            answers,
            asked: std::cell::Cell::new(None),
        }
    }

    /// Asks, unless that is what was asked last.
    pub(crate) fn ask(&self, request: Request) {
        if self.asked.replace(Some(request)) != Some(request) {
            // The thread is gone only when it panicked, which has been printed.
            self.requests.send(request).ok();
        }
    }

    /// An answer, if one has come.
    pub(crate) fn answer(&self) -> Option<(Request, Facts)> {
        self.answers.try_recv().ok()
    }
}

fn read(sources: &Sources, request: Request) -> Facts {
    let pid = request.pid;
    let proc = &sources.proc;
    let status = proc.read_text(&format!("{pid}/status"));
    let limits = proc.read_text(&format!("{pid}/limits"));
    let mounts = proc.read_mounts(pid);
    let command = request.command.then(|| proc.read_command(pid)).flatten();
    // Whatever was read was read of the process that is meant, if that is still there.
    // An event tells of a start by another clock, to a tick or two.
    let start = proc.start_ticks(pid);
    if start.is_none_or(|start| start.abs_diff(request.start_ticks) > 2) {
        return Facts {
            is_gone: true,
            ..Facts::default()
        };
    }
    let mut facts = parse_status(&status.unwrap_or_default());
    facts.limits = parse_limits(&limits.unwrap_or_default());
    match mounts {
        Ok(mounts) => facts.mounts = mounts.into_iter().map(describe_mount).collect(),
        Err(error) => facts.mounts_error = Some(error.to_string()),
    }
    facts.command = command;
    facts
}

fn describe_mount(mount: Mount) -> MountFact {
    let escape = |text: &str| escape_untrusted(text).into_owned();
    MountFact {
        point: escape(&mount.point),
        kind: escape(&mount.kind),
        source: mount
            .source
            .as_deref()
            .filter(|s| *s != mount.kind)
            .map(escape),
        is_read_only: mount.options.split(',').any(|option| option == "ro"),
    }
}

/// Reads `/proc/PID/status` (proc_pid_status(5)).
fn parse_status(text: &str) -> Facts {
    let field = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name));
        line.and_then(|l| l.strip_prefix(':')).map(str::trim)
    };
    let set = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
    let capabilities = || {
        Some(Capabilities {
            effective: set("CapEff")?,
            permitted: set("CapPrm")?,
            inheritable: set("CapInh")?,
            bounding: set("CapBnd")?,
            ambient: set("CapAmb")?,
        })
    };
    let resident = field("VmRSS").and_then(|size| size.split_ascii_whitespace().next());
    Facts {
        capabilities: capabilities(),
        no_new_privileges: field("NoNewPrivs").map(|flag| flag == "1"),
        seccomp: field("Seccomp").and_then(|mode| mode.parse().ok()),
        threads: field("Threads").and_then(|count| count.parse().ok()),
        resident_kib: resident.and_then(|size| size.parse().ok()),
        ..Facts::default()
    }
}

/// Reads `/proc/PID/limits` (proc_pid_limits(5)): those that limit something.
fn parse_limits(text: &str) -> Vec<(String, String, String)> {
    /// Cells of the column of names.
    const NAME: usize = 26;
    let lines = text.lines().skip(1);
    let parsed = lines.filter_map(|line| {
        let name = line.get(..NAME)?.trim().strip_prefix("Max ")?;
        let mut values = line.get(NAME..)?.split_ascii_whitespace();
        let (soft, hard) = (values.next()?, values.next()?);
        let is_limit = soft != "unlimited" || hard != "unlimited";
        is_limit.then(|| (name.to_owned(), soft.to_owned(), hard.to_owned()))
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let text = "Name:\tsh\nThreads:\t3\nVmRSS:\t    1234 kB\nCapInh:\t0000000000000000\n\
                    CapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n\
                    CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n\
                    Seccomp:\t2\nSeccomp_filters:\t1\n";
        let facts = parse_status(text);
        assert_eq!(facts.capabilities.unwrap().effective, 0xa804_25fb);
        assert_eq!(facts.no_new_privileges, Some(true));
        assert_eq!(facts.seccomp, Some(2));
        assert_eq!(facts.threads, Some(3));
        assert_eq!(facts.resident_kib, Some(1234));
        assert_eq!(parse_status(""), Facts::default());
    }

    #[test]
    fn limits_that_limit_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              unlimited            unlimited            seconds   \n\
                    Max open files            1024                 20000                files     \n";
        let limits = parse_limits(text);
        assert_eq!(
            limits,
            [(
                "open files".to_owned(),
                "1024".to_owned(),
                "20000".to_owned()
            )]
        );
    }

    #[test]
    fn what_a_mount_is_called_is_escaped() {
        let mount = Mount {
            id: 1,
            parent: 0,
            root: "/".to_owned(),
            point: "/a\x1b[2J".to_owned(),
            kind: "tmpfs".to_owned(),
            source: Some("tmpfs".to_owned()),
            options: "ro,nosuid".to_owned(),
            propagation: String::new(),
        };
        let fact = describe_mount(mount);
        assert_eq!(fact.point, "/a\\x1b[2J");
        assert!(fact.is_read_only);
        assert_eq!(fact.source, None);
    }
}
