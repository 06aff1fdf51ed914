//! Seccomp listeners: what an agent gets over its socket.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth_testkit::{Bundle, covers, receive};
use serde_json::{Value, json};

use crate::{refused, runtime};

fn notified(bundle: Bundle, socket: &Path) -> Bundle {
    bundle.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": socket.to_str().unwrap(),
            "listenerMetadata": "of the agent",
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
        }),
    )
}

fn socket_of(bundle: &Bundle) -> PathBuf {
    bundle.join("agent.sock")
}

/// One message with its descriptors, and whether the connection was closed after it.
fn message(stream: &mut UnixStream) -> (Value, Vec<OwnedFd>) {
    let (mut text, descriptors) = receive(stream);
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // To its end: the runtime closes the connection after one state.
    stream.read_to_end(&mut text).unwrap();
    (serde_json::from_slice(&text).unwrap(), descriptors)
}

#[test]
fn the_agent_gets_one_state_with_the_filter() {
    covers!(
        "config-linux/seccomp-listener-socket",
        "config-linux/seccomp-listener-one-state",
        "config-linux/seccomp-listener-fd",
        "config-linux/process-state-sent",
        "config-linux/process-state-first-call",
        "config-linux/process-state-fields",
    );
    let runtime = runtime();
    let bundle = runtime.bundle();
    let socket = socket_of(&bundle);
    let listener = UnixListener::bind(&socket).unwrap();
    let bundle = notified(bundle, &socket)
        .set("/annotations", json!({"a.b": "c"}))
        .sh("mkdir /tmp/x 2>&1");
    let agent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let message = message(&mut stream);
        listener.set_nonblocking(true).unwrap();
        (message, listener)
    });
    let container = runtime.created("one", &bundle);
    container.start();
    let ((state, descriptors), listener) = agent.join().unwrap();
    assert_eq!(state["fds"], json!(["seccompFd"]));
    assert_eq!(descriptors.len(), 1);
    assert_eq!(state["pid"], container.pid);
    assert_eq!(state["metadata"], "of the agent");
    assert!(state["ociVersion"].is_string(), "{state}");
    let inner = &state["state"];
    assert_eq!(inner["id"], "one");
    assert_eq!(inner["pid"], container.pid);
    assert_eq!(inner["bundle"], bundle.path().to_str().unwrap());
    assert_eq!(inner["annotations"]["a.b"], "c");
    assert!(
        inner["status"].is_string() && inner["ociVersion"].is_string(),
        "{inner}"
    );
    // With the last listener gone the kernel answers for the agent.
    drop(descriptors);
    assert_eq!(container.wait(), 1);
    assert!(
        container.stdout().contains("not implemented"),
        "{}",
        container.stdout()
    );
    // One connection, not two.
    assert!(listener.accept().is_err());
}

#[test]
fn a_socket_that_takes_no_state_is_an_error() {
    covers!(
        "config-linux/seccomp-listener-fails",
        "config-linux/seccomp-listener-socket"
    );
    for is_datagram in [false, true] {
        let runtime = runtime();
        let bundle = runtime.bundle();
        let socket = socket_of(&bundle);
        if is_datagram {
            drop(UnixDatagram::bind(&socket).unwrap());
        }
        let mut output = runtime.create("one", &notified(bundle, &socket));
        if output.code == 0 {
            output = runtime.start("one");
        }
        let message = output.refused();
        assert!(message.contains("agent.sock"), "{message}");
        drop(runtime.delete_force("one").ok());
        runtime.assert_nothing_left();
    }
}

#[test]
fn notify_without_a_socket_and_metadata_without_it_are_refused() {
    covers!("config-linux/seccomp-metadata");
    refused("linux.seccomp", |b| {
        let socket = socket_of(&b);
        notified(b, &socket)
            .without("/linux/seccomp/listenerPath")
            .without("/linux/seccomp/listenerMetadata")
    });
    refused("linux.seccomp", |b| {
        b.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}),
        )
    });
}

#[test]
fn a_socket_without_notify_is_ignored() {
    let runtime = runtime();
    let bundle = runtime.bundle();
    let socket = socket_of(&bundle);
    let bundle = notified(bundle, &socket).set("/linux/seccomp/syscalls", json!([]));
    drop(runtime.run("one", &bundle).ok());
}
