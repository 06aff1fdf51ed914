//! What these tests look at: processes of their own, by what they were started with.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Berth;

/// An argument for `sleep` that nobody else has: the processes of one test are found by it.
pub fn marker(number: u32) -> String {
    format!("1000000.{}{number}", std::process::id())
}

/// The processes that have an argument, zombies aside.
pub fn with_argument(argument: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let has = |word: &[u8]| word == argument.as_bytes();
        line.split(|byte| *byte == 0).any(has)
    })
    .collect()
}

/// State letter and parent.
pub fn stat(pid: u32) -> (char, u32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let mut fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let state = fields.next().unwrap().chars().next().unwrap();
    (state, fields.next().unwrap().parse().unwrap())
}

/// The monitor of a running container: the parent of its first process.
pub fn monitor_of(berth: &Berth, container: &str) -> u32 {
    let init = berth.ok(&["inspect", "-f", "{{.State.Pid}}", container]);
    let (_, monitor) = stat(init.parse().unwrap());
    let comm = std::fs::read_to_string(format!("/proc/{monitor}/comm")).unwrap();
    assert!(comm.starts_with("berth-"), "{comm}");
    monitor
}

pub fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Stops a process, and waits until it is.
pub fn stop(pid: u32) {
    send(pid, Signal::STOP);
    crate::support::eventually("it to be stopped", || stat(pid).0 == 'T');
}

/// The ids of the sessions of a container.
pub fn sessions(berth: &Berth, container: &str) -> Vec<String> {
    let text = berth.ok(&["exec", "ls", "-q", "--no-trunc", container]);
    text.lines().map(str::to_owned).collect()
}

/// The folder of a container's volatile files.
pub fn volatile_dir(berth: &Berth, container: &str) -> std::path::PathBuf {
    berth
        .ok(&["inspect", "-f", "{{.Berth.VolatileDir}}", container])
        .into()
}

/// The lines of a child's standard output.
pub fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map(Result::unwrap)
}

/// Waits until an attached client has asked for its streams, has sent what input there was, and has
/// nothing to do but wait for its container.
///
/// By then it waits for a signal and for the monitor at once; before that, in the same call, for the
/// monitor's first answer alone (proc_pid_syscall(5): the second argument of poll(2) is the number of
/// descriptors).
pub fn wait_in_poll(child: &Child) {
    crate::support::eventually("the client to be attached", || {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", child.id()));
        let call = read("syscall").unwrap_or_default();
        let descriptors = call.split_whitespace().nth(2).and_then(|argument| {
            let digits = argument.trim_start_matches("0x");
            u64::from_str_radix(digits, 16).ok()
        });
        let waits = read("wchan").is_ok_and(|place| place.contains("poll"));
        waits && descriptors.is_some_and(|count| (2..=4).contains(&count))
    });
}

/// The socket of a container's monitor, through a descriptor of its folder: the path itself may be
/// too long for an address.
pub fn monitor_address(folder: &std::fs::File) -> rustix::net::SocketAddrUnix {
    let fd = std::os::fd::AsRawFd::as_raw_fd(folder);
    rustix::net::SocketAddrUnix::new(format!("/proc/self/fd/{fd}/monitor.sock")).unwrap()
}
