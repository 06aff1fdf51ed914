//! A host of the test's own.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::cli::{Berth, Done, finish};

/// An engine in a network namespace of its own.
pub struct World {
    pub berth: Berth,
    namespace: OwnedFd,
}

impl World {
    /// `None`, with a word why, for whoever is not root.
    pub fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            berth_testkit::skip("networks need root");
            return None;
        }
        Some(Self {
            berth: Berth::new(),
            namespace: new_namespace(),
        })
    }

    /// Another host, 192.0.2.1, on the other end of this one's interface `up0`, which has no address.
    pub fn neighbour(&self) -> Self {
        let neighbour = Self {
            berth: Berth::new(),
            namespace: new_namespace(),
        };
        let fd = neighbour.namespace.as_raw_fd();
        let path = format!("/proc/{}/fd/{fd}", std::process::id());
        self.host(&format!(
            "ip link add up0 type veth peer name eth0 netns {path} && ip link set up0 up"
        ));
        neighbour.host("ip address add 192.0.2.1/24 dev eth0 && ip link set eth0 up");
        neighbour
    }

    /// Another engine on the same host.
    pub fn beside(&self) -> Self {
        Self {
            berth: Berth::new(),
            namespace: self.namespace.try_clone().unwrap(),
        }
    }

    /// Starts a command inside: the child of a thread has that thread's namespaces.
    pub fn spawn(&self, command: &mut Command) -> Child {
        self.within(|| {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
    }

    /// Does something inside, in a thread of its own.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(self.namespace.as_fd(), work)
    }

    /// Does something in a container's network namespace.
    pub fn within_container<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let pid = self.ok(&["inspect", "-f", "{{.State.Pid}}", name]);
        let namespace = File::open(format!("/proc/{pid}/ns/net")).unwrap();
        within(namespace.as_fd(), work)
    }

    /// Waits until something is so.
    pub fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = std::time::Instant::now() + crate::cli::PATIENCE;
        while !is_so() {
            assert!(std::time::Instant::now() < end, "waited in vain for {what}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// The resolver of this engine, by its command line.
    pub fn resolver(&self) -> Option<Pid> {
        let state = self.berth.path("state");
        let state = format!("\0{}\0", state.display());
        let state = state.as_bytes();
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .find_map(|entry| {
                let line = std::fs::read(entry.path().join("cmdline")).ok()?;
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let is_ours = line.windows(state.len()).any(|part| part == state);
                let is_resolver = line.ends_with(b"\0internal\0dns\0");
                (is_ours && is_resolver).then(|| Pid::from_raw(pid))?
            })
    }

    /// `berth`, with the default network that users get.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.berth.bare_command(arguments);
        command.env("XDG_CONFIG_HOME", self.berth.path("config"));
        self.spawn(&mut command)
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        finish(self.start(arguments))
    }

    /// Runs a command that must succeed; its output without the last line break.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// Runs a shell line in a container that goes away; its output.
    pub fn sh(&self, flags: &str, line: &str) -> String {
        let mut arguments = vec!["run", "--rm"];
        arguments.extend(flags.split_whitespace());
        arguments.extend(["host", "sh", "-c", line]);
        self.ok(&arguments)
    }

    /// A program of the host's; its output.
    pub fn host(&self, line: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", line]).stdin(Stdio::null());
        let done = finish(self.spawn(&mut command));
        assert_eq!(done.code, 0, "{line}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// The names of the host's interfaces, less the loopback.
    pub fn interfaces(&self) -> Vec<String> {
        let names = self.host("tail -n +3 /proc/net/dev | cut -d: -f1");
        let names = names.lines().map(str::trim).filter(|name| *name != "lo");
        names.map(str::to_owned).collect()
    }

    /// Waits until the host has so many interfaces: a namespace dies in the background.
    pub fn wait_for_interfaces(&self, count: usize) {
        self.wait("interfaces", || self.interfaces().len() == count);
    }

    /// The addresses that are handed out.
    pub fn leases(&self, network: &str) -> Vec<String> {
        let folder = self.berth.path(&format!("state/networks/{network}/leases"));
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.parse::<std::net::IpAddr>().is_ok())
            .collect();
        names.sort();
        names
    }
}

/// A network namespace with a loopback.
fn new_namespace() -> OwnedFd {
    let namespace = std::thread::spawn(|| {
        berth_sys::unshare_namespaces(berth_runtime::namespaces::NEW_NET).unwrap();
        let own = File::open("/proc/thread-self/ns/net").unwrap();
        berth_sys::net::loopback_up().unwrap();
        OwnedFd::from(own)
    });
    namespace.join().unwrap()
}

/// Does something in a network namespace, in a thread of its own.
fn within<T: Send>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let entered = scope.spawn(|| {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace, network).unwrap();
            work()
        });
        entered.join().unwrap()
    })
}
