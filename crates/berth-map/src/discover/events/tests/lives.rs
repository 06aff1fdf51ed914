//! One process, from birth to end.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Stdio;

use rustix::time::{ClockId, clock_gettime};

use super::*;

/// What the child of a test does, in this variable.
const PART: &str = "BERTH_TEST_EVENTS_PART";

/// This program again, as one of the children below.
fn child(part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "discover::events::tests::lives::plays_a_part";
    command.args(["--exact", name, "--ignored"]);
    command.env(PART, part).stdout(Stdio::null());
    command
}

#[test]
#[ignore = "a child of other tests"]
fn plays_a_part() {
    let part = std::env::var(PART).unwrap_or_default();
    let sleepers = (0..16).map(|n| {
        let nap = Duration::from_millis(20 + n % 4);
        std::thread::spawn(move || std::thread::sleep(nap))
    });
    let sleepers: Vec<_> = sleepers.collect();
    match part.as_str() {
        // While its threads end.
        "ends" => {
            std::thread::sleep(Duration::from_millis(21));
            std::process::exit(9);
        }
        // From a thread that is not the first.
        "executes" => {
            let execute = || Command::new("sh").args(["-c", "exit 5"]).exec();
            panic!("{:?}", std::thread::spawn(execute).join());
        }
        _ => sleepers.into_iter().for_each(|s| s.join().unwrap()),
    }
}

fn boot_time() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap()
}

#[test]
fn a_process_is_seen_at_every_level_from_birth_to_end() {
    let Some(mut watch) = Watch::bpf() else {
        return;
    };
    let mut outer = Command::new("unshare");
    outer.args(["--pid", "--fork", "--kill-child", "sh", "-c", "exit 7"]);
    let before = boot_time();
    let mut outer = outer.spawn().unwrap();
    let pid = pid_of(&outer);
    assert_eq!(outer.wait().unwrap().code(), Some(7));
    let after = boot_time();
    watch.until_end(pid);
    let own = namespace_of(own_pid(), NamespaceKind::Pid);
    let [born, executed, left, ended] = watch.of_process(pid)[..] else {
        panic!("{:#?}", watch.of_process(pid));
    };
    let EventKind::Forked {
        parent,
        pids,
        pid_namespace,
        ..
    } = born
    else {
        panic!("{born:?}");
    };
    assert_eq!(*parent, Some(own_pid()));
    assert_eq!((&pids[..], *pid_namespace), (&[pid.get()][..], Some(own)));
    let comm = "unshare".to_owned();
    assert_eq!(*executed, EventKind::Executed { comm });
    assert!(matches!(left, EventKind::NamespacesChanged { .. }));
    assert_eq!(*ended, EventKind::Exited(Exit::Code(7)));

    let [inner] = watch.children(pid)[..] else {
        panic!("{:#?}", watch.events);
    };
    let [born, executed, ended] = watch.of_process(inner)[..] else {
        panic!("{:#?}", watch.of_process(inner));
    };
    let EventKind::Forked {
        pids,
        pid_namespace,
        comm,
        ..
    } = born
    else {
        panic!("{born:?}");
    };
    assert_eq!(pids[..], [inner.get(), 1]);
    assert_ne!(pid_namespace.unwrap(), own);
    assert_eq!(comm, "unshare");
    assert_eq!(
        *executed,
        EventKind::Executed {
            comm: "sh".to_owned()
        }
    );
    assert_eq!(*ended, EventKind::Exited(Exit::Code(7)));

    let ours = |event: &&Event| event.pid == pid || event.pid == inner;
    let times: Vec<u64> = watch.events.iter().filter(ours).map(|e| e.at.0).collect();
    assert!(times.is_sorted());
    assert!(
        times.iter().all(|at| (before..=after).contains(at)),
        "{before} {times:?} {after}"
    );
}

#[test]
fn the_deepest_pid_namespace_is_told() {
    let Some(mut watch) = Watch::bpf() else {
        return;
    };
    // MAX_PID_NS_LEVEL, ours included, which may lie below others.
    let mut command = Command::new("unshare");
    for _ in 1..32 {
        command.args(["--pid", "--fork", "--kill-child", "unshare"]);
    }
    command.args(["--pid", "--fork", "--kill-child", "sh", "-c", "exit 7"]);
    let mut outer = command.spawn().unwrap();
    assert_eq!(outer.wait().unwrap().code(), Some(7));
    watch.until_end(pid_of(&outer));
    let (mut pid, mut depth) = (pid_of(&outer), 0);
    while let [child] = watch.children(pid)[..] {
        (pid, depth) = (child, depth + 1);
        let EventKind::Forked { pids, .. } = watch.of_process(pid)[0] else {
            panic!("{:?}", watch.of_process(pid));
        };
        assert_eq!((pids.len(), pids.last()), (depth + 1, Some(&1)));
    }
    assert_eq!(depth, 32);
}

#[test]
fn the_signal_that_ended_a_process_is_told() {
    for watch in [Watch::bpf(), Watch::connector()] {
        let Some(mut watch) = watch else {
            continue;
        };
        let mut victim = Victim::spawn(Command::new("sleep").arg("300"));
        let pid = pid_of(&victim.0);
        victim.0.kill().unwrap();
        assert_eq!(victim.0.wait().unwrap().signal(), Some(9));
        watch.until_end(pid);
        let end = *watch.of_process(pid).last().unwrap();
        assert_eq!(*end, EventKind::Exited(Exit::Signal(9)));
    }
}

/// All ways of being told, the one of older kernels included.
pub(super) fn all() -> impl Iterator<Item = Watch> {
    [Watch::bpf(), Watch::bpf_older(), Watch::connector()]
        .into_iter()
        .flatten()
}

#[test]
fn threads_are_no_births_and_their_ends_no_ends() {
    for mut watch in all() {
        for (part, code) in [("waits", 0), ("ends", 9)] {
            // A thread would be born to the parent of its process.
            let mut parent = Command::new("sh");
            let inner = child(part);
            parent.args(["-c", "\"$@\"; exit $?", "sh"]);
            parent.arg(inner.get_program()).args(inner.get_args());
            let mut parent = parent
                .env(PART, part)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            assert_eq!(parent.wait().unwrap().code(), Some(code));
            watch.until_end(pid_of(&parent));
            let [pid] = watch.children(pid_of(&parent))[..] else {
                panic!("{:?} {part}: {:#?}", watch.reader.source(), watch.events);
            };
            // A second end would have come with the next events.
            let mut next = Command::new("true").spawn().unwrap();
            next.wait().unwrap();
            watch.until_end(pid_of(&next));
            let seen = watch.of_process(pid);
            let [EventKind::Forked { .. }, EventKind::Executed { .. }, end] = seen[..] else {
                panic!("{:?} {part}: {seen:#?}", watch.reader.source());
            };
            let code = u8::try_from(code).unwrap();
            assert_eq!(*end, EventKind::Exited(Exit::Code(code)));
        }
    }
}

#[test]
fn a_thread_that_executes_is_its_process() {
    for mut watch in all() {
        let mut child = child("executes").spawn().unwrap();
        let pid = pid_of(&child);
        assert_eq!(child.wait().unwrap().code(), Some(5));
        watch.until_end(pid);
        let seen = watch.of_process(pid);
        let (first, rest) = seen.split_first().unwrap();
        assert!(matches!(first, EventKind::Forked { .. }));
        let [EventKind::Executed { .. }, EventKind::Executed { .. }, end] = rest else {
            panic!("{:?}: {seen:#?}", watch.reader.source());
        };
        assert_eq!(**end, EventKind::Exited(Exit::Code(5)));
    }
}
