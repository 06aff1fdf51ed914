//! Mount points that an image lacks.
//!
//! Somebody has to make them before anything can be mounted there. Were that the runtime, inside
//! the container, they would lie in the container's own layer: `diff` would show them as changes
//! and `commit` would pack them. So they are made beside it, in the topmost of the read-only
//! layers. Docker has such a layer for the same reason. Containers share it: its name below
//! `mount-points` in the engine's root says all that is in it ([`super::points_name`]). What has
//! odd names, or too many, is the container's own, in `layer/init`.
//!
//! Whatever is unclear here (a path through a file, folders of an owner that a user cannot give)
//! is left to the runtime, which makes it in the container's own layer, or says why not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use berth_image::layer::merged::{Folder, Found, Stack};
use berth_persist::{At, Op, perform};
use oci_spec::runtime::Mount;
use rustix::fs::{FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid};

/// As many links as Linux follows (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// What is to be made, by path, parents first.
#[derive(Debug, Default)]
pub(crate) struct MountPoints(pub(super) BTreeMap<PathBuf, Point>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// A folder of the image, whose attributes this one must have since it lies upon it.
    Over(Attributes),
    Folder,
    File,
}

/// What a folder upon another one shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    /// The permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Last modified: seconds since 1970, and nanoseconds.
    pub(super) modified: (i64, u32),
}

impl MountPoints {
    /// Nothing is missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks for the targets of mounts in an image, as the runtime will.
    pub(crate) fn missing(stack: &Stack, mounts: &[Mount]) -> Self {
        let mut points = Self::default();
        for (at, mount) in mounts.iter().enumerate() {
            let target = mount.destination();
            let earlier = mounts.get(..at).unwrap_or_default();
            // Below another mount it is that one's to have.
            if earlier.iter().any(|m| target.starts_with(m.destination())) {
                continue;
            }
            if let Ok(Some(chain)) = points_to(stack, target, is_file(mount)) {
                points.add(chain);
            }
        }
        points
    }

    fn add(&mut self, chain: Vec<(PathBuf, Point)>) {
        let clashes = chain.iter().any(|(path, point)| {
            let known = self.0.get(path);
            known.is_some_and(|known| matches!(known, Point::File) != matches!(point, Point::File))
        });
        if !clashes {
            for (path, point) in chain {
                self.0.entry(path).or_insert(point);
            }
        }
    }

    /// Makes them below a folder, which must be empty.
    pub(crate) fn make(&self, root: &Path) -> io::Result<()> {
        for (path, point) in &self.0 {
            let path = root.join(path);
            match point {
                Point::Over(_) | Point::Folder => {
                    let op = Op::MakeDir(At::path(&path), 0o755);
                    perform("container.create.mount-point", op)?;
                }
                // by path: below our own folder, just made
                Point::File => drop(File::create_new(&path)?),
            }
            // The caller's umask is none of the container's business.
            let mode = if matches!(point, Point::File) {
                0o644
            } else {
                0o755
            };
            // by path: as above
            rustix::fs::chmod(&path, Mode::from_raw_mode(mode))?;
        }
        // Times last, and of the deepest first: an entry changes that of its folder.
        for (path, point) in self.0.iter().rev() {
            if let Point::Over(attributes) = point {
                // by path: below our own folder, just made
                attributes.give(&File::open(root.join(path))?)?;
            }
        }
        Ok(())
    }
}

impl Attributes {
    fn of(stat: &Stat) -> Self {
        Self {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            modified: (
                stat.st_mtime,
                u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            ),
        }
    }

    fn give(&self, folder: &File) -> io::Result<()> {
        let now = rustix::fs::fstat(folder)?;
        if (now.st_uid, now.st_gid) != (self.uid, self.gid) {
            let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
            rustix::fs::fchown(folder, Some(uid), Some(gid))?;
        }
        rustix::fs::fchmod(folder, Mode::from_raw_mode(self.mode))?;
        let (seconds, nanos) = self.modified;
        let modified = Timespec {
            tv_sec: seconds,
            tv_nsec: nanos.into(),
        };
        let times = Timestamps {
            last_access: modified,
            last_modification: modified,
        };
        Ok(rustix::fs::futimens(folder, &times)?)
    }
}

/// A bind mount of anything but a folder needs a file to be mounted on.
fn is_file(mount: &Mount) -> bool {
    let options = mount.options().as_deref().unwrap_or_default();
    let bind = options.iter().any(|o| o == "bind" || o == "rbind");
    let source = mount.source().as_deref().filter(|_| bind);
    source.is_some_and(|source| {
        // by path: the source of a bind mount, which the caller named
        let found = std::fs::metadata(source).is_ok_and(|found| !found.is_dir());
        // Written only at the start.
        found || crate::network::is_file_of_ours(source)
    })
}

/// What has to be made so that a target is there; nothing where it is, or where it cannot be.
fn points_to(
    stack: &Stack,
    target: &Path,
    is_file: bool,
) -> io::Result<Option<Vec<(PathBuf, Point)>>> {
    let mut left = reversed(target.as_os_str().as_bytes());
    let mut here: Vec<(OsString, Folder)> = Vec::new();
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name.as_bytes() == b".." {
            here.pop();
            continue;
        }
        let folder = here.last().map_or_else(|| stack.root(), |(_, f)| f);
        match stack.child(folder, &name)? {
            Some(Found::Folder(folder)) => here.push((name, folder)),
            Some(Found::Other(other)) => {
                links += 1;
                let link = FileType::from_raw_mode(other.stat.st_mode) == FileType::Symlink;
                if !link || links > LINKS_MAX {
                    return Ok(None);
                }
                let to = rustix::fs::readlinkat(&*other.parent, &*name, Vec::new())?;
                if to.as_bytes().starts_with(b"/") {
                    here.clear();
                }
                left.extend(reversed(to.as_bytes()));
            }
            None => {
                left.push(name);
                return chain(&here, left, is_file);
            }
        }
    }
    Ok(None)
}

/// The folders on the way that the image has, then those that it lacks.
fn chain(
    here: &[(OsString, Folder)],
    mut left: Vec<OsString>,
    is_file: bool,
) -> io::Result<Option<Vec<(PathBuf, Point)>>> {
    if left.iter().any(|name| name.as_bytes() == b"..") {
        return Ok(None);
    }
    let mut path = PathBuf::new();
    let mut chain = Vec::with_capacity(here.len() + left.len());
    for (name, folder) in here {
        path.push(name);
        let Some(stat) = attributes(folder)? else {
            return Ok(None);
        };
        chain.push((path.clone(), Point::Over(stat)));
    }
    while let Some(name) = left.pop() {
        path.push(name);
        let point = if left.is_empty() && is_file {
            Point::File
        } else {
            Point::Folder
        };
        chain.push((path.clone(), point));
    }
    Ok(Some(chain))
}

/// What a folder upon this one needs; nothing where we cannot give it.
fn attributes(folder: &Folder) -> io::Result<Option<Attributes>> {
    let Some(top) = folder.top() else {
        return Ok(None);
    };
    let stat = rustix::fs::fstat(top)?;
    let user = rustix::process::geteuid().as_raw();
    let ours = user == 0 || (stat.st_uid, stat.st_gid) == (user, group());
    // Attributes such as access lists are rare on folders; they are not copied.
    let plain = !has_attributes(top.as_fd());
    Ok((ours && plain).then(|| Attributes::of(&stat)))
}

fn group() -> u32 {
    rustix::process::getegid().as_raw()
}

fn has_attributes(folder: std::os::fd::BorrowedFd<'_>) -> bool {
    let mut names = [0; 4096];
    match rustix::fs::flistxattr(folder, &mut names) {
        Ok(length) => {
            let names = names.get(..length).unwrap_or_default();
            let mut names = names.split(|b| *b == 0).filter(|name| !name.is_empty());
            names.any(|name| !is_mark(name))
        }
        Err(rustix::io::Errno::NOTSUP) => false,
        Err(_) => true,
    }
}

/// What overlayfs and security modules write by themselves.
fn is_mark(name: &[u8]) -> bool {
    [
        &b"trusted.overlay."[..],
        b"user.overlay.",
        b"security.selinux",
    ]
    .iter()
    .any(|mark| name.starts_with(mark))
}

/// The names of a path, the last one first.
fn reversed(path: &[u8]) -> Vec<OsString> {
    let names = path.split(|b| *b == b'/').rev();
    names
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(|name| OsString::from_vec(name.to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use berth_image::layer::XattrSpace;

    fn image(make: impl FnOnce(&Path)) -> (tempfile::TempDir, Stack) {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let open = File::open(folder.path()).unwrap();
        let stack = Stack::new(vec![open.into()], XattrSpace::User).unwrap();
        (folder, stack)
    }

    fn mount(target: &str) -> Mount {
        let mut mount = Mount::default();
        mount.set_destination(target.into());
        mount.set_source(None).set_options(None);
        mount
    }

    fn made(stack: &Stack, mounts: &[Mount]) -> (tempfile::TempDir, Vec<String>) {
        let into = tempfile::tempdir().unwrap();
        let points = MountPoints::missing(stack, mounts);
        points.make(into.path()).unwrap();
        let paths = points.0.keys().map(|path| path.display().to_string());
        (into, paths.collect())
    }

    #[test]
    fn what_the_image_has_is_not_made() {
        let (_image, stack) = image(|root| {
            std::fs::create_dir(root.join("proc")).unwrap();
            std::fs::create_dir(root.join("dev")).unwrap();
        });
        let mounts = ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup"].map(mount);
        assert_eq!(made(&stack, &mounts).1, ["sys"]);
        assert!(MountPoints::missing(&stack, &mounts[..2]).is_empty());
    }

    #[test]
    fn links_are_followed_and_folders_above_keep_their_attributes() {
        let (image, stack) = image(|root| {
            std::fs::create_dir_all(root.join("run/lock")).unwrap();
            std::fs::create_dir(root.join("var")).unwrap();
            symlink("/run", root.join("var/run")).unwrap();
            let mode = std::fs::Permissions::from_mode(0o1777);
            std::fs::set_permissions(root.join("run/lock"), mode).unwrap();
        });
        let (into, paths) = made(&stack, &[mount("/var/run/lock/a/b"), mount("/run/c")]);
        assert_eq!(
            paths,
            ["run", "run/c", "run/lock", "run/lock/a", "run/lock/a/b"]
        );
        for folder in ["run", "run/lock"] {
            let of = |root: &Path| {
                let found = std::fs::metadata(root.join(folder)).unwrap();
                (found.mode(), found.uid(), found.mtime(), found.mtime_nsec())
            };
            assert_eq!(of(into.path()), of(image.path()), "{folder}");
        }
    }

    #[test]
    fn files_are_mounted_on_files() {
        let (image, stack) = image(|root| std::fs::write(root.join("file"), "").unwrap());
        let mut bind = mount("/etc/conf");
        bind.set_source(Some(image.path().join("file")));
        bind.set_options(Some(vec!["rbind".into()]));
        let (into, paths) = made(&stack, &[bind]);
        assert_eq!(paths, ["etc", "etc/conf"]);
        assert!(into.path().join("etc/conf").is_file());
    }

    #[test]
    fn what_cannot_be_is_left_alone() {
        let (_image, stack) = image(|root| {
            std::fs::write(root.join("file"), "").unwrap();
            symlink("loop", root.join("loop")).unwrap();
            symlink("../../missing/../x", root.join("odd")).unwrap();
        });
        for target in ["/file/below", "/loop/x", "/odd"] {
            assert_eq!(made(&stack, &[mount(target)]).1, [""; 0], "{target}");
        }
    }
}
