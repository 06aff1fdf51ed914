//! Containers of the built-in image, and who looks after them.

use std::fs;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::cli::{Berth, eventually};

/// Makes an engine, and runs `berth LINE`, split at spaces.
pub struct World {
    pub berth: Berth,
}

impl World {
    pub fn new() -> Self {
        Self {
            berth: Berth::new(),
        }
    }

    /// A command that must succeed.
    pub fn ok(&self, line: &str) -> String {
        self.berth.ok(&line.split(' ').collect::<Vec<_>>())
    }

    /// A command that must fail; its message.
    pub fn fails(&self, code: i32, line: &str) -> String {
        let done = self.berth.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, code, "{line}: {done:?}");
        done.err.trim_end().to_owned()
    }

    /// `run -d --name NAME FLAGS... host sh -c SCRIPT`.
    pub fn run(&self, name: &str, flags: &str, script: &str) {
        let mut words = vec!["run", "-d", "--name", name];
        words.extend(flags.split(' ').filter(|word| !word.is_empty()));
        words.extend(["host", "sh", "-c", script]);
        self.berth.ok(&words);
    }

    /// A field of `inspect`.
    pub fn field(&self, name: &str, field: &str) -> String {
        let format = format!("{{{{{field}}}}}");
        self.berth.ok(&["inspect", "-f", &format, name])
    }

    pub fn status(&self, name: &str) -> String {
        self.field(name, ".State.Status")
    }

    pub fn restarts(&self, name: &str) -> u32 {
        self.field(name, ".RestartCount").parse().unwrap()
    }

    pub fn await_status(&self, name: &str, status: &str) {
        eventually(status, || self.status(name) == status);
    }

    pub fn persistent(&self, name: &str) -> PathBuf {
        let id = self.field(name, ".Id");
        self.berth.path("root/containers").join(id)
    }

    /// The processes `berth internal WORD` of this engine.
    pub fn internals(&self, word: &str) -> Vec<Pid> {
        let root = self.berth.path("root");
        let marks = [
            format!("\0--root\0{}\0", root.display()),
            format!("\0internal\0{word}\0"),
        ];
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let pid = entry.file_name().to_str()?.parse().ok()?;
            marks
                .iter()
                .all(|mark| line.contains(mark))
                .then(|| Pid::from_raw(pid))?
        });
        pids.collect()
    }

    /// Waits for the process that waits to start a container again, the only one of the engine.
    pub fn waiter(&self) -> Pid {
        let mut found = Vec::new();
        eventually("a process that waits", || {
            found = self.internals("exited");
            found.len() == 1
        });
        found[0]
    }

    /// Makes a container restart so often that its pauses are long, and returns who waits.
    pub fn long_pause(&self, name: &str) -> Pid {
        eventually("a long pause", || {
            self.restarts(name) >= 6 && self.status(name) == "restarting"
        });
        self.waiter()
    }

    /// Kills a keeper and a monitor, whatever they are; the container itself goes on.
    pub fn kill_keepers(&self, name: &str) {
        let id = self.field(name, ".Id");
        let mark = format!("berth-keeper\0{}\0", &id[..12]);
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let pid = entry.file_name().to_str().and_then(|n| n.parse().ok());
            if String::from_utf8_lossy(&line).starts_with(&mark)
                && let Some(pid) = pid.and_then(Pid::from_raw)
                && kill_process(pid, Signal::KILL).is_err()
            {
                // It ended with the other.
            }
        }
    }

    pub fn kill_first_process(&self, name: &str) {
        let pid: i32 = self.field(name, ".State.Pid").parse().unwrap();
        if let Some(pid) = Pid::from_raw(pid) {
            kill_process(pid, Signal::KILL).unwrap();
        }
    }
}

/// Kills a process and waits until it is over as the engine sees it. Its command line is gone from /proc
/// a little earlier, and whoever looks in between finds somebody alive.
pub fn kill(pid: Pid) {
    let held = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    eventually("the end of what was killed", || {
        let mut ended = [PollFd::new(&held, PollFlags::IN)];
        poll(&mut ended, Some(&Timespec::default())) == Ok(1)
    });
}

pub fn lives(pid: Pid) -> bool {
    let pid = u32::try_from(pid.as_raw_nonzero().get()).unwrap();
    crate::cli::is_alive(pid)
}
