//! A monitor of the first build: this berth drives its container, and says what it cannot do.
//!
//! The test plays that monitor by the bytes of version 1 alone, in the place of the real one.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, listen, recv,
    send, socket_with,
};

use crate::support::Berth;
use crate::world::{monitor_address, volatile_dir};

/// What the old monitor heard on one connection, its hello aside.
type Heard = Vec<(u8, Vec<u8>)>;

/// Serves connections until the test ends; each that got past its hello is reported.
fn old_monitor(folder: &Path) -> Receiver<Heard> {
    std::fs::remove_file(folder.join("monitor.sock")).unwrap();
    let folder = std::fs::File::open(folder).unwrap();
    let listener = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    bind(&listener, &monitor_address(&folder)).unwrap();
    listen(&listener, 8).unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        while let Ok(client) = accept_with(&listener, SocketFlags::CLOEXEC) {
            if let Some(heard) = serve(&client)
                && tell.send(heard).is_err()
            {
                return;
            }
        }
    });
    told
}

/// As the first monitor did: any hello is answered with 1, and one that is not 1 is the last packet.
fn serve(client: &OwnedFd) -> Option<Heard> {
    let (kind, payload) = hear(client)?;
    assert_eq!(kind, b'h');
    say(client, b'H', &[1, 0]);
    if payload != [1, 0] {
        return None;
    }
    let mut heard = Vec::new();
    while let Some((kind, payload)) = hear(client) {
        heard.push((kind, payload));
        match kind {
            b'a' | b'x' => {
                say(client, b'S', &1u32.to_le_bytes());
                say(client, b'o', b"from long ago\n");
                say(client, b'r', b"and its error\n");
                say(client, b'X', &[0, 17]);
                break;
            }
            _ => {}
        }
    }
    Some(heard)
}

fn hear(client: &OwnedFd) -> Option<(u8, Vec<u8>)> {
    let mut buffer = vec![0; 32769];
    let (length, _) = recv(client, &mut buffer, RecvFlags::empty()).ok()?;
    let (kind, payload) = buffer.get(..length)?.split_first()?;
    Some((*kind, payload.to_vec()))
}

fn say(client: &OwnedFd, kind: u8, payload: &[u8]) {
    // A client that has left hears nothing.
    send(client, &[&[kind], payload].concat(), SendFlags::NOSIGNAL).ok();
}

/// A running container that looks as one that the first build started.
fn container(berth: &Berth) -> Receiver<Heard> {
    berth.ok(&["run", "-di", "--name", "a", "host", "sleep", "1000"]);
    let folder = volatile_dir(berth, "a");
    let run = std::fs::read_to_string(folder.join("run.json")).unwrap();
    let protocol = format!(",\"protocol\":{}", berth_base::protocol::VERSION);
    let without = run.replace(&protocol, "");
    assert_ne!(run, without, "the file names the protocol");
    std::fs::write(folder.join("run.json"), without).unwrap();
    old_monitor(&folder)
}

#[test]
fn exec_and_attach_speak_its_version() {
    let berth = Berth::new();
    let told = container(&berth);
    let done = berth.run(&["exec", "a", "true"]);
    assert_eq!(
        (done.code, done.out.as_str(), done.err.as_str()),
        (17, "from long ago\n", "and its error\n")
    );
    let heard = told.recv().unwrap();
    let (kind, request) = heard.first().unwrap();
    assert_eq!(*kind, b'x');
    let request: serde_json::Value = serde_json::from_slice(request).unwrap();
    assert_eq!(request["process"]["args"][0], "true");
    // It calls its sessions what it likes, so nobody claims to know.
    let id = "{{.Actor.Attributes.execID}}";
    let told_of = ["events", "--until", "0s", "--filter", "event=exec_start"];
    let said = berth.ok(&[&told_of[..], &["--format", id]].concat());
    assert_eq!(said, "<no value>");

    let done = berth.run(&["attach", "a"]);
    assert_eq!((done.code, done.out.as_str()), (17, "from long ago\n"));
    let heard = told.recv().unwrap();
    assert_eq!(
        heard.first(),
        Some(&(b'a', vec![3])),
        "no flag that it does not know"
    );
}

#[test]
fn what_it_cannot_do_is_said() {
    let berth = Berth::new();
    let _told = container(&berth);
    let done = berth.run(&["exec", "--end-with-client", "a", "true"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err, @"berth: the monitor of container a is one of an earlier berth and cannot end a session with its client; it can once the container was stopped and started again");
    let long = "x".repeat(40_000);
    let done = berth.run(&["exec", "a", "echo", &long]);
    assert_eq!(done.code, 125);
    let said = "berth: the monitor of container a is one of an earlier berth and cannot take a command and an environment of ";
    assert!(done.err.starts_with(said), "{}", done.err);
    let said = " bytes, 32768 at most; it can once the container was stopped and started again\n";
    assert!(done.err.ends_with(said), "{}", done.err);
    let done = berth.run(&["exec", "ls", "a"]);
    assert_eq!(done.code, 1);
    insta::assert_snapshot!(done.err, @"berth: the monitor of container a is one of an earlier berth and cannot tell its exec sessions; it can once the container was stopped and started again");
    let all = berth.run(&["exec", "ls", "-q"]);
    assert_eq!((all.code, all.out.as_str()), (0, ""));
    assert!(
        all.err.contains("warning: the monitor of container a"),
        "{}",
        all.err
    );
    assert_eq!(
        berth.ok(&["inspect", "-f", "{{json .ExecIDs}}", "a"]),
        "null"
    );
}

/// Everything that asks no monitor does not care how old it is.
#[test]
fn the_rest_works_as_ever() {
    let berth = Berth::new();
    let _told = container(&berth);
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
    berth.ok(&["rename", "a", "b"]);
    assert!(berth.ok(&["top", "b"]).contains("sleep 1000"));
    berth.ok(&["logs", "b"]);
    berth.ok(&["stop", "-t", "0", "b"]);
    berth.ok(&["start", "b"]);
    // Its new monitor is one of this build.
    assert_eq!(
        berth.ok(&["exec", "--end-with-client", "b", "echo", "new"]),
        "new"
    );
    berth.ok(&["rm", "-f", "b"]);
}
