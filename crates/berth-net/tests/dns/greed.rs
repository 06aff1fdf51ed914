//! Containers that ask more than their share.

use std::sync::Arc;
use std::time::Duration;

use berth_net::dns::Config;

use crate::wire::{self, A, NOERROR, REFUSED, query, reply};
use crate::world::{Answers, Guest, World, can_run};

/// Silent, save for names that begin with `good`.
fn mostly_silent() -> Arc<Answers> {
    Arc::new(|query, _| {
        let good = wire::name_of(query).starts_with("good");
        good.then(|| reply(query, NOERROR, &[vec![192, 0, 2, 1]]))
    })
}

#[test]
fn a_container_that_asks_too_much_is_refused_and_starves_nobody() {
    if !can_run() {
        return;
    }
    let world = World::with(|config| Config {
        timeout: Duration::from_secs(3600),
        ..config
    });
    world.network("net");
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    world.upstreams(vec![mostly_silent()]);
    let greedy: Vec<Guest> = "1234"
        .chars()
        .map(|d| Guest::new(&world, d, &["net"]))
        .collect();
    for guest in &greedy {
        // As many as one may have; each is taken in before the next is sent.
        for id in 0..256 {
            guest.udp.send(&query(id, "bad.example", A)).unwrap();
            if id % 16 == 15 {
                assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
            }
        }
        assert_eq!(guest.ask("one-more.example", A).code, REFUSED);
    }
    // All room is taken: the greediest gives up its oldest for somebody else.
    let modest = Guest::new(&world, 'a', &["net"]);
    assert_eq!(modest.ask("good.example", A).records, ["192.0.2.1"]);
    let given_up: Vec<u16> = greedy
        .iter()
        .filter_map(|guest| {
            guest.udp.set_nonblocking(true).unwrap();
            let mut buffer = [0; 512];
            let length = guest.udp.recv(&mut buffer).ok()?;
            Some(wire::answer(&buffer[..length])).map(|answer| answer.code)
        })
        .collect();
    assert_eq!(given_up, [REFUSED]);
}
