//! A restart policy is changed.

use berth_base::ErrorClass;
use berth_base::state::RestartPolicy;

use crate::store::ContainerLock;
use crate::{Container, Engine, EngineError};

impl Engine {
    /// Prepares a change of when a container is started again, also of one that runs, which
    /// `settings.json` will say. It takes effect at its next end.
    pub(crate) fn prepare_restart_policy(
        &self,
        lock: &ContainerLock,
        container: &Container,
        policy: RestartPolicy,
    ) -> Result<(), EngineError> {
        let (id, name) = (&container.id, &container.name);
        if container.create.options.auto_remove && policy != RestartPolicy::No {
            let text = format!(
                "container {name} is removed at its end (--rm) and cannot be started again; make it anew without --rm"
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        // First what its monitor reads at its end: to ask in vain does no harm.
        if policy != RestartPolicy::No
            && let Some(mut config) = self.store().read_monitor(id)?
            && config.on_exit.is_empty()
        {
            config.on_exit = self.exited_command(id);
            let point = "container.monitor.write";
            self.store()
                .write_volatile(point, lock, "monitor.json", &config)?;
        }
        Ok(())
    }
}
