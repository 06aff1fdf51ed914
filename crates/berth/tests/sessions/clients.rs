//! Clients that are slow, stopped or killed take nothing along.

use std::io::{BufRead as _, BufReader, Write as _};

use rustix::process::Signal;

use crate::support::{Berth, eventually, exit_code, finish, signal};
use crate::world::{lines, marker, stop, wait_in_poll, with_argument};

/// Says what it is told; then writes 4 MiB, far more than waits for a client and in its pipes.
const FLOOD: &str = "while read line; [ $line != go ]; do echo $line; done; \
                     yes 0123456789abcde | head -c 4194304; echo last; read end; exit 7";

/// A client that takes nothing holds up neither the container nor another client. It hears how much
/// it missed.
#[test]
fn a_stopped_client_holds_up_nobody() {
    let berth = Berth::new();
    berth.ok(&["run", "-di", "--name", "a", "host", "sh", "-c", FLOOD]);
    let mut slow = berth.spawn(&["attach", "--no-stdin", "a"]);
    let mut quick = berth.spawn(&["attach", "a"]);
    let mut input = quick.stdin.take().unwrap();
    let (mut of_slow, mut of_quick) = (lines(&mut slow), lines(&mut quick));
    wait_in_poll(&slow);
    input.write_all(b"hello\n").unwrap();
    assert_eq!(of_slow.next().unwrap(), "hello");
    assert_eq!(of_quick.next().unwrap(), "hello");
    stop(slow.id());
    input.write_all(b"go\n").unwrap();
    assert_eq!(
        of_quick.by_ref().take_while(|line| line != "last").count(),
        4_194_304 / 16
    );
    assert_eq!(berth.ok(&["logs", "--tail", "1", "a"]), "last");
    signal(&slow, Signal::CONT);
    let rest = std::thread::spawn(move || of_slow.count());
    let mut note = BufReader::new(slow.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("are left out here") {
        line.clear();
        assert_ne!(
            note.read_line(&mut line).unwrap(),
            0,
            "no word about what is missing"
        );
    }
    input.write_all(b"end\n").unwrap();
    assert_eq!(exit_code(&mut slow), 7);
    assert_eq!(exit_code(&mut quick), 7);
    assert!(rest.join().unwrap() < 2 * 4_194_304 / 16 / 3);
}

/// Nor does one that is alone: who looks on is no pipe.
#[test]
fn a_stopped_client_alone_does_not_hold_up_the_container() {
    let berth = Berth::new();
    let script = "read go; yes | head -c 4194304; exit 7";
    berth.ok(&["run", "-di", "--name", "a", "host", "sh", "-c", script]);
    let slow = berth.spawn(&["attach", "a"]);
    wait_in_poll(&slow);
    stop(slow.id());
    let mut feeder = berth.spawn(&["attach", "a"]);
    feeder.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    wait_in_poll(&feeder);
    stop(feeder.id());
    assert_eq!(berth.ok(&["wait", "a"]), "7");
    feeder.kill().unwrap();
    feeder.wait().unwrap();
    eventually("the monitor to have gone", || {
        berth.ok(&["ps", "-a", "--format", "{{.State}}"]) == "exited"
    });
    signal(&slow, Signal::CONT);
    let done = finish(slow);
    // Its exit code is on record; what it missed is said, or at least that something is.
    assert_eq!(done.code, 7);
    let said = ["are left out here", "before this client had taken all"];
    assert!(
        said.iter().any(|text| done.err.contains(text)),
        "{}",
        done.err
    );
}

/// The client of a foreground `run` is the end of a pipe: nothing is left out, however slow it is.
#[test]
fn the_end_of_a_pipe_gets_everything_whoever_looks_on() {
    let berth = Berth::new();
    let flags = ["run", "-i", "--name", "a", "host", "sh", "-c", FLOOD];
    let mut owner = berth.spawn(&flags);
    let mut input = owner.stdin.take().unwrap();
    input.write_all(b"hello\n").unwrap();
    let mut of_owner = lines(&mut owner);
    assert_eq!(of_owner.next().unwrap(), "hello");
    let mut looks_on = berth.spawn(&["attach", "--no-stdin", "a"]);
    wait_in_poll(&looks_on);
    let seen = lines(&mut looks_on);
    let looker = std::thread::spawn(move || seen.count());
    input.write_all(b"go\nend\n").unwrap();
    // As long as it takes nothing the container waits.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let all: Vec<String> = of_owner.collect();
    assert_eq!(all.len(), 4_194_304 / 16 + 1);
    assert!(
        all.iter()
            .rev()
            .skip(1)
            .all(|line| line == "0123456789abcde")
    );
    assert_eq!(exit_code(&mut owner), 7);
    looker.join().unwrap();
    exit_code(&mut looks_on);
}

#[test]
fn killed_clients_leave_the_container_alone() {
    let berth = Berth::new();
    let sleep = marker(1);
    berth.ok(&["run", "-dit", "--name", "a", "host", "sleep", &sleep]);
    for arguments in [
        &["attach", "--no-stdin", "a"][..],
        &["exec", "-i", "a", "cat"],
    ] {
        let mut client = berth.spawn(arguments);
        wait_in_poll(&client);
        client.kill().unwrap();
        client.wait().unwrap();
    }
    // Its cat ends with its input.
    eventually("the session to end", || {
        berth.ok(&["exec", "ls", "-q"]).is_empty()
    });
    assert_eq!(berth.ok(&["ps", "--format", "{{.Names}}"]), "a");
    assert_eq!(with_argument(&sleep).len(), 1);
}

/// With --rm the container is removed at its end although the client that would do it was killed.
#[test]
fn a_client_killed_in_front_of_a_pipe_leaves_the_removal_to_others() {
    let berth = Berth::new();
    let script = "echo ready; read line; yes | head -c 1000000; exit 3";
    let mut client = berth.spawn(&[
        "run", "--rm", "-i", "--name", "a", "host", "sh", "-c", script,
    ]);
    let mut line = String::new();
    let mut out = BufReader::new(client.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    eventually("a to be removed", || berth.ids().is_empty());
}
