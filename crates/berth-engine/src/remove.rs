//! `remove`: a container and everything it left.

use std::time::SystemTime;

use berth_base::state::{EventKind, EventRecord, ExitFile, ExitOutcome, STATE_VERSION};
use berth_base::{ContainerId, ErrorClass, Status, Timestamp};

use crate::error::{unless_full, unless_unwritable};
use crate::events::volume;
use crate::stop::KILL;
use crate::store::{ContainerLock, StoreError};
use crate::view::View;
use crate::volume::erase_all;
use crate::{
    Container, CreateOptions, Engine, EngineError, RemoveOptions, cgroup, empty, facts, life,
};

impl Engine {
    /// Removes a container: its cgroups, its folders, its name. Goes on after an error, reports
    /// all of them, and can be run again. A running container is removed only by force, which
    /// kills it and waits until it is empty.
    pub fn remove(&self, id: &ContainerId, options: &RemoveOptions) -> Result<(), EngineError> {
        loop {
            let view = match self.view(id) {
                Ok(view) => view,
                Err(error) if error.class == ErrorClass::NotFound => return Err(error),
                // Files that cannot be read must not make a container immortal.
                Err(_) if options.force => return self.remove_unreadable(id),
                Err(error) => return Err(error),
            };
            // Killing waits, so it is done before the lock is taken.
            self.end_before_removal(&view, options)?;
            let lock = self.store().lock(id)?;
            let view = self.view(id)?;
            if !view.container.status.is_live() {
                self.take_away(&lock, &view, options)?;
                life::dismiss(view.container.restarts.claim.as_ref());
                return Ok(());
            }
            // Somebody started it in between.
        }
    }

    fn end_before_removal(&self, view: &View, options: &RemoveOptions) -> Result<(), EngineError> {
        let is_live = view.container.status.is_live();
        let is_wanted = is_live || view.container.status == Status::Restarting;
        if is_wanted && !options.force {
            let name = &view.container.name;
            let text = format!(
                "cannot remove container {name}: it is {}; stop it first, or use \"berth rm -f {name}\"",
                view.container.status
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        if is_wanted {
            // Else its policy starts it again.
            unless_unwritable(self.mark_stopped(&view.container.id).map(drop))?;
        }
        if is_live || empty::has_leftovers(view) {
            self.note_signal(view, KILL);
            crate::stop::wake(view);
            empty::kill(view)?;
            unless_unwritable(self.conclude(view).map(drop))?;
        }
        Ok(())
    }

    /// What is to be done once a container has ended (`berth internal exited ID`, executed by the
    /// monitor): with `--rm`, its removal, else the end of its published ports, and its next start where
    /// its restart policy wants one. One that somebody else removes meanwhile is fine, as is one that
    /// somebody is about to start.
    pub fn exited(&self, id: &ContainerId) -> Result<(), EngineError> {
        let result = self.inspect(id).and_then(|container| {
            if life::is_in_hand(&container) {
                return Ok(());
            }
            if container.create.options.auto_remove && !container.status.is_live() {
                self.remove(
                    id,
                    &RemoveOptions {
                        force: false,
                        volumes: true,
                    },
                )
            } else {
                self.close_ports(id)?;
                self.start_again(id)
            }
        });
        match result {
            Err(error) if error.class == ErrorClass::NotFound => Ok(()),
            other => other,
        }
    }

    /// With the lock held and nothing alive: intent, cgroups, folders, name.
    fn take_away(
        &self,
        lock: &ContainerLock,
        view: &View,
        options: &RemoveOptions,
    ) -> Result<(), EngineError> {
        let container = &view.container;
        empty::await_warden(view.last_run.as_ref());
        if container.exit.is_none() && container.run > 0 {
            // Stopped, they would stay for ever, with its ports.
            crate::stop::wake(view);
            // Gone with an earlier boot, or with those who were to record it.
            let exit = ExitFile {
                error: self.finish_besides(view),
                ..unseen(container)
            };
            self.emit_unseen_end(view, &exit);
        }
        // Out of sight before the record that names them is; deleted once that is.
        let volumes = match options.volumes {
            true => self.retire_anonymous_volumes(container)?,
            false => Vec::new(),
        };
        if !container.create.options.auto_remove {
            // What follows is renames and removals, which need no room.
            let status = (Status::Removing, container.run);
            unless_full(self.write_status(lock, container, status, None))?;
        }
        let mut errors = Vec::new();
        // Where the monitor has removed them this finds nothing, once by the paths that were
        // used, once by where they would be now.
        if let Some(run) = &view.last_run
            && let Err(error) = cgroup::of_run(run).remove()
        {
            errors.push(error.to_string());
        }
        if view.last_run.is_none()
            && container.run > 0
            && let Err(error) = cgroup::end_leftovers(container)
        {
            errors.push(error.to_string());
        }
        if !errors.is_empty() {
            // The folders stay: they say where the cgroups are.
            return Err(incomplete(container, &errors));
        }
        if let Err(error) = self.leave_networks(container) {
            errors.push(error.to_string());
        }
        let name = Some(&container.name);
        let failed = self.store().erase(lock, name);
        errors.extend(failed.iter().map(StoreError::to_string));
        errors.extend(erase_all(&volumes).map(|e| e.to_string()));
        // A keeper whose engine died may have been starting it all along. It finds no folder to
        // record that in and gives up; what it had recorded before has a cgroup by now.
        if view.last_run.is_none()
            && container.run > 0
            && let Err(error) = cgroup::end_leftovers(container)
        {
            errors.push(error.to_string());
        }
        if !errors.is_empty() {
            return Err(incomplete(container, &errors));
        }
        let gone = volumes
            .iter()
            .map(|gone| volume(gone.name.as_str(), "destroy"));
        self.emit_all(gone.collect());
        self.emit_of(container, "destroy", &[]);
        Ok(())
    }

    /// Where the cgroups of a container are: as it was made, else as one is made now.
    fn likely_cgroup(&self, id: &ContainerId) -> String {
        let made = self.store().read_create(id).ok().flatten();
        made.and_then(|create| create.cgroups_path)
            .unwrap_or_else(|| {
                self.cgroups_path(&CreateOptions::default(), id, facts::is_rootless())
            })
    }

    /// Removes a container of which not even the name can be read.
    pub(crate) fn remove_unreadable(&self, id: &ContainerId) -> Result<(), EngineError> {
        let store = self.store();
        let lock = store.lock(id)?;
        let kept = match store.read_run(id) {
            Ok(Some(run)) => cgroup::of_run(&run),
            // Where it would be.
            _ => cgroup::at_path(&self.likely_cgroup(id)),
        };
        let ended = match kept.is_nowhere() {
            true => Ok(()),
            false => kept.kill().and_then(|()| kept.remove()),
        };
        ended.map_err(|e| {
            let text = format!("cannot remove container {}: {e}", id.short());
            EngineError::new(e.class(), text).on(id.short())
        })?;
        if let Ok(Some(wiring)) = store.read_wiring(id) {
            // Its ports are taken out by whoever compares the packet filter with what runs.
            drop(self.give_back(id, &wiring));
        }
        let name = store.name_of(id);
        let errors = store.erase(&lock, name.as_ref());
        match errors.first() {
            None => {
                let event = EventRecord::new(EventKind::Container, "destroy", id.as_str());
                self.emit(match &name {
                    Some(name) => event.with("name", name.as_str()),
                    None => event,
                });
                Ok(())
            }
            Some(first) => {
                let text = format!("cannot remove all of container {}: {first}", id.short());
                Err(EngineError::new(ErrorClass::Internal, text).on(id.short()))
            }
        }
    }
}

fn incomplete(container: &Container, errors: &[String]) -> EngineError {
    let text = format!(
        "cannot remove all of container {0}: {1}; try again with \"berth rm -f {0}\"",
        container.name,
        errors.join("; ")
    );
    EngineError::new(ErrorClass::Internal, text).on(container.name.as_str())
}

/// The record of an end that nobody saw, of a container that will not be there to have one.
fn unseen(container: &Container) -> ExitFile {
    ExitFile {
        version: STATE_VERSION,
        run: container.run,
        outcome: ExitOutcome::Unknown,
        oom_killed: false,
        started_at: container.live.as_ref().map(|live| live.started_at),
        finished_at: Timestamp::from(SystemTime::now()),
        error: None,
        recorded_by: None,
    }
}
