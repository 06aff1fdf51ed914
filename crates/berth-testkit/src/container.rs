//! One container of a test.

use serde_json::Value;

use crate::output::{Output, soon};
use crate::reaper;
use crate::runtime::Runtime;

/// A container that came into being. The runtime's own end cleans it up.
pub struct Container<'a> {
    runtime: &'a Runtime,
    /// Its id.
    pub id: String,
    /// Its first process on the host, whose parent the test is.
    pub pid: i32,
}

impl<'a> Container<'a> {
    #[track_caller]
    pub(crate) fn new(runtime: &'a Runtime, id: &str) -> Self {
        let pid = runtime.state(id).ok().json()["pid"]
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok())
            .filter(|pid| *pid > 0)
            .expect("a PID in the state");
        Self {
            runtime,
            id: id.to_owned(),
            pid,
        }
    }

    /// Starts it.
    #[track_caller]
    pub fn start(&self) {
        drop(self.runtime.start(&self.id).ok());
    }

    /// Its state.
    #[must_use]
    #[track_caller]
    pub fn state(&self) -> Value {
        self.runtime.state(&self.id).ok().json()
    }

    /// The word of its state.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().unwrap_or("").to_owned()
    }

    /// Sends a signal, which must succeed.
    #[track_caller]
    pub fn kill(&self, signal: &str) {
        drop(self.runtime.kill(&self.id, signal).ok());
    }

    /// Waits for its end and reaps it: the exit code, or the signal negated.
    #[track_caller]
    pub fn wait(&self) -> i32 {
        reaper::reap(self.pid)
    }

    /// Deletes it, which must succeed.
    #[track_caller]
    pub fn delete(&self) {
        drop(self.runtime.delete(&self.id).ok());
    }

    /// Kills, reaps and deletes it.
    #[track_caller]
    pub fn end(&self) {
        self.kill("KILL");
        self.wait();
        self.delete();
    }

    /// Runs a shell script in it.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Output {
        self.runtime.exec(&self.id, &["/bin/sh", "-c", script])
    }

    /// What it has written to its standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.runtime.stdout(&self.id)
    }

    /// What it has written to its standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.runtime.stderr(&self.id)
    }

    /// Waits until its output contains a text: all of the output.
    #[track_caller]
    pub fn says(&self, text: &str) -> String {
        soon(&format!("{text:?} from {}", self.id), || {
            Some(self.stdout()).filter(|out| out.contains(text))
        })
    }

    /// The inode of one of its namespaces, as `/proc/PID/ns/NAME` shows it.
    #[must_use]
    #[track_caller]
    pub fn namespace(&self, name: &str) -> String {
        let link = std::fs::read_link(format!("/proc/{}/ns/{name}", self.pid));
        link.expect("read the namespace's link")
            .to_string_lossy()
            .into_owned()
    }

    /// A file of `/proc/PID` of its first process.
    #[must_use]
    #[track_caller]
    pub fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.pid);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}
