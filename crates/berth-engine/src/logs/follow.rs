//! Waiting for a log to grow.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use berth_base::HostPid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How often the end of the container is looked for once its first process is gone: the exit
/// record follows the last line.
const ENDING_PAUSE: Duration = Duration::from_millis(20);

/// Changes of a folder (inotify(7)).
pub(super) struct Changes {
    queue: OwnedFd,
}

impl Changes {
    /// Those of its names: files that are made, renamed and removed.
    pub(super) fn of_names(folder: &Path) -> Option<Self> {
        use inotify::WatchFlags as Events;
        Self::new(folder, Events::CREATE | Events::MOVED_TO | Events::DELETE)
    }

    fn new(folder: &Path, events: inotify::WatchFlags) -> Option<Self> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let queue = inotify::init(flags).ok()?;
        inotify::add_watch(&queue, folder, events).ok()?;
        Some(Self { queue })
    }

    /// Waits for one, or for `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let mut fds = [PollFd::new(&self.queue, PollFlags::IN)];
        if poll(&mut fds, Some(&as_timespec(timeout))).is_ok() {
            self.forget();
        }
    }

    /// Empties the queue, of which only the arrival matters.
    fn forget(&self) {
        let mut buffer = [0u8; 4096];
        while matches!(rustix::io::read(&self.queue, &mut buffer), Ok(1..)) {}
    }
}

fn as_timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(1),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// Waits for a log to grow or its container to end.
pub struct Follow {
    changes: Option<Changes>,
    first_process: Option<OwnedFd>,
    ending: bool,
}

impl Follow {
    /// Watches the folder of a log (inotify(7)) and a process (pidfd_open(2)). Either may be
    /// missing: waiting then ends by its timeout.
    pub fn new(folder: &Path, process: Option<HostPid>) -> Self {
        let events = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO;
        let first_process = process.and_then(|pid| {
            let pid = Pid::from_raw(i32::try_from(pid.get()).ok()?)?;
            pidfd_open(pid, PidfdFlags::empty()).ok()
        });
        Self {
            changes: Changes::new(folder, events),
            first_process,
            ending: false,
        }
    }

    /// Waits for at most `timeout`, or until the reader of standard output leaves.
    pub fn wait(&mut self, timeout: Duration) {
        let timeout = if self.ending { ENDING_PAUSE } else { timeout };
        let timeout = as_timespec(timeout);
        let stdout = io::stdout();
        let mut fds = vec![PollFd::new(&stdout, PollFlags::empty())];
        let process = self.first_process.as_ref().filter(|_| !self.ending);
        if let Some(process) = process {
            fds.push(PollFd::new(process, PollFlags::IN));
        }
        if let Some(changes) = &self.changes {
            fds.push(PollFd::new(&changes.queue, PollFlags::IN));
        }
        // Whatever ends the wait, the caller looks for itself.
        let woken = poll(&mut fds, Some(&timeout)).is_ok();
        let ended = process.is_some() && fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        self.ending |= woken && ended;
        if let Some(changes) = &self.changes {
            changes.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_when_the_log_grows_or_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let mut follow = Follow::new(dir.path(), None);
        let begin = std::time::Instant::now();
        for _ in 0..2 {
            std::fs::write(dir.path().join("log.json"), "x").unwrap();
            follow.wait(Duration::from_secs(20));
        }
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}
