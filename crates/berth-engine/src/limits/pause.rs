//! `pause` and `unpause`: every process of a container stands still.
//!
//! A container is paused when its status says so and the kernel has it frozen: whoever dies between
//! the one and the other leaves a container that runs.

use berth_base::{ContainerId, ErrorClass, Status};
use berth_runtime::cgroup::CgroupError;

use crate::view::View;
use crate::{Container, Engine, EngineError, cgroup, not_running};

impl Engine {
    /// Freezes a running container and returns once every process stands still.
    pub fn pause(&self, id: &ContainerId) -> Result<(), EngineError> {
        let lock = self.store().lock(id)?;
        let view = self.view(id)?;
        let container = &view.container;
        let Some(live) = &container.live else {
            return Err(not_running(container));
        };
        if container.status == Status::Paused {
            let name = &container.name;
            let text = format!(
                "container {name} is paused already; let it go on with \"berth unpause {name}\""
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        // Intent first: of one that is frozen and not marked nobody would know.
        self.write_status(&lock, container, (Status::Paused, container.run), None)?;
        let group = cgroup::of_run(live);
        group.freeze().map_err(|error| {
            // Half of it may stand still already; the error is what the user needs.
            drop(group.thaw());
            drop(self.write_status(&lock, container, (Status::Running, container.run), None));
            cannot_pause(container, &error)
        })?;
        self.emit_of(container, "pause", &[]);
        Ok(())
    }

    /// Lets a paused container go on.
    pub fn unpause(&self, id: &ContainerId) -> Result<(), EngineError> {
        let lock = self.store().lock(id)?;
        let view = self.view(id)?;
        let container = &view.container;
        let Some(live) = &container.live else {
            return Err(not_running(container));
        };
        let group = cgroup::of_run(live);
        // Somebody may have frozen it behind our back.
        if container.status != Status::Paused && !group.is_frozen().unwrap_or(false) {
            let name = &container.name;
            let text = format!("container {name} is not paused, it is {}", container.status);
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        group.thaw().map_err(|e| cgroup::on_cgroup(container, e))?;
        self.write_status(&lock, container, (Status::Running, container.run), None)?;
        self.emit_of(container, "unpause", &[]);
        Ok(())
    }
}

/// Whether the kernel has a run frozen. One whose cgroup cannot be read is not known to be.
pub(crate) fn is_frozen(run: &berth_base::state::RunFile) -> bool {
    cgroup::of_run(run).is_frozen().unwrap_or(false)
}

/// Lets a container that is being ended go on, so that it can take its signal.
pub(crate) fn thaw(view: &View) -> Result<(), EngineError> {
    let container = &view.container;
    match &container.live {
        Some(live) if container.status == Status::Paused => cgroup::of_run(live)
            .thaw()
            .map_err(|e| cgroup::on_cgroup(container, e)),
        _ => Ok(()),
    }
}

/// A process that joined a frozen container would stand still at once, and its client wait for ever.
pub(crate) fn refuse_paused(container: &Container, verb: &str) -> Result<(), EngineError> {
    if container.status != Status::Paused {
        return Ok(());
    }
    let name = &container.name;
    let text = format!(
        "cannot {verb} container {name}: it is paused; let it go on with \"berth unpause {name}\" first"
    );
    Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()))
}

fn cannot_pause(container: &Container, error: &CgroupError) -> EngineError {
    let name = &container.name;
    let why = match error {
        CgroupError::NoCgroup { .. } => {
            "it has no cgroup of its own, since none is delegated to this user; start it in one that is, for example with \"systemd-run --user --scope -p Delegate=yes\"".to_owned()
        }
        other => other.to_string(),
    };
    EngineError::new(
        error.class(),
        format!("cannot pause container {name}: {why}"),
    )
    .on(name.as_str())
}
