//! Making folders.

use std::io;
use std::path::Path;

use crate::{At, Op, Point, perform};

/// Makes a folder and its missing parents, with `mode` less the umask. One that is there is fine.
pub fn make_dirs(point: Point, dir: &Path, mode: u32) -> io::Result<()> {
    let make = || perform(point, Op::MakeDir(At::path(dir), mode));
    let made = match (make(), dir.parent()) {
        (Err(e), Some(parent)) if e.kind() == io::ErrorKind::NotFound => {
            make_dirs(point, parent, mode)?;
            make()
        }
        (made, _) => made,
    };
    match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_made_and_folders_that_are_there_are_fine() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        make_dirs("test.make", &deep, 0o700).unwrap();
        make_dirs("test.make", &deep, 0o700).unwrap();
        assert!(deep.is_dir());
        std::fs::write(deep.join("file"), "").unwrap();
        let refused = make_dirs("test.make", &deep.join("file"), 0o700).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert!(make_dirs("test.make", &deep.join("file/d"), 0o700).is_err());
    }
}
