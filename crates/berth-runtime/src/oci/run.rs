//! `run`: create and start in one, and in the foreground the caller of the container.
//!
//! Who we are: init's parent. We forward signals, carry a terminal's bytes, reap what is left to
//! us, and end as the container ends.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use berth_base::ErrorClass;
use berth_sys::signal::{SignalFd, pidfd_kill};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, set_child_subreaper, wait};

use super::container::Container;
use super::create::Waiting;
use super::delete::{self, Force};
use super::pump::Pump;
use super::{Outcome, cannot, fail, notify, start};

/// Signals that are ours or the kernel's: all others go to the container.
const NOT_FORWARDED: [Signal; 7] = [
    Signal::CHILD,
    Signal::KILL,
    Signal::STOP,
    Signal::PIPE,
    Signal::URG,
    Signal::TTIN,
    Signal::TTOU,
];

/// The signals up to 31 that are forwarded, and the two we need ourselves.
fn watched() -> Vec<i32> {
    (1..=31)
        .filter(|number| {
            *number == Signal::CHILD.as_raw()
                || !NOT_FORWARDED.iter().any(|s| s.as_raw() == *number)
        })
        .collect()
}

/// What the foreground needs before init exists, so that no signal is lost in between.
pub(crate) struct Foreground {
    signals: SignalFd,
}

impl Foreground {
    /// Collects signals from now on; orphans of the container come to us.
    pub(crate) fn prepare(subreaper: bool) -> Outcome<Self> {
        if subreaper {
            set_child_subreaper(Some(rustix::process::getpid()))
                .map_err(|e| cannot("become a subreaper", e))?;
        }
        let signals = SignalFd::new(&watched()).map_err(|e| cannot("collect signals", e))?;
        Ok(Self { signals })
    }

    /// Starts a newborn and stays until it has ended; returns its exit code.
    pub(crate) fn accompany(self, container: &Container, init: Waiting) -> Outcome<u8> {
        let Waiting {
            pid,
            pidfd,
            socket,
            terminal,
            lock,
        } = init;
        drop(lock);
        let notify = notify::Listener::open(&container.folder)?;
        let (spec, state) = (container.spec()?, &container.state);
        start::signal(spec, state, pidfd.as_fd(), socket.as_fd())?;
        drop(socket);
        start::after_start(spec, state)?;
        self.attend(pid, &pidfd, terminal, notify)
    }

    /// Stays with a process that runs until it has ended; returns its exit code.
    pub(crate) fn attend(
        self,
        pid: Pid,
        pidfd: &OwnedFd,
        terminal: Option<OwnedFd>,
        notify: Option<notify::Listener>,
    ) -> Outcome<u8> {
        let mut pump = match terminal {
            None => None,
            Some(master) => Some(Pump::open(master)?),
        };
        let code = self.watch(pid, pidfd, pump.as_mut(), notify)?;
        if let Some(pump) = pump {
            pump.finish();
        }
        Ok(code)
    }

    fn watch(
        &self,
        pid: Pid,
        init: &OwnedFd,
        mut pump: Option<&mut Pump>,
        mut notify: Option<notify::Listener>,
    ) -> Outcome<u8> {
        loop {
            if let Some(code) = reap(pid)? {
                return Ok(code);
            }
            let mut polled = vec![
                PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(init.as_fd(), PollFlags::IN),
            ];
            if let Some(pump) = pump.as_deref() {
                polled.extend(pump.polled());
            }
            if let Some(notify) = &notify {
                polled.push(PollFd::from_borrowed_fd(notify.as_fd(), PollFlags::IN));
            }
            match poll(&mut polled, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(cannot("wait for the container", errno)),
            }
            drop(polled);
            if let Some(pump) = pump.as_deref_mut() {
                pump.carry()?;
            }
            if let Some(listener) = &notify
                && listener.hear(pid.as_raw_nonzero().get().unsigned_abs())?
            {
                notify = None;
            }
            self.forward(init, pump.as_deref())?;
        }
    }

    /// Passes on the signals that have come.
    fn forward(&self, init: &OwnedFd, pump: Option<&Pump>) -> Outcome {
        while let Some(number) = self.signals.read() {
            let number = i32::try_from(number).unwrap_or(0);
            if number == Signal::CHILD.as_raw() {
                continue;
            }
            if let (true, Some(pump)) = (number == Signal::WINCH.as_raw(), pump) {
                pump.resize();
                continue;
            }
            match pidfd_kill(init.as_fd(), number) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(cannot(&format!("forward signal {number}"), errno)),
            }
        }
        Ok(())
    }
}

/// Reaps every child that has ended; the exit code of `init` once it is among them.
fn reap(init: Pid) -> Outcome<Option<u8>> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == init => {
                let signal = status.terminating_signal().unwrap_or(0);
                let code = status.exit_status().unwrap_or(128 + signal);
                return Ok(Some(u8::try_from(code).unwrap_or(255)));
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(Errno::CHILD) => {
                return Err(fail(ErrorClass::Internal, "the first process is not ours"));
            }
            Err(errno) => return Err(cannot("wait for the container", errno)),
        }
    }
}

/// Removes a container that has run, or that could not be started.
pub(crate) fn clean_up(container: &Container) -> Outcome {
    // Somebody may have deleted it meanwhile, and made another of its name.
    let now = container.folder.read()?;
    if now.is_some_and(|now| now.init == container.state.init) {
        delete::delete(container, Force::Yes)?;
    }
    Ok(())
}

/// Writes a PID file so that a reader sees none or a whole one.
pub(crate) fn write_pid_file(path: &Path, pid: Pid) -> Outcome {
    let failed = |e: std::io::Error| cannot(&format!("write the PID file {}", path.display()), e);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}"));
    let mut file = File::create(&temporary).map_err(failed)?;
    write!(file, "{}", pid.as_raw_nonzero()).map_err(failed)?;
    drop(file);
    std::fs::rename(&temporary, path).map_err(failed)
}
