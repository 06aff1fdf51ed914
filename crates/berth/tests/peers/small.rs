//! A store on a file system of a few MiB, in a mount namespace of the test's own.

use std::fs;

use crate::support::Done;
use crate::world::{World, done};

pub struct Small {
    pub world: World,
}

impl Small {
    /// The file system is at `disk`, and of such a size, in the words of mount(8).
    pub fn new(name: &str, size: &str) -> Self {
        let world = World::new(name);
        let disk = world.text("disk");
        fs::create_dir(&disk).unwrap();
        let small = Self { world };
        let size = format!("size={size}");
        small.must(&["mount", "-t", "tmpfs", "-o", &size, "small", &disk]);
        small
    }

    pub fn must(&self, words: &[&str]) {
        let done = self.world.run(words);
        assert_eq!(done.code, 0, "{words:?}: {done:?}");
    }

    pub fn berth(&self, words: &[&str]) -> Done {
        let mut command = self.world.command(env!("CARGO_BIN_EXE_berth"));
        let (root, state) = (self.world.text("disk/root"), self.world.text("state"));
        command.args(["--root", &root, "--state", &state]);
        command.args(["--cgroup-parent", &self.world.cgroup_parent()]);
        command.args(["--default-network", "none"]);
        done(command.args(words))
    }
}
