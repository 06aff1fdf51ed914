//! A registry and an engine of the test's own.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const REGISTRY: &str = "/usr/bin/docker-registry";

/// The real registry; ends with the test.
pub struct Registry {
    child: Child,
    pub host: String,
    _folder: TempDir,
}

impl Registry {
    /// Starts it; with a line of a password file it wants logins. `None` where it is not installed.
    pub fn start(passwords: Option<&[u8]>) -> Option<Self> {
        if !Path::new(REGISTRY).exists() {
            berth_testkit::skip("docker-registry is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let mut text = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\nhttp:\n  addr: {address}\n",
            folder.path().join("data").display()
        );
        if let Some(line) = passwords {
            let path = folder.path().join("htpasswd");
            std::fs::write(&path, line).unwrap();
            let section = format!(
                "auth:\n  htpasswd: {{ realm: here, path: {} }}\n",
                path.display()
            );
            text.push_str(&section);
        }
        let path = folder.path().join("config.yml");
        std::fs::write(&path, text).unwrap();
        let child = Command::new(REGISTRY)
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self {
            child,
            host: address.clone(),
            _folder: folder,
        };
        let until = Instant::now() + berth_testkit::PATIENCE;
        while TcpStream::connect(&address).is_err() {
            assert!(Instant::now() < until, "docker-registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    /// A name there.
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free a moment ago.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

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
            .env("PATH", search)
            .env("HOME", self.dir.path())
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

    /// Makes an image of one small file.
    pub fn make_image(&self, name: &str) {
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
        self.ok(&["import", &archive.display().to_string(), name]);
    }
}
