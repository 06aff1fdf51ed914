//! `start`, `kill`, `delete`, `pause`, `resume`.

use std::path::PathBuf;

use berth_base::ErrorClass;

use super::flags::{DeleteFlags, Global, KillFlags};
use super::log::Log;
use super::signal;
use crate::oci::container::{Container, missing};
use crate::oci::delete::{self, Force};
use crate::oci::id::OciId;
use crate::oci::state::Status;
use crate::oci::store::Store;
use crate::oci::{Outcome, fail, kill as killing, start as starting};

/// The folders below `--root`.
pub(super) fn store(global: &Global) -> Store {
    let root = global.root.clone().unwrap_or_else(|| {
        let private = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        match private {
            Some(folder) if !rustix::process::geteuid().is_root() => folder.join("berth-runtime"),
            _ => PathBuf::from("/run/berth-runtime"),
        }
    });
    Store::new(root)
}

/// Opens a container by what was typed.
pub(super) fn open(global: &Global, id: &str) -> Outcome<Container> {
    let id = OciId::parse(id)?;
    Container::open(&store(global), &id)
}

pub(super) fn start(global: &Global, _log: &Log, id: &str) -> Outcome {
    starting::start(&open(global, id)?)
}

pub(super) fn kill(global: &Global, flags: &KillFlags) -> Outcome {
    let signal = signal::parse(&flags.signal)?;
    killing::kill(&open(global, &flags.id)?, signal, flags.all)
}

pub(super) fn delete(global: &Global, log: &Log, flags: &DeleteFlags) -> Outcome {
    let force = if flags.force { Force::Yes } else { Force::No };
    let mut first_failure = None;
    for id in &flags.ids {
        if let Err(failure) = delete_one(global, log, id, force)
            && let Some(earlier) = first_failure.replace(failure)
        {
            log.error(&earlier.message);
        }
    }
    first_failure.map_or(Ok(()), Err)
}

fn delete_one(global: &Global, log: &Log, id: &str, force: Force) -> Outcome {
    let id = OciId::parse(id)?;
    let store = store(global);
    let folder = store.folder(&id);
    if force == Force::Yes {
        store.sweep(&id)?;
    }
    if folder.is_abandoned()? {
        folder.remove()?;
        return match force {
            Force::Yes => Ok(()),
            Force::No => Err(missing(&id)),
        };
    }
    let container = match Container::open(&store, &id) {
        Err(failure) if failure.class == ErrorClass::NotFound && force == Force::Yes => {
            return Ok(());
        }
        other => other?,
    };
    for warning in delete::delete(&container, force)? {
        log.warning(&warning);
    }
    Ok(())
}

pub(super) fn pause(global: &Global, id: &str) -> Outcome {
    let container = open(global, id)?;
    match container.status() {
        Status::Running | Status::Created => container
            .cgroup()
            .freeze()
            .map_err(|e| fail(e.class(), e.to_string())),
        other => Err(fail(
            ErrorClass::Conflict,
            format!(
                "container not running: cannot pause {id}, it is {}",
                other.as_str()
            ),
        )),
    }
}

pub(super) fn resume(global: &Global, id: &str) -> Outcome {
    let container = open(global, id)?;
    let frozen = container.init().is_some() && container.cgroup().is_frozen().unwrap_or(false);
    if !frozen {
        return Err(fail(
            ErrorClass::Conflict,
            format!("container not paused: {id}"),
        ));
    }
    container
        .cgroup()
        .thaw()
        .map_err(|e| fail(e.class(), e.to_string()))
}
