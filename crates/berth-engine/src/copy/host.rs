//! The caller's side of a copy: opened with the caller's rights, before anything of the container
//! is looked at, and resolved by the kernel as for any program of the caller's.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use berth_base::ErrorClass;
use berth_image::layer::merged::{Found, Other, Stack};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::rules::{Target, Typed};
use crate::EngineError;

/// As many links as Linux follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// A destination, held open.
pub(super) struct Destination {
    pub(super) kind: Target,
    /// The folder itself, else the one that has or gets the name.
    pub(super) folder: OwnedFd,
    /// Empty for a folder.
    pub(super) name: OsString,
}

/// Opens what is copied from.
pub(super) fn source(from: &Typed, follow: bool) -> Result<(Stack, Found), EngineError> {
    let failed = |e: io::Error| of_path("copy", &from.path, &e);
    let path = match follow || from.is_folder {
        true => std::fs::canonicalize(&from.path).map_err(failed)?,
        false => from.path.clone(),
    };
    let wrap = |e: Errno| failed(e.into());
    let (folder, name) = (path.parent(), path.file_name());
    let (Some(folder), Some(name)) = (folder, name) else {
        return opened(openat(CWD, "/", readable(), Mode::empty()).map_err(wrap)?).map_err(failed);
    };
    let parent = openat(CWD, folder, searchable(), Mode::empty()).map_err(wrap)?;
    let stat = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(wrap)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let flags = readable() | OFlags::NOFOLLOW;
        return opened(openat(&parent, name, flags, Mode::empty()).map_err(wrap)?).map_err(failed);
    }
    let other = Found::Other(Other {
        parent: Arc::new(parent),
        name: name.to_owned(),
        stat,
    });
    // Nothing is looked up in it.
    let nothing = File::open("/").and_then(|root| Stack::plain(root.into()));
    Ok((nothing.map_err(failed)?, other))
}

fn opened(folder: OwnedFd) -> io::Result<(Stack, Found)> {
    let stack = Stack::plain(folder)?;
    let root = Found::Folder(stack.root().clone());
    Ok((stack, root))
}

/// Opens what is copied to. Links are followed, one to nothing as well: its target is made.
pub(super) fn destination(to: &Typed) -> Result<Destination, EngineError> {
    let mut path = to.path.clone();
    for _ in 0..LINKS_MAX {
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => return existing_folder(&path),
            Ok(found) if found.is_file() => {
                let path = std::fs::canonicalize(&path).map_err(|e| of_path("open", &path, &e))?;
                return named(Target::File, &path);
            }
            Ok(_) => return Err(irregular(&path.display().to_string())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(of_path("copy to", &path, &e)),
        }
        match std::fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or(Path::new("/")).join(link),
            Err(_) => return named(Target::Missing, &path),
        }
    }
    Err(of_path("copy to", &to.path, &Errno::LOOP.into()))
}

fn existing_folder(path: &Path) -> Result<Destination, EngineError> {
    let folder = openat(CWD, path, searchable(), Mode::empty());
    Ok(Destination {
        kind: Target::Folder,
        folder: folder.map_err(|e| of_path("open", path, &e.into()))?,
        name: OsString::new(),
    })
}

fn named(kind: Target, path: &Path) -> Result<Destination, EngineError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(of_path("copy to", path, &Errno::NOENT.into()));
    };
    let opened = openat(CWD, folder, searchable(), Mode::empty()).map_err(|e| match e {
        Errno::NOENT | Errno::NOTDIR => EngineError::new(
            ErrorClass::NotFound,
            format!(
                "cannot copy to {}: there is no folder {}; make it first",
                path.display(),
                folder.display()
            ),
        ),
        e => of_path("copy to", path, &e.into()),
    })?;
    Ok(Destination {
        kind,
        folder: opened,
        name: name.to_owned(),
    })
}

/// What a destination must not be.
pub(super) fn irregular(shown: &str) -> EngineError {
    let text = format!(
        "cannot copy to {shown}: it is a device, a pipe or a socket; give a folder or a regular file"
    );
    EngineError::new(ErrorClass::Invalid, text)
}

/// A folder that need not be listed.
pub(super) fn searchable() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn readable() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn of_path(action: &str, path: &Path, error: &io::Error) -> EngineError {
    let shown = path.display();
    let class = class_of(error);
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        _ => error.to_string(),
    };
    EngineError::new(class, format!("cannot {action} {shown}: {why}")).on(shown.to_string())
}

/// What kind of failure an answer of the file system is.
pub(super) fn class_of(error: &io::Error) -> ErrorClass {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorClass::NotFound,
        io::ErrorKind::PermissionDenied => ErrorClass::Denied,
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => ErrorClass::Invalid,
        _ => ErrorClass::Unavailable,
    }
}
