//! What is pushed, and what can be asked.

use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Server, Tree, comm, eventually};

#[test]
fn only_what_changed_is_pushed() {
    let server = Server::start(&[]);
    let mut events = server.events("");
    let whole = events.next("page");
    assert_eq!(whole["full"], true);
    let all = whole["put"].as_array().unwrap().len();
    let tree = Tree::new("sleep 600 & sleep 601; true");
    let pid = tree.settled(3)[0][0];
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline);
        let page = events.next("page");
        assert_eq!(page["full"], false);
        let put = page["put"].as_array().cloned().unwrap_or_default();
        assert!(put.len() < all / 2 + 20, "{} of {all} fragments", put.len());
        if put.iter().any(|piece| piece["id"] == format!("p{pid}")) {
            break;
        }
    }
}

#[test]
fn a_number_means_every_process_that_has_it_at_some_level() {
    let script = "sleep 600 & unshare -pf --kill-child sh -c 'sleep 600; true'; true";
    let trees = [Tree::new(script), Tree::new(script)];
    let server = Server::start(&[]);
    let mut sought = Vec::new();
    for tree in &trees {
        let all = tree.settled(5);
        sought.extend(
            all.iter()
                .filter(|pids| pids[1..].contains(&2))
                .map(|pids| pids[0]),
        );
    }
    // In each: PID 2 of the outer level, and of the inner one.
    assert_eq!(sought.len(), 4);
    eventually("all of them", || {
        let body = server.get("search?q=2").body;
        sought
            .iter()
            .all(|pid| body.contains(&format!("data-to=\"p{pid}\"")))
    });
    // Names may be older than an exec for the time of a frame.
    eventually("those of that name alone", || {
        let body = server.get("search?q=sleep").body;
        let mut all = trees.iter().flat_map(Tree::processes);
        all.all(|pids| {
            let is_listed = body.contains(&format!("data-to=\"p{}\"", pids[0]));
            is_listed == (comm(pids[0]) == "sleep")
        })
    });
}

/// Whether a text has this number, and not only as a part of another.
fn names(text: &str, pid: u32) -> bool {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers.any(|number| number == pid.to_string())
}

#[test]
fn from_inside_pids_count_from_one_and_the_host_is_out_of_sight() {
    let tree = Tree::new("sleep 600 & unshare -pf --kill-child sh -c 'sleep 600; true'; true");
    let processes = tree.settled(5);
    let namespace = std::fs::read_link(format!("/proc/{}/ns/pid", processes[0][0])).unwrap();
    let inode = namespace
        .to_str()
        .unwrap()
        .trim_matches(|c: char| !c.is_ascii_digit())
        .to_owned();
    let server = Server::start(&[]);
    let page = server.events(&format!("inside={inode}")).next("page");
    let pieces = page["put"].as_array().unwrap();
    let mut ids: Vec<&str> = pieces
        .iter()
        .filter_map(|p| p["id"].as_str())
        .filter(|id| id.starts_with('p'))
        .collect();
    ids.sort_unstable();
    let mut wanted: Vec<String> = processes
        .iter()
        .map(|pids| format!("p{}", pids[1]))
        .collect();
    wanted.sort_unstable();
    assert_eq!(ids, wanted);
    // The outermost box is called as the host calls it; nothing in it is.
    let text: String = pieces.iter().skip(1).map(ToString::to_string).collect();
    for pids in &processes {
        assert!(!names(&text, pids[0]), "{} is the host's: {text}", pids[0]);
    }
    let found = server.get(&format!("search?inside={inode}&q=1")).body;
    assert!(
        found.contains("data-to=\"p1\"") && !names(&found, processes[0][0]),
        "{found}"
    );
    // A container that has ended is told, not an error.
    drop(tree);
    eventually("the end of the container", || {
        std::thread::sleep(Duration::from_millis(200));
        let page = server.events(&format!("inside={inode}")).next("page");
        page["meta"]["over"].is_string()
    });
    for bad in ["lens=x", "inside=y", "at=z"] {
        assert_eq!(server.get(&format!("events?{bad}")).status, 400);
    }
}

#[test]
fn short_lives_are_in_the_timeline() {
    let server = Server::start(&[]);
    let mut events = server.events("");
    let before = events.next("time")["now"].as_u64().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // A shell, which is one by any name; busybox goes by its name.
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("blinked")).unwrap();
    let mut blinked = std::process::Command::new(folder.path().join("blinked"));
    let status = blinked.args(["-c", "exit 1"]).status();
    assert_eq!(status.unwrap().code(), Some(1));
    if events_source(&server) == "snapshots alone" {
        berth_testkit::skip(
            "no events on this machine: what lives between two snapshots is not seen",
        );
        return;
    }
    // A time may have been told before its birth was.
    eventually("a start in the timeline", || {
        let time = events.next("time");
        let slots = time["slots"].as_array().unwrap();
        slots.iter().any(|slot| slot[0].as_u64().unwrap() > 0)
    });
    let asked = format!("lives?from={before}&to={}&q=blinked", before + 120_000);
    eventually("blinked among the lives", || {
        let body = server.get(&asked).body;
        body.contains("blinked") && body.contains("exit 1")
    });
}

fn events_source(server: &Server) -> String {
    let page = server.events("").next("page");
    page["meta"]["health"]["source"]
        .as_str()
        .unwrap()
        .to_owned()
}
