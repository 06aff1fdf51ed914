//! The process of a state folder. The tests execute this program anew, which then serves.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use berth_net::dns::{DnsError, Registration, Resolver, detach, ensure_running, run, serve};
use berth_sys::signal::SignalFd;
use rustix::process::{Pid, Signal};

use crate::wire::{A, NXDOMAIN};
use crate::world::{Guest, PATIENCE, attachment, can_run};

const STATE: &str = "BERTH_TEST_DNS_STATE";
const DETACHED: &str = "BERTH_TEST_DNS_DETACHED";

/// What the processes of the other tests are.
#[test]
fn serve_if_told_to() {
    let Some(state) = std::env::var_os(STATE) else {
        return;
    };
    if std::env::var_os(DETACHED).is_some() {
        detach().unwrap();
    }
    let code = match run(Path::new(&state), None) {
        Ok(()) => 0,
        Err(DnsError::Running(_)) => 10,
        Err(error) => {
            eprintln!("{error}");
            11
        }
    };
    std::process::exit(code);
}

fn start(state: &Path) -> Child {
    command(state).spawn().unwrap()
}

fn command(state: &Path) -> Command {
    // The process inherits what is blocked, and so does its thread that waits for the test's:
    // signals then go to the descriptor, as they do where the program has one thread.
    let signals = [Signal::HUP, Signal::TERM].map(Signal::as_raw);
    drop(SignalFd::new(&signals).unwrap());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "process::serve_if_told_to"])
        .env(STATE, state)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn connect(state: &Path, children: &mut Vec<Child>) -> Resolver {
    ensure_running(state, || -> Result<(), DnsError> {
        children.push(start(state));
        Ok(())
    })
    .unwrap()
}

#[test]
fn it_is_started_once_and_again_when_it_was_killed() {
    let state = tempfile::tempdir().unwrap();
    let mut children = Vec::new();
    let resolver = connect(state.path(), &mut children);
    assert_eq!(resolver.registered().unwrap(), []);
    connect(state.path(), &mut children);
    assert_eq!(children.len(), 1);
    // A second one leaves the first alone.
    assert_eq!(wait(&mut start(state.path())).code(), Some(10));
    assert_eq!(resolver.registered().unwrap(), []);
    signal(&children[0], Signal::KILL);
    wait(&mut children[0]);
    let gone = resolver.registered().unwrap_err();
    assert!(matches!(gone, DnsError::NotRunning(_)), "{gone}");
    assert!(state.path().join("dns.sock").exists());
    let resolver = connect(state.path(), &mut children);
    assert_eq!(
        (children.len(), resolver.registered().unwrap().len()),
        (2, 0)
    );
    signal(&children[1], Signal::HUP);
    assert_eq!(resolver.registered().unwrap(), []);
    signal(&children[1], Signal::TERM);
    assert_eq!(wait(&mut children[1]).code(), Some(0));
    assert!(!state.path().join("dns.sock").exists());
}

#[test]
fn a_container_is_served_whoever_has_to_be_started_for_it() {
    if !can_run() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(state.path().join("networks/net/leases")).unwrap();
    let mut children = Vec::new();
    for count in 1..=2 {
        let (guest, sockets) = Guest::unregistered('a');
        let registration = Registration {
            networks: vec![attachment("net")],
            ..guest.registration()
        };
        let start = || -> Result<(), DnsError> {
            children.push(start(state.path()));
            Ok(())
        };
        let init = guest.pidfd();
        serve(state.path(), start, &registration, &sockets, init.as_fd()).unwrap();
        drop(sockets);
        assert_eq!(guest.ask("nobody", A).code, NXDOMAIN);
        assert_eq!(children.len(), count);
        let last = children.last_mut().unwrap();
        signal(last, Signal::KILL);
        wait(last);
    }
}

#[test]
fn many_that_need_it_at_once_start_one() {
    let state = tempfile::tempdir().unwrap();
    let children = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut own = Vec::new();
                connect(state.path(), &mut own).registered().unwrap();
                children.lock().unwrap().extend(own);
            });
        }
    });
    let mut children = children.into_inner().unwrap();
    assert!(!children.is_empty());
    let mut serving = 0;
    for child in &mut children {
        let deadline = Instant::now() + PATIENCE;
        // The others find that they are too many.
        serving += loop {
            match child.try_wait().unwrap() {
                Some(status) => {
                    assert_eq!(status.code(), Some(10));
                    break 0;
                }
                None if Instant::now() > deadline => break 1,
                None if serving == 0 && is_holder(child, state.path()) => break 1,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
    }
    assert_eq!(serving, 1);
    for child in &mut children {
        if child.try_wait().unwrap().is_none() {
            signal(child, Signal::TERM);
            wait(child);
        }
    }
}

/// Whether a process listens on the folder's socket.
fn is_holder(child: &Child, state: &Path) -> bool {
    let resolver = Resolver::connect(state).unwrap();
    let peer = rustix::net::sockopt::socket_peercred(&resolver).unwrap();
    u32::try_from(peer.pid.as_raw_nonzero().get()) == Ok(child.id())
}

/// How many descriptors a process has open.
fn descriptors(child: &Child) -> usize {
    let folder = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
    folder.count()
}

#[test]
fn nothing_is_left_of_containers_that_have_ended() {
    if !can_run() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(state.path().join("networks/net/leases")).unwrap();
    let mut children = Vec::new();
    let resolver = connect(state.path(), &mut children);
    assert_eq!(resolver.registered().unwrap(), []);
    let before = descriptors(&children[0]);
    for _ in 0..5 {
        let guests: Vec<Guest> = "0123456789"
            .chars()
            .map(|digit| Guest::at(state.path(), digit, &["net"]))
            .collect();
        let streams: Vec<_> = guests.iter().map(Guest::connect).collect();
        for guest in &guests {
            assert_eq!(guest.ask("nobody", A).code, NXDOMAIN);
        }
        assert!(descriptors(&children[0]) >= before + 10 * 3);
        guests.into_iter().for_each(Guest::end);
        drop(streams);
    }
    // The connection to this test may have been closed meanwhile.
    let deadline = Instant::now() + PATIENCE;
    while descriptors(&children[0]) > before {
        assert!(
            Instant::now() < deadline,
            "{} descriptors",
            descriptors(&children[0])
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&children[0], Signal::TERM);
    wait(&mut children[0]);
}

#[test]
fn who_started_it_can_go_its_way() {
    let state = tempfile::tempdir().unwrap();
    let mut child = command(state.path())
        .env(DETACHED, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let resolver = ensure_running(state.path(), || Ok::<(), DnsError>(())).unwrap();
    // It holds neither stream, though it goes on.
    let mut said = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut said).unwrap();
    assert_eq!(resolver.registered().unwrap(), []);
    let own = std::fs::read_link(format!("/proc/{}/cwd", child.id())).unwrap();
    assert_eq!(own, Path::new("/"));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    assert_eq!(rustix::process::getsid(pid).ok(), pid);
    signal(&child, Signal::TERM);
    assert_eq!(wait(&mut child).code(), Some(0));
}

#[test]
fn it_has_no_privilege_while_it_serves() {
    let state = tempfile::tempdir().unwrap();
    let mut children = Vec::new();
    connect(state.path(), &mut children).registered().unwrap();
    let mut statuses = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", children[0].id())).unwrap() {
        let status = task.unwrap().path().join("status");
        statuses.push(std::fs::read_to_string(status).unwrap());
    }
    // One of its threads is the test program's own, which waits.
    let serving = |status: &&String| status.contains("NoNewPrivs:\t1");
    let status = statuses.iter().find(serving).unwrap();
    let bits = |name: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(value.trim(), 16).unwrap()
    };
    // CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH at most.
    for set in ["CapEff:", "CapPrm:"] {
        assert_eq!(bits(set) & !0b110, 0, "{set}");
    }
    assert_eq!(bits("CapInh:"), 0);
    signal(&children[0], Signal::TERM);
    wait(&mut children[0]);
}

#[test]
fn a_long_path_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("a".repeat(120));
    std::fs::create_dir(&state).unwrap();
    let mut children = Vec::new();
    connect(&state, &mut children).registered().unwrap();
    signal(&children[0], Signal::TERM);
    assert_eq!(wait(&mut children[0]).code(), Some(0));
}

#[test]
fn a_resolver_that_does_not_come_up_is_not_waited_for_for_ever() {
    let state = tempfile::tempdir().unwrap();
    let refused = ensure_running(state.path(), || {
        Err(DnsError::Running(state.path().to_owned()))
    });
    assert!(matches!(refused, Err(DnsError::Running(_))));
}
