//! A restart policy is changed.

use berth_base::state::RestartPolicy;
use berth_base::{ContainerId, ErrorClass};

use crate::store::Durability;
use crate::{Engine, EngineError};

impl Engine {
    /// Changes when a container is started again, also of one that runs. It takes effect at its next
    /// end.
    pub fn set_restart_policy(
        &self,
        id: &ContainerId,
        policy: RestartPolicy,
    ) -> Result<(), EngineError> {
        let lock = self.store().lock(id)?;
        let container = self.view(id)?.container;
        let name = &container.name;
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
                .write_volatile(point, &lock, "monitor.json", &config)?;
        }
        let mut settings = self.settings_of(&lock)?;
        settings.restart = policy;
        self.store()
            .write_settings(&lock, &settings, Durability::Power)?;
        self.emit_of(&container, "update", &[]);
        Ok(())
    }
}
