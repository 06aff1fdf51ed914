//! A stop by hand: what keeps a policy from starting a container again.

use berth_base::state::{RestartPolicy, RestartRecord};
use berth_base::{ContainerId, Status};

use super::claim::{dismiss, is_of_this_boot};
use crate::options::HealthAction;
use crate::process::boot_id;
use crate::store::Marked;
use crate::view::View;
use crate::{CreateOptions, Engine, EngineError};

/// Whether anybody may start a container again that ends: its policy, its probes, who has said so.
pub(crate) fn may_come_back(
    options: &CreateOptions,
    policy: RestartPolicy,
    record: &RestartRecord,
) -> bool {
    let check = options.healthcheck.as_ref();
    policy != RestartPolicy::No
        || record.claim.is_some()
        || check.is_some_and(|check| check.on_failure == HealthAction::Restart)
}

/// What a stop by hand makes of the record of a run.
pub(crate) fn stop_by_hand(record: &mut RestartRecord, ran_in_this_boot: bool) {
    let claim = record.claim.take();
    record.stopped_in = match ran_in_this_boot || claim.as_ref().is_some_and(is_of_this_boot) {
        true => boot_id(),
        // An earlier one, no matter which.
        false => Some(String::new()),
    };
}

impl Engine {
    /// Notes that a user stops a container, and ends what waits to start it again: afterwards one that
    /// was restarting is `exited`. One that never ran has no end, and one for `--rm` no policy, but
    /// perhaps probes that restart it. A full or read-only disk keeps nobody from it.
    pub(crate) fn mark_stopped(&self, id: &ContainerId) -> Result<View, EngineError> {
        let view = self.view(id)?;
        let container = &view.container;
        let (options, record) = (&container.create.options, &container.restarts);
        let has_nothing_to_mark = match container.status {
            Status::Created | Status::Removing => true,
            Status::Exited => container.restart == RestartPolicy::No && record.claim.is_none(),
            _ => options.auto_remove && !may_come_back(options, container.restart, record),
        };
        if has_nothing_to_mark {
            return Ok(view);
        }
        let lock = self.store().lock(id)?;
        let mut view = self.view(id)?;
        if view.container.status == Status::Removing {
            return Ok(view);
        }
        let (options, policy) = (&view.container.create.options, view.container.restart);
        let may_come_back = may_come_back(options, policy, &view.container.restarts);
        let claim = view.container.restarts.claim.take();
        let status = match view.container.status {
            Status::Restarting => Status::Exited,
            _ => view.written.status,
        };
        view.container.restarts.stopped_in = boot_id();
        let (run, error) = (view.container.run, view.container.error.take());
        match self.write_status(&lock, &view.container, (status, run), error) {
            Err(error) if error.is_unwritable() => {
                let marked = self.store().mark_stopped(&lock, run);
                // Where nobody reads it, it is no reason to let a container run.
                if may_come_back && marked.is_err() {
                    return Err(error);
                }
            }
            noted => noted?,
        }
        dismiss(claim.as_ref());
        self.view(id)
    }

    /// What is to be said of a stop that the next boot forgets; `None` for any other.
    pub fn forgotten_stop(&self, id: &ContainerId) -> Option<String> {
        let container = self.inspect(id).ok()?;
        // "always" comes back whoever stopped it, all others never.
        let would_know = container.restart == RestartPolicy::UnlessStopped;
        let marked = self.store().stopped_mark(id, container.run);
        (would_know && marked == Some(Marked::ForThisBoot)).then(|| {
            format!(
                "container {} stays stopped until the host boots, and is started again then: that it was stopped could not be recorded",
                container.name
            )
        })
    }
}
