//! `restart`: the end of a run and the start of the next, as one intention.

use berth_base::state::{RestartClaim, RestartRecord};
use berth_base::{ContainerId, ErrorClass, ProcessIdentity, Status};

use super::claim::{dismiss, myself, pending};
use crate::view::View;
use crate::{Engine, EngineError, StartAttach, StopOptions};

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
        let me = myself()?;
        let Some(view) = self.claim_restart(id, &me)? else {
            let started = self.start(id, &StartAttach::default())?;
            self.emit_of(&self.inspect(id)?, "restart", &[]);
            return Ok(started.warnings);
        };
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
    /// only a start is wanted.
    fn claim_restart(
        &self,
        id: &ContainerId,
        me: &ProcessIdentity,
    ) -> Result<Option<View>, EngineError> {
        let lock = self.store().lock(id)?;
        let mut view = self.settled_view(&lock)?;
        if !view.container.status.is_live() {
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
