//! An engine with cgroups of its own.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::Berth;

/// An engine of the test's own, with a cgroup parent that no other test has.
pub struct World {
    pub berth: Berth,
}

/// A file of a controller, and what it says: on v1 and on v2.
pub struct Setting {
    pub controller: &'static str,
    pub v1: (&'static str, &'static str),
    pub v2: (&'static str, &'static str),
}

/// A file that both have.
pub const fn same(controller: &'static str, file: &'static str, value: &'static str) -> Setting {
    Setting {
        controller,
        v1: (file, value),
        v2: (file, value),
    }
}

pub const fn memory(value: &'static str) -> Setting {
    Setting {
        controller: "memory",
        v1: ("memory.limit_in_bytes", value),
        v2: ("memory.max", value),
    }
}

impl World {
    pub fn new() -> Self {
        Self {
            berth: Berth::with_cgroup_parent(),
        }
    }

    /// A command that must succeed; its words are apart by blanks.
    pub fn ok(&self, line: &str) -> String {
        self.berth.ok(&line.split(' ').collect::<Vec<_>>())
    }

    /// A command that must fail; its message without the program's name.
    pub fn fails(&self, code: i32, line: &str) -> String {
        let done = self.berth.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.code, code, "{line}: {done:?}");
        let folder = self.berth.path("").display().to_string();
        done.err.trim_end().replace(&folder, "FOLDER/")
    }

    /// Runs a script in a container that is removed afterwards; its output.
    pub fn run(&self, flags: &str, script: &str) -> String {
        let mut arguments = vec!["run", "--rm"];
        arguments.extend(flags.split(' ').filter(|word| !word.is_empty()));
        arguments.extend(["host", "sh", "-c", script]);
        self.berth.ok(&arguments)
    }

    /// Starts a container that sleeps.
    pub fn start(&self, name: &str, flags: &str) {
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend(flags.split(' ').filter(|word| !word.is_empty()));
        arguments.extend(["host", "sleep", "1000"]);
        self.berth.ok(&arguments);
    }

    pub fn inspect(&self, name: &str, template: &str) -> String {
        self.berth.ok(&["inspect", "-f", template, name])
    }

    fn cgroups(&self, name: &str) -> Value {
        serde_json::from_str(&self.inspect(name, "{{json .Berth.Live.Cgroups}}")).unwrap()
    }

    /// The folder of a running container in the hierarchy of a controller, and whether that is v1.
    pub fn cgroup(&self, name: &str, controller: &str) -> (PathBuf, bool) {
        let cgroups = self.cgroups(name);
        match cgroups["v1"][controller].as_str() {
            Some(path) => (PathBuf::from(path), true),
            None => (PathBuf::from(cgroups["v2"].as_str().unwrap()), false),
        }
    }

    /// What a file of a running container says.
    pub fn read(&self, name: &str, setting: &Setting) -> String {
        let (folder, is_v1) = self.cgroup(name, setting.controller);
        let (file, _) = if is_v1 { setting.v1 } else { setting.v2 };
        read(&folder.join(file))
    }

    /// Checks what the files of a running container say.
    pub fn expect(&self, name: &str, settings: &[Setting]) {
        for setting in settings {
            let (_, is_v1) = self.cgroup(name, setting.controller);
            let (file, value) = if is_v1 { setting.v1 } else { setting.v2 };
            assert_eq!(self.read(name, setting), value, "{file}");
        }
    }

    /// Whether a controller's v1 hierarchy is what containers get here.
    pub fn has_v1(&self, controller: &str) -> bool {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.lines().any(|line| {
            line.split_once(" - ").is_some_and(|(_, rest)| {
                let mut words = rest.split(' ');
                words.next() == Some("cgroup")
                    && words
                        .nth(1)
                        .is_some_and(|options| options.split(',').any(|o| o == controller))
            })
        })
    }
}

pub fn read(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim_end().to_owned()
}
