//! Docker's socket, where its files may not be read: a daemon that answers as dockerd 20.10 does,
//! and some that do not.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use berth_map::model::{Confidence, EvidenceKind};
use serde_json::json;
use support::engines::{answer, container, docker_process, host};
use support::{FakeHost, id};

/// A host with two containers of Docker, and no files of Docker's.
fn two_containers() -> FakeHost {
    let host = host(&[
        docker_process('a', &[500, 1], 200),
        docker_process('a', &[501, 7], 200),
        docker_process('b', &[600, 1], 300),
    ]);
    host.write("run/docker.pid", "400");
    host
}

/// Answers requests with what `reply` makes of their paths; returns how many there were.
fn serve(host: &FakeHost, reply: fn(&str) -> String) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(host.root().join("run/docker.sock")).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let path = line.split(' ').nth(1).unwrap_or_default();
            let answer = reply(path);
            // Who asks may have left.
            drop(stream.get_mut().write_all(answer.as_bytes()));
        }
    });
    asked
}

fn ok(body: &serde_json::Value) -> String {
    format!(
        "HTTP/1.0 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n\r\n{body}\n"
    )
}

fn inspect(digit: char, name: &str, pid: u32) -> String {
    ok(&json!({
        "Id": id(digit),
        "Created": "2026-11-25T21:27:08Z",
        "State": {"Status": "running", "Running": true, "Paused": false, "Pid": pid},
        "Image": "sha256:0123",
        "Name": format!("/{name}"),
        "Config": {"Image": "nginx:1.27", "Labels": {}},
    }))
}

fn dockerd(path: &str) -> String {
    let (a, b) = (id('a'), id('b'));
    match path {
        "/containers/json" => ok(&json!([
            {"Id": a, "Names": ["/web"], "Image": "nginx:1.27", "State": "running"},
            {"Id": b, "Names": ["/db"], "Image": "nginx:1.27", "State": "running"},
        ])),
        _ if path == format!("/containers/{a}/json") => inspect('a', "web", 500),
        _ if path == format!("/containers/{b}/json") => inspect('b', "db", 600),
        _ => "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"No such container\"}\n".to_owned(),
    }
}

#[test]
fn names_come_over_the_socket_where_files_may_not_be_read() {
    let host = two_containers();
    serve(&host, dockerd);
    assert_eq!(answer(&host, 501), "docker/web:7");
    assert_eq!(answer(&host, 600), "docker/db:1");
    let world = host.world();
    let web = container(&world, "docker/web");
    assert_eq!(web.image.as_deref(), Some("nginx:1.27"));
    assert_eq!(web.confidence(), Confidence::Certain);
    assert_eq!(web.evidence[0].kind, EvidenceKind::Socket);
    assert!(
        web.evidence[0].detail.ends_with("/run/docker.sock"),
        "{web:?}"
    );
    assert!(world.warnings().is_empty(), "{:?}", world.warnings());
}

#[test]
fn nobody_is_asked_when_no_daemon_runs_or_its_files_can_be_read() {
    let host = two_containers();
    let asked = serve(&host, dockerd);
    std::fs::remove_file(host.root().join("run/docker.pid")).unwrap();
    let by_cgroup = format!("docker/{}:7", &id('a')[..12]);
    assert_eq!(answer(&host, 501), by_cgroup);
    host.write("run/docker.pid", "400");
    std::fs::create_dir_all(host.root().join("var/lib/docker/containers")).unwrap();
    assert_eq!(answer(&host, 501), by_cgroup);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn whoever_answers_otherwise_costs_a_line_and_no_time() {
    let silent = |_: &str| {
        std::thread::sleep(Duration::from_secs(20));
        String::new()
    };
    let replies: [fn(&str) -> String; 5] = [
        |_| "rubbish".to_owned(),
        |_| ok(&json!({"not": "a list"})),
        |_| "HTTP/1.0 500 Internal Server Error\r\n\r\n".to_owned(),
        // Another container's description, and endless names.
        |path| match path {
            "/containers/json" => dockerd(path),
            _ => inspect('c', "other", 500),
        },
        silent,
    ];
    for reply in replies {
        let host = two_containers();
        serve(&host, reply);
        let begun = Instant::now();
        let world = host.world();
        assert!(begun.elapsed() < Duration::from_secs(10));
        let shown = support::engines::answer_whole(&world, 501);
        assert_eq!(shown, format!("docker/{}:7", &id('a')[..12]));
        let warnings = world.warnings();
        assert!(
            warnings.iter().any(|w| w.contains("docker.sock")),
            "{warnings:?}"
        );
    }
}
