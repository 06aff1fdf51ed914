//! By TCP.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use berth_net::dns::Config;

use crate::wire::{self, A, NOERROR, query, reply};
use crate::world::{Answers, Guest, World, can_run, read_frame, write_frame};

fn world_with(change: impl FnOnce(Config) -> Config) -> (World, Guest) {
    let world = World::with(change);
    world.network("net");
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    let guest = Guest::new(&world, 'a', &["net"]);
    (world, guest)
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap();
    [&length.to_be_bytes(), packet].concat()
}

/// Whether the other side has closed.
pub(crate) fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(0) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        Ok(_) => false,
    }
}

#[test]
fn many_queries_can_be_sent_at_once() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world_with(|config| config);
    let mut stream = guest.connect();
    let all: Vec<u8> = (0..2000)
        .flat_map(|id| frame(&query(id, "web", A)))
        .collect();
    let mut writing = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || writing.write_all(&all).unwrap());
    for id in 0..2000 {
        let answer = wire::answer(&read_frame(&mut stream));
        assert_eq!((answer.id, answer.records.len()), (id, 1));
    }
    writer.join().unwrap();
}

#[test]
fn a_query_can_come_in_pieces() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world_with(|config| config);
    let mut stream = guest.connect();
    stream.set_nodelay(true).unwrap();
    for byte in frame(&query(1, "web", A)) {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(wire::answer(&read_frame(&mut stream)).records, ["10.0.0.2"]);
}

/// A server that answers `slow` names when it is told to.
fn on_command() -> (Arc<Answers>, impl Fn()) {
    let told = Arc::new((Mutex::new(false), Condvar::new()));
    let waits = Arc::clone(&told);
    let answers: Arc<Answers> = Arc::new(move |query, _| {
        let (told, change) = &*waits;
        let mut told = told.lock().unwrap();
        while !*told && wire::name_of(query).starts_with("slow") {
            told = change.wait(told).unwrap();
        }
        Some(reply(query, NOERROR, &[vec![192, 0, 2, 1]]))
    });
    let tell = move || {
        *told.0.lock().unwrap() = true;
        told.1.notify_all();
    };
    (answers, tell)
}

#[test]
fn what_is_known_need_not_wait_for_what_is_not() {
    if !can_run() {
        return;
    }
    let (world, guest) = world_with(|config| Config {
        timeout: Duration::from_secs(3600),
        ..config
    });
    let (answers, tell) = on_command();
    world.upstreams(vec![answers]);
    let mut stream = guest.connect();
    write_frame(&mut stream, &query(1, "slow.example", A));
    write_frame(&mut stream, &query(2, "web", A));
    assert_eq!(wire::answer(&read_frame(&mut stream)).id, 2);
    // Who says no more still gets what it asked for.
    stream.shutdown(Shutdown::Write).unwrap();
    tell();
    let answer = wire::answer(&read_frame(&mut stream));
    assert_eq!((answer.id, answer.records.len()), (1, 1));
    assert!(is_closed(&mut stream));
}

#[test]
fn more_queries_than_may_wait_are_answered_all_the_same() {
    if !can_run() {
        return;
    }
    let (world, guest) = world_with(|config| Config {
        timeout: Duration::from_secs(3600),
        ..config
    });
    let (answers, tell) = on_command();
    world.upstreams(vec![answers]);
    let mut stream = guest.connect();
    let all: Vec<u8> = (0..200)
        .flat_map(|id| frame(&query(id, "slow.example", A)))
        .collect();
    stream.write_all(&all).unwrap();
    tell();
    let mut counts = HashMap::new();
    for _ in 0..200 {
        *counts
            .entry(wire::answer(&read_frame(&mut stream)).id)
            .or_insert(0) += 1;
    }
    assert!(counts.len() == 200 && counts.values().all(|count| *count == 1));
}

#[test]
fn an_idle_connection_is_closed() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world_with(|config| Config {
        idle: Duration::from_millis(300),
        ..config
    });
    let mut stream = guest.connect();
    write_frame(&mut stream, &query(1, "web", A));
    assert_eq!(wire::answer(&read_frame(&mut stream)).id, 1);
    assert!(is_closed(&mut stream));
    // Half a query does not hold it open.
    let mut stream = guest.connect();
    stream.write_all(&[0, 40, 1]).unwrap();
    assert!(is_closed(&mut stream));
}

#[test]
fn nonsense_ends_a_connection() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world_with(|config| config);
    for nonsense in [&[0u8, 0][..], &[0, 11], &[0xff, 0xff], &[0x10, 0x01]] {
        let mut stream = guest.connect();
        write_frame(&mut stream, &query(1, "web", A));
        stream.write_all(nonsense).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        // Reset, where something was left unread.
        stream.read_to_end(&mut rest).ok();
        assert!(rest.len() <= 2 + 37, "{nonsense:?}");
    }
    // Others go on.
    let mut stream = guest.connect();
    write_frame(&mut stream, &query(2, "web", A));
    assert_eq!(wire::answer(&read_frame(&mut stream)).id, 2);
}

#[test]
fn connections_are_counted() {
    if !can_run() {
        return;
    }
    let (world, guest) = world_with(|config| config);
    let other = Guest::new(&world, 'c', &["net"]);
    let mut streams: Vec<TcpStream> = (0..40).map(|_| guest.connect()).collect();
    let mut served = 0;
    for stream in &mut streams {
        stream.write_all(&frame(&query(1, "web", A))).ok();
        let mut length = [0; 2];
        served += usize::from(stream.read_exact(&mut length).is_ok());
    }
    assert_eq!(served, 32);
    let mut stream = other.connect();
    write_frame(&mut stream, &query(2, "web", A));
    assert_eq!(wire::answer(&read_frame(&mut stream)).id, 2);
    // Closed ones count no more.
    drop(streams);
    let mut stream = loop {
        let mut stream = guest.connect();
        stream.write_all(&frame(&query(3, "web", A))).ok();
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_ok() {
            break stream;
        }
    };
    stream.read_exact(&mut [0; 37]).unwrap();
}

#[test]
fn who_does_not_read_holds_up_nobody() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world_with(|config| config);
    let mut deaf = guest.connect();
    deaf.set_nonblocking(true).unwrap();
    let one = frame(&query(1, "web", A));
    let length = one.len() * 10_000;
    let many: Vec<u8> = one.iter().copied().cycle().take(length).collect();
    // Until no more goes in: neither side's buffers nor the resolver's take more.
    let (mut sent, mut idle) = (0, 0);
    while idle < 20 {
        match deaf.write(&many[sent % one.len()..]) {
            Ok(length) => (sent, idle) = (sent + length, 0),
            Err(_) => {
                idle += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    assert!(sent > 100 * one.len());
    assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
    let mut stream = guest.connect();
    write_frame(&mut stream, &query(2, "web", A));
    assert_eq!(wire::answer(&read_frame(&mut stream)).id, 2);
}
