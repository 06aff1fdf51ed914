//! Ending a container for good, and proving that nothing of it is left.
//!
//! With a PID namespace of its own: the pidfd of PID 1 becomes readable only once the namespace
//! is empty (the kernel reaps everybody first, zap_pid_ns_processes). With a shared or the host's
//! PID namespace: its cgroup, and without any cgroup the namespaces that are its alone.

use std::time::{Duration, Instant, SystemTime};

use berth_base::state::{ExitFile, ExitOutcome, RunFile, STATE_VERSION};
use berth_base::{ContainerId, ErrorClass, Status, Timestamp};
use berth_runtime::besides;
use berth_sys::ExitStatus;

use crate::members::{self, Marks};
use crate::process::Process;
use crate::store::ContainerLock;
use crate::view::View;
use crate::{Container, Engine, EngineError, Session, cgroup, limits};

/// SIGKILL.
const KILL: i32 = 9;
/// How long after SIGKILL a container may take to be empty.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);
/// When a first process that does not die is suspected to be frozen.
const THAW_AFTER: Duration = Duration::from_millis(500);
/// How long the exit record may take once the first process has ended: a monitor first ends what
/// is left in a shared PID namespace, for which it takes up to 10 s. poststop hooks come besides.
const RECORD_WITHIN: Duration = Duration::from_secs(15);
/// Longest pause between two looks for the record.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Kills everything of a container and returns once it is empty. Past the deadline the error
/// lists each survivor.
pub(crate) fn kill(view: &View) -> Result<(), EngineError> {
    let Some(run) = &view.last_run else {
        // Nobody wrote down what was started: the cgroup knows.
        return cgroup::end_leftovers(&view.container);
    };
    let deadline = Instant::now() + EMPTY_WITHIN;
    let empty = if run.own_pid_namespace {
        kill_own(view, run, deadline)?
    } else {
        kill_shared(view, run, deadline)?
    };
    if empty {
        Ok(())
    } else {
        Err(not_empty(&view.container, run))
    }
}

fn kill_own(view: &View, run: &RunFile, deadline: Instant) -> Result<bool, EngineError> {
    let Some(process) = &view.process else {
        return Ok(true);
    };
    process
        .signal(9)
        .map_err(|e| crate::cannot_signal(9, process.pid(), e))?;
    limits::thaw(view)?;
    if process.wait_for(Some(THAW_AFTER)) {
        return Ok(true);
    }
    // A v1 freezer holds back SIGKILL; somebody may have frozen it behind our back.
    let thawed = cgroup::of_run(run).thaw();
    let empty = process.wait_for(Some(deadline.saturating_duration_since(Instant::now())));
    match thawed {
        Err(error) if !empty => Err(cgroup::on_cgroup(&view.container, error)),
        _ => Ok(empty),
    }
}

fn kill_shared(view: &View, run: &RunFile, deadline: Instant) -> Result<bool, EngineError> {
    let container = &view.container;
    let cgroup = cgroup::of_run(run);
    if cgroup.is_nowhere() {
        return members::kill_marked(&Marks::of(container, run), deadline);
    }
    let failed = |e| cgroup::on_cgroup(container, e);
    cgroup.kill().map_err(failed)?;
    if !cgroup.wait_empty(deadline).map_err(failed)? {
        return Ok(false);
    }
    let left = deadline.saturating_duration_since(Instant::now());
    Ok(view
        .process
        .as_ref()
        .is_none_or(|process| process.wait_for(Some(left))))
}

/// Whether processes are left although the first one has ended. With a PID namespace of its own
/// the kernel has excluded that.
pub(crate) fn has_leftovers(view: &View) -> bool {
    let Some(run) = &view.last_run else {
        return false;
    };
    if run.own_pid_namespace {
        return false;
    }
    let cgroup = cgroup::of_run(run);
    if cgroup.is_nowhere() {
        !members::marked(&Marks::of(&view.container, run)).is_empty()
    } else {
        cgroup.is_populated().unwrap_or(false)
    }
}

fn not_empty(container: &Container, run: &RunFile) -> EngineError {
    let name = &container.name;
    let list: Vec<String> = members::survivors(container, run)
        .iter()
        .map(|survivor| format!("\n  {survivor}"))
        .collect();
    let what = match list.len() {
        0 => "its first process has not ended, though none of its processes can be seen".into(),
        1 => "one process is left:".to_owned(),
        count => format!("{count} processes are left:"),
    };
    let text = format!(
        "container {name} is not empty {} s after SIGKILL: {what}{}",
        EMPTY_WITHIN.as_secs(),
        list.concat()
    );
    EngineError::new(ErrorClass::Unavailable, text)
        .on(name.as_str())
        .hint("a zombie goes when its parent or tracer reaps it; a process in state D when its I/O ends; then try again")
}

/// Waits until the program that carried the packets of a run is gone, which follows the end of the
/// first process by itself; ends it where it does not.
pub(crate) fn await_warden(run: Option<&RunFile>) {
    let warden = run.and_then(|run| run.network_warden.as_ref());
    let Some(warden) = warden.and_then(Process::open) else {
        return;
    };
    if !warden.wait_for(Some(EMPTY_WITHIN)) && warden.signal(KILL).is_ok() {
        warden.wait_for(Some(EMPTY_WITHIN));
    }
}

impl Engine {
    /// After the end of a run: waits for the record of the monitor, and where nobody is left to
    /// write one writes it. Afterwards the container is `exited`, on disk too.
    pub(crate) fn conclude(&self, view: &View) -> Result<ExitFile, EngineError> {
        let container = &view.container;
        crate::stop::wake(view);
        if let Some(exit) = self.await_record(container)? {
            return Ok(exit);
        }
        let lock = self.store().lock(&container.id)?;
        self.settle(&lock, view)?;
        let exit = self.store().read_exit(&container.id, container.run)?;
        exit.ok_or_else(|| {
            let text = format!(
                "container {} ended but no record of it can be kept",
                container.name
            );
            EngineError::new(ErrorClass::Internal, text).on(container.name.as_str())
        })
    }

    /// Waits until the record of a run that is over is written, by its monitor if that lives.
    pub(crate) fn await_end(&self, id: &ContainerId) -> Result<(), EngineError> {
        let view = self.view(id)?;
        if view.container.status == Status::Exited && view.container.exit.is_none() {
            self.conclude(&view)?;
        }
        Ok(())
    }

    /// Removes the cgroups of a run that is over, should the monitor not have come to it yet.
    pub(crate) fn tidy(&self, view: &View) -> Result<(), EngineError> {
        let Some(run) = &view.last_run else {
            return Ok(());
        };
        let lock = self.store().lock(&view.container.id)?;
        let now = self.view(lock.id())?;
        // The next run has the same cgroups.
        if now.container.run != view.container.run || now.container.status != Status::Exited {
            return Ok(());
        }
        cgroup::of_run(run)
            .remove()
            .map_err(|e| cgroup::on_cgroup(&view.container, e))
    }

    /// Waits for `exits/N.json` while somebody lives who will write it.
    fn await_record(&self, container: &Container) -> Result<Option<ExitFile>, EngineError> {
        let begun = Instant::now();
        let is_late = || {
            let patience = || {
                let hooks = besides::due_within(&container.volatile_dir);
                RECORD_WITHIN.saturating_add(hooks.unwrap_or_default())
            };
            begun.elapsed() >= RECORD_WITHIN && begun.elapsed() >= patience()
        };
        let mut pause = Duration::from_micros(200);
        loop {
            // In this order: who is gone after the look has written before.
            let cared_for = Session::is_served(&container.volatile_dir);
            if let Some(exit) = self.store().read_exit(&container.id, container.run)? {
                return Ok(Some(exit));
            }
            if !cared_for || is_late() {
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Runs the poststop hooks of a run that its monitor has not lived to see the end of. What failed, or
    /// why they did not run. The caller holds the container's lock; the run has no exit record.
    pub(crate) fn finish_besides(&self, view: &View) -> Option<String> {
        let container = &view.container;
        // Hooks of a start run once the first process is on record.
        view.last_run.as_ref()?;
        // Who lives does it, however long that takes.
        if Session::is_served(&container.volatile_dir) {
            return None;
        }
        let config = match self.store().read_monitor(&container.id) {
            Ok(config) => config.filter(|config| config.run == container.run)?,
            Err(error) => return Some(format!("poststop hooks did not run: {error}")),
        };
        besides::due_within(&container.volatile_dir)?;
        // What the first process left behind.
        if has_leftovers(view)
            && let Err(error) = kill(view)
        {
            return Some(format!("poststop hooks did not run: {error}"));
        }
        besides::finish(&config)
    }

    /// Puts the files of a container whose run is over in order: an exit record, the cgroups
    /// gone, the status `exited`. What keeper and monitor did already is left as it is.
    pub(crate) fn settle(&self, lock: &ContainerLock, view: &View) -> Result<(), EngineError> {
        let container = &view.container;
        if container.run > 0
            && self
                .store()
                .read_exit(&container.id, container.run)?
                .is_none()
        {
            let group = match &view.last_run {
                Some(run) => cgroup::of_run(run),
                None => cgroup::of_container(container),
            };
            let outcome = view
                .process
                .as_ref()
                .map_or(ExitOutcome::Unknown, outcome_of);
            let oom_killed = group.oom_kills().is_ok_and(|kills| kills > 0);
            let exit = ExitFile {
                version: STATE_VERSION,
                run: container.run,
                outcome,
                oom_killed,
                started_at: container.live.as_ref().map(|live| live.started_at),
                finished_at: Timestamp::from(SystemTime::now()),
                // Before the record, which says that it has been done.
                error: self.finish_besides(view),
                recorded_by: None,
            };
            self.store().write_exit_if_absent(&container.id, &exit)?;
            self.emit_unseen_end(view, &exit);
            cgroup::end_leftovers(container)?;
        }
        if !matches!(
            (view.written.status, view.container.status),
            (Status::Exited | Status::Removing, _) | (_, Status::Restarting)
        ) {
            self.write_status(lock, container, (Status::Exited, container.run), None)?;
        }
        Ok(())
    }
}

/// How a process ended that was not our child: from 6.15 on its pidfd tells.
fn outcome_of(process: &crate::process::Process) -> ExitOutcome {
    match process.exit_status() {
        Ok(ExitStatus::Status(status)) => {
            ExitOutcome::from_wait_status(status).unwrap_or(ExitOutcome::Unknown)
        }
        Ok(ExitStatus::Unavailable) | Err(_) => ExitOutcome::Unknown,
    }
}
