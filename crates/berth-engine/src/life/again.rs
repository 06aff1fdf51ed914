//! A container that has ended is started again: the pause, and the start.
//!
//! Who we are: `berth internal exited ID`, which the monitor executes in its own place, or which
//! somebody started who found nobody at it. We hold nothing while we wait, so that whoever stops,
//! removes or starts the container meanwhile ends us with SIGKILL.

use std::thread::sleep;
use std::time::Duration;

use berth_base::state::{RestartClaim, RestartRecord};
use berth_base::{ContainerId, ErrorClass, ProcessIdentity, Status, Timestamp};

use berth_runtime::launch::enter_keepers_cgroup;

use super::claim::{is_attended, myself, now, outcome, pending};
use super::policy;
use crate::process::boot_id;
use crate::{Container, Engine, EngineError, StartAttach};

/// How often a write that fails is tried again: a full disk need not stay so. The pauses double from
/// 100 ms.
const TRIES: u32 = 10;

/// What came of a due start.
enum Came {
    /// It runs, or is somebody else's.
    Over,
    /// It could not be started: that is an end like any other.
    Failed,
}

impl Engine {
    /// Starts a container again that has ended, when that is due; returns once it runs, or is not
    /// wanted to.
    pub(crate) fn start_again(&self, id: &ContainerId) -> Result<(), EngineError> {
        let me = myself()?;
        loop {
            let Some(due) = self.claim_persistently(id, &me)? else {
                return Ok(());
            };
            detach();
            sleep(policy::pause_until(due, now()));
            match self.start_claimed(id, &me)? {
                Came::Over => return Ok(()),
                Came::Failed => {}
            }
        }
    }

    fn claim_persistently(
        &self,
        id: &ContainerId,
        me: &ProcessIdentity,
    ) -> Result<Option<Timestamp>, EngineError> {
        let mut tries = 0;
        loop {
            match self.claim_start(id, me) {
                Err(error) if error.class != ErrorClass::NotFound && tries < TRIES => {
                    sleep(Duration::from_millis(100 << tries));
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// Claims the next start of a container that is over, and says when it is due; `None` when there
    /// is none, or somebody else has it.
    fn claim_start(
        &self,
        id: &ContainerId,
        me: &ProcessIdentity,
    ) -> Result<Option<Timestamp>, EngineError> {
        self.await_end(id)?;
        let lock = self.store().lock(id)?;
        let mut view = self.settled_view(&lock)?;
        let container = &mut view.container;
        if !matches!(container.status, Status::Exited | Status::Restarting) {
            return Ok(None);
        }
        let run = container.run;
        let Some((record, due)) = next_start(container, me) else {
            let attended = pending(container).is_some_and(|claim| is_attended(claim, Some(me)));
            if !attended && container.restarts.claim.is_some() {
                container.restarts.claim = None;
                self.write_status(&lock, container, (Status::Exited, run), None)?;
            }
            return Ok(None);
        };
        let error = container.error.take();
        container.restarts = record;
        self.write_status(&lock, container, (Status::Restarting, run), error)?;
        Ok(Some(due))
    }

    fn start_claimed(&self, id: &ContainerId, me: &ProcessIdentity) -> Result<Came, EngineError> {
        let lock = self.store().lock(id)?;
        let view = self.view(id)?;
        let is_mine = pending(&view.container).is_some_and(|claim| claim.by == *me);
        if !is_mine || view.container.status != Status::Restarting {
            return Ok(Came::Over);
        }
        let record = view.container.restarts.clone();
        match self.start_locked(&lock, &view, &StartAttach::default(), record) {
            Ok(_) => Ok(Came::Over),
            // The reason is in its status.
            Err(_) => Ok(Came::Failed),
        }
    }
}

/// Leaves the session and the cgroup of whoever started us: their end is not ours. Children of a
/// monitor are out of them already.
fn detach() {
    // Fails for the leader of a session, which has left.
    rustix::process::setsid().ok();
    // Where that fails, we live as long as the session that we were started in.
    drop(enter_keepers_cgroup());
}

/// The record with our claim, and when it is due; `None` when it is not to be started, or somebody
/// else is at it.
pub(super) fn next_start(
    container: &Container,
    me: &ProcessIdentity,
) -> Option<(RestartRecord, Timestamp)> {
    let record = &container.restarts;
    let mut claim = RestartClaim {
        by: me.clone(),
        after_run: container.run,
        due_at: None,
    };
    // Of our own, it is a start that has failed, and counts as an end.
    if let Some(theirs) = pending(container).filter(|claim| claim.by != *me) {
        if is_attended(theirs, Some(me)) {
            return None;
        }
        let due = theirs.due_at.unwrap_or_else(now);
        claim.due_at = Some(due);
        let claim = Some(claim);
        return Some((
            RestartRecord {
                claim,
                ..record.clone()
            },
            due,
        ));
    }
    let boot = boot_id()?;
    if !policy::wants_again(container.restart, record, outcome(container), &boot) {
        return None;
    }
    let exit = container.exit.as_ref();
    let ran = exit.and_then(|exit| Some(exit.finished_at.since(exit.started_at?)));
    let pause_ms = policy::next_pause_ms(record.pause_ms, ran.unwrap_or_default());
    let due = Timestamp::from_nanos(now().as_nanos() + u64::from(pause_ms) * 1_000_000);
    claim.due_at = Some(due);
    let record = RestartRecord {
        count: record.count.saturating_add(1),
        pause_ms,
        claim: Some(claim),
        ..record.clone()
    };
    Some((record, due))
}
