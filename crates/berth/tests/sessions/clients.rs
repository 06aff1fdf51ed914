//! Clients that are slow, stopped or killed take nothing along.

use std::io::{BufRead, BufReader, Read};

use rustix::process::Signal;

use crate::support::{Berth, eventually, exit_code, signal};
use crate::world::{marker, stop, with_argument};

/// Writes 4 MiB, far more than waits for a client and in its pipes, and a last line.
const FLOOD: &str = "read go; yes 0123456789abcde | head -c 4194304; echo last; read end; exit 7";

/// A container that floods once its input says so, and ends with a second line.
fn flooder(berth: &Berth) {
    berth.ok(&["run", "-di", "--name", "a", "host", "sh", "-c", FLOOD]);
}

/// A client that takes nothing holds up neither the container nor another client. It hears how much
/// it missed.
#[test]
fn a_stopped_client_holds_up_nobody() {
    let berth = Berth::new();
    flooder(&berth);
    let mut slow = berth.spawn(&["attach", "--no-stdin", "a"]);
    let mut quick = berth.spawn(&["attach", "--no-stdin", "a"]);
    let attached = |child: &std::process::Child| {
        // Its descriptors and the last call tell: it sits in poll(2) with a socket.
        let wchan = std::fs::read_to_string(format!("/proc/{}/wchan", child.id())).unwrap();
        wchan.contains("poll")
    };
    eventually("both to be attached", || attached(&slow) && attached(&quick));
    stop(slow.id());
    let reader = std::thread::spawn({
        let out = quick.stdout.take().unwrap();
        move || BufReader::new(out).lines().map(Result::unwrap).last().unwrap()
    });
    let mut feeder = berth.spawn(&["attach", "a"]);
    let mut input = feeder.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"go\n").unwrap();
    let out = feeder.stdout.take().unwrap();
    let drained = std::thread::spawn(move || BufReader::new(out).lines().map(Result::unwrap).count());
    eventually("the container to have written all", || {
        berth.ok(&["logs", "--tail", "1", "a"]) == "last"
    });
    signal(&slow, Signal::CONT);
    let mut note = BufReader::new(slow.stderr.take().unwrap());
    let rest = std::thread::spawn({
        let mut out = slow.stdout.take().unwrap();
        move || out.read_to_end(&mut Vec::new()).unwrap()
    });
    let mut line = String::new();
    while !line.contains("are left out here") {
        line.clear();
        assert_ne!(note.read_line(&mut line).unwrap(), 0, "no word about what is missing");
    }
    std::io::Write::write_all(&mut input, b"end\n").unwrap();
    assert_eq!(exit_code(&mut slow), 7);
    assert_eq!(exit_code(&mut quick), 7);
    assert_eq!(exit_code(&mut feeder), 7);
    assert_eq!(reader.join().unwrap(), "last");
    assert_eq!(drained.join().unwrap(), 4194304 / 16 + 1);
    assert!(rest.join().unwrap() < 2 << 20);
}

/// Nor does one that is alone: who looks on is no pipe.
#[test]
fn a_stopped_client_alone_does_not_hold_up_the_container() {
    let berth = Berth::new();
    let script = "sleep 0.5; yes | head -c 4194304; exit 7";
    berth.ok(&["run", "-d", "--name", "a", "host", "sh", "-c", script]);
    let mut slow = berth.spawn(&["attach", "a"]);
    stop(slow.id());
    assert_eq!(berth.ok(&["wait", "a"]), "7");
    eventually("the monitor to have gone", || {
        berth.ok(&["ps", "-a", "--format", "{{.State}}"]) == "exited"
    });
    signal(&slow, Signal::CONT);
    drop(slow.stdout.take());
    // It had taken nothing yet or something: it is told either way, or its reader was gone first.
    let code = exit_code(&mut slow);
    assert!(matches!(code, 7 | 1 | 141), "{code}");
}

/// The client of a foreground `run` is the end of a pipe: nothing is left out, however slow it is.
#[test]
fn the_end_of_a_pipe_gets_everything_whoever_looks_on() {
    let berth = Berth::new();
    let script = "yes 0123456789abcde | head -c 4194304";
    let mut owner = berth.spawn(&["run", "--name", "a", "host", "sh", "-c", script]);
    eventually("a to run", || berth.run(&["ps", "-q"]).out.lines().count() == 1);
    let mut looks_on = berth.spawn(&["attach", "a"]);
    let mut seen = looks_on.stdout.take().unwrap();
    let looker = std::thread::spawn(move || seen.read_to_end(&mut Vec::new()).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut all = Vec::new();
    owner.stdout.take().unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 4194304);
    assert!(all.chunks(16).all(|line| line == b"0123456789abcde\n"));
    assert_eq!(exit_code(&mut owner), 0);
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
        eventually("the client to wait", || {
            let wchan = std::fs::read_to_string(format!("/proc/{}/wchan", client.id()));
            wchan.unwrap().contains("poll")
        });
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
    let mut client = berth.spawn(&["run", "--rm", "-i", "--name", "a", "host", "sh", "-c", script]);
    let mut line = String::new();
    let mut out = BufReader::new(client.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    eventually("a to be removed", || berth.ids().is_empty());
}
