//! BPF against procfs: both read the same kernel, so that they must agree on every process and
//! thread.
//!
//! The host changes while it is read. What procfs says twice, before and after, BPF must have said
//! in between; where it did not, it is asked again, and a difference counts when it stays.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

#[path = "support/real.rs"]
mod real;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use berth_base::{HostPid, NamespaceKind};
use berth_map::Sources;
use berth_map::model::{
    Holder, Links, Namespace, NamespaceSet, Process, Source, Thread, Wanted, WantedThreads, World,
};
use real::{
    Own, apart, eventually, is_root, namespace_of, number, own_namespace, own_pid, skip, sources,
    stay, unprivileged, unshare,
};
use rustix::thread::UnshareFlags;
use support::{Fake, FakeHost};

/// How often a difference must show to count.
const ROUNDS: usize = 8;

fn all_threads() -> Wanted {
    Wanted {
        threads: WantedThreads::All,
        ..Wanted::default()
    }
}

/// Reads by BPF; `None`, with the reason printed, where this kernel does not let us.
fn by_bpf(wanted: &Wanted) -> Option<World> {
    if !is_root() {
        return None;
    }
    match World::discover_by(&sources(), wanted, Source::Bpf) {
        Ok(world) => Some(world),
        Err(error) => {
            skip(&format!("no BPF: {error}"));
            None
        }
    }
}

fn by_procfs(wanted: &Wanted) -> World {
    World::discover_by(&sources(), wanted, Source::Procfs).unwrap()
}

/// One process or thread, as far as it can be compared. What both sources read at different times
/// is left out: whether it sleeps, and what a thread of a workqueue does at the moment.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    pids: Vec<u32>,
    namespaces: NamespaceSet,
    links: Links,
    comm: String,
    has_ended: bool,
    start_ticks: u64,
    process: Option<Process>,
}

fn comparable_comm(comm: &str, kernel_thread: bool) -> String {
    match kernel_thread && comm.starts_with("kworker/") {
        // "-" and "+" begin what it does; a rescuer's name may hold the first itself.
        true if !comm.starts_with("kworker/R-") => {
            comm.split(['-', '+']).next().unwrap_or_default().to_owned()
        }
        _ => comm.to_owned(),
    }
}

fn see_process(process: &Process) -> Seen {
    let comm = comparable_comm(&process.comm, process.kernel_thread);
    let mut rest = process.clone();
    rest.state = '?';
    rest.comm.clear();
    // Compared on their own, since the kernel may refuse one source what it tells the other.
    rest.namespaces = NamespaceSet::default();
    rest.links = Links::Read;
    Seen {
        pids: process.pids.clone(),
        namespaces: process.namespaces,
        links: process.links,
        comm,
        has_ended: process.is_zombie(),
        start_ticks: process.start_ticks,
        process: Some(rest),
    }
}

fn see_thread(thread: &Thread) -> Seen {
    Seen {
        pids: thread.tids.clone(),
        namespaces: thread.namespaces,
        links: Links::Read,
        comm: thread.comm.clone(),
        has_ended: matches!(thread.state, 'Z' | 'X'),
        start_ticks: thread.start_ticks,
        process: None,
    }
}

/// Everything in a world by its id.
fn see(world: &World) -> BTreeMap<HostPid, Seen> {
    let processes = world.processes().iter().map(|p| (p.pid, see_process(p)));
    let threads = world.details().threads.values().flatten();
    let threads = threads.map(|thread| (thread.tid, see_thread(thread)));
    processes.chain(threads).collect()
}

/// Whether BPF says what procfs does, and more only where procfs was refused.
fn agrees(bpf: &Seen, procfs: &Seen) -> bool {
    let mut bpf = bpf.clone();
    if procfs.links == Links::Denied {
        bpf.links = Links::Denied;
        bpf.namespaces = procfs.namespaces;
    }
    bpf == *procfs
}

/// Compares all that `is_chosen` chooses until nothing differs, or the same differs always.
/// Returns how many were compared in the last round.
fn compare(is_chosen: impl Fn(HostPid, &Seen) -> bool) -> usize {
    let mut suspects: Option<BTreeMap<HostPid, String>> = None;
    for _ in 0..ROUNDS {
        let before = see(&by_procfs(&all_threads()));
        let between = see(&World::discover_by(&sources(), &all_threads(), Source::Bpf).unwrap());
        let after = see(&by_procfs(&all_threads()));
        let mut differing = BTreeMap::new();
        let mut compared = 0;
        for (pid, procfs) in &before {
            if after.get(pid) != Some(procfs) || !is_chosen(*pid, procfs) {
                continue;
            }
            compared += 1;
            let bpf = between.get(pid);
            if !bpf.is_some_and(|bpf| agrees(bpf, procfs)) {
                differing.insert(*pid, format!("procfs {procfs:#?}\nbpf {bpf:#?}"));
            }
        }
        for (pid, bpf) in &between {
            let known = before.contains_key(pid) || after.contains_key(pid);
            if !known && is_chosen(*pid, bpf) {
                differing.insert(*pid, format!("BPF alone has {bpf:#?}"));
            }
        }
        if let Some(last) = &suspects {
            differing.retain(|pid, _| last.contains_key(pid));
        }
        if differing.is_empty() {
            return compared;
        }
        suspects = Some(differing);
    }
    panic!("BPF and procfs differ: {:#?}", suspects.unwrap());
}

/// A tree of processes below unshare(1), which ends with the test.
fn start(program: &str, arguments: &[&str]) -> Own {
    Own::start(program, arguments)
}

/// The processes below one, itself included, once there are so many.
fn below(root: HostPid, count: usize) -> Vec<Process> {
    let mut found = Vec::new();
    eventually(|| {
        let world = by_procfs(&Wanted::default());
        let is_below = |p: &&Process| {
            let mut line = std::iter::successors(Some(*p), |p| world.parent(p));
            line.any(|ancestor| ancestor.pid == root)
        };
        found = world.processes().iter().filter(is_below).cloned().collect();
        found.len() == count && found.iter().all(|p| p.comm != "sh")
    });
    found
}

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
    assert_eq!(by_procfs(&wanted).threads(own_pid()), threads);
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

#[test]
fn without_privilege_procfs_is_read_and_the_reason_given() {
    if !is_root() {
        return;
    }
    let world = unprivileged(|| World::discover(&sources()).unwrap());
    assert_eq!(world.source(), Source::Procfs);
    let warnings = world.warnings().join("\n");
    assert!(
        warnings.contains("BPF is not available: CAP_BPF"),
        "{warnings}"
    );
}

#[test]
fn a_copy_of_a_procfs_is_read_as_what_it_is() {
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "systemd"),
        Fake::new(&[7], 1, "only-here"),
    ]);
    let world = World::discover(&host.sources()).unwrap();
    assert_eq!(world.source(), Source::Procfs);
    assert_eq!(world.processes().len(), 2);
    let error = World::discover_by(&host.sources(), &Wanted::default(), Source::Bpf).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read processes by bpf: ")
    );
}

/// Set in the copy of this test that runs in a PID namespace.
const INSIDE: &str = "BERTH_MAP_INSIDE";

#[test]
fn in_a_container_the_map_counts_as_its_procfs_does() {
    const NAME: &str = "in_a_container_the_map_counts_as_its_procfs_does";
    match std::env::var(INSIDE).as_deref() {
        Ok("own") => return inside_with_its_own_procfs(),
        Ok(_) => return inside_with_the_procfs_of_outside(),
        Err(_) => {}
    }
    let Some(_) = by_bpf(&Wanted::default()) else {
        return;
    };
    let own = std::env::current_exe().unwrap();
    for (how, more) in [("own", &["--mount-proc"][..]), ("outside", &[])] {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]).args(more);
        command.arg(&own).args(["--exact", NAME, "--nocapture"]);
        let output = command.env(INSIDE, how).output().unwrap();
        let mut said = output.stdout.clone();
        said.write_all(&output.stderr).unwrap();
        assert!(
            output.status.success(),
            "{how}: {}",
            String::from_utf8_lossy(&said)
        );
        assert!(String::from_utf8_lossy(&said).contains("1 passed"), "{how}");
    }
}

fn inside_with_its_own_procfs() {
    let tree = start(
        "unshare",
        &["--pid", "--fork", "--kill-child", "sleep", "300"],
    );
    let members = below(tree.pid(), 2);
    let _thread = stay(|| ());
    // PID 1, its threads, and the tree.
    assert!(compare(|_, _| true) >= 4);
    let bpf = World::discover_by(&sources(), &Wanted::default(), Source::Bpf).unwrap();
    assert_eq!(bpf.process(own_pid()).unwrap().pids, [1]);
    let inner = members.iter().find(|p| p.level() == 1).unwrap();
    let seen = bpf.process(inner.pid).unwrap();
    assert_eq!(seen.pids.len(), 2);
    assert_eq!(bpf.parent(seen).map(|p| p.pid), Some(tree.pid()));
    let namespace = seen
        .pid_namespace()
        .and_then(|id| bpf.namespace(id))
        .unwrap();
    assert_eq!(namespace.parent, bpf.host().pid_namespace);
    let outermost = bpf.host().pid_namespace.and_then(|id| bpf.namespace(id));
    assert_eq!(outermost.unwrap().parent, None);
}

fn inside_with_the_procfs_of_outside() {
    let world = World::discover(&sources()).unwrap();
    assert_eq!(world.source(), Source::Procfs);
    // More than the test and unshare.
    assert!(world.processes().len() > 2);
    let refused = World::discover_by(&sources(), &Wanted::default(), Source::Bpf).unwrap_err();
    assert!(
        refused.to_string().contains("own PID namespace"),
        "{refused}"
    );
}
