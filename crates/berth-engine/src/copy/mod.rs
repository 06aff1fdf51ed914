//! `cp`: files between the caller and a container, running or stopped.
//!
//! A worker process of its own does it (`storage`): it opens the caller's side first, then the
//! container's root ([`root`]), and copies between the two by descriptors. [`rules`] says what
//! becomes what, as Docker does.
//!
//! | Container | Read from | Written to |
//! |---|---|---|
//! | running | its mounts, as it sees them | the same |
//! | stopped, of an image | its layers | an overlay of them, attached nowhere, under the container's lock |
//! | stopped, `--rootfs` | the directory | the directory, with `--rw` |
//! | stopped, `host` | nothing is left | nothing |
//!
//! What is bound into a stopped container is found by the path alone: a link of the container that
//! leads into a volume is not followed there, nor is a volume seen below a folder that is copied.
//!
//! Owners: without [`CopyRequest::keep_ids`] what is copied in belongs to the container's root, and
//! what is copied out to the caller. An archive's entries keep theirs.

mod host;
mod inside;
mod job;
mod overlay;
mod root;
mod rules;
mod worker;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use berth_base::state::RootSource;
use berth_base::{ContainerId, ErrorClass, Status};
use oci_spec::runtime::Mount;

pub(crate) use job::CopyJob;
pub use job::CopyReport;

use job::{Bytes, Direction, Place};
use rules::Typed;

use crate::view::View;
use crate::{Container, Engine, EngineError, storage};

/// The caller's end of a copy.
#[derive(Debug)]
pub enum HostEnd {
    /// An absolute path, with what was typed at its end (`/`, `/.`).
    Path(PathBuf),
    /// A tar stream.
    Stream(File),
}

/// A copy.
#[derive(Debug)]
pub struct CopyRequest {
    /// The caller's end.
    pub host: HostEnd,
    /// The path in the container, as typed.
    pub inside: PathBuf,
    /// Out of the container, or into it.
    pub out: bool,
    /// `-a`: owners are kept.
    pub keep_ids: bool,
    /// `-L`: a source that is a link is its target.
    pub follow_link: bool,
}

/// What a stopped container has at a path.
struct Spot {
    place: Place,
    /// The path there, where it is another.
    below: Option<PathBuf>,
    read_only: Option<String>,
}

impl Engine {
    /// Copies files into a container or out of it. After a failure what was copied by then stays.
    pub fn copy(&self, id: &ContainerId, request: CopyRequest) -> Result<CopyReport, EngineError> {
        let view = self.view(id)?;
        let name = view.container.name.clone();
        let named = |error: EngineError| match error.object {
            Some(_) => error,
            None => error.on(name.as_str()),
        };
        if view.process.is_some() {
            return self.copy_running(&view, request).map_err(named);
        }
        if request.out {
            return self.copy_stopped(&view, request).map_err(named);
        }
        self.recover_after_boot()?;
        // Until it is done nobody starts it, which would mount the same layers.
        let _lock = self.store().lock(id)?;
        let view = self.view(id)?;
        if view.process.is_some() {
            return self.copy_running(&view, request).map_err(named);
        }
        self.copy_stopped(&view, request).map_err(named)
    }

    fn copy_running(&self, view: &View, request: CopyRequest) -> Result<CopyReport, EngineError> {
        let run = view.last_run.as_ref();
        let run = run.ok_or_else(|| unsettled(&view.container))?;
        let spot = Spot {
            place: Place::Process(run.init.clone()),
            below: None,
            read_only: None,
        };
        self.copy_at(&view.container, spot, request)
    }

    fn copy_stopped(&self, view: &View, request: CopyRequest) -> Result<CopyReport, EngineError> {
        let container = &view.container;
        match container.status {
            Status::Created | Status::Restarting | Status::Exited => {}
            _ => return Err(unsettled(container)),
        }
        let spec = self
            .store()
            .read_spec(&container.persistent_dir.join("spec.json"))?;
        let mounts = spec.mounts().as_deref().unwrap_or_default();
        let spot = match mounted(mounts, &container.volatile_dir, &request.inside) {
            Some(spot) => spot,
            None => own(container, request.out)?,
        };
        self.copy_at(container, spot, request)
    }

    fn copy_at(
        &self,
        container: &Container,
        spot: Spot,
        request: CopyRequest,
    ) -> Result<CopyReport, EngineError> {
        let shown = format!("{}:{}", container.name, request.inside.display());
        if !request.out && matches!(spot.place, Place::File(_)) {
            let text = format!(
                "cannot copy to {shown}: it is mounted from the host by itself; change it there"
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(shown));
        }
        let (host, data) = match request.host {
            HostEnd::Path(path) => (Some(Bytes::new(&path)), None),
            HostEnd::Stream(file) => (None, Some(OwnedFd::from(file))),
        };
        let job = CopyJob {
            direction: match request.out {
                true => Direction::Out,
                false => Direction::In,
            },
            inside: Bytes::new(&request.inside),
            below: spot.below.as_deref().map(Bytes::new),
            shown,
            host,
            keep_ids: request.keep_ids,
            follow_link: request.follow_link,
            rootless: storage::is_rootless(),
            caller: std::process::id(),
            read_only: spot.read_only,
            place: spot.place,
        };
        let users = match job.place {
            Place::Process(_) => storage::Users::Caller,
            _ if job.rootless => storage::Users::Mapped,
            _ => storage::Users::Caller,
        };
        self.storage_apart(&job, users, data)
    }
}

fn unsettled(container: &Container) -> EngineError {
    let text = format!(
        "cannot copy: container {} is {}; try again when that is done",
        container.name, container.status
    );
    EngineError::new(ErrorClass::Conflict, text)
}

/// What the container itself has, without its mounts.
fn own(container: &Container, out: bool) -> Result<Spot, EngineError> {
    let mut read_only = container
        .create
        .options
        .read_only
        .then(|| "the root of the container is read-only (--read-only)".to_owned());
    let place = match &container.create.root {
        RootSource::Layers {
            lowers,
            upper,
            work,
            ..
        } => Place::Layers {
            lowers: lowers.clone(),
            upper: upper.clone(),
            work: work.clone(),
        },
        RootSource::Directory { path, writable } => {
            if !writable {
                read_only = Some(
                    "what is written into its root lasts while it runs (--rootfs without --rw); start it first"
                        .to_owned(),
                );
            }
            Place::Folder(path.clone())
        }
        RootSource::Host => {
            let (name, verb) = (&container.name, if out { "from" } else { "to" });
            let text = format!(
                "cannot copy {verb} container {name}: it is stopped, and its image \"host\" keeps no files; start it with \"berth start {name}\""
            );
            return Err(EngineError::new(ErrorClass::Conflict, text));
        }
    };
    Ok(Spot {
        place,
        below: None,
        read_only,
    })
}

/// What is bound into the container at a path or above it: the longest target wins, the later of two
/// equal ones. What the kernel shows (/proc, tmpfs) is not there while it is stopped, nor are files of
/// ours before its first start; these are relative to its folder.
fn mounted(mounts: &[Mount], folder: &Path, inside: &Path) -> Option<Spot> {
    let typed = Typed::new(inside);
    let bound = mounts.iter().filter_map(|mount| {
        let source = mount.source().as_ref()?;
        let source = match source.is_relative() && has_option(mount, "x-berth.before") {
            true => Some(folder.join(source)).filter(|source| worker::is_file(source))?,
            false => source.clone(),
        };
        let target = Typed::new(mount.destination()).path;
        let is_bind = mount.typ().as_deref() == Some("bind")
            || has_option(mount, "bind")
            || has_option(mount, "rbind");
        (is_bind && typed.path.starts_with(&target)).then_some((target, source, mount))
    });
    let (target, source, mount) = bound.max_by_key(|(target, ..)| target.as_os_str().len())?;
    let rest = typed.path.strip_prefix(&target).ok()?;
    let is_read_only = has_option(mount, "ro") || has_option(mount, "rro");
    let read_only = is_read_only.then(|| {
        let target = target.display();
        format!("what is mounted at {target} is read-only")
    });
    let place = match worker::is_file(&source) {
        true => Place::File(source.clone()),
        false => Place::Folder(source.clone()),
    };
    Some(Spot {
        place,
        below: Some(Path::new("/").join(rest)),
        read_only,
    })
}

fn has_option(mount: &Mount, option: &str) -> bool {
    let options = mount.options().as_deref().unwrap_or_default();
    options.iter().any(|o| o == option)
}

#[cfg(test)]
mod tests;
