//! `restart`: the end of a run and the start of the next, as one intention.

use berth_base::state::{RestartClaim, RestartRecord};
use berth_base::{ContainerId, ErrorClass, ProcessIdentity, Status};

use super::claim::{dismiss, is_attended, is_in_hand, myself, pending};
use crate::store::ContainerLock;
use crate::view::View;
use crate::{Engine, EngineError, StartAttach, StopOptions};

/// Who wants a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    User,
    /// The probes have failed; whatever a user has begun goes before that.
    Probes,
}

impl Engine {
    /// Stops a container and starts it; one that does not run is started. Returns what the user
    /// should know, one line each. Should we die in between, whoever looks next starts it.
    pub fn restart(
        &self,
        id: &ContainerId,
        options: &StopOptions,
        notify: &mut dyn FnMut(&str),
    ) -> Result<Vec<String>, EngineError> {
        self.recover_after_boot()?;
        match self.claim_restart(id, &myself()?, Asker::User)? {
            Some(view) => self.restart_claimed(view, options, notify),
            None => {
                let started = self.start(id, &StartAttach::default())?;
                // It may have ended and gone by now.
                if let Ok(container) = self.inspect(id) {
                    self.emit_of(&container, "restart", &[]);
                }
                Ok(started.warnings)
            }
        }
    }

    /// Restarts a container whose probes have failed, unless it is over or somebody stops or restarts
    /// it already.
    pub(super) fn restart_unwell(&self, id: &ContainerId) -> Result<(), EngineError> {
        match self.claim_restart(id, &myself()?, Asker::Probes)? {
            Some(view) => self
                .restart_claimed(view, &StopOptions::default(), &mut |_| {})
                .map(drop),
            None => Ok(()),
        }
    }

    /// The end and the start of a container whose start we have claimed.
    fn restart_claimed(
        &self,
        view: View,
        options: &StopOptions,
        notify: &mut dyn FnMut(&str),
    ) -> Result<Vec<String>, EngineError> {
        let me = myself()?;
        let id = &view.container.id.clone();
        if let Err(error) = self.end_run(&view, options, notify) {
            self.withdraw_claim(id, &me)?;
            return Err(error);
        }
        let lock = self.store().lock(id)?;
        let view = self.settled_view(&lock)?;
        let container = &view.container;
        let is_mine = pending(container).is_some_and(|claim| claim.by == me);
        if container.status.is_live() && !is_mine {
            // Somebody was quicker.
            return Ok(Vec::new());
        }
        if !is_mine {
            if self.is_restarted_by_another(lock, &view, &me)? {
                return Ok(Vec::new());
            }
            let name = &container.name;
            let text = format!(
                "container {name} was stopped by somebody else while it was restarted; start it with \"berth start {name}\""
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        let record = RestartRecord {
            claim: container.restarts.claim.clone(),
            ..RestartRecord::default()
        };
        let started = self.start_locked(&lock, &view, &StartAttach::default(), record);
        if started.is_err() {
            // A start that fails is told to the user and not tried again.
            drop(lock);
            self.withdraw_claim(id, &me)?;
        }
        let warnings = started?.warnings;
        self.emit_of(container, "restart", &[]);
        Ok(warnings)
    }

    /// Claims the next start of a container that runs, or is about to; `None` when it is over, and
    /// only a start is wanted, or when it is in the hands of somebody who goes before us.
    fn claim_restart(
        &self,
        id: &ContainerId,
        me: &ProcessIdentity,
        asker: Asker,
    ) -> Result<Option<View>, EngineError> {
        let lock = self.store().lock(id)?;
        let mut view = self.settled_view(&lock)?;
        if !view.container.status.is_live() {
            return Ok(None);
        }
        let container = &view.container;
        let is_taken = container.restarts.stopped_in.is_some() || is_in_hand(container);
        if asker == Asker::Probes && is_taken {
            return Ok(None);
        }
        let before = view.container.restarts.claim.replace(RestartClaim {
            by: me.clone(),
            after_run: view.container.run,
            due_at: None,
        });
        let (status, run) = (view.container.status, view.container.run);
        self.write_status(&lock, &view.container, (status, run), None)?;
        dismiss(before.as_ref());
        Ok(Some(view))
    }

    /// Whether somebody has claimed the start since who does it; waits for that.
    fn is_restarted_by_another(
        &self,
        lock: ContainerLock,
        view: &View,
        me: &ProcessIdentity,
    ) -> Result<bool, EngineError> {
        let claim = pending(&view.container);
        if !claim.is_some_and(|claim| is_attended(claim, Some(me))) {
            return Ok(false);
        }
        let id = lock.id().clone();
        drop(lock);
        self.await_restart(&view.container);
        Ok(self.view(&id)?.container.status.is_live())
    }

    /// What cannot be done is given up.
    fn withdraw_claim(&self, id: &ContainerId, me: &ProcessIdentity) -> Result<(), EngineError> {
        let lock = self.store().lock(id)?;
        let mut view = self.view(id)?;
        let claim = view.container.restarts.claim.take();
        if claim.is_none_or(|claim| claim.by != *me) {
            return Ok(());
        }
        let status = match view.container.status {
            Status::Restarting => Status::Exited,
            status => status,
        };
        let (run, error) = (view.container.run, view.container.error.take());
        self.write_status(&lock, &view.container, (status, run), error)
    }
}
