//! The distribution's docker-registry.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{PATIENCE, skip};

const PROGRAM: &str = "/usr/bin/docker-registry";

/// The real registry, on a free port of loopback, with an empty folder; a child that ends with the
/// test.
pub struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub host: String,
    folder: TempDir,
}

impl Registry {
    /// Starts one that lets everybody in; `None` where it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with("", "")
    }

    /// Starts one that lets in who has a line of a password file.
    pub fn start_for(line: &[u8]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        std::fs::write(&path, line).unwrap();
        let path = path.display();
        let rest = format!("auth:\n  htpasswd: {{ realm: here, path: {path} }}\n");
        Self::launch(folder, "", &rest)
    }

    /// Starts one with further lines of YAML in the section `http` and at the end.
    pub fn start_with(http: &str, rest: &str) -> Option<Self> {
        Self::launch(tempfile::tempdir().unwrap(), http, rest)
    }

    fn launch(folder: TempDir, http: &str, rest: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            skip("docker-registry is not installed");
            return None;
        }
        let address = free_address();
        let root = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{ level: error, accesslog: {{ disabled: true }} }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\nhttp:\n  addr: {address}\n{http}{rest}",
            root.display()
        );
        let path = folder.path().join("config.yml");
        std::fs::write(&path, text).unwrap();
        let child = Command::new(PROGRAM)
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self {
            child,
            host: address.to_string(),
            folder,
        };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "docker-registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }

    /// A name there.
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.host.parse().unwrap()
    }

    /// Its folder, where a test can put files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// One line of a password file, bcrypt; `None` where htpasswd is not installed.
pub fn password_line(name: &str, secret: &str) -> Option<Vec<u8>> {
    let made = Command::new("htpasswd")
        .args(["-Bbn", name, secret])
        .output();
    match made {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            skip("htpasswd is not installed");
            None
        }
    }
}
