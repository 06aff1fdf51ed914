//! Claims: who is to start a container again.

use std::time::{Duration, SystemTime};

use berth_base::state::{ExitOutcome, RestartClaim};
use berth_base::{ErrorClass, HostPid, ProcessIdentity, Status, Timestamp};

use super::policy;
use crate::process::{Process, boot_id, identify};
use crate::view::View;
use crate::{Container, Engine, EngineError, Session};

/// SIGKILL.
const KILL: i32 = 9;
/// The pause until somebody who was asked to has claimed a start.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The calling process, as claims name it.
pub(super) fn myself() -> Result<ProcessIdentity, EngineError> {
    let pid = HostPid::new(std::process::id());
    pid.and_then(identify).ok_or_else(|| {
        EngineError::new(
            ErrorClass::Internal,
            "cannot tell who this process is; is /proc mounted?",
        )
    })
}

pub(super) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// The claim on a container's next start, while that has not happened.
pub(crate) fn pending(container: &Container) -> Option<&RestartClaim> {
    let claim = container.restarts.claim.as_ref()?;
    let has_begun = container.run > claim.after_run;
    let exit = container.exit.as_ref();
    let was_started = container.ran_in_this_boot || exit.is_some_and(|e| e.started_at.is_some());
    (!(has_begun && was_started)).then_some(claim)
}

/// Whether somebody who lives is at it, other than `me`.
pub(super) fn is_attended(claim: &RestartClaim, me: Option<&ProcessIdentity>) -> bool {
    Some(&claim.by) != me && Process::open(&claim.by).is_some()
}

/// Whether somebody else who lives is about to start a container.
pub(crate) fn is_in_hand(container: &Container) -> bool {
    pending(container).is_some_and(|claim| is_attended(claim, myself().ok().as_ref()))
}

/// Whether a claim was made in this boot of the host.
pub(crate) fn is_of_this_boot(claim: &RestartClaim) -> bool {
    boot_id().is_some_and(|boot| boot == claim.by.boot_id)
}

/// Ends the process that waits to start a container, once the claim is no longer its own. It only
/// sleeps; whoever restarts a container by hand is left to find out by himself. The caller has the
/// container's lock, without which that process does nothing.
pub(crate) fn dismiss(claim: Option<&RestartClaim>) {
    let Some(claim) = claim.filter(|claim| claim.due_at.is_some()) else {
        return;
    };
    if claim.by.pid.get() == std::process::id() {
        return;
    }
    if let Some(waiter) = Process::open(&claim.by)
        && waiter.signal(KILL).is_err()
    {
        // It finds that the claim is gone when its time has come.
    }
}

/// Whether the monitor of a container that has ended, or what it executes in its place, lives and
/// decides what follows.
pub(super) fn is_being_seen_to(container: &Container) -> bool {
    let exit = container.exit.as_ref();
    let by = exit.and_then(|exit| exit.recorded_by.as_ref());
    by.is_some_and(|by| by.pid.get() != std::process::id() && Process::open(by).is_some())
}

/// Whether a container has ended that its policy starts again, and its monitor, or what that executes
/// in its place, lives but has not yet claimed the start. Before its end is recorded it counts as a
/// failure.
pub(crate) fn is_about_to_restart(container: &Container) -> bool {
    container.status == Status::Exited
        && container.ran_in_this_boot
        && pending(container).is_none()
        && is_wanted_again(container)
        && match &container.exit {
            Some(_) => is_being_seen_to(container),
            None => Session::is_served(&container.volatile_dir),
        }
}

/// Whether the policy of a container that has ended starts it again.
fn is_wanted_again(container: &Container) -> bool {
    let boot = boot_id().unwrap_or_default();
    policy::wants_again(
        container.restart,
        &container.restarts,
        outcome(container),
        &boot,
    )
}

/// How the last run ended, as far as that is known.
pub(super) fn outcome(container: &Container) -> ExitOutcome {
    let exit = container.exit.as_ref();
    exit.map_or(ExitOutcome::Unknown, |exit| exit.outcome)
}

impl Engine {
    /// Whether a container is to be started again and nobody is at it: who was has died.
    pub(super) fn is_neglected(container: &Container) -> bool {
        if !matches!(
            container.status,
            Status::Exited | Status::Restarting | Status::Starting
        ) {
            return false;
        }
        if let Some(claim) = pending(container) {
            return is_of_this_boot(claim) && !is_attended(claim, None);
        }
        container.status == Status::Exited
            && container.ran_in_this_boot
            && !is_being_seen_to(container)
            && is_wanted_again(container)
    }

    /// Sees to it that containers which are to be started again are, where whoever was to do it has
    /// died. Returns at once.
    pub fn look_after<'a>(&self, containers: impl IntoIterator<Item = &'a Container>) {
        for container in containers {
            if Self::is_neglected(container) {
                // Who cannot be started now is found by the next who looks.
                drop(self.spawn_internal(&["exited", container.id.as_str()]));
            }
        }
    }

    /// Waits for the start of a container that is restarting, or for its not coming.
    pub(crate) fn await_restart(&self, container: &Container) {
        let claim = container.restarts.claim.as_ref();
        match claim.and_then(|claim| Process::open(&claim.by)) {
            Some(waiter) => {
                waiter.wait_for(None);
            }
            None => {
                self.look_after([container]);
                std::thread::sleep(LOOK_AGAIN);
            }
        }
    }

    /// The view of a container under its lock, with nothing half done: a start whose starter died is
    /// over, and an end has its record.
    pub(super) fn settled_view(
        &self,
        lock: &crate::store::ContainerLock,
    ) -> Result<View, EngineError> {
        let view = self.view(lock.id())?;
        match view.container.status {
            // Whoever wrote that held the lock which is ours now.
            Status::Starting => {
                crate::cgroup::end_leftovers(&view.container)?;
                self.settle(lock, &view)?;
                self.view(lock.id())
            }
            Status::Exited if view.container.exit.is_none() => {
                self.settle(lock, &view)?;
                self.view(lock.id())
            }
            _ => Ok(view),
        }
    }
}
