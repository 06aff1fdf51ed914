//! A recording on the page: who may move it, and that all see the same.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::devtools::Browser;
use crate::support::{Events, PATIENCE, Server, Tree, eventually};

/// Records a process that ends, for some seconds; its PID.
fn record(file: &Path) -> u32 {
    let tree = Tree::new("sleep 600; true");
    let pid = tree.settled(2)[1][0];
    let file = file.to_str().unwrap();
    let server = Server::start(&["--record", file]);
    let mut events = server.events("");
    events.fragment_with(&format!("id=\"p{pid}\""));
    crate::support::signal_to(pid, "-KILL");
    loop {
        let page = events.next("page");
        let gone = page["gone"].as_array().cloned().unwrap_or_default();
        if gone.iter().any(|entry| entry[0] == format!("p{pid}")) {
            break;
        }
    }
    // A recording of some length.
    let begin = events.next("time")["now"].as_u64().unwrap();
    while events.next("time")["now"].as_u64().unwrap() < begin + 2_000 {}
    assert_eq!(server.end("-INT"), 0);
    pid
}

fn replay() -> (Server, u32, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("incident");
    let pid = record(&file);
    let server = Server::start(&["--replay", file.to_str().unwrap()]);
    (server, pid, folder)
}

/// Asks for a control of the recording; its state, as the answer tells it.
fn control(server: &Server, query: &str) -> Value {
    let answer = server.request("POST", &format!("play?{query}"));
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let json = answer.body.lines().find(|line| line.starts_with('{'));
    serde_json::from_str(json.unwrap()).unwrap()
}

/// Waits for a state of the playback in a stream of events.
fn wait_for(events: &mut Events, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let time = events.next("time");
        if is_so(&time) {
            return time;
        }
        let is_in_time = std::time::Instant::now() < deadline;
        assert!(is_in_time, "{what}: not in time; {time}");
    }
}

#[test]
fn a_recording_is_moved_by_post_and_by_nothing_malformed() {
    let (server, _, _folder) = replay();
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let answer = server.request(method, "play?pause=1");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    for query in [
        "",
        "pause",
        "pause=2",
        "speed=0",
        "speed=NaN",
        "speed=1e9",
        "to=-1",
        "to=x",
        "to=99999999999999999999",
        "pause=1&speed=2",
        "stop=1",
    ] {
        let answer = server.request("POST", &format!("play?{query}"));
        assert_eq!(answer.status, 400, "{query}");
    }
    // Nothing else takes a POST, and a POST needs all that a GET does.
    for path in ["", "events", "search?q=1", "play/", "playful"] {
        assert_eq!(server.request("POST", path).status, 405, "{path}");
    }
    let post = |token: &str, host: &str| {
        let request = format!(
            "POST /{token}/play?pause=1 HTTP/1.1\r\nHost: {host}:{}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n",
            server.port
        );
        server.raw(&request)
    };
    assert_eq!(post(&"0".repeat(48), "127.0.0.1").status, 403);
    assert_eq!(post(&server.token, "rebound.example").status, 421);
    let answer = post(&server.token, "127.0.0.1");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-security-policy").is_some());
    assert!(answer.header("access-control-allow-origin").is_none());
}

#[test]
fn a_host_that_is_watched_has_no_controls() {
    let server = Server::start(&[]);
    let answer = server.request("POST", "play?pause=1");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    assert_eq!(server.get("play?pause=1").status, 404);
    assert_eq!(server.events("").next("time")["play"], Value::Null);
}

#[test]
fn all_clients_share_one_playback() {
    let (server, pid, _folder) = replay();
    let (mut one, mut other) = (server.events(""), server.events("lens=net"));
    let state = control(&server, "pause=1");
    assert_eq!(state["paused"], true);
    let (from, to) = (
        state["from"].as_u64().unwrap(),
        state["to"].as_u64().unwrap(),
    );
    assert!(from + 2_000 <= to, "{state}");
    for events in [&mut one, &mut other] {
        wait_for(events, "the pause", |time| time["play"]["paused"] == true);
    }
    // Who comes later finds it as it is.
    let mut late = server.events("");
    assert_eq!(late.next("time")["play"]["paused"], true);
    assert_eq!(control(&server, "speed=4")["speed"], 4.0);
    let at = control(&server, &format!("to={from}"))["at"]
        .as_u64()
        .unwrap();
    assert_eq!(at, from);
    for events in [&mut one, &mut other] {
        let time = wait_for(events, "the jump", |time| time["stretch"] == 1);
        assert!(time["now"].as_u64().unwrap() <= from + 1_000, "{time}");
    }
    // At its start the process lives; at its end it does not, and the end is told.
    let lives = |events: &mut Events| {
        let page = events.next("page");
        assert_eq!(page["full"], true);
        page.to_string().contains(&format!("\\\"p{pid}\\\""))
    };
    eventually("the start", || lives(&mut server.events("")));
    control(&server, "pause=0");
    wait_for(&mut one, "the end", |time| time["play"]["ended"] == true);
    eventually("the end", || !lives(&mut server.events("")));
    let over = |server: &Server| server.events("").next("page")["meta"]["over"].clone();
    eventually("a word about the end", || over(&server).is_string());
    // A jump takes that back.
    control(&server, "pause=1");
    control(&server, &format!("to={from}"));
    eventually("the start again", || over(&server).is_null());
    assert!(lives(&mut server.events("")));
}

#[test]
fn the_keyboard_moves_a_recording() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let (server, pid, _folder) = replay();
    browser.open(&server.url);
    browser.until(
        "the controls",
        "play && getComputedStyle(document.querySelector('#play')).display !== 'none'",
    );
    // It must not end before the browser is ready.
    control(&server, "speed=0.01");
    let from = control(&server, "pause=1")["from"].as_u64().unwrap();
    control(&server, &format!("to={from}"));
    browser.until("the start", "play.paused && play.at === play.from");
    browser.press("p");
    browser.until(
        "that it goes on",
        "!play.paused && document.querySelector('#pause').textContent === 'Pause'",
    );
    browser.press("p");
    browser.until(
        "the pause",
        "play.paused && document.querySelector('#pause').textContent === 'Play'",
    );
    control(&server, "speed=1");
    browser.until("the speed", "play.speed === 1");
    browser.press(">");
    browser.until(
        "the speed",
        "play.speed === 2 && document.querySelector('#speed').value === '2'",
    );
    browser.press("<");
    browser.until("the speed", "play.speed === 1");
    // A minute on is the end, a minute back the start.
    browser.press("}");
    browser.until("the end", "play.at >= play.to - 1");
    browser.until(
        "the process gone",
        &format!("!document.querySelector('#p{pid}')"),
    );
    browser.press("{");
    browser.until("the start", "play.at === play.from");
    browser.until("the process", &format!("document.querySelector('#p{pid}')"));
    // The slider by keys, and by the mouse.
    browser.value("document.querySelector('#position').focus(), 0");
    browser.press("ArrowRight");
    browser.until("a second on", "play.at === play.from + 1000");
    browser.click("#position");
    browser.until(
        "the middle",
        "Math.abs(play.at - (play.from + play.to) / 2) < 1100",
    );
    browser.click("#pause");
    browser.until("that it goes on", "!play.paused || play.ended");
    browser.until(
        "the end",
        "play.ended && !document.querySelector('#banner').hidden",
    );
    browser.click("#pause");
    browser.until(
        "that it plays again",
        "!play.ended && document.querySelector('#banner').hidden",
    );
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn the_page_of_a_host_has_no_controls_to_see() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let live = Server::start(&[]);
    browser.open(&live.url);
    browser.until("the clock", "clock !== null");
    browser.press("p");
    let shown = "getComputedStyle(document.querySelector('#play')).display";
    assert_eq!(browser.value(shown), "none");
    assert_eq!(browser.value("play"), Value::Null);
    assert_eq!(browser.complaints, Vec::<String>::new());
}
