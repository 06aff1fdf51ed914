//! `stop`, `kill`, `wait`: the end of a run.

use std::time::Duration;

use berth_base::state::ExitFile;
use berth_base::{ContainerId, ErrorClass, HostPid, Status};

use crate::error::unless_unwritable;
use crate::view::View;
use crate::{Container, Engine, EngineError, StopOptions, caretaker, empty, hint, limits, words};

/// SIGKILL and SIGTERM.
pub(crate) const KILL: i32 = 9;
const TERM: i32 = 15;
/// Seconds between stop signal and SIGKILL, Docker's.
const TIMEOUT_S: i64 = 10;
/// The same with `--stop-fast`.
const FAST: Duration = Duration::from_millis(200);
/// The pause between two looks at a container that is just starting.
const PAUSE: Duration = Duration::from_millis(5);

impl Engine {
    /// Stops a container: stop signal, timeout, SIGKILL. Success means that it is empty; one that
    /// does not run is stopped already. No lock is held while waiting.
    ///
    /// `notify` hears what is worth knowing while it takes time.
    pub fn stop(
        &self,
        id: &ContainerId,
        options: &StopOptions,
        notify: &mut dyn FnMut(&str),
    ) -> Result<(), EngineError> {
        let view = self.mark_stopped(id)?;
        self.end_run(&view, options, notify)?;
        if let Some(warning) = self.forgotten_stop(id) {
            notify(&warning);
        }
        Ok(())
    }

    /// Ends the run of a container, whatever follows.
    pub(crate) fn end_run(
        &self,
        view: &View,
        options: &StopOptions,
        notify: &mut dyn FnMut(&str),
    ) -> Result<(), EngineError> {
        if !self.is_to_end(view)? {
            return Ok(());
        }
        wake(view);
        let signal = check_signal(
            options
                .signal
                .or(view.container.create.options.stop_signal)
                .unwrap_or(TERM),
        )?;
        if signal != KILL {
            self.ask_to_end(view, signal, options, notify)?;
        }
        let ended = view.process.as_ref().is_none_or(|p| p.has_ended());
        if !ended || empty::has_leftovers(view) {
            self.note_signal(view, KILL);
            empty::kill(view)?;
        }
        match self.over(view) {
            Err(error) if error.is_unwritable() => notify(&format!(
                "container {} has ended, and how is not on record: {}",
                view.container.name, error.message
            )),
            other => other?,
        }
        self.emit_of(&view.container, "stop", &[]);
        Ok(())
    }

    pub(crate) fn note_signal(&self, view: &View, signal: i32) {
        self.emit_of(&view.container, "kill", &[("signal", signal.to_string())]);
    }

    /// The container is empty: its record is there, and its cgroups are gone. One that was
    /// removed meanwhile is over as well.
    fn over(&self, view: &View) -> Result<(), EngineError> {
        let over = self.conclude(view).map(drop);
        empty::await_warden(view.last_run.as_ref());
        let tidied = match &over {
            Err(error) if !error.is_unwritable() => Ok(()),
            _ => self.tidy(view),
        };
        match over.and(tidied) {
            Err(error) if error.class == ErrorClass::NotFound => Ok(()),
            other => other,
        }
    }

    /// Sends the stop signal and gives the first process its time.
    fn ask_to_end(
        &self,
        view: &View,
        signal: i32,
        options: &StopOptions,
        notify: &mut dyn FnMut(&str),
    ) -> Result<(), EngineError> {
        let Some(process) = &view.process else {
            return Ok(());
        };
        let timeout = timeout_of(&view.container, options);
        let own = view.last_run.as_ref().is_some_and(|r| r.own_pid_namespace);
        // Who gives it no time knows what follows.
        let waits = timeout.is_none_or(|timeout| !timeout.is_zero());
        if own && waits && hint::may_ignore(process.pid(), signal) {
            let name = &view.container.name;
            let wait = timeout.map_or_else(
                || "no timeout is set".to_owned(),
                |t| format!("SIGKILL follows in {}", short(t)),
            );
            let advice = if options.fast {
                "--init gives it one"
            } else {
                "--init gives it one, --stop-fast waits 200ms only"
            };
            notify(&format!(
                "PID 1 of {name} may ignore {}: it has no handler for it; {wait} ({advice})",
                words::signal(signal)
            ));
        }
        process
            .signal(signal)
            .map_err(|e| cannot_signal(signal, process.pid(), e))?;
        self.note_signal(view, signal);
        limits::thaw(view)?;
        process.wait_for(timeout);
        Ok(())
    }

    /// Sends a signal to the first process of a running container. With SIGKILL, success means
    /// that the container is empty. As with Docker, that signal and the one that asks for a stop are
    /// a stop by hand: no policy starts the container again.
    pub fn kill(&self, id: &ContainerId, signal: i32) -> Result<(), EngineError> {
        let signal = check_signal(signal)?;
        let mut view = self.view(id)?;
        let stop_signal = view.container.create.options.stop_signal.unwrap_or(TERM);
        let status = view.container.status;
        if status == Status::Restarting
            || (status.is_live() && [KILL, stop_signal].contains(&signal))
        {
            view = self.mark_stopped(id)?;
        }
        if status == Status::Restarting && view.container.status == Status::Exited {
            return Ok(());
        }
        self.signal(&view, signal)
    }

    /// Kills a container for a reason of ours: its end counts as one by itself.
    pub(crate) fn kill_by_us(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.signal(&self.view(id)?, KILL)
    }

    fn signal(&self, view: &View, signal: i32) -> Result<(), EngineError> {
        let Some(process) = &view.process else {
            if signal == KILL && empty::has_leftovers(view) {
                empty::kill(view)?;
                // On a full or read-only disk its end is not on record.
                return unless_unwritable(self.over(view));
            }
            return Err(not_running(&view.container));
        };
        if signal == KILL {
            self.note_signal(view, signal);
            wake(view);
            empty::kill(view)?;
            return unless_unwritable(self.over(view));
        }
        process
            .signal(signal)
            .map_err(|e| cannot_signal(signal, process.pid(), e))?;
        self.note_signal(view, signal);
        // One that is meant to end has to run for that.
        let options = &view.container.create.options;
        if signal == options.stop_signal.unwrap_or(TERM) {
            limits::thaw(view)?;
        }
        Ok(())
    }

    /// Waits for the end of the current run, or returns the end of the last. Takes no lock.
    pub fn wait(&self, id: &ContainerId) -> Result<ExitFile, EngineError> {
        loop {
            let view = self.view(id)?;
            let container = &view.container;
            match (container.status, &view.process) {
                (Status::Created, _) => {
                    // Its start was tried, and failed.
                    if let Some(exit) = &container.exit {
                        return Ok(exit.clone());
                    }
                    let text = format!(
                        "container {0} was never started; start it with \"berth start {0}\"",
                        container.name
                    );
                    return Err(
                        EngineError::new(ErrorClass::Conflict, text).on(container.name.as_str())
                    );
                }
                (Status::Starting, _) => std::thread::sleep(PAUSE),
                // The end of its next run.
                (Status::Restarting, _) => self.await_restart(container),
                (_, Some(process)) => {
                    process.wait_for(None);
                    return self.conclude(&view);
                }
                (Status::Exited, None) => {
                    return match &container.exit {
                        Some(exit) => Ok(exit.clone()),
                        None => self.conclude(&view),
                    };
                }
                (Status::Running | Status::Paused | Status::Removing, None) => {
                    return Err(not_running(container));
                }
            }
        }
    }

    /// How the last run ended; `None` while it lives and before the first.
    pub fn last_exit(&self, id: &ContainerId) -> Result<Option<ExitFile>, EngineError> {
        Ok(self.inspect(id)?.exit)
    }

    /// Whether there is anything to stop. One that crashed half way through a start, or whose
    /// keeper and monitor are gone, is put in order.
    fn is_to_end(&self, view: &View) -> Result<bool, EngineError> {
        match view.container.status {
            Status::Running | Status::Paused => Ok(true),
            Status::Created | Status::Restarting => Ok(false),
            Status::Starting => {
                // With its lock in hand, nobody is starting it any more.
                let lock = self.store().lock(&view.container.id)?;
                let view = self.view(&view.container.id)?;
                if view.container.status == Status::Starting {
                    self.settle(&lock, &view)?;
                    return Ok(false);
                }
                drop(lock);
                self.is_to_end(&view)
            }
            Status::Exited | Status::Removing => {
                if view.container.exit.is_none() || empty::has_leftovers(view) {
                    return Ok(true);
                }
                Ok(false)
            }
        }
    }
}

/// Whoever is to reap what ends must not be stopped.
pub(crate) fn wake(view: &View) {
    if let Some(run) = &view.last_run {
        caretaker::wake(run);
    }
}

fn timeout_of(container: &Container, options: &StopOptions) -> Option<Duration> {
    if options.fast {
        return Some(FAST);
    }
    let seconds = options
        .timeout_s
        .or(container.create.options.stop_timeout_s.map(i64::from))
        .unwrap_or(TIMEOUT_S);
    // Negative is for ever, as Docker has it.
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn short(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{}ms", span.as_millis()),
        _ => words::span(span),
    }
}

/// The kernel knows the signals 1 to 64 (signal(7)).
fn check_signal(signal: i32) -> Result<i32, EngineError> {
    if (1..=64).contains(&signal) {
        return Ok(signal);
    }
    Err(EngineError::new(
        ErrorClass::Invalid,
        format!("there is no signal {signal}; \"kill -l\" lists them, 1 to 64"),
    ))
}

pub(crate) fn cannot_signal(signal: i32, pid: HostPid, errno: rustix::io::Errno) -> EngineError {
    let class = match errno {
        rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => ErrorClass::Denied,
        _ => ErrorClass::Internal,
    };
    let text = format!(
        "cannot send {} to process {pid}: {errno}",
        words::signal(signal)
    );
    EngineError::new(class, text).on(pid.to_string())
}

pub(crate) fn not_running(container: &Container) -> EngineError {
    let name = &container.name;
    let text = match container.status {
        Status::Restarting => {
            format!(
                "container {name} is restarting; wait until it runs, or start it at once with \"berth start {name}\""
            )
        }
        Status::Removing => {
            format!("container {name} is being removed; finish that with \"berth rm -f {name}\"")
        }
        status => format!(
            "container {name} is not running, it is {status}; start it with \"berth start {name}\""
        ),
    };
    EngineError::new(ErrorClass::Conflict, text).on(name.as_str())
}
