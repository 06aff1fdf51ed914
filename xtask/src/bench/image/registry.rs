//! Docker's registry, as Debian packages it, on a loopback of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::exec;
use crate::failure::{Failure, Outcome};

/// How long one may take to listen.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running registry that keeps its blobs in a folder.
pub(super) struct Registry {
    server: Child,
    port: u16,
    storage: PathBuf,
}

impl Registry {
    /// Starts one in a fresh network namespace, in which there is nothing but loopback.
    ///
    /// # Errors
    /// It does not listen.
    pub(super) fn alone(folder: &Path, port: u16) -> Outcome<Self> {
        let enter = "ip link set lo up && exec \"$@\"";
        let words = ["unshare", "--net", "sh", "-c", enter, "sh"];
        Self::start(&words.map(str::to_owned), folder, port)
    }

    /// Starts one in the network namespace of this one.
    ///
    /// # Errors
    /// It does not listen.
    pub(super) fn beside(&self, folder: &Path, port: u16) -> Outcome<Self> {
        Self::start(&self.entrance(), folder, port)
    }

    fn start(enter: &[String], folder: &Path, port: u16) -> Outcome<Self> {
        let storage = folder.join(format!("registry-{port}"));
        fs::create_dir(&storage).map_err(|e| Failure::file("create", &storage, &e))?;
        let config = folder.join(format!("registry-{port}.yml"));
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:{port}\"}}\n",
            storage.display()
        );
        fs::write(&config, text).map_err(|e| Failure::file("write", &config, &e))?;
        let log = folder.join(format!("registry-{port}.log"));
        let errors = fs::File::create(&log).map_err(|e| Failure::file("create", &log, &e))?;
        let mut command = Command::new(&enter[0]);
        command
            .args(&enter[1..])
            .args(["docker-registry", "serve"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        let server = command
            .spawn()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        let mut registry = Self {
            server,
            port,
            storage,
        };
        registry.wait(&log)?;
        Ok(registry)
    }

    /// Until its namespace has a socket that listens on its port (proc_pid_net(5)).
    fn wait(&mut self, log: &Path) -> Outcome {
        let end = Instant::now() + DEADLINE;
        let table = format!("/proc/{}/net/tcp", self.server.id());
        let own = format!(":{:04X} 00000000:0000 0A", self.port);
        loop {
            let sockets = fs::read_to_string(&table).unwrap_or_default();
            if sockets.contains(&own) {
                return Ok(());
            }
            let ended = self.server.try_wait().ok().flatten().is_some();
            if ended || Instant::now() > end {
                let said = fs::read_to_string(log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("no message");
                return Err(Failure::new(format!(
                    "docker-registry does not listen: {last}"
                )));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its network namespace.
    pub(super) fn net(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.server.id()))
    }

    /// Words that execute what follows them in its network namespace.
    pub(super) fn entrance(&self) -> Vec<String> {
        let net = format!("--net={}", self.net().display());
        vec!["nsenter".to_owned(), net]
    }

    /// What an image is called there.
    pub(super) fn name(&self, image: &str) -> String {
        format!("127.0.0.1:{}/{image}", self.port)
    }

    /// Forgets all images. Nobody may be talking to it.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(super) fn empty(&self) -> Outcome {
        let all = self.storage.join("docker");
        if !all.exists() {
            return Ok(());
        }
        fs::remove_dir_all(&all).map_err(|error| Failure::file("remove", &all, &error))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Err(error) = self
            .server
            .kill()
            .and_then(|()| self.server.wait().map(drop))
        {
            eprintln!("xtask: docker-registry cannot be ended: {error}");
        }
    }
}
