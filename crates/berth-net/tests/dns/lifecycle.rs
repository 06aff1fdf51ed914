//! Containers come and go, and so does the resolver.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use berth_net::dns::{Config, DnsError, Registration, Resolver, Sockets};
use rustix::process::{PidfdFlags, Resource, Rlimit, getpid, getrlimit, pidfd_open, setrlimit};

use crate::wire::{A, PTR, query};
use crate::world::{
    Guest, PATIENCE, World, attachment, can_run, connected, is_refused, open_in_namespace,
    write_frame,
};

fn world() -> World {
    let world = World::new();
    world.network("net");
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    world
}

fn is_served(world: &World, guest: &Guest) -> bool {
    world.registered().contains(&guest.id)
}

#[test]
fn the_end_of_the_first_process_closes_the_sockets() {
    if !can_run() {
        return;
    }
    let world = World::with(|config| Config {
        idle: Duration::from_secs(3600),
        ..config
    });
    world.network("net");
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    let first = Guest::new(&world, 'a', &["net"]);
    let second = Guest::new(&world, 'c', &["net"]);
    // A connection belongs to the namespace too.
    let mut stream = first.connect();
    write_frame(&mut stream, &query(1, "web", A));
    crate::world::read_frame(&mut stream);
    let id = first.id.clone();
    first.end();
    let deadline = Instant::now() + PATIENCE;
    while world.registered().contains(&id) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(crate::streams::is_closed(&mut stream));
    assert_eq!(second.ask("web", A).records, ["10.0.0.2"]);
}

#[test]
fn a_container_has_a_name_while_it_runs() {
    if !can_run() {
        return;
    }
    let world = world();
    let guest = Guest::new(&world, 'a', &["net"]);
    let other = Guest::new(&world, 'c', &["net"]);
    let registration = Registration {
        networks: vec![attachment("net")],
        ..other.registration()
    };
    // The lease is there before its container runs, and stays when it has ended.
    world.put_lease("net", 'c', "other", &[], &["10.0.0.3"]);
    assert_eq!(guest.ask("other", A).records, ["10.0.0.3"]);
    let resolver = world.resolver();
    resolver.forget(&other.id).unwrap();
    assert_eq!(guest.ask("other", A).code, crate::wire::NXDOMAIN);
    assert_eq!(guest.ask("3.0.0.10.in-addr.arpa", PTR).records.len(), 0);
    let sockets = other.namespace.run(open_in_namespace);
    resolver
        .register(&registration, &sockets, other.pidfd().as_fd())
        .unwrap();
    drop(sockets);
    assert_eq!(guest.ask("other", A).records, ["10.0.0.3"]);
    other.end();
    assert_eq!(guest.ask("other", A).code, crate::wire::NXDOMAIN);
}

#[test]
fn a_container_that_is_registered_anew_has_its_new_sockets_served() {
    if !can_run() {
        return;
    }
    let world = world();
    let guest = Guest::new(&world, 'a', &["net"]);
    assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
    let mut registration = guest.registration();
    registration.networks = vec![attachment("net")];
    let (sockets, client) = guest.namespace.run(|| (open_in_namespace(), connected()));
    let resolver = world.resolver();
    resolver
        .register(&registration, &sockets, guest.pidfd().as_fd())
        .unwrap();
    drop(sockets);
    client.send(&query(1, "web", A)).unwrap();
    assert!(client.recv(&mut [0; 512]).is_ok());
    assert_eq!(world.registered(), std::slice::from_ref(&guest.id));
    // The old ones are closed.
    assert!(guest.namespace.run(|| is_refused(guest.port)));
    // The pidfd of the earlier registration means nothing any more, that of the new one does.
    let id = guest.id.clone();
    guest.end();
    let deadline = Instant::now() + PATIENCE;
    while world.registered().contains(&id) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_container_can_be_let_go_before_its_end() {
    if !can_run() {
        return;
    }
    let world = world();
    let guest = Guest::new(&world, 'a', &["net"]);
    let resolver = world.resolver();
    resolver.forget(&guest.id).unwrap();
    assert!(!is_served(&world, &guest));
    resolver.forget(&guest.id).unwrap();
    let mut registration = guest.registration();
    registration.networks = vec![attachment("net")];
    let unknown = resolver.update(&registration).unwrap_err();
    assert!(matches!(unknown, DnsError::Unknown(_)), "{unknown}");
    guest.end();
}

#[test]
fn what_cannot_be_served_is_refused_and_closed() {
    if !can_run() {
        return;
    }
    let world = world();
    let (guest, sockets) = Guest::unregistered('a');
    let resolver = world.resolver();
    let with = |network: &str| Registration {
        networks: vec![attachment("net"), attachment(network)],
        ..guest.registration()
    };
    let refused = |registration: &Registration, sockets: &Sockets| {
        let pidfd = guest.pidfd();
        match resolver.register(registration, sockets, pidfd.as_fd()) {
            Err(DnsError::Refused { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    };
    let why = refused(&with("../net"), &sockets);
    assert_eq!(why, "\"../net\" is no id of a network");
    let why = refused(&with("missing"), &sockets);
    assert!(
        why.starts_with("the leases of network missing cannot be watched:"),
        "{why}"
    );
    let clone = |fd: &OwnedFd| fd.try_clone().unwrap();
    let swapped = Sockets {
        udp: clone(&sockets.tcp),
        tcp: clone(&sockets.udp),
    };
    assert_eq!(
        refused(&with("net"), &swapped),
        "the first descriptor is no UDP socket"
    );
    let twice = Sockets {
        udp: clone(&sockets.udp),
        tcp: clone(&sockets.udp),
    };
    let why = refused(&with("net"), &twice);
    assert_eq!(why, "the second descriptor is no listening TCP socket");
    assert_eq!(world.registered(), []);
    drop((swapped, twice, sockets));
    guest.end();
}

#[test]
fn after_a_restart_a_client_goes_on_with_its_old_socket() {
    if !can_run() {
        return;
    }
    let mut world = World::with(|config| Config {
        grace: Duration::from_millis(1),
        ..config
    });
    // Nobody came: it ended, and took its socket away.
    assert!(world.wait_for_end().is_ok());
    let gone = Resolver::connect(world.state.path()).unwrap_err();
    assert!(matches!(gone, DnsError::NotRunning(_)), "{gone}");
    world.restart();
    world.network("net");
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    let guest = Guest::new(&world, 'a', &["net"]);
    assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
    // As after a crash: its sockets are gone, and others are opened in the namespace.
    world.resolver().forget(&guest.id).unwrap();
    world.restart();
    assert!(!is_served(&world, &guest));
    let sockets = guest.namespace.run(open_in_namespace);
    let port = UdpSocket::from(sockets.udp.try_clone().unwrap())
        .local_addr()
        .unwrap()
        .port();
    assert_eq!(port, guest.port);
    let registration = Registration {
        networks: vec![attachment("net")],
        ..guest.registration()
    };
    world
        .resolver()
        .register(&registration, &sockets, guest.pidfd().as_fd())
        .unwrap();
    assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
}

#[test]
fn it_ends_with_the_last_container() {
    if !can_run() {
        return;
    }
    let world = World::with(|config| Config {
        grace: Duration::from_millis(500),
        ..config
    });
    world.network("net");
    let guest = Guest::new(&world, 'a', &["net"]);
    guest.end();
    assert!(world.wait_for_end().is_ok());
    assert!(!world.state.path().join("dns.sock").exists());
}

#[test]
fn the_port_behind_is_another_one_where_it_is_taken() {
    if !can_run() {
        return;
    }
    let world = world();
    let (guest, sockets) = Guest::unregistered('a');
    // The first sockets are still open.
    let (others, client) = guest.namespace.run(|| (open_in_namespace(), connected()));
    let port = UdpSocket::from(others.udp.try_clone().unwrap())
        .local_addr()
        .unwrap()
        .port();
    assert_ne!(port, guest.port);
    let registration = Registration {
        networks: vec![attachment("net")],
        ..guest.registration()
    };
    world
        .resolver()
        .register(&registration, &others, guest.pidfd().as_fd())
        .unwrap();
    client.send(&query(1, "web", A)).unwrap();
    assert!(client.recv(&mut [0; 512]).is_ok());
    drop(sockets);
}

#[test]
fn coming_and_going_disturbs_nobody() {
    if !can_run() {
        return;
    }
    let world = world();
    let guests: Vec<Guest> = "12"
        .chars()
        .map(|d| Guest::new(&world, d, &["net"]))
        .collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for guest in &guests {
            let over = &over;
            scope.spawn(move || {
                let mut stream = guest.connect();
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(guest.ask("web", A).records, ["10.0.0.2"]);
                    let fleeting = guest.ask("fleeting", A);
                    match fleeting.code {
                        crate::wire::NOERROR => assert_eq!(fleeting.records, ["10.0.0.9"]),
                        code => assert_eq!(code, crate::wire::NXDOMAIN),
                    }
                    write_frame(&mut stream, &query(5, "web", A));
                    let answer = crate::wire::answer(&crate::world::read_frame(&mut stream));
                    assert_eq!((answer.id, answer.records.len()), (5, 1));
                }
            });
        }
        for _ in 0..60 {
            let comer = Guest::new(&world, 'c', &["net"]);
            world.put_lease("net", 'c', "fleeting", &["web2"], &["10.0.0.9"]);
            assert_eq!(comer.ask("fleeting", A).records, ["10.0.0.9"]);
            comer.end();
            let leases = world.state.path().join("networks/net/leases");
            std::fs::remove_file(leases.join("10.0.0.9")).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn five_hundred_containers_are_served() {
    if !can_run() {
        return;
    }
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let world = World::new();
    world.network("net");
    let resolver = world.resolver();
    let init = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let mut addresses = Vec::new();
    for n in 0..500 {
        let (udp, tcp) = world.host.run(|| {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            (udp, TcpListener::bind("127.0.0.1:0").unwrap())
        });
        addresses.push(udp.local_addr().unwrap());
        let sockets = Sockets {
            udp: udp.into(),
            tcp: tcp.into(),
        };
        let registration = Registration {
            container: format!("{n:064x}").parse().unwrap(),
            networks: vec![attachment("net")],
            servers: Vec::new(),
            options: Vec::new(),
        };
        resolver
            .register(&registration, &sockets, init.as_fd())
            .unwrap();
    }
    assert_eq!(world.registered().len(), 500);
    world.lease("net", 'b', "web", &[], &["10.0.0.2"]);
    let client = world.host.run(|| UdpSocket::bind("127.0.0.1:0").unwrap());
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    for address in addresses {
        client.send_to(&query(1, "web", A), address).unwrap();
        let mut buffer = [0; 512];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!(from, address);
        assert_eq!(crate::wire::answer(&buffer[..length]).records, ["10.0.0.2"]);
    }
    for n in 0..500 {
        resolver
            .forget(&format!("{n:064x}").parse().unwrap())
            .unwrap();
    }
    assert_eq!(world.registered(), []);
}
