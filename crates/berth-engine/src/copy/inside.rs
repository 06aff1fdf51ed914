//! The container's side of a copy: every path is resolved here, name by name and below descriptors;
//! the kernel follows no link of a container. Whoever swaps a folder for a link meanwhile leads to
//! another place in the container, or to an error.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_image::layer::merged::{Folder, Found, Last, Stack};
use rustix::fs::{FileType, Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::host::{Destination, class_of, irregular};
use super::rules::{Target, Typed};
use crate::EngineError;

/// As many links as Linux follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Finds what is copied from.
pub(super) fn source(
    stack: &Stack,
    from: &Typed,
    follow: bool,
    shown: &str,
) -> Result<Found, EngineError> {
    let last = match follow || from.is_folder {
        true => Last::Follow,
        false => Last::Keep,
    };
    stack
        .find(&from.path, last)
        .map_err(|e| of_path("copy", shown, &e))
}

/// Finds what is copied to. Links are followed, one to nothing as well: its target is made.
pub(super) fn destination(
    stack: &Stack,
    to: &Typed,
    shown: &str,
) -> Result<Destination, EngineError> {
    let failed = |e: io::Error| of_path("copy to", shown, &e);
    let mut path = to.path.clone();
    for _ in 0..LINKS_MAX {
        let Some(name) = path.file_name().map(OsStr::to_owned) else {
            // `/`, or a link's target that ends with `..`
            return match stack.find(&path, Last::Follow).map_err(failed)? {
                Found::Folder(folder) => whole(&folder).map_err(failed),
                Found::Other(_) => Err(failed(Errno::NOTDIR.into())),
            };
        };
        let above = path.parent().unwrap_or(Path::new("/")).to_owned();
        let parent = match stack.find(&above, Last::Follow) {
            Ok(Found::Folder(parent)) => parent,
            Ok(Found::Other(_)) => return Err(no_parent(shown, &above)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(no_parent(shown, &above)),
            Err(e) => return Err(failed(e)),
        };
        let other = match stack.child(&parent, &name).map_err(failed)? {
            None => return at(&parent, Target::Missing, name).map_err(failed),
            Some(Found::Folder(folder)) => return whole(&folder).map_err(failed),
            Some(Found::Other(other)) => other,
        };
        match FileType::from_raw_mode(other.stat.st_mode) {
            FileType::RegularFile => return at(&parent, Target::File, name).map_err(failed),
            FileType::Symlink => {
                let link = readlinkat(&*other.parent, &*other.name, Vec::new());
                let link = link.map_err(|e| failed(e.into()))?;
                path = above.join(OsStr::from_bytes(link.to_bytes()));
            }
            _ => return Err(irregular(shown)),
        }
    }
    Err(failed(Errno::LOOP.into()))
}

/// The path of a folder without links, relative to the root.
pub(super) fn real_path(stack: &Stack, path: &Path) -> io::Result<PathBuf> {
    let mut left: Vec<OsString> = reversed(path);
    let mut real = PathBuf::from("/");
    let mut above: Vec<Folder> = Vec::new();
    let mut here = stack.root().clone();
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == ".." {
            here = above.pop().unwrap_or(here);
            real.pop();
            continue;
        }
        match stack.child(&here, &name)?.ok_or(Errno::NOENT)? {
            Found::Folder(folder) => {
                above.push(std::mem::replace(&mut here, folder));
                real.push(&name);
            }
            Found::Other(other) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP.into());
                }
                let link = readlinkat(&*other.parent, &*other.name, Vec::new());
                let link = link.map_err(|e| if e == Errno::INVAL { Errno::NOTDIR } else { e })?;
                let link = Path::new(OsStr::from_bytes(link.to_bytes()));
                if link.is_absolute() {
                    here = stack.root().clone();
                    above.clear();
                    real = PathBuf::from("/");
                }
                left.extend(reversed(link));
            }
        }
    }
    Ok(real.strip_prefix("/").unwrap_or(&real).to_owned())
}

fn reversed(path: &Path) -> Vec<OsString> {
    use std::path::Component;
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        _ => None,
    });
    parts.collect()
}

fn whole(folder: &Folder) -> io::Result<Destination> {
    at(folder, Target::Folder, OsString::new())
}

fn at(folder: &Folder, kind: Target, name: OsString) -> io::Result<Destination> {
    Ok(Destination {
        kind,
        folder: reopen(folder)?,
        name,
    })
}

fn reopen(folder: &Folder) -> io::Result<OwnedFd> {
    let top = folder.top().ok_or(Errno::NOENT)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(top, ".", flags, Mode::empty())?)
}

fn no_parent(shown: &str, folder: &Path) -> EngineError {
    let text = format!(
        "cannot copy to {shown}: there is no folder {} in the container; make it first",
        folder.display()
    );
    EngineError::new(ErrorClass::NotFound, text).on(shown)
}

/// An answer about a path of the container.
pub(super) fn of_path(action: &str, shown: &str, error: &io::Error) -> EngineError {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder in the container".to_owned(),
        _ => error.to_string(),
    };
    let text = format!("cannot {action} {shown}: {why}");
    EngineError::new(class_of(error), text).on(shown)
}
