use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::*;

/// A root, and beside it a folder that must stay empty.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/dir")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn link(&self, name: &str, to: impl AsRef<Path>) {
        symlink(to, self.root().join(name)).unwrap();
    }

    /// Where below the root the target was found or made.
    fn target(&self, path: &str, kind: TargetKind, links: Links) -> Result<PathBuf, Errno> {
        let root = fs::File::open(self.root()).unwrap();
        let path = std::ffi::CString::new(path).unwrap();
        let opened = open_target(root.as_fd(), &path, kind, links)?;
        let outside = fs::read_dir(self.dir.path().join("outside")).unwrap();
        assert_eq!(outside.count(), 0, "made outside");
        use std::os::fd::AsRawFd;
        let shown = fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).unwrap();
        let stat = rustix::fs::fstat(&opened).unwrap();
        let found = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        assert_eq!(found.is_dir(), kind == TargetKind::Directory, "{shown:?}");
        Ok(shown.strip_prefix(self.root()).unwrap().to_owned())
    }
}

#[test]
fn missing_targets_are_made_where_links_lead() {
    use TargetKind::{Directory, File};
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    place.link("absolute", "/run/a/b");
    place.link("relative", "run/c");
    place.link("dir/up", "../run/d");
    place.link("above", "../../../../../run/e");
    place.link("first", "second");
    place.link("second", "third/x");
    place.link("trailing", "run/t/");
    for (path, kind, found) in [
        ("/dir", Directory, "dir"),
        ("//dir/./new//er/", Directory, "dir/new/er"),
        ("/dir/file", File, "dir/file"),
        ("/absolute", File, "run/a/b"),
        ("/relative/x/y", Directory, "run/c/x/y"),
        ("/dir/up/z", File, "run/d/z"),
        ("/above", Directory, "run/e"),
        ("/first/y", File, "third/x/y"),
        ("/trailing", Directory, "run/t"),
        ("/", Directory, ""),
    ] {
        let target = place.target(path, kind, Links::InRoot);
        assert_eq!(target, Ok(PathBuf::from(found)), "{path}");
    }
    // A path of the host's is looked up, and made, below the root.
    place.link("host", &outside);
    let inside = outside.strip_prefix("/").unwrap();
    let target = place.target("/host/x", Directory, Links::InRoot);
    assert_eq!(target, Ok(inside.join("x")));
}

#[test]
fn links_that_lead_round_or_are_refused_end_the_walk() {
    let place = Place::new();
    place.link("a", "b");
    place.link("b", "a");
    place.link("self", "self/x");
    place.link("to", "nowhere");
    for path in ["/a", "/a/x", "/self"] {
        let target = place.target(path, TargetKind::Directory, Links::InRoot);
        assert_eq!(target, Err(Errno::LOOP), "{path}");
    }
    for path in ["/to", "/to/x", "/a"] {
        let target = place.target(path, TargetKind::Directory, Links::Refused);
        assert_eq!(target, Err(Errno::LOOP), "{path}");
    }
    let long = format!("/{}", "x".repeat(300));
    let target = place.target(&long, TargetKind::Directory, Links::InRoot);
    assert_eq!(target, Err(Errno::NAMETOOLONG));
}
