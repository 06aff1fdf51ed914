//! Clients that are too many, too slow, or say nothing.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Server, Tree};

#[test]
fn pages_are_bounded_and_a_place_becomes_free() {
    let server = Server::start(&[]);
    let mut open: Vec<_> = (0..32).map(|_| server.events("")).collect();
    assert!(open.iter().all(|events| events.status == 200));
    assert_eq!(server.events("").status, 503);
    // Other paths are answered all the same.
    assert_eq!(server.get("").status, 200);
    open.pop();
    let deadline = Instant::now() + PATIENCE;
    while server.events("").status != 200 {
        assert!(
            Instant::now() < deadline,
            "the place of a page that is gone stays taken"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn connections_are_bounded() {
    let server = Server::start(&[]);
    let idle: Vec<_> = (0..128).map(|_| server.connect()).collect();
    let answer = server.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer.status, 503, "{answer:?}");
    drop(idle);
    let deadline = Instant::now() + PATIENCE;
    while server.get("").status != 200 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn who_says_nothing_or_too_much_is_let_go() {
    let server = Server::start(&[]);
    let mut silent = server.connect();
    let mut slow = server.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    let long = format!(
        "GET /{}/?{} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        server.token,
        "x".repeat(40_000),
        server.port
    );
    let answer = server.raw(&long);
    assert!([414, 431, 0].contains(&answer.status), "{answer:?}");
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    let answer = server.raw(&format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"));
    assert_eq!(answer.status, 431);
    let start = Instant::now();
    for stream in [&mut silent, &mut slow] {
        let mut bytes = Vec::new();
        // Closed with an answer (408) or without one.
        drop(stream.read_to_end(&mut bytes));
    }
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn who_never_reads_is_dropped_and_costs_nobody_anything() {
    let server = Server::start(&[]);
    // Requests enough that their answers fill every buffer on the way.
    let mut deaf = server.connect();
    let request = format!(
        "GET /{}/page.js HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        server.token, server.port
    );
    let flood = request.repeat(1500);
    deaf.set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    drop(deaf.write_all(flood.as_bytes()));
    // And pages that are opened and not read.
    let _unread: Vec<_> = (0..20).map(|_| server.events("")).collect();
    let mut reading = server.events("");
    reading.next("page");
    let before = server.memory_kib();
    let start = Instant::now();
    for round in 0..5 {
        let name = format!("seen{round}");
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/sh", folder.path().join(&name)).unwrap();
        let folder = folder.path().display();
        let tree = Tree::new(&format!("{folder}/{name} -c 'sleep 600; true'; true"));
        let html = reading.fragment_with(&name);
        assert!(html.contains("class=\"pill"), "{html}");
        drop(tree);
    }
    assert!(start.elapsed() < PATIENCE);
    // Its time is up: the kernel says so on the next write, or the read ends.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_gone = deaf.write_all(request.as_bytes()).is_err_and(|error| {
            !matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            )
        });
        if is_gone {
            break;
        }
        assert!(Instant::now() < deadline, "who never reads is kept");
        std::thread::sleep(Duration::from_millis(200));
    }
    let grown = server.memory_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
}
