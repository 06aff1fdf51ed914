//! An engine of the test's own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An engine with a home folder of its own.
pub struct Berth {
    dir: TempDir,
}

impl Drop for Berth {
    fn drop(&mut self) {
        berth_testkit::remove_folder(self.dir.path());
    }
}

#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Berth {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        self.run_under(&[], arguments, input)
    }

    /// Runs a command with variables of its environment.
    pub fn run_under(&self, variables: &[(&str, &str)], arguments: &[&str], input: &[u8]) -> Done {
        let search = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_berth"))
            .arg("--root")
            .arg(self.path("root"))
            .arg("--state")
            .arg(self.path("state"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("BERTH_DEFAULT_NETWORK", "none")
            .env("PATH", search)
            .env("HOME", self.dir.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody may be reading.
        drop(child.stdin.take().unwrap().write_all(input));
        let code = berth_testkit::finish(&mut child);
        let output = child.wait_with_output().unwrap();
        Done {
            code,
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, b"")
    }

    /// Runs a command that must succeed; its output without the last line break.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// Runs a command that must fail with 1; its words, with the registry's port taken out.
    pub fn refused(&self, arguments: &[&str], host: &str) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 1, "{arguments:?}: {done:?}");
        assert_eq!(done.out, "");
        done.err.replace(host, "HOST")
    }

    /// Writes the user's configuration file.
    pub fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.path(".config/berth")).unwrap();
        std::fs::write(self.path(".config/berth/config.toml"), text).unwrap();
    }

    /// Makes an image of one small file.
    pub fn make_image(&self, name: &str) {
        let archive = self.make_tar();
        self.ok(&["import", &archive.display().to_string(), name]);
    }

    /// The tar of one small file.
    pub fn make_tar(&self) -> PathBuf {
        let folder = self.path("tree");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), "content").unwrap();
        let archive = self.path("tree.tar");
        let made = Command::new("tar")
            .args([
                "-C".as_ref(),
                folder.as_os_str(),
                "-cf".as_ref(),
                archive.as_os_str(),
                ".".as_ref(),
            ])
            .status()
            .unwrap();
        assert!(made.success());
        archive
    }
}
