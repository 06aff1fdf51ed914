//! What others are asked for.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use berth_net::dns::{Attachment, Config, Registration};

use crate::wire::{
    self, A, AAAA, NOERROR, NXDOMAIN, REFUSED, SERVFAIL, query, query_with_size, reply, truncated,
};
use crate::world::{
    Answers, Guest, Log, World, attachment, can_run, read_frame, upstream, write_frame,
};

/// A server that knows one address for every name.
fn knows(last: u8) -> Arc<Answers> {
    Arc::new(move |query, _| Some(reply(query, NOERROR, &[vec![192, 0, 2, last]])))
}

fn says(code: u16) -> Arc<Answers> {
    Arc::new(move |query, _| Some(reply(query, code, &[])))
}

fn logged(log: &Log, answers: Arc<Answers>) -> Arc<Answers> {
    let log = log.clone();
    Arc::new(move |query, tcp| {
        log.add(query, tcp);
        answers(query, tcp)
    })
}

/// A world with one network, a container on it, and servers.
fn world_with(answers: Vec<Arc<Answers>>) -> (World, Guest) {
    let world = World::with(|config| Config {
        timeout: Duration::from_millis(300),
        ..config
    });
    world.network("net");
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    world.upstreams(answers);
    let guest = Guest::new(&world, 'a', &["net"]);
    (world, guest)
}

#[test]
fn what_is_not_known_here_is_asked_for_and_passed_through() {
    if !can_run() {
        return;
    }
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let log = Arc::clone(&seen);
    let answers: Arc<Answers> = Arc::new(move |query, _| {
        log.lock().unwrap().push(query.to_vec());
        Some(reply(query, NOERROR, &[vec![192, 0, 2, 1]]))
    });
    let (_world, guest) = world_with(vec![answers]);
    for id in 0..20 {
        let sent = query_with_size(id, "Example.Com", A, 1400);
        let answer = guest.send(&sent).unwrap();
        assert_eq!(
            (answer.id, answer.records),
            (id, vec!["192.0.2.1".to_owned()])
        );
        assert!(!answer.authoritative);
        let seen = seen.lock().unwrap();
        let passed = seen.last().unwrap();
        assert_eq!(
            passed[2..],
            sent[2..],
            "all but the number, which is drawn anew"
        );
    }
    let seen = seen.lock().unwrap();
    let ids: HashSet<_> = seen.iter().map(|packet| [packet[0], packet[1]]).collect();
    assert!(ids.len() > 15, "{ids:?}");
    // What is known is nobody else's business.
    assert_eq!(guest.ask("web", AAAA).records.len(), 0);
    assert_eq!(seen.len(), 20);
}

#[test]
fn what_was_answered_counts_no_more() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world_with(vec![knows(1)]);
    // More than may wait, by UDP and on one connection.
    for id in 0..300 {
        let answer = guest.send(&query(id, "a.example", A)).unwrap();
        assert_eq!((answer.id, answer.code), (id, NOERROR));
    }
    let mut stream = guest.connect();
    for id in 0..100 {
        write_frame(&mut stream, &query(id, "a.example", A));
        let answer = wire::answer(&read_frame(&mut stream));
        assert_eq!((answer.id, answer.code), (id, NOERROR));
    }
}

#[test]
fn each_query_has_a_port_of_its_own() {
    if !can_run() {
        return;
    }
    let (world, guest) = world_with(vec![]);
    let server = world.host.run(|| UdpSocket::bind("127.0.3.1:53").unwrap());
    std::fs::write(
        world.state.path().join("resolv.conf"),
        "nameserver 127.0.3.1\n",
    )
    .unwrap();
    let mut ports = HashSet::new();
    let mut buffer = [0; 512];
    for id in 0..20 {
        guest.udp.send(&query(id, "a.example", A)).unwrap();
        let (length, client) = server.recv_from(&mut buffer).unwrap();
        ports.insert(client.port());
        server
            .send_to(&reply(&buffer[..length], NOERROR, &[]), client)
            .unwrap();
        assert_eq!(guest.receive().id, id);
    }
    assert!(ports.len() > 15, "{ports:?}");
}

#[test]
fn what_does_not_answer_the_question_is_no_answer() {
    if !can_run() {
        return;
    }
    let (world, guest) = world_with(vec![]);
    let (server, stranger) = world.host.run(|| {
        (
            UdpSocket::bind("127.0.3.1:53").unwrap(),
            UdpSocket::bind("127.0.3.2:53").unwrap(),
        )
    });
    std::fs::write(
        world.state.path().join("resolv.conf"),
        "nameserver 127.0.3.1\n",
    )
    .unwrap();
    guest.udp.send(&query(7, "a.example", A)).unwrap();
    let mut buffer = [0; 512];
    let (length, client) = server.recv_from(&mut buffer).unwrap();
    let asked = &buffer[..length];
    let evil = reply(asked, NOERROR, &[vec![6, 6, 6, 6]]);
    // From another address; with another number; to another question; a query; no message.
    stranger.send_to(&evil, client).unwrap();
    let mut other = evil.clone();
    other[1] ^= 1;
    server.send_to(&other, client).unwrap();
    let mut other = query(0, "b.example", A);
    other[..2].copy_from_slice(&asked[..2]);
    server
        .send_to(&reply(&other, NOERROR, &[vec![6, 6, 6, 6]]), client)
        .unwrap();
    server.send_to(asked, client).unwrap();
    server.send_to(&asked[..2], client).unwrap();
    server.send_to(&[], client).unwrap();
    server
        .send_to(&reply(asked, NOERROR, &[vec![192, 0, 2, 1]]), client)
        .unwrap();
    assert_eq!(guest.receive().records, ["192.0.2.1"]);
}

#[test]
fn a_server_that_fails_is_followed_by_the_next() {
    if !can_run() {
        return;
    }
    for failing in [
        says(SERVFAIL),
        says(REFUSED),
        Arc::new(|_: &[u8], _: bool| None),
    ] {
        let (_world, guest) = world_with(vec![failing, knows(2)]);
        assert_eq!(guest.ask("a.example", A).records, ["192.0.2.2"]);
        // By then it is asked first.
        assert_eq!(guest.ask("b.example", A).records, ["192.0.2.2"]);
    }
}

#[test]
fn where_nobody_listens_is_known_at_once() {
    if !can_run() {
        return;
    }
    // A timeout that the test would not survive.
    let world = World::with(|config| Config {
        timeout: Duration::from_secs(3600),
        ..config
    });
    world.network("net");
    upstream(&world.host, "127.0.1.9", knows(9));
    let text = "nameserver 127.0.1.8\nnameserver 203.0.113.1\nnameserver 127.0.1.9\n";
    std::fs::write(world.state.path().join("resolv.conf"), text).unwrap();
    let guest = Guest::new(&world, 'a', &["net"]);
    assert_eq!(guest.ask("a.example", A).records, ["192.0.2.9"]);
}

#[test]
fn no_such_name_is_an_answer_and_failure_of_all_is_one_too() {
    if !can_run() {
        return;
    }
    let log = Log::default();
    let (_world, guest) = world_with(vec![says(NXDOMAIN), logged(&log, knows(2))]);
    assert_eq!(guest.ask("a.example", A).code, NXDOMAIN);
    assert_eq!(guest.ask("single", A).code, NXDOMAIN);
    assert_eq!(log.names().len(), 0);
    let (_world, guest) = world_with(vec![says(SERVFAIL), says(REFUSED)]);
    let answer = guest
        .send(&query_with_size(1, "a.example", A, 900))
        .unwrap();
    assert_eq!((answer.code, answer.edns.is_some()), (SERVFAIL, true));
    // The next container's queries do not suffer from it.
    assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
}

#[test]
fn without_servers_a_single_label_does_not_exist_and_the_rest_fails() {
    if !can_run() {
        return;
    }
    let world = World::new();
    world.network("net");
    // Our own address is nobody to ask.
    let text = "nameserver 127.0.0.11\n";
    std::fs::write(world.state.path().join("resolv.conf"), text).unwrap();
    let guest = Guest::new(&world, 'a', &["net"]);
    assert_eq!(guest.ask("db", A).code, NXDOMAIN);
    assert_eq!(guest.ask("db.example", A).code, SERVFAIL);
}

#[test]
fn an_internal_network_asks_nobody() {
    if !can_run() {
        return;
    }
    let log = Log::default();
    let (world, _guest) = world_with(vec![logged(&log, knows(1))]);
    let internal = || Attachment {
        internal: true,
        ..attachment("net")
    };
    let guest = Guest::with(&world, 'c', |registration| Registration {
        networks: vec![internal()],
        servers: vec!["127.0.1.1".parse().unwrap()],
        ..registration
    });
    for name in ["a.example", "single"] {
        let answer = guest.ask(name, A);
        assert_eq!((answer.code, answer.recursion), (NXDOMAIN, false), "{name}");
    }
    assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
    assert_eq!(log.names().len(), 0);
    // One network with a way out is enough.
    world.network("out");
    let mut registration = guest.registration();
    registration.networks = vec![internal(), attachment("out")];
    world.resolver().update(&registration).unwrap();
    assert_eq!(guest.ask("a.example", A).records, ["192.0.2.1"]);
}

#[test]
fn the_default_network_is_a_way_out_and_has_no_names() {
    if !can_run() {
        return;
    }
    let (world, _guest) = world_with(vec![knows(1)]);
    world.network("bridge");
    world.lease("bridge", 'd', "hidden", &[], &["10.9.0.2"]);
    let networks = vec![
        Attachment {
            internal: true,
            ..attachment("net")
        },
        Attachment {
            nameless: true,
            ..attachment("bridge")
        },
    ];
    let guest = Guest::with(&world, 'c', |registration| Registration {
        networks,
        ..registration
    });
    assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
    assert_eq!(guest.ask("hidden", A).records, ["192.0.2.1"]);
}

#[test]
fn with_ndots_a_single_label_is_for_search_domains() {
    if !can_run() {
        return;
    }
    let log = Log::default();
    let (world, _guest) = world_with(vec![logged(&log, knows(1))]);
    let guest = Guest::with(&world, 'c', |registration| Registration {
        networks: vec![attachment("net")],
        options: vec!["ndots:1".to_owned()],
        ..registration
    });
    assert_eq!(guest.ask("single", A).code, NXDOMAIN);
    assert_eq!(guest.ask("single.example", A).records, ["192.0.2.1"]);
    // Other types are asked for, as the root's servers are.
    assert_eq!(guest.ask("single", wire::MX).code, NOERROR);
    assert_eq!(log.names(), ["single.example", "single"]);
}

#[test]
fn a_container_can_have_servers_of_its_own() {
    if !can_run() {
        return;
    }
    let (world, guest) = world_with(vec![knows(1)]);
    upstream(&world.host, "127.0.2.1", knows(7));
    let own = Guest::with(&world, 'c', |registration| Registration {
        networks: vec![attachment("net")],
        servers: vec!["127.0.2.1".parse().unwrap()],
        ..registration
    });
    assert_eq!(own.ask("a.example", A).records, ["192.0.2.7"]);
    assert_eq!(guest.ask("a.example", A).records, ["192.0.2.1"]);
}

#[test]
fn servers_can_be_reached_by_ipv6() {
    if !can_run() {
        return;
    }
    let (world, _guest) = world_with(vec![]);
    if world.host.run(|| UdpSocket::bind("[::1]:0").is_err()) {
        berth_testkit::skip("the kernel has no IPv6");
        return;
    }
    upstream(&world.host, "::1", knows(6));
    let guest = Guest::with(&world, 'c', |registration| Registration {
        networks: vec![attachment("net")],
        servers: vec!["::1".parse().unwrap()],
        ..registration
    });
    assert_eq!(guest.ask("a.example", A).records, ["192.0.2.6"]);
    let mut stream = guest.connect();
    write_frame(&mut stream, &query(3, "c.example", A));
    assert_eq!(
        wire::answer(&read_frame(&mut stream)).records,
        ["192.0.2.6"]
    );
}

#[test]
fn a_changed_resolv_conf_is_read() {
    if !can_run() {
        return;
    }
    let (world, guest) = world_with(vec![knows(1)]);
    assert_eq!(guest.ask("a.example", A).records, ["192.0.2.1"]);
    upstream(&world.host, "127.0.2.1", knows(7));
    let text = "# changed\nnameserver 127.0.2.1\n";
    std::fs::write(world.state.path().join("resolv.conf"), text).unwrap();
    // It is looked at once in a second.
    while guest.ask("a.example", A).records != ["192.0.2.7"] {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whole by TCP, cut by UDP to what is given.
fn large(records: Vec<Vec<u8>>) -> Arc<Answers> {
    Arc::new(move |query, tcp| {
        Some(match tcp {
            true => reply(query, NOERROR, &[vec![192, 0, 2, 1], vec![192, 0, 2, 2]]),
            false => truncated(reply(query, NOERROR, &records)),
        })
    })
}

#[test]
fn a_cut_answer_is_fetched_whole_where_the_client_takes_it() {
    if !can_run() {
        return;
    }
    let log = Log::default();
    let part = vec![vec![192, 0, 2, 1]];
    let (_world, guest) = world_with(vec![logged(&log, large(part))]);
    let whole = ["192.0.2.1", "192.0.2.2"];
    let answer = guest
        .send(&query_with_size(1, "a.example", A, 1232))
        .unwrap();
    assert_eq!((answer.truncated, answer.id), (false, 1));
    assert_eq!(answer.records, whole);
    // Without EDNS the client gets the part, and the advice to ask by TCP.
    let answer = guest.ask("b.example", A);
    assert_eq!((answer.truncated, answer.records.len()), (true, 1));
    let mut stream = guest.connect();
    write_frame(&mut stream, &query(3, "c.example", A));
    let answer = wire::answer(&read_frame(&mut stream));
    assert_eq!((answer.id, answer.truncated), (3, false));
    assert_eq!(answer.records, whole);
    assert_eq!(
        log.names(),
        [
            "a.example",
            "a.example by TCP",
            "b.example",
            "c.example by TCP"
        ]
    );
}

#[test]
fn an_empty_cut_answer_is_fetched_whole_for_everybody() {
    if !can_run() {
        return;
    }
    let (_world, guest) = world_with(vec![large(Vec::new())]);
    let answer = guest.ask("a.example", A);
    assert_eq!((answer.truncated, answer.records.len()), (false, 2));
}

#[test]
fn a_part_is_better_than_nothing() {
    if !can_run() {
        return;
    }
    let answers: Arc<Answers> = Arc::new(|query, tcp| {
        (!tcp).then(|| truncated(reply(query, NOERROR, &[vec![192, 0, 2, 1]])))
    });
    let (_world, guest) = world_with(vec![answers]);
    let answer = guest
        .send(&query_with_size(1, "a.example", A, 1232))
        .unwrap();
    assert_eq!((answer.truncated, answer.records.len()), (true, 1));
}

#[test]
fn an_answer_that_the_client_cannot_take_is_cut() {
    if !can_run() {
        return;
    }
    let many: Vec<Vec<u8>> = (0..100).map(|n| vec![192, 0, 2, n]).collect();
    let answers: Arc<Answers> = Arc::new(move |query, _| Some(reply(query, NOERROR, &many)));
    let (_world, guest) = world_with(vec![answers]);
    let answer = guest.ask("a.example", A);
    assert!(answer.truncated && answer.length <= 512, "{answer:?}");
    let answer = guest
        .send(&query_with_size(2, "a.example", A, 4096))
        .unwrap();
    assert_eq!((answer.truncated, answer.records.len()), (false, 100));
}
