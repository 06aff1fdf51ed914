//! The processes of a container that stand still while its files are read.
//!
//! A guardian, a fork of ours, lets them go on should we be killed meanwhile: nobody would know of a
//! container that is frozen and not marked as paused, and whoever joins it stands still as well.

use std::os::fd::OwnedFd;

use berth_base::{ContainerId, Status};
use berth_runtime::cgroup::Cgroup;
use berth_sys::{Clone3, Forked, exit_now, signal};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, setsid, waitpid};

use crate::{Container, Engine, EngineError, cgroup};

/// A running container's processes, stopped until this is dropped. One that is paused stays so.
pub(super) struct Frozen<'e> {
    engine: &'e Engine,
    id: ContainerId,
    cgroup: Option<Cgroup>,
    guardian: Option<(Pid, OwnedFd)>,
}

impl<'e> Frozen<'e> {
    /// The caller has one thread.
    pub(super) fn begin(
        engine: &'e Engine,
        container: &Container,
        stays_running: bool,
    ) -> Result<Self, EngineError> {
        let live = container.live.as_ref();
        let live = live.filter(|_| !stays_running && container.status != Status::Paused);
        // Without one of its own, as for a user to whom none is delegated, nothing can be stopped.
        let mut frozen = Self {
            engine,
            id: container.id.clone(),
            cgroup: live.map(cgroup::of_run).filter(|c| !c.is_nowhere()),
            guardian: None,
        };
        if frozen.cgroup.is_some() {
            frozen.guardian = Some(frozen.guard().map_err(|errno| {
                let text = format!("cannot make who lets the container go on again: {errno}");
                EngineError::new(berth_base::ErrorClass::Unavailable, text)
            })?);
        }
        if let Some(cgroup) = &frozen.cgroup {
            let done = cgroup.freeze();
            done.map_err(|e| cgroup::on_cgroup(container, e))?;
        }
        Ok(frozen)
    }

    /// Forks the guardian: who it is, and what it waits at. A byte lets it go; our end of the pipe is
    /// closed without one when we are killed.
    fn guard(&self) -> Result<(Pid, OwnedFd), Errno> {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        match Clone3::default().run()? {
            Forked::Parent { pid, .. } => Ok((pid, ours)),
            Forked::Child => {
                drop(ours);
                // What a terminal sends its foreground is not for us.
                setsid().ok();
                signal::block_all().ok();
                let mut byte = [0; 1];
                let was_told = loop {
                    match rustix::io::read(&theirs, &mut byte) {
                        Err(Errno::INTR) => {}
                        read => break read.is_ok_and(|length| length > 0),
                    }
                };
                if !was_told {
                    self.thaw();
                }
                exit_now(0)
            }
        }
    }

    fn thaw(&self) {
        if let Some(cgroup) = &self.cgroup
            && !self.is_paused()
        {
            // What stays frozen "berth stop" and "rm -f" still end: a kill thaws.
            drop(cgroup.thaw());
        }
    }

    /// Whether somebody has paused it since.
    fn is_paused(&self) -> bool {
        let status = self.engine.store().read_status(&self.id);
        matches!(status, Ok(Some(file)) if file.status == Status::Paused)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.thaw();
        if let Some((pid, pipe)) = self.guardian.take() {
            rustix::io::write(&pipe, b".").ok();
            drop(pipe);
            waitpid(Some(pid), WaitOptions::empty()).ok();
        }
    }
}
