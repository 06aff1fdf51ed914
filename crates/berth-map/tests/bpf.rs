//! BPF against procfs: both read the same kernel, so that they must agree on every process and
//! thread.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

#[path = "support/sources.rs"]
mod compared;
#[path = "support/real.rs"]
mod real;

use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use berth_base::{HostPid, NamespaceKind};
use berth_map::Sources;
use berth_map::model::{Holder, Namespace, Process, Source, Wanted, WantedThreads, World};
use compared::{all_threads, below, by_bpf, by_procfs, compare, start};
use real::{
    Own, apart, eventually, namespace_of, number, own_namespace, own_pid, sources, stay, unshare,
};
use rustix::thread::UnshareFlags;

#[test]
fn every_process_and_thread_of_the_host_is_as_procfs_says() {
    let Some(world) = by_bpf(&all_threads()) else {
        return;
    };
    assert_eq!(world.source(), Source::Bpf);
    assert!(world.processes().iter().any(|p| p.kernel_thread));
    let _thread = stay(|| ());
    let compared = compare(|_, _| true);
    // Ourselves, our thread, and the kernel's threads at least.
    assert!(compared > 10, "{compared}");
}

#[test]
fn namespaces_have_the_parents_and_owners_that_the_kernel_names() {
    let Some(_) = by_bpf(&Wanted::default()) else {
        return;
    };
    let tree = start(
        "unshare",
        &[
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--kill-child",
            "unshare",
            "--user",
            "--map-root-user",
            "--pid",
            "--net",
            "--ipc",
            "--fork",
            "--kill-child",
            "sleep",
            "300",
        ],
    );
    let members = below(tree.pid(), 3);
    let deepest = members.iter().max_by_key(|p| p.level()).unwrap();
    assert_eq!(deepest.level(), 2);
    let (bpf, procfs) = (
        World::discover_by(&sources(), &Wanted::default(), Source::Bpf).unwrap(),
        by_procfs(&Wanted::default()),
    );
    for id in deepest.namespaces.iter() {
        let mut next = Some(id);
        while let Some(id) = next {
            let facts = |world: &World| {
                let found = world.namespace(id).unwrap();
                let Namespace {
                    level,
                    parent,
                    owner,
                    owner_uid,
                    ..
                } = *found;
                (level, parent, owner, owner_uid)
            };
            assert_eq!(facts(&bpf), facts(&procfs), "{id}");
            next = bpf.namespace(id).unwrap().parent;
        }
    }
    let user = deepest.namespaces.of(NamespaceKind::User).unwrap();
    assert_eq!(bpf.namespace(user).unwrap().owner_uid, Some(0));
    assert!(bpf.namespace(user).unwrap().parent.is_some());
}

#[test]
fn five_levels_are_read_whole() {
    let Some(_) = by_bpf(&Wanted::default()) else {
        return;
    };
    let one = ["unshare", "--pid", "--fork", "--kill-child"];
    let mut words: Vec<&str> = one.repeat(5);
    words.extend(["sleep", "300"]);
    let tree = start(words[0], &words[1..]);
    let members = below(tree.pid(), 6);
    let deepest = members.iter().max_by_key(|p| p.level()).unwrap();
    assert_eq!(deepest.level(), 5);
    let pids: Vec<HostPid> = members.iter().map(|p| p.pid).collect();
    assert_eq!(compare(|pid, _| pids.contains(&pid)), 6);
    let bpf = World::discover_by(&sources(), &Wanted::default(), Source::Bpf).unwrap();
    let seen = bpf.process(deepest.pid).unwrap();
    assert_eq!(seen.pids, deepest.pids);
    assert!(bpf.pid_namespaces(seen).iter().all(Option::is_some));
}

#[test]
fn zombies_show_what_the_kernel_still_shows() {
    let Some(_) = by_bpf(&Wanted::default()) else {
        return;
    };
    // The child outlives the shell's exec: sleep becomes its parent and reaps nothing.
    let tree = start(
        "unshare",
        &[
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            "sleep 0.1 & exec sleep 300",
        ],
    );
    let is_zombie = |p: &Process| p.is_zombie();
    let mut members = Vec::new();
    eventually(|| {
        members = below(tree.pid(), 3);
        members.iter().any(is_zombie)
    });
    let zombie = members.iter().find(|p| is_zombie(p)).unwrap();
    let pids: Vec<HostPid> = members.iter().map(|p| p.pid).collect();
    assert_eq!(compare(|pid, _| pids.contains(&pid)), 3);
    let bpf = World::discover_by(&sources(), &Wanted::default(), Source::Bpf).unwrap();
    let seen = bpf.process(zombie.pid).unwrap();
    assert_eq!(seen.state, 'Z');
    let kinds: Vec<_> = seen.namespaces.iter().map(|id| id.kind).collect();
    assert_eq!(kinds, [NamespaceKind::Pid, NamespaceKind::User]);
}

#[test]
fn a_thread_in_another_namespace_is_a_stray() {
    let wanted = Wanted {
        threads: WantedThreads::Strays,
        ..Wanted::default()
    };
    let Some(_) = by_bpf(&wanted) else { return };
    let _at_home = stay(|| ());
    let stray = stay(|| {
        unshare(UnshareFlags::NEWNET);
        own_namespace(NamespaceKind::Net)
    });
    let bpf = World::discover_by(&sources(), &wanted, Source::Bpf).unwrap();
    let threads = bpf.threads(own_pid());
    assert_eq!(threads.len(), 1, "{threads:#?}");
    assert_eq!(threads[0].tid, stray.tid);
    assert_eq!(
        threads[0].namespaces.of(NamespaceKind::Net),
        Some(stray.value)
    );
    // It may be on its way to sleep while one of both looks.
    let mut by_procfs = by_procfs(&wanted).threads(own_pid()).to_vec();
    by_procfs[0].state = threads[0].state;
    assert_eq!(by_procfs, threads);
}

#[test]
fn names_are_taken_byte_for_byte() {
    let Some(_) = by_bpf(&Wanted::default()) else {
        return;
    };
    let mut command = Command::new("sh");
    command.args([
        "-c",
        r"printf '\033[2J\377)\n(x' >/proc/$$/comm; read -r line",
    ]);
    let child: Child = command.stdin(Stdio::piped()).spawn().unwrap();
    let child = Own(child);
    let expected = "\u{1b}[2J\\xff)\n(x";
    let named = || {
        by_procfs(&Wanted::default())
            .process(child.pid())
            .unwrap()
            .comm
            .clone()
    };
    eventually(|| named() == expected);
    let bpf = World::discover_by(&sources(), &Wanted::default(), Source::Bpf).unwrap();
    assert_eq!(bpf.process(child.pid()).unwrap().comm, expected);
}

#[test]
fn a_process_that_unshares_while_it_is_read_is_never_mixed_up() {
    let Some(world) = by_bpf(&Wanted::default()) else {
        return;
    };
    let home = world.process(own_pid()).unwrap().namespaces;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let mover = thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            unshare(UnshareFlags::NEWUTS);
        }
    });
    // Numbers of namespaces are used again at once: what counts is that they change.
    let (mut last, mut moves) = (None, 0);
    let mut rounds = 0;
    let state = tempfile::tempdir().unwrap();
    let sources = Sources::host(state.path()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline && (rounds < 200 || moves < 20) {
        let bpf = World::discover_by(&sources, &all_threads(), Source::Bpf).unwrap();
        for thread in bpf.threads(own_pid()) {
            for kind in NamespaceKind::ALL {
                let seen = thread.namespaces.of(kind);
                if kind != NamespaceKind::Uts {
                    assert_eq!(seen, home.of(kind), "{thread:#?}");
                } else if seen != home.of(kind) && last != seen {
                    moves += 1;
                    last = seen;
                }
            }
        }
        rounds += 1;
    }
    stop.store(true, Ordering::Relaxed);
    mover.join().unwrap();
    // It did move while it was read.
    assert!(moves >= 20, "{moves}");
}

#[test]
fn descriptors_and_sockets_hold_namespaces() {
    let wanted = Wanted {
        holders: true,
        ..Wanted::default()
    };
    let Some(_) = by_bpf(&wanted) else { return };
    let descriptor = apart(|| {
        unshare(UnshareFlags::NEWUTS);
        fs::File::open("/proc/thread-self/ns/uts").unwrap()
    });
    let (socket, net) = apart(|| {
        unshare(UnshareFlags::NEWNET);
        (UdpSocket::bind("[::]:0"), own_namespace(NamespaceKind::Net))
    });
    let socket = socket.unwrap();
    let uts = namespace_of(descriptor.as_fd(), NamespaceKind::Uts);
    let bpf = World::discover_by(&sources(), &wanted, Source::Bpf).unwrap();
    let pid = own_pid();
    let by_descriptor = Holder::Descriptor {
        pid,
        fd: number(&descriptor),
    };
    assert_eq!(bpf.holders(uts), [by_descriptor]);
    let fd = number(&socket);
    assert_eq!(bpf.holders(net), [Holder::Socket { pid, fd }]);
    let procfs = by_procfs(&wanted);
    for id in [uts, net] {
        assert_eq!(procfs.holders(id), bpf.holders(id));
        assert_eq!(
            procfs.namespace(id).unwrap().owner,
            bpf.namespace(id).unwrap().owner
        );
    }
}
