//! The copy itself. We are the worker: a process of its own, made for this copy, with one thread.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use berth_base::{ErrorClass, HostPid};
use berth_image::layer::merged::{Found, Last, Other, Stack};
use berth_image::layer::tree::{CopyOptions, Existing, copy_content, copy_entry};
use berth_image::layer::{
    self, Devices, Ids, LayerError, Limits, PackOptions, UnpackOptions, pack_entry,
};
use rustix::fs::{AtFlags, FileType, statat};

use super::host::{self, Destination};
use super::inside;
use super::job::{CopyJob, CopyReport, Direction, Place};
use super::root::{self, Root};
use super::rules::{self, Action, Refusal, Source, Typed};
use crate::EngineError;
use crate::storage::Work;
use crate::subid::{IdKind, map_of};

impl Work for CopyJob {
    const NAME: &'static str = "cp";
    type Done = CopyReport;

    fn perform_to(&self, data: &File) -> Result<CopyReport, EngineError> {
        // What the caller's umask takes away is given back with the modes; pipes and folders on the
        // way are nobody else's meanwhile.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let mut inside = Typed::new(&self.inside.path());
        if let Some(below) = &self.below {
            inside = inside.at(below.path());
        }
        let host = self.host.as_ref().map(|path| Typed::new(&path.path()));
        match (self.direction, host) {
            (Direction::Out, Some(host)) => self.out(&inside, &host),
            (Direction::Out, None) => self.pack(&inside, data),
            (Direction::In, Some(host)) => self.into(&host, &inside),
            (Direction::In, None) => self.unpack(&inside, data),
        }
    }
}

impl CopyJob {
    fn out(&self, inside: &Typed, host: &Typed) -> Result<CopyReport, EngineError> {
        let to = host::destination(host)?;
        let shown_host = host.path.display().to_string();
        let root = root::open(self)?;
        let (stack, found) = self.source(&root, inside)?;
        let names = Names {
            from: &self.shown,
            to: &shown_host,
        };
        self.copy((&stack, &found, inside), (&to, host), root.shift, &names)
    }

    fn into(&self, host: &Typed, inside: &Typed) -> Result<CopyReport, EngineError> {
        let (stack, found) = host::source(host, self.follow_link)?;
        self.check_writable()?;
        let root = root::open(self)?;
        let to = inside::destination(&root.stack, inside, &self.shown)?;
        let shown_host = host.path.display().to_string();
        let names = Names {
            from: &shown_host,
            to: &self.shown,
        };
        self.copy((&stack, &found, host), (&to, inside), root.shift, &names)
    }

    fn pack(&self, inside: &Typed, data: &File) -> Result<CopyReport, EngineError> {
        let root = root::open(self)?;
        let (stack, found) = self.source(&root, inside)?;
        if inside.is_folder && matches!(found, Found::Other(_)) {
            return Err(refused(
                Refusal::SourceIsNoFolder,
                &Names {
                    from: &self.shown,
                    to: "-",
                },
            ));
        }
        let name = match &inside.name {
            Some(name) if !inside.is_content => name.as_encoded_bytes(),
            _ => b".",
        };
        let options = PackOptions::default();
        let out = io::BufWriter::with_capacity(256 << 10, data);
        let packed = pack_entry(&stack, &found, name, out, &options)
            .map_err(|e| failed(&e, &self.shown, "standard output"))?;
        Ok(CopyReport {
            bytes: packed.bytes,
            entries: packed.entries,
            notes: Vec::new(),
        })
    }

    fn unpack(&self, inside: &Typed, data: &File) -> Result<CopyReport, EngineError> {
        self.check_writable()?;
        let root = root::open(self)?;
        let failed_on = |e: io::Error| inside::of_path("copy to", &self.shown, &e);
        let found = root.stack.find(&inside.path, Last::Follow);
        if !matches!(found.map_err(failed_on)?, Found::Folder(_)) {
            let text = format!(
                "cannot copy to {}: it is no folder, and an archive needs one",
                self.shown
            );
            return Err(EngineError::new(ErrorClass::Invalid, text).on(self.shown.as_str()));
        }
        let below = inside::real_path(&root.stack, &inside.path).map_err(failed_on)?;
        let options = UnpackOptions {
            devices: self.devices(),
            ids: match self.rootless && has_one_id() {
                true => Ids::Squash,
                false => Ids::Keep,
            },
            ..UnpackOptions::default()
        };
        let tar = layer::decompress(data, Limits::default().layer_bytes)
            .map_err(|e| failed(&e, "the archive", &self.shown))?;
        let top = root.stack.root().top();
        let top = top.ok_or_else(|| failed_on(io::ErrorKind::NotFound.into()))?;
        let unpacked = layer::unpack_into(tar, top, &below, &options)
            .map_err(|e| failed(&e, "the archive", &self.shown))?;
        Ok(CopyReport {
            bytes: unpacked.bytes,
            entries: unpacked.entries,
            notes: unpacked.notes,
        })
    }

    /// What is copied out of the container. What is mounted in it from memory is left out, unless it
    /// is what was asked for.
    fn source(&self, root: &Root, inside: &Typed) -> Result<(Stack, Found), EngineError> {
        let failed = |e: io::Error| inside::of_path("copy", &self.shown, &e);
        let stack = root.stack.clone();
        let Place::File(path) = &self.place else {
            let found = inside::source(&stack, inside, self.follow_link, &self.shown)?;
            let stack = match &found {
                Found::Folder(start) => stack.without_memory(start).map_err(failed)?,
                Found::Other(_) => stack,
            };
            return Ok((stack, found));
        };
        let parent = root::folder_of(path)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        let stat = statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW);
        let found = Found::Other(Other {
            parent: std::sync::Arc::new(parent),
            stat: stat.map_err(|e| failed(e.into()))?,
            name,
        });
        Ok((stack, found))
    }

    fn copy(
        &self,
        (stack, found, from): (&Stack, &Found, &Typed),
        (destination, to): (&Destination, &Typed),
        shift: Option<(layer::tree::IdShift, layer::tree::IdShift)>,
        names: &Names<'_>,
    ) -> Result<CopyReport, EngineError> {
        let source = match found {
            Found::Folder(_) => Source::Folder,
            Found::Other(_) => Source::Other,
        };
        refuse_sockets(found, names)?;
        let action = rules::decide((source, from), (destination.kind, to))
            .map_err(|refusal| refused(refusal, names))?;
        let options = CopyOptions {
            devices: self.devices(),
            ids: match self.keep_ids {
                true => Ids::Keep,
                false => Ids::Squash,
            },
            existing: Existing::Merge,
            shift,
        };
        let folder = destination.folder.as_fd();
        let copied = match (&action, found) {
            (Action::Content, Found::Folder(content)) => {
                copy_content(stack, content, folder, &options)
            }
            (Action::Under(name), _) => copy_entry(stack, found, folder, name, &options),
            _ => copy_entry(stack, found, folder, &destination.name, &options),
        };
        let copied = copied.map_err(|e| failed(&e, names.from, names.to))?;
        let notes = match copied.skipped {
            0 => Vec::new(),
            count => vec![format!("{count} devices or sockets were left out")],
        };
        Ok(CopyReport {
            bytes: copied.bytes,
            entries: copied.entries,
            notes,
        })
    }

    fn devices(&self) -> Devices {
        match self.rootless {
            true => Devices::Skip,
            false => Devices::Make,
        }
    }

    fn check_writable(&self) -> Result<(), EngineError> {
        let Some(why) = &self.read_only else {
            return Ok(());
        };
        let text = format!("cannot copy to {}: {why}", self.shown);
        Err(EngineError::new(ErrorClass::Denied, text).on(self.shown.as_str()))
    }
}

/// Whether there is but one id to give files to: a user without sub-ids.
fn has_one_id() -> bool {
    let own = HostPid::new(std::process::id());
    own.is_some_and(|own| map_of(own, IdKind::Uid).len() < 2)
}

/// What the ends are called.
struct Names<'a> {
    from: &'a str,
    to: &'a str,
}

fn refuse_sockets(found: &Found, names: &Names<'_>) -> Result<(), EngineError> {
    let Found::Other(other) = found else {
        return Ok(());
    };
    if FileType::from_raw_mode(other.stat.st_mode) != FileType::Socket {
        return Ok(());
    }
    let text = format!("cannot copy {}: it is a socket", names.from);
    Err(EngineError::new(ErrorClass::Invalid, text).on(names.from))
}

fn refused(refusal: Refusal, names: &Names<'_>) -> EngineError {
    let Names { from, to } = names;
    let (class, object, text) = match refusal {
        Refusal::SourceIsNoFolder => (
            ErrorClass::Invalid,
            from,
            format!("cannot copy {from}: it is no folder; leave out what follows its name"),
        ),
        Refusal::TargetIsNoFolder => (
            ErrorClass::Invalid,
            to,
            format!("cannot copy to {to}: it is no folder; leave out the slash at its end"),
        ),
        Refusal::NoSuchFolder => (
            ErrorClass::NotFound,
            to,
            format!("cannot copy to {to}: there is no such folder; make it first"),
        ),
        Refusal::FolderOverFile => (
            ErrorClass::Conflict,
            to,
            format!("cannot copy the folder {from} to {to}: that is a file; give a folder"),
        ),
    };
    EngineError::new(class, text).on(*object)
}

/// A copy that was not finished. What was copied by then stays.
fn failed(error: &LayerError, from: &str, to: &str) -> EngineError {
    let is_read_only = matches!(
        error,
        LayerError::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem
    );
    let hint = match is_read_only {
        true => "; it is mounted read-only there",
        false => "",
    };
    let class = match is_read_only {
        true => ErrorClass::Denied,
        false => error.class(),
    };
    EngineError::new(class, format!("cannot copy {from} to {to}: {error}{hint}"))
}

/// Whether a mounted file is what a path leads to.
pub(super) fn is_file(path: &Path) -> bool {
    // by path: what the user mounts, itself
    std::fs::metadata(path).is_ok_and(|found| !found.is_dir())
}
