//! An engine with an image: a folder of busybox.

use std::path::PathBuf;

use berth_testkit::Bundle;

use crate::cli::{Berth, Done};

/// An engine of the test's own, and a root for its containers.
pub struct World {
    pub berth: Berth,
    bundle: Bundle,
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            berth: Berth::new(),
            bundle: Bundle::new(),
        };
        let data = world.image().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("file"), "image").unwrap();
        world
    }

    /// The folder that containers run from.
    pub fn image(&self) -> PathBuf {
        self.bundle.rootfs()
    }

    /// `berth COMMAND --rootfs IMAGE FLAGS... sh -c SCRIPT`.
    pub fn start(&self, command: &str, flags: &[&str], script: &str) -> Done {
        let image = self.image();
        let mut arguments = vec![command, "--rootfs", image.to_str().unwrap()];
        arguments.extend(flags);
        arguments.extend(["sh", "-c", script]);
        self.berth.run(&arguments)
    }

    /// Runs a script in a container that is removed afterwards; its output.
    pub fn run(&self, flags: &[&str], script: &str) -> String {
        let mut all = vec!["--rm"];
        all.extend(flags);
        let done = self.start("run", &all, script);
        assert_eq!(done.code, 0, "{flags:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// Makes a container with a name.
    pub fn create(&self, name: &str, flags: &[&str]) -> String {
        let mut all = vec!["--name", name];
        all.extend(flags);
        let done = self.start("create", &all, "true");
        assert_eq!(done.code, 0, "{flags:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// A command that must succeed.
    pub fn ok(&self, line: &str) -> String {
        self.berth.ok(&line.split(' ').collect::<Vec<_>>())
    }

    /// A command that must fail; its message.
    pub fn fails(&self, code: i32, line: &str) -> String {
        let done = self.berth.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, code, "{line}: {done:?}");
        done.err.trim_end().to_owned()
    }

    /// The names of all volumes.
    pub fn volumes(&self) -> Vec<String> {
        let text = self.ok("volume ls -q");
        text.lines().map(str::to_owned).collect()
    }

    /// The folder of a volume's files.
    pub fn data(&self, volume: &str) -> PathBuf {
        self.berth.path("root/volumes").join(volume).join("_data")
    }

    /// What lies in the folder of the volumes besides them and their lock.
    pub fn hidden(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.berth.path("root/volumes"));
        entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.') && name != ".lock")
            .collect()
    }
}
