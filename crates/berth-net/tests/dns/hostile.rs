//! Packets that no resolver would send.

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

use crate::wire::{A, FORMERR, NOTIMP, REFUSED, query, query_with_size};
use crate::world::{Guest, World, can_run};

fn world() -> (World, Guest) {
    let world = World::new();
    world.network("net");
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    let guest = Guest::new(&world, 'a', &["net"]);
    (world, guest)
}

#[test]
fn what_is_no_query_is_told_why_or_nothing() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world();
    let good = query(1, "web", A);
    let code = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        guest.send(&packet).map(|answer| answer.code)
    };
    assert_eq!(code(&|p| p.truncate(3)), None);
    assert_eq!(code(&|p| p[2] |= 0x80), None, "an answer");
    assert_eq!(code(&|p| p[2] |= 0x28), Some(NOTIMP), "an update");
    assert_eq!(code(&|p| p[5] = 0), Some(FORMERR));
    assert_eq!(code(&|p| p[5] = 9), Some(FORMERR));
    assert_eq!(code(&|p| p[12] = 0xc0), Some(FORMERR));
    assert_eq!(code(&|p| p.push(0)), Some(FORMERR));
    assert_eq!(code(&|p| p[20] = 3), Some(REFUSED), "class CH");
    assert_eq!(code(&|p| p[18] = 252), Some(REFUSED), "AXFR");
    assert_eq!(code(&|p| p[18] = 41), Some(FORMERR), "OPT as a question");
    let mut newer = query_with_size(1, "web", A, 1232);
    let version = newer.len() - 5;
    newer[version] = 1;
    let answer = guest.send(&newer).unwrap();
    assert_eq!(
        (answer.code, answer.records.len(), answer.edns.is_some()),
        (0, 0, true)
    );
}

#[test]
fn any_packets_can_come_and_the_next_query_is_answered() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world();
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    let damaged = (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| {
        let mut packet = query_with_size(9, "web", A, 1232);
        let at = at.index(packet.len());
        packet[at] = byte;
        packet
    });
    let packets = prop::collection::vec(prop_oneof![bytes, damaged], 1..20);
    TestRunner::new(Cases::with_cases(100))
        .run(&packets, |packets| {
            for packet in packets {
                guest.udp.send(&packet).unwrap();
            }
            // Answers to what came before are read on the way to this one.
            guest.udp.send(&query(0x7777, "web", A)).unwrap();
            let mut buffer = [0; 4096];
            loop {
                let length = guest.udp.recv(&mut buffer).unwrap();
                if buffer[..2] == [0x77, 0x77] && length == 37 {
                    return Ok(());
                }
            }
        })
        .unwrap();
}

#[test]
fn a_packet_can_be_as_long_as_it_likes() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world();
    for length in [0, 1, 11, 12, 4096, 4097, 16_384, 65_507] {
        guest.udp.send(&vec![0; length]).unwrap();
    }
    let answer = loop {
        let answer = guest.ask("web", A);
        if answer.id == 0x1234 {
            break answer;
        }
    };
    assert_eq!(answer.records, ["10.0.0.2"]);
}
