//! `--storage-opt size=`: what a container's own layer may take on disk.
//!
//! The folder above `upper` and `work` gets a project of its own, before they are made: they and all
//! below inherit it (docs/storage.md). The project is written on that folder alone, so a container
//! is known by it as long as there is anything of it, also of one that is half made or half removed.

use std::fs::File;
use std::path::Path;

use berth_base::ErrorClass;
use berth_base::state::RootSource;
use berth_sys::quota::{self, QuotaError};

use crate::store::{FileLock, random_number};
use crate::{CreateOptions, Engine, EngineError};

/// Ours have this bit, and are positive where somebody takes them for signed numbers. What
/// administrators and other engines number by hand or from 1 up is below it.
const FIRST: u32 = 0x4000_0000;
/// The bits that are drawn.
const DRAWN: u32 = FIRST - 1;
/// So many draws meet one that somebody has only where something else is wrong.
const TRIES: usize = 64;

/// Says whether a container may have a limit, before anything of it is made.
pub(crate) fn check(options: &CreateOptions, root: &RootSource) -> Result<(), EngineError> {
    match (options.storage_bytes, root) {
        (None, _) | (Some(_), RootSource::Layers { .. }) => Ok(()),
        (
            Some(_),
            RootSource::Host
            | RootSource::Directory {
                writable: false, ..
            },
        ) => Err(EngineError::new(
            ErrorClass::Unsupported,
            "cannot limit the storage of a container that is made from no image: what it changes is kept in memory; limit that with --memory",
        )),
        (Some(_), RootSource::Directory { .. }) => Err(EngineError::new(
            ErrorClass::Unsupported,
            "cannot limit the storage of a container that writes through to a directory; leave out --rw or --storage-opt",
        )),
    }
}

/// Gives an empty folder a project and that one a limit.
pub(crate) fn limit(engine: &Engine, folder: &Path, limit_bytes: u64) -> Result<(), EngineError> {
    let failed = |e: QuotaError| {
        let text = format!("cannot limit the storage of the container to {limit_bytes} bytes: {e}");
        EngineError::new(class(&e), text)
    };
    // by path: a folder of ours, just made
    let open = berth_persist::open_folder(folder).map_err(|e| {
        let text = format!("cannot open {}: {e}", folder.display());
        EngineError::new(ErrorClass::Unavailable, text)
    })?;
    // From the draw to the limit, which shows others that it is taken.
    let _draw = FileLock::acquire(&engine.store().root().join("projects.lock"))?;
    for _ in 0..TRIES {
        let drawn = random_number().map_err(|e| {
            let text = format!("cannot draw a project id: {e}");
            EngineError::new(ErrorClass::Internal, text)
        })?;
        let project = FIRST | (drawn & DRAWN);
        if is_free(&open, project).map_err(failed)? {
            quota::limit_project(&open, project, limit_bytes).map_err(failed)?;
            return quota::set_project(&open, project).map_err(|e| {
                forget(&open, project);
                failed(e)
            });
        }
    }
    let text =
        "cannot limit the storage of the container: no project id of the file system is free";
    Err(EngineError::new(ErrorClass::Unavailable, text))
}

/// Takes the limit away from what is left of a container, `ROOT/containers/ID` whatever it is
/// called by now. One that has none is fine.
pub(crate) fn release(container: &Path) {
    // by path: a folder of ours
    let Ok(folder) = berth_persist::open_folder(&container.join("layer")) else {
        return;
    };
    if let Ok(project) = quota::project(&folder)
        && project & FIRST != 0
    {
        forget(&folder, project);
    }
}

/// The limit goes, and with it the number: the folder keeps it until it is removed.
fn forget(folder: &File, project: u32) {
    // Of a limit that stays, nothing is left but a number that is not drawn again.
    quota::limit_project(folder, project, 0).ok();
}

/// Whether nobody has a project: nothing in it, no limit.
fn is_free(folder: &File, project: u32) -> Result<bool, QuotaError> {
    match quota::project_usage(folder, project) {
        Ok(usage) => Ok(usage.used_bytes == 0 && usage.limit_bytes == 0),
        // xfs: it has never heard of it.
        Err(QuotaError::Kernel(rustix::io::Errno::NOENT)) => Ok(true),
        Err(e) => Err(e),
    }
}

fn class(error: &QuotaError) -> ErrorClass {
    match error {
        QuotaError::Unsupported | QuotaError::NotEnforced => ErrorClass::Unsupported,
        QuotaError::Kernel(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => {
            ErrorClass::Denied
        }
        QuotaError::Kernel(_) => ErrorClass::Unavailable,
    }
}
