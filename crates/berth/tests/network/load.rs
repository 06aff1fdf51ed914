//! Connecting and disconnecting while others talk.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::cli::eventually;
use crate::world::World;

const MOVERS: usize = 4;
const ROUNDS: usize = 6;

fn address(world: &World, name: &str) -> String {
    let text = world.ok(&["exec", name, "hostname", "-I"]);
    text.split_whitespace().next().unwrap().to_owned()
}

/// The ends of pairs on the host.
fn pairs(world: &World) -> usize {
    let names = world.interfaces();
    names.iter().filter(|name| name.starts_with("bv")).count()
}

/// A connection to a server that may not listen yet.
fn connect(address: &str) -> TcpStream {
    let mut connected = None;
    eventually("the server", || {
        connected = TcpStream::connect(address).ok();
        connected.is_some()
    });
    connected.unwrap()
}

#[test]
fn traffic_goes_on_while_others_connect_and_disconnect() {
    let Some(world) = World::new() else { return };
    for name in ["blue", "red"] {
        world.ok(&["network", "create", name]);
    }
    let run = |name: &str, words: &[&str]| {
        let flags = ["run", "-d", "--name", name, "--network", "blue", "host"];
        world.ok(&[&flags[..], words].concat());
    };
    run("server", &["busybox", "nc", "-ll", "-p80", "-e", "cat"]);
    run("client", &["sleep", "1000"]);
    let movers: Vec<String> = (0..MOVERS).map(|n| format!("mover{n}")).collect();
    movers.iter().for_each(|name| run(name, &["sleep", "1000"]));
    let rules = world.host("nft list ruleset");
    let server = format!("{}:80", address(&world, "server"));
    let over = AtomicBool::new(false);
    let echoed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // One connection through all of it, and one word after the other: none may be lost.
        let talker = scope.spawn(|| {
            world.within_container("client", || {
                let mut stream = connect(&server);
                stream
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .unwrap();
                while !over.load(Ordering::Relaxed) {
                    let word = echoed.load(Ordering::Relaxed).to_ne_bytes();
                    stream.write_all(&word).unwrap();
                    let mut back = [0; 8];
                    stream.read_exact(&mut back).unwrap();
                    assert_eq!(back, word);
                    echoed.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        let moving: Vec<_> = movers
            .iter()
            .map(|name| {
                let world = &world;
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        world.ok(&["network", "connect", "red", name]);
                        world.ok(&["network", "disconnect", "blue", name]);
                        world.ok(&["network", "connect", "blue", name]);
                        world.ok(&["network", "disconnect", "red", name]);
                    }
                })
            })
            .collect();
        let moved = moving.into_iter().map(std::thread::ScopedJoinHandle::join);
        let failed = moved.filter(Result::is_err).count();
        over.store(true, Ordering::Relaxed);
        talker.join().unwrap();
        assert_eq!(failed, 0);
    });
    assert!(echoed.load(Ordering::Relaxed) > 0);
    // What is there is what is connected, exactly.
    assert_eq!(world.leases("blue").len(), 2 + MOVERS);
    assert!(world.leases("red").is_empty());
    world.wait("pairs", || pairs(&world) == 2 + MOVERS);
    for name in &movers {
        let own = address(&world, name);
        assert!(world.leases("blue").contains(&own), "{name} has {own}");
        let ping = ["busybox", "ping", "-c", "1", "-W", "5", "server"];
        world.ok(&[&["exec", name][..], &ping].concat());
    }
    // The second network's bridge came, and nothing else.
    let red = world.host("nft list set inet $(nft list tables | cut -d' ' -f3) bridges");
    assert_eq!(red.matches("\"berth").count(), 2, "{red}");
    world.ok(&["network", "rm", "red"]);
    assert_eq!(world.host("nft list ruleset"), rules);
}
