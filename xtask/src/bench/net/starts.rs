//! Who starts containers with an address, and what is said to each.

use super::super::budgets::NET_CROWD;
use super::super::contestants::{Contestant, Net, Place, Work, words};
use super::super::peers::{CGROUP, Peers};
use crate::berth::Berth;

/// What the image with busybox alone is called.
pub(in crate::bench) const IMAGE: &str = "bench";

/// An engine: its name, where it is timed, its words up to the subcommand, options of `run`.
type Engine<'a> = (&'static str, Place, &'a [String], String);

/// Everybody who takes part.
pub(super) fn contestants(berth: &Berth, peers: &Peers) -> Vec<Contestant> {
    let below = format!(" --cgroup-parent /{CGROUP}");
    let ours: Engine<'_> = ("berth", Place::Host, berth.start(), String::new());
    let docker = peers.docker();
    let podman = peers.podman();
    let theirs = [
        docker.map(|start| ("docker", Place::Host, start, below.clone())),
        podman.map(|start| ("podman", Place::Apart, start, below.clone())),
    ];
    let engines: Vec<Engine<'_>> = [Some(ours)].into_iter().chain(theirs).flatten().collect();
    let works = [
        Work::Net(Net::None, 1),
        Work::Net(Net::Bridge, 1),
        Work::Net(Net::Publish, 1),
        Work::Net(Net::Bridge, NET_CROWD),
    ];
    // All at a work in turn, so that what they are compared with is near in time.
    works
        .iter()
        .flat_map(|work| engines.iter().map(|engine| contestant(engine, *work)))
        .collect()
}

fn contestant((name, place, start, options): &Engine<'_>, work: Work) -> Contestant {
    let network = match work {
        Work::Net(Net::None, _) => "--network none",
        Work::Net(Net::Publish, _) => "--network bridge -p 8099:80",
        _ => "--network bridge",
    };
    let run = words(start, &format!("run --rm {network}{options} {IMAGE} true"));
    Contestant::new(name, work, *place, vec![run])
}
