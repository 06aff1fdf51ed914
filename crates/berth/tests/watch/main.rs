//! `berth map --watch` through a pseudo terminal, its screen read back.
//!
//! The host is the one that the test runs on: a test knows only the processes that it made.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod leaving;
mod looking;
mod recordings;
mod terminal;

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A process of the test's own, with a name that nobody else has.
pub struct Named {
    pub child: Child,
    pub name: String,
    _folder: tempfile::TempDir,
}

impl Named {
    /// Starts one that sleeps.
    pub fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::os::unix::fs::symlink("/bin/sleep", &path).unwrap();
        // By its first argument busybox knows what it is; the kernel names by the path.
        let mut command = Command::new(&path);
        command.arg0("sleep").arg("600").stdin(Stdio::null());
        Self {
            child: command.spawn().unwrap(),
            name: name.to_owned(),
            _folder: folder,
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
