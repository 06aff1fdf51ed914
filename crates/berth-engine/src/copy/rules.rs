//! Docker's rules of what becomes what, as a table. No I/O.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A path as a user types it, and what its end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    /// Absolute, without `.`, `..` and slashes at the end.
    pub(super) path: PathBuf,
    /// The name that a copy gets in a folder; `None` for `/`.
    pub(super) name: Option<OsString>,
    /// It ends with `/` or `/.`: it is a folder, and a link is its target.
    pub(super) is_folder: bool,
    /// It ends with `/.`: what is in the folder is meant.
    pub(super) is_content: bool,
}

impl Typed {
    /// Takes an absolute path; `..` takes a name away, as in Docker, whatever links there are.
    pub(super) fn new(typed: &Path) -> Self {
        let bytes = typed.as_os_str().as_bytes();
        let is_content = bytes == b"." || bytes.ends_with(b"/.");
        let mut path = PathBuf::from("/");
        for part in typed.components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::ParentDir => drop(path.pop()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Self {
            is_folder: is_content || bytes.ends_with(b"/"),
            is_content: is_content || path == Path::new("/"),
            name: path.file_name().map(OsStr::to_owned),
            path,
        }
    }

    /// The same, found elsewhere.
    pub(super) fn at(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }
}

/// What is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A folder.
    Folder,
    /// A file, a link, a device.
    Other,
}

/// What is at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Folder,
    File,
    Missing,
}

/// What becomes of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It goes into the destination, under this name.
    Under(OsString),
    /// The content of the source goes into the destination.
    Content,
    /// It becomes the destination.
    Become,
}

/// Why there can be no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A path that ends with a slash is that of a file.
    SourceIsNoFolder,
    TargetIsNoFolder,
    /// A file would become a folder that is not there.
    NoSuchFolder,
    FolderOverFile,
}

/// Applies the rules.
pub(super) fn decide(
    (source, from): (Source, &Typed),
    (target, to): (Target, &Typed),
) -> Result<Action, Refusal> {
    if source == Source::Other && from.is_folder {
        return Err(Refusal::SourceIsNoFolder);
    }
    match (source, target) {
        (Source::Folder, Target::File) => Err(Refusal::FolderOverFile),
        (_, Target::File) if to.is_folder => Err(Refusal::TargetIsNoFolder),
        (Source::Other, Target::Missing) if to.is_folder => Err(Refusal::NoSuchFolder),
        (_, Target::Missing | Target::File) => Ok(Action::Become),
        (Source::Folder, Target::Folder) if from.is_content => Ok(Action::Content),
        (_, Target::Folder) => Ok(match &from.name {
            Some(name) => Action::Under(name.clone()),
            None => Action::Content,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(path: &str) -> Typed {
        Typed::new(Path::new(path))
    }

    #[test]
    fn the_end_of_a_path_says_what_is_meant() {
        for (path, clean, is_folder, is_content) in [
            ("/a/b", "/a/b", false, false),
            ("a/b", "/a/b", false, false),
            ("/a/b/", "/a/b", true, false),
            ("/a/b//", "/a/b", true, false),
            ("/a/b/.", "/a/b", true, true),
            ("/a/./b", "/a/b", false, false),
            ("/a/../../b", "/b", false, false),
            ("/a/..", "/", false, true),
            ("/", "/", true, true),
            (".", "/", true, true),
            ("/a/b.", "/a/b.", false, false),
            ("/a..", "/a..", false, false),
        ] {
            let expected = Typed {
                path: clean.into(),
                name: Path::new(clean).file_name().map(OsStr::to_owned),
                is_folder,
                is_content,
            };
            assert_eq!(typed(path), expected, "{path}");
        }
    }

    /// The table of `docker cp`'s documentation.
    #[test]
    fn what_becomes_what() {
        use Source::{Folder, Other};
        let under = |name: &str| Ok(Action::Under(name.into()));
        for (source, from, target, to, expected) in [
            // a file
            (Other, "/s/f", Target::Missing, "/d", Ok(Action::Become)),
            (
                Other,
                "/s/f",
                Target::Missing,
                "/d/",
                Err(Refusal::NoSuchFolder),
            ),
            (
                Other,
                "/s/f",
                Target::Missing,
                "/d/.",
                Err(Refusal::NoSuchFolder),
            ),
            (Other, "/s/f", Target::File, "/d", Ok(Action::Become)),
            (
                Other,
                "/s/f",
                Target::File,
                "/d/",
                Err(Refusal::TargetIsNoFolder),
            ),
            (Other, "/s/f", Target::Folder, "/d", under("f")),
            (Other, "/s/f", Target::Folder, "/d/", under("f")),
            (
                Other,
                "/s/f/",
                Target::Folder,
                "/d",
                Err(Refusal::SourceIsNoFolder),
            ),
            (
                Other,
                "/s/f/.",
                Target::Folder,
                "/d",
                Err(Refusal::SourceIsNoFolder),
            ),
            // a folder
            (Folder, "/s", Target::Missing, "/d", Ok(Action::Become)),
            (Folder, "/s", Target::Missing, "/d/", Ok(Action::Become)),
            (Folder, "/s/.", Target::Missing, "/d", Ok(Action::Become)),
            (
                Folder,
                "/s",
                Target::File,
                "/d",
                Err(Refusal::FolderOverFile),
            ),
            (
                Folder,
                "/s/.",
                Target::File,
                "/d",
                Err(Refusal::FolderOverFile),
            ),
            (Folder, "/s", Target::Folder, "/d", under("s")),
            (Folder, "/s/", Target::Folder, "/d", under("s")),
            (Folder, "/s/.", Target::Folder, "/d", Ok(Action::Content)),
            (Folder, "/", Target::Folder, "/d", Ok(Action::Content)),
        ] {
            let (f, t) = (typed(from), typed(to));
            assert_eq!(decide((source, &f), (target, &t)), expected, "{from} {to}");
        }
    }
}
