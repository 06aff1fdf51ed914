//! `recover`: a whole root put in order after a crash or a boot.

use berth_base::{ContainerId, Status};

use crate::process::boot_id;
use crate::store::{Durability, StoreError};
use crate::{Container, Engine, EngineError, cgroup};

/// What a recovery did.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Containers whose run was over, or never came to be, without anybody having noted it.
    pub settled: Vec<ContainerId>,
    /// Containers whose removal was finished.
    pub removed: Vec<ContainerId>,
    /// What could not be put in order.
    pub errors: Vec<EngineError>,
}

impl Engine {
    /// Puts every container in order: ended runs get a record, half-made and half-removed ones
    /// go. Can be run at any time and twice; running containers are left alone.
    pub fn recover(&self) -> Result<Recovered, EngineError> {
        let mut recovered = Recovered::default();
        if !self.store().root().is_dir() {
            return Ok(recovered);
        }
        for id in self.store().ids()? {
            match self.recover_one(&id, &mut recovered) {
                Ok(()) => {}
                // Somebody removes it meanwhile: its monitor, with --rm.
                Err(_) if !self.store().exists(&id) => {}
                // It was one for --rm: of all others these files are synced.
                Err(_) if self.store().is_hollow(&id) && !self.store().runs(&id) => {
                    match self.remove_unreadable(&id) {
                        Ok(()) => recovered.removed.push(id),
                        Err(error) => recovered.errors.push(error),
                    }
                }
                Err(error) => recovered.errors.push(error),
            }
        }
        let half_made = self.half_made_volumes();
        let names = self.store().lock_names()?;
        let mut failed = self.store().reclaim_names(&names);
        failed.extend(self.store().sweep(&names));
        drop(names);
        recovered.errors.extend(self.recover_volumes(&half_made));
        recovered.errors.extend(self.recover_images());
        recovered.errors.extend(self.recover_networks());
        recovered
            .errors
            .extend(failed.into_iter().map(EngineError::from));
        Ok(recovered)
    }

    /// The recovery that is due once per boot, before the first use-case that writes. Errors in
    /// it are those of other containers: whoever touches one of them meets them again.
    pub(crate) fn recover_after_boot(&self) -> Result<(), EngineError> {
        let store = self.store();
        let marker = store.state().join("recovered");
        let boot = boot_id().unwrap_or_default();
        // Also where somebody removed the root since.
        let is_there = store.root().join("names").is_dir();
        if is_there && berth_persist::read_to_string(&marker).is_ok_and(|seen| seen == boot) {
            return Ok(());
        }
        store.ensure()?;
        drop(self.recover()?);
        let written = berth_persist::replace(
            "store.recovered.mark",
            store.state(),
            "recovered",
            boot.as_bytes(),
            Durability::Process,
        );
        written.map_err(|e| StoreError::from(e).into())
    }

    fn recover_one(&self, id: &ContainerId, done: &mut Recovered) -> Result<(), EngineError> {
        if self.store().is_torn(id) && !self.store().runs(id) {
            self.remove_unreadable(id)?;
            done.removed.push(id.clone());
            return Ok(());
        }
        let view = self.view(id)?;
        if is_worthless(&view.container) {
            // With all that it holds, as at its end.
            self.exited(id)?;
            done.removed.push(id.clone());
            return Ok(());
        }
        if self.is_updating(&view) {
            self.settle_update(&self.store().lock(id)?)?;
            done.settled.push(id.clone());
        }
        let named = view.last_run.as_ref().map(|run| run.name.as_str());
        if named.is_some_and(|name| name != view.container.name.as_str()) {
            // Somebody died who renamed it.
            let lock = self.store().lock(id)?;
            self.spread_name(&lock, &self.view(id)?)?;
        }
        let is_lost = self.store().read_status(id)?.is_none();
        let unsettled = match view.container.status {
            _ if is_lost => true,
            Status::Created | Status::Running | Status::Paused | Status::Restarting => false,
            Status::Starting | Status::Removing => true,
            Status::Exited => {
                view.container.exit.is_none() || view.written.status != Status::Exited
            }
        };
        if !unsettled {
            return Ok(());
        }
        // Its monitor may be about to say how it ended.
        self.await_end(id)?;
        let lock = self.store().lock(id)?;
        // Whoever held the lock may have changed everything.
        let view = self.view(id)?;
        match view.container.status {
            Status::Removing => {
                cgroup::end_leftovers(&view.container)?;
                let failed = self.store().erase(&lock, Some(&view.container.name));
                done.errors
                    .extend(failed.into_iter().map(EngineError::from));
                self.emit_of(&view.container, "destroy", &[]);
                done.removed.push(id.clone());
            }
            Status::Starting => {
                cgroup::end_leftovers(&view.container)?;
                self.settle(&lock, &view)?;
                done.settled.push(id.clone());
            }
            Status::Exited => {
                self.settle(&lock, &view)?;
                done.settled.push(id.clone());
            }
            Status::Created | Status::Running | Status::Paused | Status::Restarting => {}
        }
        if is_lost && view.container.status != Status::Removing {
            let status = (view.container.status, view.container.run);
            self.write_status(&lock, &view.container, status, None)?;
        }
        Ok(())
    }
}

/// Whether a container for `--rm` is one of an earlier boot: nothing of it was made to outlive that.
fn is_worthless(container: &Container) -> bool {
    let create = &container.create;
    let earlier = create.boot_id.is_some() && create.boot_id != boot_id();
    create.options.auto_remove && earlier && !container.status.is_live()
}
