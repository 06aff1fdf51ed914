//! `rename`: another name for a container, running or not.
//!
//! The settings say what a container is called, so their replacement is the moment in which it is
//! renamed. Before, the new name leads nowhere; after, the old one. Who dies in between leaves a
//! file of a name that leads nowhere, which anybody may take and `recover` removes.

use berth_base::state::SettingsFile;
use berth_base::{ContainerId, ContainerName, ErrorClass, Status};

use crate::store::{ContainerLock, Durability};
use crate::view::View;
use crate::{Engine, EngineError};

impl Engine {
    /// Gives a container another name. Others on its networks find it by that at once.
    ///
    /// # Errors
    /// The name is taken, is its own, or the container is being removed.
    pub fn rename(&self, id: &ContainerId, name: &ContainerName) -> Result<(), EngineError> {
        self.recover_after_boot()?;
        let names = self.store().lock_names()?;
        let lock = self.store().lock(id)?;
        let view = self.view(id)?;
        let old = view.container.name.clone();
        let conflict =
            |text: String| EngineError::new(ErrorClass::Conflict, text).on(name.as_str());
        if old == *name {
            return Err(conflict(format!("container {old} is called so already")));
        }
        if view.container.status == Status::Removing {
            return Err(crate::not_running(&view.container));
        }
        let settings = self.store().read_settings(id)?;
        let settings = SettingsFile {
            name: name.clone(),
            ..settings.ok_or_else(|| conflict(format!("container {old} is gone")))?
        };
        self.store().claim_name(&names, name, id)?;
        let durability = match view.container.create.options.auto_remove {
            true => Durability::Process,
            false => Durability::Power,
        };
        let written = self.store().write_settings(&lock, &settings, durability);
        if let Err(error) = written {
            // It keeps the old one.
            drop(self.store().release_name(name, id));
            return Err(error.into());
        }
        self.store().release_name(&old, id)?;
        drop(names);
        let mut view = view;
        view.container.name = name.clone();
        self.emit_of(&view.container, "rename", &[("oldName", format!("/{old}"))]);
        self.spread_name(&lock, &view)
    }

    /// What else has the name in it: its leases, by which others find it, and then the record of the
    /// run, which the map of the host reads.
    pub(crate) fn spread_name(&self, lock: &ContainerLock, view: &View) -> Result<(), EngineError> {
        let container = &view.container;
        self.rename_leases(container)?;
        if let Some(run) = &view.last_run {
            let mut run = run.clone();
            run.name = container.name.as_str().to_owned();
            self.store()
                .write_volatile("container.rename.run", lock, "run.json", &run)?;
        }
        Ok(())
    }
}
