//! The loop against a monitor that a thread plays.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use berth_base::protocol;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use rustix::pipe::pipe;

use super::*;
use crate::terminal::Shown;
use crate::terminal::signals::SignalPolicy;

/// The monitor's end.
struct Monitor(OwnedFd);

impl Monitor {
    fn say(&self, kind: u8, payload: &[u8]) {
        let packet = [&[kind], payload].concat();
        send(&self.0, &packet, SendFlags::NOSIGNAL).unwrap();
    }

    fn hear(&self) -> (u8, Vec<u8>) {
        let mut buffer = vec![0; MAX_PACKET];
        let (length, _) = recv(&self.0, &mut buffer, RecvFlags::empty()).unwrap();
        if length == 0 {
            return (0, Vec::new());
        }
        (buffer[0], buffer[1..length].to_vec())
    }
}

/// One loop with pipes for its streams.
struct Rig {
    session: Session,
    monitor: Monitor,
    input: OwnedFd,
    type_in: File,
    output: Output,
    out: File,
    error: File,
}

fn rig() -> Rig {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let (input, type_in) = pipe().unwrap();
    let (out, out_end) = pipe().unwrap();
    let (error, error_end) = pipe().unwrap();
    Rig {
        session: Session::from_launch(ours),
        monitor: Monitor(theirs),
        input,
        type_in: type_in.into(),
        output: Output::new(out_end, error_end, Shown::ALL),
        out: out.into(),
        error: error.into(),
    }
}

fn pump<'a>(
    signals: &'a mut Signals,
    input: Option<OwnedFd>,
    output: Output,
    keys: &[u8],
) -> Pump<'a> {
    let input = input.map(|input| Input::new(input, keys.to_vec()));
    Pump::new(signals, None, input, output, &|_| false)
}

fn signals() -> Signals {
    Signals::take(SignalPolicy::EndClient, false).unwrap()
}

#[test]
fn streams_stay_apart_and_the_exit_comes_last() {
    let mut rig = rig();
    rig.monitor.say(protocol::STARTED, &7u32.to_le_bytes());
    rig.monitor.say(protocol::STDOUT, b"one ");
    rig.monitor.say(protocol::STDERR, b"bad");
    rig.monitor.say(protocol::STDOUT, b"two");
    rig.monitor.say(protocol::EXITED, &[0, 3]);
    let mut signals = signals();
    let stop = pump(&mut signals, None, rig.output, &[])
        .run(&rig.session)
        .unwrap();
    assert!(
        matches!(stop, Stop::Exited(ExitOutcome::Code(3))),
        "{stop:?}"
    );
    let mut text = String::new();
    rig.out.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one two");
    text.clear();
    rig.error.read_to_string(&mut text).unwrap();
    assert_eq!(text, "bad");
}

#[test]
fn input_arrives_and_its_end_too() {
    let mut rig = rig();
    rig.type_in.write_all(b"hello").unwrap();
    drop(rig.type_in);
    let monitor = rig.monitor;
    let reader = thread::spawn(move || {
        let first = monitor.hear();
        let second = monitor.hear();
        monitor.say(protocol::EXITED, &[0, 0]);
        (first, second)
    });
    let mut signals = signals();
    pump(&mut signals, Some(rig.input), rig.output, &[])
        .run(&rig.session)
        .unwrap();
    let (first, second) = reader.join().unwrap();
    assert_eq!(first, (protocol::STDIN, b"hello".to_vec()));
    assert_eq!(second, (protocol::STDIN_EOF, vec![]));
}

#[test]
fn detach_keys_leave_after_what_came_before_them() {
    let mut rig = rig();
    rig.type_in.write_all(b"x\x10\x11y").unwrap();
    let mut signals = signals();
    let stop = pump(&mut signals, Some(rig.input), rig.output, &[0x10, 0x11])
        .run(&rig.session)
        .unwrap();
    assert!(matches!(stop, Stop::Detached), "{stop:?}");
    assert_eq!(rig.monitor.hear(), (protocol::STDIN, b"x".to_vec()));
}

#[test]
fn detach_keys_alone_leave_at_once() {
    let mut rig = rig();
    rig.type_in.write_all(b"\x10\x11").unwrap();
    let mut signals = signals();
    let stop = pump(&mut signals, Some(rig.input), rig.output, &[0x10, 0x11])
        .run(&rig.session)
        .unwrap();
    assert!(matches!(stop, Stop::Detached), "{stop:?}");
}

#[test]
fn a_lost_monitor_is_noticed_and_its_last_words_are_read() {
    let rig = rig();
    rig.monitor.say(protocol::STDOUT, b"last");
    drop(rig.monitor);
    let mut signals = signals();
    let mut out = rig.out;
    let stop = pump(&mut signals, Some(rig.input), rig.output, &[])
        .run(&rig.session)
        .unwrap();
    assert!(matches!(stop, Stop::Lost), "{stop:?}");
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert_eq!(text, "last");
}

#[test]
fn input_that_nobody_takes_does_not_hold_back_output() {
    let rig = rig();
    // Far more than the socket holds; the monitor reads none of it.
    let mut type_in = rig.type_in;
    let typist = thread::spawn(move || {
        // Ends with EPIPE when the loop is done.
        drop(type_in.write_all(&vec![b'x'; 4 << 20]));
    });
    let monitor = rig.monitor;
    let speaker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        monitor.say(protocol::STDOUT, b"still here");
        monitor.say(protocol::EXITED, &[0, 0]);
        monitor
    });
    let mut signals = signals();
    let mut out = rig.out;
    let stop = pump(&mut signals, Some(rig.input), rig.output, &[])
        .run(&rig.session)
        .unwrap();
    assert!(matches!(stop, Stop::Exited(_)), "{stop:?}");
    let mut text = [0; 10];
    out.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"still here");
    drop(speaker.join().unwrap());
    typist.join().unwrap();
}

#[test]
fn a_slow_reader_slows_the_monitor_and_loses_nothing() {
    let rig = rig();
    let monitor = rig.monitor;
    let total = 200;
    let speaker = thread::spawn(move || {
        let begin = Instant::now();
        for index in 0..total {
            monitor.say(protocol::STDOUT, &[index; 16 * 1024]);
        }
        let took = begin.elapsed();
        monitor.say(protocol::EXITED, &[0, 0]);
        took
    });
    let mut out = rig.out;
    let reader = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        let mut all = Vec::new();
        out.read_to_end(&mut all).unwrap();
        all
    });
    let mut signals = signals();
    let stop = pump(&mut signals, None, rig.output, &[])
        .run(&rig.session)
        .unwrap();
    assert!(matches!(stop, Stop::Exited(_)), "{stop:?}");
    assert!(speaker.join().unwrap() >= Duration::from_millis(200));
    let all = reader.join().unwrap();
    let expected: Vec<u8> = (0..total).flat_map(|index| [index; 16 * 1024]).collect();
    assert!(all == expected, "{} bytes", all.len());
}

#[test]
fn a_reader_that_leaves_ends_the_client() {
    let rig = rig();
    drop(rig.out);
    rig.monitor.say(protocol::STDOUT, b"to nobody");
    let mut signals = signals();
    let stop = pump(&mut signals, None, rig.output, &[])
        .run(&rig.session)
        .unwrap();
    assert!(matches!(stop, Stop::OutputClosed), "{stop:?}");
}

#[test]
fn a_closed_standard_error_is_nobodys_business() {
    let rig = rig();
    drop(rig.error);
    rig.monitor.say(protocol::STDERR, b"to nobody");
    rig.monitor.say(protocol::STDOUT, b"out");
    rig.monitor.say(protocol::EXITED, &[1, 9]);
    let mut signals = signals();
    let stop = pump(&mut signals, None, rig.output, &[])
        .run(&rig.session)
        .unwrap();
    assert!(
        matches!(stop, Stop::Exited(ExitOutcome::Signal(9))),
        "{stop:?}"
    );
}
