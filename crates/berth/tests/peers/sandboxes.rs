//! The map of containers without a daemon: LXC, systemd-nspawn, bubblewrap, Chromium's sandbox.

use std::fs;
use std::path::Path;

use berth_base::NamespaceKind;
use berth_map::model::{Confidence, Engine, EvidenceKind};

use crate::image;
use crate::map::{Expected, Map};
use crate::support::eventually;
use crate::world::{Daemon, World, need};

/// Joins the world's cgroup, in the hierarchies without a controller that has to be set up first,
/// and executes what follows.
const JOIN: &str = r#"
for folder in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e "$folder/cgroup.procs" ] || continue
    mkdir -p "$folder$1" && echo $$ >"$folder$1/cgroup.procs"
done
shift
exec "$@"
"#;

/// A root with busybox and places to mount at.
fn root(world: &World, name: &str) -> String {
    let root = world.path(name);
    image::write_root(&root);
    for folder in ["dev", "proc", "run", "sys", "usr"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    fs::write(root.join("etc/os-release"), "ID=quay\n").unwrap();
    root.into_os_string().into_string().unwrap()
}

fn join(world: &World, words: &[&str]) -> Daemon {
    let parent = world.cgroup_parent();
    world.daemon(&[&["sh", "-c", JOIN, "sh", &parent], words].concat(), &[])
}

/// Waits until so many processes of the world have a name.
fn await_processes(world: &World, comm: &str, count: usize) {
    eventually(comm, || {
        let named = format!(" {comm}: ");
        let all = world.processes();
        all.iter().filter(|line| line.contains(&named)).count() == count
    });
}

#[test]
fn the_map_knows_lxcs_containers() {
    need("lxc-start");
    let world = World::new("lxc");
    let (name, root) = (format!("pier-{}", std::process::id()), root(&world, "root"));
    let (path, parent) = (world.text("lxc"), world.cgroup_parent());
    let parent = parent.trim_start_matches('/');
    let folder = world.path("lxc").join(&name);
    fs::create_dir_all(&folder).unwrap();
    let config = format!(
        "lxc.uts.name = {name}\n\
         lxc.rootfs.path = dir:{root}\n\
         lxc.net.0.type = empty\n\
         lxc.apparmor.profile = unconfined\n\
         lxc.autodev = 0\n\
         lxc.init.cmd = /bin/sleep 1000\n\
         lxc.cgroup.dir.monitor = {parent}/lxc.monitor.{name}\n\
         lxc.cgroup.dir.monitor.pivot = {parent}/lxc.pivot\n\
         lxc.cgroup.dir.container = {parent}/lxc.payload.{name}\n"
    );
    fs::write(folder.join("config"), config).unwrap();
    let started = world.run(&["lxc-start", "-P", &path, "-n", &name, "-d"]);
    assert_eq!(started.code, 0, "{started:?}");
    await_processes(&world, "sleep", 1);
    let attached = [
        "lxc-attach",
        "-P",
        &path,
        "-n",
        &name,
        "--",
        "/bin/sleep",
        "2000",
    ];
    let _session = world.daemon(&attached, &[]);
    await_processes(&world, "sleep", 2);

    let map = Map::read();
    let index = map.expect(
        &format!("lxc/{name}"),
        &Expected {
            evidence: &[EvidenceKind::StateFile, EvidenceKind::CgroupPath],
            confidence: Confidence::Certain,
            image: None,
            pod: None,
        },
    );
    assert_eq!(map.comms(index), ["sleep", "sleep"]);
    map.assert_owns_namespace(index);
    map.assert_outside(index, "lxc-start");
    let said = world.run(&["lxc-info", "-P", &path, "-n", &name, "-p", "-H"]);
    map.assert_init(index, said.out.trim());
    let stopped = world.run(&["lxc-stop", "-P", &path, "-n", &name, "-k"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
}

#[test]
fn the_map_knows_nspawns_containers() {
    need("systemd-nspawn");
    let world = World::new("nspawn");
    let (name, root) = (format!("mole-{}", std::process::id()), root(&world, "root"));
    // Without machined, which takes a system that systemd runs.
    let words = ["systemd-nspawn", "--register=no", "--keep-unit", "--quiet"];
    let machine = [
        "--private-network",
        "-M",
        &name,
        "-D",
        &root,
        "--as-pid2",
        "/bin/sleep",
        "1000",
    ];
    let _nspawn = join(&world, &[&words[..], &machine].concat());
    await_processes(&world, "sleep", 1);

    let map = Map::read();
    let index = map.expect(
        &format!("nspawn/{name}"),
        &Expected {
            evidence: &[EvidenceKind::Program],
            confidence: Confidence::Guess,
            image: Some(&root),
            pod: None,
        },
    );
    assert_eq!(map.comms(index), ["(sd-stubinit)", "sleep"]);
    map.assert_owns_namespace(index);
    map.assert_outside(index, "systemd-nspawn");
}

#[test]
fn the_map_knows_bubblewraps_sandboxes() {
    need("bwrap");
    let world = World::new("bwrap");
    let root = root(&world, "root");
    let common = [
        "bwrap", "--bind", &root, "/", "--proc", "/proc", "--dev", "/dev",
    ];
    let apart = ["--unshare-pid", "--unshare-net", "/bin/sleep", "1000"];
    let _apart = world.daemon(&[&common[..], &apart].concat(), &[]);
    let shared = ["/bin/sh", "-c", "sleep 2000; true"];
    let _shared = world.daemon(&[&common[..], &shared].concat(), &[]);
    await_processes(&world, "sleep", 2);

    let map = Map::read();
    let comms = |pid: berth_base::HostPid| {
        let name = format!("bwrap/{pid}");
        let index = map.expect(
            &name,
            &Expected {
                evidence: &[EvidenceKind::Program],
                confidence: Confidence::Guess,
                image: None,
                pod: None,
            },
        );
        map.assert_outside(index, "bwrap");
        map.comms(index)
    };
    // The first processes: children of a bwrap whose parent is not one.
    let all = map.world.processes().iter();
    let first = all.filter(|p| {
        let maker = map.world.parent(p).filter(|p| p.comm == "bwrap");
        let above = maker.and_then(|maker| map.world.parent(maker));
        above.is_some_and(|above| above.comm != "bwrap") && is_in(&world, &map, p.pid)
    });
    let mut found: Vec<Vec<&str>> = first.map(|p| comms(p.pid)).collect();
    found.sort();
    assert_eq!(found, [["bwrap", "sleep"], ["sh", "sleep"]]);
}

#[test]
fn the_map_knows_chromiums_sandbox() {
    if !Path::new("/usr/bin/chromium").exists() {
        return berth_testkit::skip("chromium is not installed");
    }
    let world = World::new("chromium");
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    // Its sandbox is for users: root would have to turn it off.
    let browser = [
        "env",
        "HOME=/dev/shm",
        "chromium",
        "--headless",
        "--disable-gpu",
    ];
    let page = [
        "--user-data-dir=/dev/shm/profile",
        "about:blank",
        "--remote-debugging-port=0",
    ];
    let _browser = world.daemon(&[&nobody[..], &browser, &page].concat(), &[]);
    let find = |map: &Map| {
        let all = map.world.indexed_containers();
        let chrome = all.filter(|(_, c)| c.engine == Engine::Chrome);
        let here = chrome.filter(|(_, c)| is_in(&world, map, c.init.unwrap()));
        here.map(|(index, _)| index).collect::<Vec<_>>()
    };
    // The zygote, its child, and at least one process of a PID namespace below.
    eventually("a sandboxed process", || {
        let map = Map::read();
        find(&map).iter().any(|index| map.owned(*index).len() > 2)
    });
    let map = Map::read();
    let found = find(&map);
    assert_eq!(found.len(), 1, "{found:?}");
    let zygote = map.world.container(found[0]).unwrap().clone();
    let name = zygote.display_name();
    let index = map.expect(
        &name,
        &Expected {
            evidence: &[EvidenceKind::Program],
            confidence: Confidence::Guess,
            image: None,
            pod: None,
        },
    );
    map.assert_outside(index, "chromium");
    let init = map.world.process(zygote.init.unwrap()).unwrap();
    let user = init.namespaces.of(NamespaceKind::User);
    let processes = map.world.processes().iter();
    let sandboxed = processes.filter(|p| p.namespaces.of(NamespaceKind::User) == user);
    let sandboxed: Vec<_> = sandboxed.map(|p| p.pid).collect();
    let owned: Vec<_> = map.owned(index).iter().map(|p| p.pid).collect();
    assert_eq!(owned, sandboxed);
}

/// Whether a process lives in the world.
fn is_in(world: &World, map: &Map, pid: berth_base::HostPid) -> bool {
    let process = map.world.process(pid).unwrap();
    let own = world.namespace("pid");
    let chain = map.world.pid_namespaces(process);
    chain.iter().flatten().any(|id| id.to_string() == own)
}
