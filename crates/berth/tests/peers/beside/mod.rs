//! Networks of ours beside those of real peers, in one network namespace that the test made: the
//! containers of both are reached, and reach what is outside, whoever comes first and whoever goes.
//!
//!     world ─┬─ up0 203.0.113.1 ── 203.0.113.2 outside, which answers "outside" on port 80
//!            ├─ our bridge
//!            └─ the peer's

mod docker;
mod firewalld;
mod podman;

use std::process::Command;

use crate::support::{Done, eventually};
use crate::world::{World, done};

/// What is outside is a namespace beside the world's.
const OUTSIDE: &str = r#"
set -e
ip netns add outside
ip link add up0 type veth peer name eth0 netns outside
ip address add 203.0.113.1/24 dev up0
ip link set up0 up
ip -n outside address add 203.0.113.2/24 dev eth0
ip -n outside link set eth0 up
ip -n outside link set lo up
"#;

/// How a shell line is executed outside.
const THERE: [&str; 4] = ["nsenter", "--net=/run/netns/outside", "sh", "-c"];

/// Makes what is outside.
fn make_outside(world: &World) {
    let made = world.run(&["sh", "-c", OUTSIDE]);
    assert_eq!(made.code, 0, "{made:?}");
    let server = "busybox nc -ll -p 80 -e echo outside </dev/null >/dev/null 2>&1 &
                  echo $! >/run/outside.pid";
    let served = world.run(&[&THERE[..], &[server]].concat());
    assert_eq!(served.code, 0, "{served:?}");
}

/// What answers at a port, seen from the world; nothing where nobody does.
fn ask(world: &World, address: &str, port: u16) -> String {
    let line = format!("busybox nc -w 3 {address} {port} </dev/null || true");
    world.run(&["sh", "-c", &line]).out.trim().to_owned()
}

/// The same from outside.
fn ask_from_outside(world: &World, port: u16) -> String {
    let line = format!("busybox nc -w 3 203.0.113.1 {port} </dev/null || true");
    let words = [&THERE[..], &[&line]].concat();
    world.run(&words).out.trim().to_owned()
}

/// Waits until a published port answers from everywhere.
fn assert_reached(world: &World, port: u16, name: &str) {
    eventually("an answer from the host's loopback", || {
        ask(world, "127.0.0.1", port) == name
    });
    eventually("an answer at the host's address", || {
        ask(world, "203.0.113.1", port) == name
    });
    eventually("an answer to the outside", || {
        ask_from_outside(world, port) == name
    });
}

/// Ends what is outside, and removes the cgroup in which processes of ours live that are nobody's, and which stays, once the last
/// of them has ended.
fn leave(world: &World) {
    let ended = world.run(&["sh", "-c", "kill $(cat /run/outside.pid)"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    eventually("the end of all processes of ours", || {
        let cgroups = world.cgroups();
        let mut own = cgroups
            .iter()
            .filter(|path| path.ends_with("berth") || path.ends_with("berth/keepers"));
        own.all(|path| std::fs::remove_dir(path).is_ok())
    });
}

/// The rules of the world that have a word in them.
fn rules_with(world: &World, word: &str) -> Vec<String> {
    let rules = world.run(&["nft", "list", "ruleset"]);
    assert_eq!(rules.code, 0, "{rules:?}");
    let lines = rules.out.lines().filter(|line| line.contains(word));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// An engine of ours in a world.
struct Ours<'a> {
    world: &'a World,
}

impl Ours<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command(env!("CARGO_BIN_EXE_berth"));
        command
            .arg("--root")
            .arg(self.world.path("berth-root"))
            .arg("--state")
            .arg(self.world.path("berth-state"))
            .args(arguments)
            .env("BERTH_CGROUP_PARENT", &self.world.cgroup_parent()[1..])
            .env("BERTH_DEFAULT_NETWORK", "bridge");
        command
    }

    fn run(&self, arguments: &[&str]) -> Done {
        done(&mut self.command(arguments))
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, 0, "berth {arguments:?}: {done:?}");
        done.out.trim_end().to_owned()
    }

    /// A container on a network of its own that answers with its name at a port of the host.
    fn serve(&self, name: &str, port: u16) {
        self.ok(&["network", "create", name]);
        let publish = format!("{port}:80");
        let flags = ["run", "-d", "--name", name, "--network", name, "-p"];
        let server = ["host", "busybox", "nc", "-ll", "-p80", "-e", "echo", name];
        self.ok(&[&flags[..], &[&publish], &server].concat());
    }

    /// What answers at a port, seen from a container.
    fn ask_from(&self, name: &str, address: &str, port: u16) -> String {
        let line = format!("busybox nc -w 3 {address} {port} </dev/null 2>/dev/null || true");
        self.ok(&["exec", name, "sh", "-c", &line])
    }

    /// Whether a container reaches the outside.
    fn reaches_outside(&self, name: &str) -> bool {
        self.ask_from(name, "203.0.113.2", 80) == "outside"
    }

    /// Removes a container and its network.
    fn remove(&self, name: &str) {
        self.ok(&["rm", "-f", name]);
        self.ok(&["network", "rm", name]);
    }
}
