//! A network namespace that lives as long as its value, or as we do.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::exec;
use crate::failure::{Failure, Outcome};

/// Says when it is there, and ends with its input.
const HOLD: &str = "ip link set lo up && echo ready && exec cat >/dev/null";

/// A network namespace with loopback alone, held by a process.
pub(in crate::bench) struct Space {
    holder: Child,
}

impl Space {
    /// Makes one.
    ///
    /// # Errors
    /// It cannot be made.
    pub(in crate::bench) fn new() -> Outcome<Self> {
        let mut command = Command::new("unshare");
        command
            .args(["--net", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let holder = command
            .spawn()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        let mut space = Self { holder };
        let mut line = String::new();
        let read = space
            .holder
            .stdout
            .take()
            .map(|out| BufReader::new(out).read_line(&mut line));
        match read {
            Some(Ok(_)) if line.trim() == "ready" => Ok(space),
            _ => Err(Failure::new("a network namespace cannot be made")),
        }
    }

    /// Its file.
    pub(in crate::bench) fn net(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.id()))
    }

    /// Words that execute what follows them in it.
    pub(in crate::bench) fn entrance(&self) -> Vec<String> {
        let net = format!("--net={}", self.net().display());
        vec!["nsenter".to_owned(), net]
    }

    /// A program in it.
    pub(in crate::bench) fn command(&self, words: &str) -> Command {
        let entrance = self.entrance();
        let mut command = Command::new(&entrance[0]);
        command.args(&entrance[1..]).args(words.split(' '));
        command
    }

    /// Runs a program in it that must succeed.
    ///
    /// # Errors
    /// It fails.
    pub(in crate::bench) fn run(&self, words: &str) -> Outcome {
        exec::read(&mut self.command(words)).map(drop)
    }

    /// Joins it to another one by a pair of interfaces, each called by `name` and with an address
    /// with prefix.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(in crate::bench) fn join(&self, other: &Self, name: &str, addresses: [&str; 2]) -> Outcome {
        let pid = other.holder.id();
        self.run(&format!(
            "ip link add name {name} type veth peer name {name} netns {pid}"
        ))?;
        for (space, address) in [self, other].into_iter().zip(addresses) {
            space.run(&format!("ip address add {address} dev {name}"))?;
            space.run(&format!("ip link set {name} up"))?;
        }
        Ok(())
    }

    /// Forwards packets from now on.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(in crate::bench) fn forward(&self) -> Outcome {
        let mut command = self.command("sh -c");
        exec::read(command.arg("echo 1 >/proc/sys/net/ipv4/ip_forward")).map(drop)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // It ends with its input.
        self.holder.stdin = None;
        if let Err(error) = self.holder.wait() {
            eprintln!("xtask: the holder of a network namespace cannot be waited for: {error}");
        }
    }
}
