//! Flags, bad input, and the end.

use std::net::TcpListener;

use crate::support::{Server, command};

/// Runs a command that is to end by itself.
fn refused(arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = command(&folder, arguments).output().unwrap();
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn an_address_that_others_reach_has_to_be_allowed() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let (code, text) = refused(&[address]);
        assert_eq!(code, 1);
        assert!(
            text.contains("can be reached from other machines"),
            "{text}"
        );
        assert!(text.contains("--allow-remote"), "{text}");
    }
    // On no interface of this machine: allowed, but it cannot be.
    let (code, text) = refused(&["192.0.2.1:8080", "--allow-remote"]);
    assert_eq!(code, 1);
    assert!(
        text.contains("warning: everybody who gets the URL"),
        "{text}"
    );
    assert!(text.contains("cannot listen on 192.0.2.1:8080"), "{text}");
    assert!(text.contains("on no interface of this machine"), "{text}");
}

#[test]
fn bad_input_is_a_clear_line() {
    let (code, text) = refused(&["web"]);
    assert_eq!(code, 125);
    assert!(text.contains("no address to listen on"), "{text}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = refused(&[&address]);
    assert_eq!(code, 1);
    assert!(
        text.contains(&format!("cannot listen on {address}")),
        "{text}"
    );
    assert!(text.contains("hint: choose another port"), "{text}");
    for flag in ["--json", "--dot"] {
        assert_eq!(refused(&["127.0.0.1:0", flag]).0, 125);
    }
}

#[test]
fn ctrl_c_is_no_failure_and_sigterm_is_told() {
    let server = Server::start(&[]);
    assert!(server.url.starts_with("http://127.0.0.1:"));
    let _open = server.events("");
    assert_eq!(server.end("-INT"), 0);
    assert_eq!(Server::start(&["[::1]:0"]).end("-TERM"), 143);
}
