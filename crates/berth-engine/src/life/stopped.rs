//! A stop by hand: what keeps a policy from starting a container again.

use berth_base::state::RestartPolicy;
use berth_base::{ContainerId, Status};

use super::claim::dismiss;
use crate::error::unless_full;
use crate::process::boot_id;
use crate::view::View;
use crate::{Engine, EngineError};

impl Engine {
    /// Notes that a user stops a container, and ends what waits to start it again: afterwards one that
    /// was restarting is `exited`. One for `--rm` has no policy, and one that never ran no end.
    pub(crate) fn mark_stopped(&self, id: &ContainerId) -> Result<View, EngineError> {
        let view = self.view(id)?;
        let container = &view.container;
        let has_nothing_to_mark = match container.status {
            Status::Created | Status::Removing => true,
            Status::Exited => {
                container.restart == RestartPolicy::No && container.restarts.claim.is_none()
            }
            _ => container.create.options.auto_remove && container.restarts.claim.is_none(),
        };
        if has_nothing_to_mark {
            return Ok(view);
        }
        let lock = self.store().lock(id)?;
        let mut view = self.view(id)?;
        if view.container.status == Status::Removing {
            return Ok(view);
        }
        let claim = view.container.restarts.claim.take();
        let status = match view.container.status {
            Status::Restarting => Status::Exited,
            _ => view.written.status,
        };
        view.container.restarts.stopped_in = boot_id();
        let (run, error) = (view.container.run, view.container.error.take());
        let noted = self.write_status(&lock, &view.container, (status, run), error);
        // Where no policy reads it, a full disk is no reason to let a container run.
        match view.container.restart {
            RestartPolicy::No => unless_full(noted)?,
            _ => noted?,
        }
        dismiss(claim.as_ref());
        self.view(id)
    }
}
