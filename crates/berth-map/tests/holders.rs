//! What keeps namespaces alive, threads, id maps and mounts: what the map says is compared with
//! the kernel's own answers, in worlds that the tests build.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

#[path = "support/real.rs"]
mod real;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use berth_base::NamespaceKind;
use berth_map::World;
use berth_map::model::{Holder, IdRange, Links, Wanted, WantedThreads};
use berth_sys::socket;
use real::{
    Own, apart, discover, eventually, is_root, namespace_at, namespace_of, number, own_namespace,
    own_pid, stay, unshare,
};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::UnshareFlags;

fn holders() -> Wanted {
    Wanted {
        holders: true,
        ..Wanted::default()
    }
}

/// A namespace that nobody lives in is gone once its holders are.
fn is_gone(id: berth_base::NamespaceId) -> bool {
    discover(&holders()).namespace(id).is_none()
}

#[test]
fn sockets_alone_hold_a_network_namespace() {
    if !is_root() {
        return;
    }
    // One of each kind: in no table, in no table that we could read, of a family of its own.
    let sockets: Vec<OwnedFd> = apart(|| {
        unshare(UnshareFlags::NEWNET);
        let make = |family, kind| socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        vec![
            make(AddressFamily::INET, SocketType::STREAM),
            make(AddressFamily::INET6, SocketType::DGRAM),
            make(AddressFamily::NETLINK, SocketType::RAW),
            UnixDatagram::unbound().unwrap().into(),
        ]
    });
    let namespace = socket::open_network_namespace(&sockets[0]).unwrap();
    let id = namespace_of(&namespace, NamespaceKind::Net);
    drop(namespace);
    assert_ne!(id, own_namespace(NamespaceKind::Net));
    let world = discover(&holders());
    let mut expected: Vec<Holder> = sockets
        .iter()
        .map(|socket| Holder::Socket {
            pid: own_pid(),
            fd: number(socket),
        })
        .collect();
    expected.sort();
    assert_eq!(world.holders(id), expected);
    let found = world.namespace(id).unwrap();
    assert_eq!(found.processes, 0);
    assert_eq!(found.owner, Some(own_namespace(NamespaceKind::User)));
    drop(sockets);
    eventually(|| is_gone(id));
}

#[test]
fn own_sockets_in_the_own_namespace_hold_nothing() {
    let _sockets = (
        UnixDatagram::pair().unwrap(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap(),
        socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap(),
    );
    let world = discover(&holders());
    let own = world.holders(own_namespace(NamespaceKind::Net));
    let sockets = own.iter().filter(|h| match h {
        Holder::Socket { pid, .. } => *pid == own_pid(),
        _ => false,
    });
    assert_eq!(sockets.count(), 0, "{own:?}");
}

#[test]
fn a_descriptor_alone_holds_a_namespace_of_every_kind() {
    if !is_root() {
        return;
    }
    let kinds = [
        (NamespaceKind::Net, UnshareFlags::NEWNET),
        (NamespaceKind::Uts, UnshareFlags::NEWUTS),
        (NamespaceKind::Ipc, UnshareFlags::NEWIPC),
        (NamespaceKind::Cgroup, UnshareFlags::NEWCGROUP),
        (NamespaceKind::Mnt, UnshareFlags::NEWNS),
    ];
    for (kind, flag) in kinds {
        let held = apart(move || {
            unshare(flag);
            File::open(format!("/proc/thread-self/ns/{}", kind.as_str())).unwrap()
        });
        let id = namespace_of(&held, kind);
        let world = discover(&holders());
        let expected = Holder::Descriptor {
            pid: own_pid(),
            fd: number(&held),
        };
        assert_eq!(world.holders(id), [expected]);
        let found = world.namespace(id).unwrap();
        assert_eq!(found.owner, Some(own_namespace(NamespaceKind::User)));
        assert_eq!(found.processes, 0);
        drop(held);
        eventually(|| is_gone(id));
    }
}

#[test]
fn a_descriptor_opened_by_a_bind_mount_holds_too() {
    if !is_root() {
        return;
    }
    // Its link in procfs is the path of the mount, not the name of the namespace.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("n");
    fs::write(&file, "").unwrap();
    let held = apart(move || {
        unshare(UnshareFlags::NEWNS);
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).unwrap();
        unshare(UnshareFlags::NEWUTS);
        rustix::mount::mount_bind("/proc/thread-self/ns/uts", &file).unwrap();
        File::open(&file).unwrap()
    });
    let link = fs::read_link(format!("/proc/self/fd/{}", number(&held))).unwrap();
    assert!(link.is_absolute(), "{link:?}");
    let world = discover(&holders());
    let expected = Holder::Descriptor {
        pid: own_pid(),
        fd: number(&held),
    };
    let id = namespace_of(&held, NamespaceKind::Uts);
    assert_eq!(world.holders(id), [expected]);
    let owner = world.namespace(id).unwrap().owner;
    assert_eq!(owner, Some(own_namespace(NamespaceKind::User)));
}

/// A mount namespace of its own in which a network namespace is mounted at a name with a blank and
/// a line break, below a folder; both, and the name.
fn hide_network_namespace(folder: &std::path::Path) -> (File, berth_base::NamespaceId, String) {
    unshare(UnshareFlags::NEWNS);
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).unwrap();
    rustix::mount::mount("tmpfs", folder, "tmpfs", MountFlags::NOSUID, None).unwrap();
    let file = folder.join("a b\nc");
    fs::write(&file, "").unwrap();
    unshare(UnshareFlags::NEWNET);
    rustix::mount::mount_bind("/proc/thread-self/ns/net", &file).unwrap();
    let mounts = File::open("/proc/thread-self/ns/mnt").unwrap();
    let name = file.to_str().unwrap().to_owned();
    (mounts, own_namespace(NamespaceKind::Net), name)
}

#[test]
fn a_bind_mount_in_a_mount_namespace_without_processes_is_found() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_owned();
    let (mounts, net, path) = apart(move || hide_network_namespace(&place));
    if berth_sys::mount_list::mount_namespace(&mounts).is_err() {
        return real::skip("no walk over mount namespaces before Linux 6.12");
    }
    let mnt = namespace_of(&mounts, NamespaceKind::Mnt);
    let world = discover(&Wanted {
        mounts: vec![mnt],
        ..holders()
    });
    let expected = Holder::BindMount {
        mount_namespace: Some(mnt),
        path: path.clone(),
    };
    assert_eq!(world.holders(net), [expected]);
    assert_eq!(world.namespace(net).unwrap().processes, 0);
    let descriptor = Holder::Descriptor {
        pid: own_pid(),
        fd: number(&mounts),
    };
    assert_eq!(world.holders(mnt), [descriptor]);
    let all = &world.details().mounts[&mnt];
    let last = all.last().unwrap();
    assert_eq!((last.kind.as_str(), &last.point), ("nsfs", &path));
    assert_eq!(last.root, net.to_string());
    drop(mounts);
    eventually(|| is_gone(mnt) && is_gone(net));
}

#[test]
fn a_bind_mount_is_looked_into_where_the_path_is_ours() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_owned();
    let own = own_namespace(NamespaceKind::User);
    // Seen from inside of the mount namespace, its owner is known; from outside the path is not
    // followed, and only the name is.
    let resident = stay(move || {
        unshare(UnshareFlags::NEWNS);
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).unwrap();
        rustix::mount::mount("tmpfs", &place, "tmpfs", MountFlags::NOSUID, None).unwrap();
        let file = place.join("n");
        fs::write(&file, "").unwrap();
        let id = apart(move || {
            unshare(UnshareFlags::NEWNET);
            rustix::mount::mount_bind("/proc/thread-self/ns/net", &file).unwrap();
            own_namespace(NamespaceKind::Net)
        });
        (discover(&holders()), id)
    });
    let outside = discover(&Wanted {
        threads: WantedThreads::Strays,
        ..holders()
    });
    let (inside, id) = (&resident.value.0, resident.value.1);
    for world in [inside, &outside] {
        assert_eq!(world.holders(id).len(), 1, "{:?}", world.holders(id));
        assert_eq!(world.namespace(id).unwrap().processes, 0);
    }
    assert_eq!(inside.namespace(id).unwrap().owner, Some(own));
    assert_eq!(outside.namespace(id).unwrap().owner, None);
}

#[test]
fn a_thread_lives_in_other_namespaces_than_its_process() {
    if !is_root() {
        return;
    }
    let resident = stay(|| {
        unshare(UnshareFlags::NEWUTS | UnshareFlags::NEWNET);
        (
            own_namespace(NamespaceKind::Uts),
            own_namespace(NamespaceKind::Net),
        )
    });
    let _other = stay(|| ());
    let strays = Wanted {
        threads: WantedThreads::Strays,
        holders: true,
        ..Wanted::default()
    };
    let world = discover(&strays);
    let threads = world.threads(own_pid());
    assert_eq!(threads.len(), 1, "{threads:?}");
    let thread = &threads[0];
    let (uts, net) = resident.value;
    assert_eq!(thread.tid, resident.tid);
    assert_eq!(thread.tids.first(), Some(&resident.tid.get()));
    for kind in NamespaceKind::ALL {
        let path = format!("/proc/self/task/{}/ns/{}", thread.tid, kind.as_str());
        assert_eq!(thread.namespaces.of(kind), Some(namespace_at(&path, kind)));
    }
    assert_eq!(thread.namespaces.of(NamespaceKind::Uts), Some(uts));
    // Somebody lives there, so nothing needs to hold them.
    for id in [uts, net] {
        assert_eq!(world.holders(id), []);
        let owner = world.namespace(id).unwrap().owner;
        assert_eq!(owner, Some(own_namespace(NamespaceKind::User)));
    }
    let world = discover(&Wanted {
        threads: WantedThreads::All,
        ..Wanted::default()
    });
    let listed: BTreeSet<u32> = world
        .threads(own_pid())
        .iter()
        .map(|t| t.tid.get())
        .collect();
    for tid in [resident.tid, _other.tid] {
        assert!(listed.contains(&tid.get()));
    }
    assert!(!listed.contains(&own_pid().get()));
    drop(resident);
    eventually(|| is_gone(net));
    assert!(discover(&strays).threads(own_pid()).is_empty());
}

#[test]
fn children_to_come_hold_a_pid_namespace_whose_processes_have_ended() {
    if !is_root() {
        return;
    }
    // PID 1 of the new namespace is true, which ends; sleep is not in it.
    let script = "true & wait; exec sleep 300";
    let process = Own::start("unshare", &["--pid", "sh", "-c", script]);
    process.until("sleep");
    let link = format!("/proc/{}/ns/pid_for_children", process.pid());
    let id = namespace_at(&link, NamespaceKind::Pid);
    let world = discover(&holders());
    let holder = Holder::ForChildren { pid: process.pid() };
    assert_eq!(world.holders(id), [holder]);
    let found = world.namespace(id).unwrap();
    assert_eq!(found.processes, 0);
    assert_eq!(found.parent, Some(own_namespace(NamespaceKind::Pid)));
    assert_eq!(found.level, Some(1));
}

#[test]
fn user_namespaces_have_maps_owners_and_children() {
    if !is_root() {
        return;
    }
    // Two levels; the middle one has no process once its only one has gone further down.
    let script = "exec unshare --user --map-root-user sleep 300";
    let process = Own::start(
        "unshare",
        &["--user", "--map-root-user", "sh", "-c", script],
    );
    process.until("sleep");
    let id = process.namespace(NamespaceKind::User);
    let world = discover(&Wanted {
        id_maps: true,
        ..holders()
    });
    let maps = &world.details().id_maps[&id];
    let expected = IdRange {
        inside: 0,
        outside: 0,
        count: 1,
    };
    assert_eq!(
        (maps.uids.as_slice(), maps.gids.as_slice()),
        (&[expected][..], &[expected][..])
    );
    let inner = world.namespace(id).unwrap();
    assert_eq!(inner.owner_uid, Some(0));
    let middle = inner.parent.unwrap();
    assert_eq!(inner.owner, Some(middle));
    let own = own_namespace(NamespaceKind::User);
    assert_eq!(world.namespace(middle).unwrap().parent, Some(own));
    assert_eq!(world.holders(middle), [Holder::Child { namespace: id }]);
    // All of the ranges of one that has several, as the kernel writes them.
    let several = Own::start("unshare", &["--user", "sleep", "300"]);
    several.until("sleep");
    let map = format!("/proc/{}/uid_map", several.pid());
    fs::write(&map, "0 100000 65536\n65536 7 1\n").unwrap();
    let world = discover(&Wanted {
        id_maps: true,
        ..Wanted::default()
    });
    let maps = &world.details().id_maps[&several.namespace(NamespaceKind::User)];
    let written: Vec<String> = maps
        .uids
        .iter()
        .map(|r| format!("{} {} {}", r.inside, r.outside, r.count))
        .collect();
    assert_eq!(written, ["0 100000 65536", "65536 7 1"]);
    assert!(maps.gids.is_empty());
}

#[test]
fn whoever_moves_while_being_read_is_seen_whole() {
    if !is_root() {
        return;
    }
    // A process that takes new namespaces over and over, without ever ending.
    let script = "exec unshare --uts --ipc sh -c \"$S\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]).env("S", script);
    let process = Own(command.spawn().unwrap());
    // A thread that does, and says where it has been.
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let thread = thread::spawn({
        let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::Relaxed) {
                unshare(UnshareFlags::NEWUTS);
                let id = own_namespace(NamespaceKind::Uts);
                seen.lock().unwrap().insert(id);
            }
        }
    });
    let wanted = Wanted {
        threads: WantedThreads::Strays,
        ..holders()
    };
    // An emulated machine is slow, and slower still while somebody makes namespaces all the time.
    let end = Instant::now() + Duration::from_secs(20);
    let mut worlds: Vec<World> = Vec::new();
    while worlds.len() < 20 && (worlds.len() < 3 || Instant::now() < end) {
        worlds.push(discover(&wanted));
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    let seen = seen.lock().unwrap();
    let mut places = BTreeSet::new();
    for world in &worlds {
        let read = world.process(process.pid()).unwrap();
        assert_eq!(read.links, Links::Read);
        assert_eq!(read.namespaces.iter().count(), 8);
        places.insert(read.namespaces.of(NamespaceKind::Uts));
        for thread in world.threads(own_pid()) {
            let uts = thread.namespaces.of(NamespaceKind::Uts).unwrap();
            assert!(seen.contains(&uts), "{uts}");
        }
    }
    assert!(places.len() > 1, "it never moved");
    assert!(worlds.iter().any(|w| !w.threads(own_pid()).is_empty()));
}

#[test]
fn nothing_is_read_that_is_not_wanted() {
    let held = File::open("/proc/self/ns/net").unwrap();
    let world = discover(&Wanted::default());
    assert_eq!(*world.details(), berth_map::model::Details::default());
    assert!(held.as_fd().try_clone_to_owned().is_ok());
}
