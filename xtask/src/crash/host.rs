//! A host for each crash of a network: a network namespace that has its loopback alone, and what is
//! looked for in it afterwards.
//!
//! A thread enters it and starts every command, so that the worlds of other workers see nothing of
//! its bridges, rules and ports. It goes with its last process.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use super::checks::{names_in, soon};
use super::operations::Program;
use super::world::World;
use crate::exec;
use crate::failure::{Failure, Outcome};

/// The port that every container publishes.
const PORT: u16 = 8080;

/// Gives the calling thread a host of its own.
///
/// # Errors
/// A namespace cannot be made or entered.
pub(super) fn enter_new() -> Outcome {
    let failed =
        |error: std::io::Error| Failure::new(format!("cannot make a network namespace: {error}"));
    let mut command = Command::new("unshare");
    let script = "ip link set lo up && echo up && exec cat";
    command.args(["--net", "--", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| exec::cannot_start(&command, &error))?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(failed)?;
    }
    let namespace = File::open(format!("/proc/{}/ns/net", child.id()));
    drop(child.stdin.take());
    let entered = namespace.and_then(|namespace| {
        let network = Some(LinkNameSpaceType::Network);
        Ok(move_into_link_name_space(namespace.as_fd(), network)?)
    });
    child.wait().map_err(failed)?;
    match line.as_str() {
        "up\n" => entered.map_err(failed),
        _ => Err(Failure::new("a network namespace has no loopback")),
    }
}

/// What holds after a recovery, whatever runs: no lease and no published port of a container that
/// is gone, no interface of ours but those of networks and of running containers.
///
/// # Errors
/// What does not hold, after some seconds.
pub(super) fn nothing_dangles(world: &World<'_>) -> Outcome {
    let known = names_in(&world.root().join("containers"));
    for (path, container) in leases(world)? {
        if !known.contains(&container) {
            return Err(Failure::new(format!("{path} is the lease of nobody")));
        }
    }
    let words = ["ps", "--format", "{{.Names}}"];
    let running = world.must(Program::Berth, &words)?;
    let running: BTreeSet<&str> = running.lines().collect();
    let rules = rules()?;
    let prefix = world.named("@");
    let mut owners = quoted(&rules).filter(|text| text.starts_with(&prefix));
    if let Some(name) = owners.find(|name| !running.contains(name)) {
        return Err(Failure::new(format!(
            "a port leads to {name}, which does not run"
        )));
    }
    soon(|| no_stray_interface(world, running.len()))
}

/// What holds once all containers are removed: networks alone are left, and with them nothing.
///
/// # Errors
/// What is left, after some seconds.
pub(super) fn nothing_left(world: &World<'_>) -> Outcome {
    soon(|| no_stray_interface(world, 0))?;
    if let Some((path, _)) = leases(world)?.first() {
        return Err(Failure::new(format!("{path} is left")));
    }
    let networks = names_in(&world.root().join("networks"));
    let state = names_in(&world.state().join("networks"));
    if let Some(name) = state.difference(&networks).next() {
        return Err(Failure::new(format!(
            "the state of network {name} is left, which is gone"
        )));
    }
    only_rules_of_bridges(world)?;
    // The kernel closes a dead monitor's sockets a moment later.
    soon(port_is_free)
}

fn port_is_free() -> Outcome {
    let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT));
    free.map(drop).map_err(|error| {
        let holder = exec::read(Command::new("ss").args(["-Htanp"])).unwrap_or_default();
        Failure::new(format!("port {PORT} is not free: {error}: {holder}"))
    })
}

/// What holds once the networks are removed, too, save the default one.
///
/// # Errors
/// What is left.
pub(super) fn no_network_left(world: &World<'_>) -> Outcome {
    world.must(Program::Berth, &["network", "prune", "-f"])?;
    let left = names_in(&world.root().join("networks"));
    let mut left = left.iter().filter(|name| !name.starts_with('.'));
    match left.find(|name| *name != "bridge") {
        Some(name) => Err(Failure::new(format!("network {name} cannot be pruned"))),
        None => nothing_left(world),
    }
}

/// Ends the resolver, which would go by itself some seconds later. Its lock is none of a store.
pub(super) fn end_resolver(world: &World<'_>) -> Outcome {
    for pid in resolvers(world) {
        // One that has just ended is fine.
        kill_process(pid, Signal::TERM).ok();
    }
    soon(|| no_resolver(world))
}

/// No resolver of this world lives.
///
/// # Errors
/// One does.
pub(super) fn no_resolver(world: &World<'_>) -> Outcome {
    match resolvers(world).first() {
        None => Ok(()),
        Some(pid) => Err(Failure::new(format!(
            "the resolver {} runs on",
            pid.as_raw_nonzero()
        ))),
    }
}

/// The resolvers of a world, by their command line.
pub(super) fn resolvers(world: &World<'_>) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.starts_with(&world.own_command_line()) && is_resolver(&line)
        })
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Whether a command line is that of a resolver.
pub(super) fn is_resolver(line: &[u8]) -> bool {
    line.ends_with(b"\0internal\0dns\0")
}

/// The leases of all networks: the file, and the id of the container.
fn leases(world: &World<'_>) -> Outcome<Vec<(String, String)>> {
    let networks = world.state().join("networks");
    let mut found = Vec::new();
    for network in names_in(&networks) {
        let folder = networks.join(network).join("leases");
        let mut addresses = names_in(&folder);
        addresses.retain(|name| name.parse::<std::net::IpAddr>().is_ok());
        for address in addresses {
            let path = folder.join(address);
            let record = record(&path)?;
            let container = record["container"].as_str().unwrap_or_default();
            found.push((path.display().to_string(), container.to_owned()));
        }
    }
    Ok(found)
}

fn record(path: &Path) -> Outcome<Value> {
    let text = fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("{} is broken: {error}", path.display())))
}

/// Bridges belong to networks, and ends of pairs to running containers, two at most each.
fn no_stray_interface(world: &World<'_>, running: usize) -> Outcome {
    let bridges = bridges_of_networks(world)?;
    let mut pairs = 0;
    for name in interfaces()? {
        if name.starts_with("bv") {
            pairs += 1;
        } else if name != "lo" && !bridges.contains(&name) {
            return Err(Failure::new(format!("the interface {name} is left")));
        }
    }
    if pairs > 2 * running {
        return Err(Failure::new(format!(
            "{pairs} ends of pairs are left, and {running} containers run"
        )));
    }
    Ok(())
}

/// The bridges that networks are to have.
fn bridges_of_networks(world: &World<'_>) -> Outcome<BTreeSet<String>> {
    let folder = world.root().join("networks");
    let mut bridges = BTreeSet::new();
    for name in names_in(&folder) {
        let path = folder.join(&name).join("network.json");
        if !name.starts_with('.') && path.exists() {
            let record = record(&path)?;
            bridges.extend(record["interface"].as_str().map(str::to_owned));
        }
    }
    Ok(bridges)
}

/// The interfaces of this thread's host.
fn interfaces() -> Outcome<BTreeSet<String>> {
    let path = Path::new("/proc/thread-self/net/dev");
    let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    let names = text
        .lines()
        .skip(2)
        .filter_map(|line| line.split(':').next());
    Ok(names.map(|name| name.trim().to_owned()).collect())
}

/// The packet filter names the bridges that there are and no container, and is not there without a
/// bridge.
fn only_rules_of_bridges(world: &World<'_>) -> Outcome {
    let rules = rules()?;
    let prefix = world.named("@");
    let mut named = BTreeSet::new();
    for text in quoted(&rules) {
        if text.starts_with(&prefix) {
            return Err(Failure::new(format!("a port leads to {text} still")));
        }
        let is_name = text.starts_with("berth") && !text.contains([':', ' ', '+']);
        named.extend(is_name.then(|| text.to_owned()));
    }
    let mut there = interfaces()?;
    there.retain(|name| name.starts_with("berth"));
    if named != there {
        return Err(Failure::new(format!(
            "the packet filter names the bridges {named:?}, and there are {there:?}"
        )));
    }
    let is_table_there = rules.contains("table inet berth");
    if is_table_there && there.is_empty() {
        return Err(Failure::new("the table is left without a bridge"));
    }
    Ok(())
}

fn rules() -> Outcome<String> {
    exec::read(Command::new("nft").args(["list", "ruleset"]))
}

/// The texts in quotes.
fn quoted(rules: &str) -> impl Iterator<Item = &str> {
    rules.split('"').skip(1).step_by(2)
}

impl World<'_> {
    /// How the command lines of its programs begin.
    pub(super) fn own_command_line(&self) -> Vec<u8> {
        let root = self.root();
        let program = self.programs.berth.as_os_str().as_bytes();
        [program, b"--root", root.as_os_str().as_bytes(), b""].join(&0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_quotes_are_found() {
        let rules = r#"iifname "berth0" accept comment "a b""#;
        assert_eq!(quoted(rules).collect::<Vec<_>>(), ["berth0", "a b"]);
        assert!(is_resolver(b"/berth\0--root\0/r\0internal\0dns\0"));
        assert!(!is_resolver(b"/berth\0--root\0/r\0internal\0exited\0"));
    }
}
