//! Containers of other engines: fixtures of their files, as the engines were seen to write them or
//! as they document them, and what a hostile container makes of them.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::os::unix::fs::{MetadataExt as _, symlink};

use berth_map::discover::{EngineRoot, EngineRoots, Sources};
use berth_map::lookup;
use berth_map::model::{Confidence, Container, Engine, EvidenceKind, World};
use serde_json::json;
use support::{Fake, FakeHost, id, pid};

/// A host with an init, and these.
fn host(processes: &[Fake]) -> FakeHost {
    let init = Fake::new(&[1], 0, "systemd");
    FakeHost::new(&[&[init], processes].concat())
}

fn container<'w>(world: &'w World, name: &str) -> &'w Container {
    let index = world.find_container(name);
    let all: Vec<_> = world
        .containers()
        .iter()
        .map(Container::display_name)
        .collect();
    world
        .container(index.unwrap_or_else(|e| panic!("{e}: {all:?}, {:?}", world.warnings())))
        .unwrap()
}

/// `NAME:PID` of a process, by the whole host and by the small snapshot, which agree.
fn answer(host: &FakeHost, number: u32) -> String {
    let large = host
        .world()
        .resolve(pid(number))
        .unwrap()
        .answer
        .to_string();
    let found = lookup::find(&host.sources(), &number.to_string().parse().unwrap()).unwrap();
    assert_eq!(found.resolution().unwrap().answer.to_string(), large);
    let back = lookup::find(&host.sources(), &large.parse().unwrap()).unwrap();
    assert_eq!(back.pid.get(), number, "{large}");
    large
}

fn docker_config(digit: char, name: &str, pid: u32) -> String {
    json!({
        "ID": id(digit),
        "Name": format!("/{name}"),
        "State": {"Running": true, "Paused": false, "Pid": pid, "StartedAt": "2026-11-25T21:27:09Z"},
        "Config": {"Image": "nginx:1.27", "Labels": null},
        "Driver": "overlay2",
    })
    .to_string()
}

fn docker_file(digit: char) -> String {
    format!("var/lib/docker/containers/{}/config.v2.json", id(digit))
}

fn docker_process(digit: char, pids: &[u32], base: u64) -> Fake {
    let cgroup = format!("/system.slice/docker-{}.scope", id(digit));
    Fake::new(pids, 1, "nginx").isolated(base).cgroup(&cgroup)
}

#[test]
fn docker_is_known_at_its_usual_place_and_at_a_given_one() {
    let host = host(&[
        docker_process('a', &[500, 1], 200),
        docker_process('a', &[501, 7], 200),
        docker_process('b', &[600, 1], 300),
    ]);
    host.write(&docker_file('a'), &docker_config('a', "web", 500));
    let elsewhere = format!("srv/docker/containers/{}/config.v2.json", id('b'));
    host.write(&elsewhere, &docker_config('b', "db", 600));
    assert_eq!(answer(&host, 501), "docker/web:7");
    assert_eq!(answer(&host, 600), format!("docker/{}:1", &id('b')[..12]));
    let given = || {
        let mut sources = host.sources();
        sources.roots.more.push(EngineRoot {
            engine: Engine::Docker,
            data: Some("/srv/docker".into()),
            state: None,
        });
        sources
    };
    let world = World::discover(&given()).unwrap();
    let db = container(&world, "docker/db");
    assert_eq!(db.image.as_deref(), Some("nginx:1.27"));
    assert_eq!(db.confidence(), Confidence::Certain);
    assert_eq!(db.evidence[0].kind, EvidenceKind::StateFile);
    assert!(db.evidence[0].detail.ends_with(&elsewhere), "{db:?}");
    let found = lookup::find(&given(), &"600".parse().unwrap()).unwrap();
    assert_eq!(
        found.resolution().unwrap().answer.to_string(),
        "docker/db:1"
    );
    // daemon.json says the same to everybody.
    host.write("etc/docker/daemon.json", r#"{"data-root": "/srv/docker"}"#);
    assert_eq!(answer(&host, 600), "docker/db:1");
}

#[test]
fn a_record_is_believed_of_the_process_that_it_was_written_of() {
    let named = docker_process('a', &[500, 1], 200);
    let elsewhere = Fake::new(&[600, 1], 1, "sh")
        .isolated(300)
        .cgroup("/custom");
    let zombie = docker_process('c', &[700, 1], 400).state('Z');
    let host = host(&[named, elsewhere, zombie]);
    for (digit, pid) in [('a', 500), ('b', 600), ('c', 700), ('d', 900)] {
        let name = format!("c-{digit}");
        host.write(&docker_file(digit), &docker_config(digit, &name, pid));
    }
    let known = |host: &FakeHost| {
        let world = host.world();
        let mut names: Vec<_> = world.containers().iter().map(|c| c.name.clone()).collect();
        names.sort();
        names
    };
    let short_c = id('c')[..12].to_owned();
    assert_eq!(known(&host), ["c-a", "c-b", &short_c]);
    // Written before the process began: its PID was given to another. Where the cgroup bears the
    // id it is the container's all the same, whatever the clock was.
    for digit in ['a', 'b'] {
        let path = host.root().join(docker_file(digit));
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    assert_eq!(known(&host), ["600", "c-a", &short_c]);
}

#[test]
fn what_is_damaged_is_said_and_cgroups_still_tell() {
    let host = host(&[
        docker_process('a', &[500, 1], 200),
        docker_process('b', &[600, 1], 300),
        docker_process('c', &[700, 1], 400),
        docker_process('d', &[800, 1], 500),
    ]);
    host.write(&docker_file('a'), "{\"ID\": \"\u{1b}[2J");
    host.write(
        &docker_file('b'),
        r#"{"ID": "b", "Version": 3, "Containers": []}"#,
    );
    host.write(&docker_file('c'), &docker_config('a', "other", 700));
    let path = host.root().join(docker_file('d'));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let long = std::fs::File::create(path).unwrap();
    long.set_len(1 << 30).unwrap();
    host.write(
        "run/containerd/io.containerd.runtime.v9.task/default/x/init.pid",
        "1",
    );
    let world = host.world();
    for number in [500, 600, 700, 800] {
        let answer = world.resolve(pid(number)).unwrap().answer.to_string();
        assert!(
            answer.starts_with("docker/") && answer.ends_with(":1"),
            "{answer}"
        );
    }
    let warnings = world.warnings();
    let says = |at: usize, what: &str| assert!(warnings[at].contains(what), "{warnings:#?}");
    says(0, "is damaged or of an unknown version (line 1, column");
    says(1, "is damaged or of an unknown version");
    says(2, "names another container");
    says(3, "is longer than");
    says(4, "v9.task is of an unknown version");
    assert_eq!(warnings.len(), 5);
    assert!(!warnings.join("").contains('\x1b'));
}

#[test]
fn warnings_are_few_however_much_is_damaged() {
    let host = host(&[]);
    for number in 0..50 {
        let path = format!("var/lib/docker/containers/{number:064x}/config.v2.json");
        host.write(&path, "{");
    }
    assert_eq!(host.world().warnings().len(), 5);
}

#[test]
fn a_container_cannot_take_anothers_name_or_place() {
    // In container b: a cgroup that bears a's id, and one called like LXC's container on the host.
    let inside = format!("/system.slice/docker-{}.scope", id('b'));
    let evil = |pids: &[u32], below: &str| {
        let cgroup = format!("{inside}/{below}");
        Fake::new(pids, 600, "evil").isolated(300).cgroup(&cgroup)
    };
    let host = host(&[
        docker_process('a', &[500, 1], 200),
        docker_process('b', &[600, 1], 300),
        evil(&[601, 2], &format!("docker-{}.scope", id('a'))),
        evil(&[602, 3], "lxc.payload.web"),
        evil(&[603, 4], "libpod-conmon-x"),
        Fake::new(&[700, 1], 1, "init")
            .isolated(400)
            .cgroup("/lxc.payload.web"),
    ]);
    host.write(&docker_file('a'), &docker_config('a', "a", 500));
    host.write(&docker_file('b'), &docker_config('b', "b", 600));
    assert_eq!(answer(&host, 601), "docker/b:2");
    assert_eq!(answer(&host, 603), "docker/b:4");
    let world = host.world();
    let owner = |number| world.container(world.owner(pid(number)).unwrap()).unwrap();
    // A container within b, by its own word; what the host's is called does not depend on it.
    let imitation = owner(602);
    assert_eq!(
        (imitation.engine, imitation.name.as_str()),
        (Engine::Lxc, "web")
    );
    assert_eq!(
        world.container(imitation.parent.unwrap()).unwrap().name,
        "b"
    );
    let honest = world.find_container("lxc/web").unwrap();
    assert_eq!(world.container(honest).unwrap().init, Some(pid(700)));
}

#[test]
fn a_user_speaks_of_own_processes_only() {
    let bundle = format!(
        "run/user/1000/containers/overlay-containers/{}/userdata",
        id('a')
    );
    let theirs = Fake::new(&[500, 1], 1, "sh").isolated(200);
    let host = host(&[theirs]);
    host.write(&format!("{bundle}/pidfile"), "500");
    let owner = std::os::unix::fs::chown;
    let path = host.root().join(format!("{bundle}/pidfile"));
    if owner(&path, Some(1000), None).is_err() {
        return eprintln!("skipped: needs root to give a file away");
    }
    let engines = |host: &FakeHost| -> Vec<Engine> {
        host.world().containers().iter().map(|c| c.engine).collect()
    };
    assert_eq!(engines(&host), [Engine::Unshare]);
    owner(&path, Some(0), None).unwrap();
    assert_eq!(engines(&host), [Engine::Podman]);
}

#[test]
fn crio_is_known_by_its_annotations() {
    let folder = format!(
        "run/containers/storage/overlay-containers/{}/userdata",
        id('a')
    );
    let cgroup = format!("/kubepods.slice/kubepods-pod7.slice/crio-{}.scope", id('a'));
    let host = host(&[Fake::new(&[500, 1], 1, "web").isolated(200).cgroup(&cgroup)]);
    host.write(&format!("{folder}/pidfile"), "500");
    let config = json!({
        "ociVersion": "1.1.0",
        "annotations": {
            "io.container.manager": "cri-o",
            "io.kubernetes.container.name": "web",
            "io.kubernetes.cri-o.ContainerType": "container",
            "io.kubernetes.cri-o.ImageName": "registry.example/web:1",
            "io.kubernetes.cri-o.SandboxID": id('b'),
            "io.kubernetes.pod.name": "api-7d9",
            "io.kubernetes.pod.namespace": "shop",
            "io.kubernetes.pod.uid": "0a1b",
        },
        "linux": {"cgroupsPath": format!("kubepods-pod7.slice:crio:{}", id('a'))},
    });
    host.write(&format!("{folder}/config.json"), &config.to_string());
    assert_eq!(answer(&host, 500), "crio/shop/api-7d9/web:1");
    let world = host.world();
    let web = container(&world, "k8s/api-7d9/web");
    assert_eq!(web.engine, Engine::Crio);
    assert_eq!(web.image.as_deref(), Some("registry.example/web:1"));
    let pod = web.pod.as_ref().unwrap();
    assert_eq!(pod.id.as_deref(), Some("0a1b"));
    assert_eq!(web.confidence(), Confidence::Certain);
}

#[test]
fn incus_is_known_by_its_monitor() {
    let title = "[lxc monitor] /var/lib/incus/containers pier";
    let host = host(&[
        Fake::new(&[400], 1, "incusd").cgroup("/lxc.monitor.pier"),
        Fake::new(&[500, 1], 400, "systemd")
            .isolated(200)
            .cgroup("/lxc.payload.pier/init.scope"),
        Fake::new(&[501, 9], 1, "sh")
            .isolated(200)
            .cgroup("/lxc.payload.pier"),
    ]);
    host.command(400, &[title]);
    host.write(
        "var/lib/incus/containers/pier/backup.yaml",
        "container:\n  config:\n    image.description: Debian bookworm amd64 (20261101)\n",
    );
    assert_eq!(answer(&host, 501), "incus/pier:9");
    let world = host.world();
    let pier = container(&world, "incus/pier");
    assert_eq!(
        pier.image.as_deref(),
        Some("Debian bookworm amd64 (20261101)")
    );
    assert_eq!(pier.confidence(), Confidence::Certain);
    assert_eq!(world.containers().len(), 1);
}

#[test]
fn registered_machines_are_nspawns() {
    let unit = "/machine.slice/systemd-nspawn@deb.service";
    let host = host(&[
        Fake::new(&[500, 1], 1, "systemd")
            .isolated(200)
            .cgroup(&format!("{unit}/payload")),
        Fake::new(&[600, 1], 1, "init")
            .isolated(300)
            .cgroup("/machine.slice/x.scope/payload"),
        Fake::new(&[601, 2], 600, "sh")
            .isolated(300)
            .cgroup("/machine.slice/x.scope/payload/y"),
    ]);
    let machine = |name: &str, unit: &str, leader: u32| {
        format!(
            "# This is private data. Do not parse.\nNAME={name}\nSCOPE={unit}\n\
             SERVICE=systemd-nspawn\nROOT=/var/lib/machines/{name}\nCLASS=container\n\
             LEADER={leader}\nREALTIME=1\n"
        )
    };
    let folder = "run/systemd/machines";
    host.write(
        &format!("{folder}/deb"),
        &machine("deb", "systemd-nspawn@deb.service", 500),
    );
    host.write(&format!("{folder}/mole"), &machine("mole", "x.scope", 600));
    host.write(&format!("{folder}/vm"), "CLASS=vm\nLEADER=1\n");
    symlink(
        "deb",
        host.root()
            .join(format!("{folder}/unit:systemd-nspawn@deb.service")),
    )
    .unwrap();
    assert_eq!(answer(&host, 500), "nspawn/deb:1");
    assert_eq!(answer(&host, 601), "nspawn/mole:2");
    let world = host.world();
    let mole = container(&world, "nspawn/mole");
    assert_eq!(mole.image.as_deref(), Some("/var/lib/machines/mole"));
    let kinds: Vec<_> = mole.evidence.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [EvidenceKind::StateFile, EvidenceKind::CgroupPath]);
    assert_eq!(world.containers().len(), 2);
}

#[test]
fn flatpaks_are_known_by_their_instances() {
    let host = host(&[
        Fake::new(&[400], 1, "bwrap"),
        Fake::new(&[500, 1], 400, "bwrap").isolated(200),
        Fake::new(&[501, 2], 500, "gedit").isolated(200),
    ]);
    let folder = "run/user/0/.flatpak/2718281828";
    host.write(
        &format!("{folder}/bwrapinfo.json"),
        r#"{"child-pid": 500, "net-namespace": 4}"#,
    );
    let info = "[Application]\nname=org.gnome.gedit\nruntime=runtime/org.gnome.Platform/x86_64/44\n\
                \n[Instance]\ninstance-id=2718281828\n";
    host.write(&format!("{folder}/info"), info);
    assert_eq!(answer(&host, 501), "flatpak/org.gnome.gedit:2");
    let world = host.world();
    let gedit = container(&world, "flatpak/2718281828");
    assert_eq!(
        gedit.image.as_deref(),
        Some("runtime/org.gnome.Platform/x86_64/44")
    );
    assert_eq!(gedit.init, Some(pid(500)));
    assert_eq!(world.containers().len(), 1);
}

#[test]
fn snaps_are_known_by_cgroup_and_mount_namespace() {
    let unit = "snap.firefox.firefox-4a5f2c1e-7d5b-4a0e-9d4f-0123456789ab.scope";
    let cgroup = format!("/user.slice/user-1000.slice/user@1000.service/app.slice/{unit}");
    let other = "/system.slice/snap.lxd.daemon.service";
    let file = "run/snapd/ns/firefox.mnt";
    let scratch = host(&[]);
    scratch.write(file, "");
    let inode = std::fs::metadata(scratch.root().join(file)).unwrap().ino();
    let host = host(&[
        Fake::new(&[500], 1, "firefox")
            .ns("mnt", inode)
            .cgroup(&cgroup),
        Fake::new(&[501], 500, "Web Content")
            .ns("mnt", inode)
            .cgroup(&cgroup),
        Fake::new(&[600], 1, "lxd").cgroup(other),
    ]);
    let kept = host.root().join("run/snapd");
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::rename(scratch.root().join("run/snapd"), kept).unwrap();
    let world = host.world();
    let name = "firefox.firefox-4a5f2c1e-7d5b-4a0e-9d4f-0123456789ab";
    let firefox = container(&world, &format!("snap/{name}"));
    assert_eq!(firefox.confidence(), Confidence::Certain);
    assert_eq!(firefox.image.as_deref(), Some("firefox"));
    assert_eq!(
        container(&world, "snap/lxd.daemon").confidence(),
        Confidence::Likely
    );
    assert_eq!(answer(&host, 501), format!("snap/{name}:501"));
}

#[test]
fn chromes_zygote_is_its_sandbox() {
    let zygote = |pids: &[u32], parent, base: u64| {
        Fake::new(pids, parent, "chrome")
            .isolated(base)
            .ns("mnt", 103)
            .ns("user", base)
    };
    let host = host(&[
        Fake::new(&[400], 1, "chrome"),
        zygote(&[500, 1], 400, 200),
        zygote(&[510, 4, 1], 500, 300),
        zygote(&[520, 5, 1], 500, 400),
        Fake::new(&[600], 400, "chrome"),
    ]);
    host.command(
        500,
        &["/opt/chrome/chrome --type=zygote --crashpad-handler-pid=7"],
    );
    host.command(510, &["/opt/chrome/chrome", "--type=renderer"]);
    assert_eq!(answer(&host, 510), "chrome/500:4");
    let world = host.world();
    let chrome = container(&world, "chrome/500");
    assert_eq!(chrome.confidence(), Confidence::Guess);
    assert_eq!(chrome.evidence[0].kind, EvidenceKind::Program);
    assert_eq!(world.containers().len(), 1);
    assert_eq!(answer_whole(&world, 600), "host:600");
}

fn answer_whole(world: &World, number: u32) -> String {
    world.resolve(pid(number)).unwrap().answer.to_string()
}

#[test]
fn an_engine_in_a_container_is_believed_about_that_container_only() {
    // kind: containerd within a container of Docker's, its pods in cgroups below.
    let node = format!("/docker/{}", id('a'));
    let inner = format!("{node}/kubelet/kubepods/pod7/{}", id('b'));
    let host = host(&[
        Fake::new(&[500, 1], 1, "systemd")
            .isolated(200)
            .cgroup(&node),
        Fake::new(&[510, 5], 500, "containerd")
            .isolated(200)
            .cgroup(&node),
        Fake::new(&[520, 6, 1], 500, "nginx")
            .isolated(300)
            .cgroup(&inner),
        Fake::new(&[521, 7, 2], 520, "worker")
            .isolated(300)
            .cgroup(&inner),
        Fake::new(&[7], 1, "sshd").cgroup("/system.slice/ssh.service"),
    ]);
    host.write(&docker_file('a'), &docker_config('a', "node", 500));
    host.command(510, &["/usr/local/bin/containerd"]);
    let tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io";
    let own = |path: &str, text: &str| host.write_in(510, &format!("{tasks}/{path}"), text);
    let annotations = json!({
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.sandbox-name": "api",
        "io.kubernetes.cri.sandbox-namespace": "default",
    });
    own(&format!("{}/init.pid", id('b')), "6");
    let config = json!({ "annotations": annotations }).to_string();
    own(&format!("{}/config.json", id('b')), &config);
    // PID 7 in there is the worker, not the host's sshd.
    own("evil/init.pid", "7");
    own("none/init.pid", "400");
    let world = host.world();
    assert_eq!(answer_whole(&world, 520), "containerd/default/api/web:1");
    assert_eq!(answer_whole(&world, 7), "host:7");
    let web = container(&world, "k8s/default/api/web");
    let parent = world.container(web.parent.unwrap()).unwrap();
    assert_eq!(parent.display_name(), "docker/node");
    assert!(
        web.evidence[0].detail.starts_with("/proc/510/root/"),
        "{web:?}"
    );
}

#[test]
fn links_in_a_containers_files_are_not_followed() {
    let node = format!("/docker/{}", id('a'));
    let host = host(&[
        Fake::new(&[500, 1], 1, "dockerd")
            .isolated(200)
            .cgroup(&node),
        Fake::new(&[510, 2, 1], 500, "x")
            .isolated(300)
            .cgroup(&node),
    ]);
    host.command(500, &["dockerd"]);
    host.write_in(500, "elsewhere/config.v2.json", &docker_config('b', "b", 2));
    let folder = host.proc().join("500/root/var/lib/docker/containers");
    std::fs::create_dir_all(&folder).unwrap();
    symlink("/elsewhere", folder.join(id('b'))).unwrap();
    let world = host.world();
    assert!(world.find_container("docker/b").is_err());
    assert_eq!(world.warnings().len(), 1, "{:?}", world.warnings());
}

#[test]
fn a_process_of_a_container_is_no_daemon_of_the_hosts() {
    // It shares the host's PID namespace, and calls itself dockerd.
    let node = format!("/docker/{}", id('a'));
    let evil = Fake::new(&[500], 1, "dockerd").isolated(200).ns("pid", 100);
    let host = host(&[
        evil.cgroup(&node),
        Fake::new(&[600], 1, "sshd").cgroup("/system.slice/ssh.service"),
    ]);
    host.command(500, &["dockerd"]);
    host.write_in(500, &docker_file('b'), &docker_config('b', "b", 600));
    let world = host.world();
    assert!(world.find_container("docker/b").is_err());
    assert_eq!(answer_whole(&world, 600), "host:600");
}

#[test]
fn bubblewrap_and_unshare_within_a_container_stay_in_it() {
    let web = format!("/docker/{}", id('a'));
    let inside = |pids: &[u32], parent, comm: &str, base| {
        Fake::new(pids, parent, comm).isolated(base).cgroup(&web)
    };
    let host = host(&[
        inside(&[500, 1], 1, "sh", 200),
        inside(&[510, 2], 500, "bwrap", 200),
        inside(&[511, 3, 1], 510, "bwrap", 300),
        inside(&[512, 4, 2], 511, "app", 300),
        inside(&[520, 5], 500, "unshare", 200),
        inside(&[521, 6, 1], 520, "sh", 400),
        Fake::new(&[700], 1, "unshare"),
        Fake::new(&[701, 1], 700, "sh").isolated(500),
        Fake::new(&[702, 2, 1], 701, "sh").isolated(600),
    ]);
    host.write(&docker_file('a'), &docker_config('a', "web", 500));
    host.command(510, &["bwrap", "--unshare-pid", "app"]);
    assert_eq!(answer(&host, 512), "bwrap/511:2");
    assert_eq!(answer(&host, 521), "docker/web:6");
    assert_eq!(answer(&host, 702), "unshare/701:2");
    let world = host.world();
    let sandbox = container(&world, "bwrap/511");
    assert_eq!(
        world.container(sandbox.parent.unwrap()).unwrap().name,
        "web"
    );
    let plain = container(&world, "unshare/701");
    assert_eq!(plain.evidence[0].detail, "unshare");
    assert_eq!(plain.confidence(), Confidence::Guess);
}

#[test]
fn without_roots_no_file_is_read() {
    let host = host(&[docker_process('a', &[500, 1], 200)]);
    host.write(&docker_file('a'), &docker_config('a', "web", 500));
    let sources = Sources {
        roots: EngineRoots::default(),
        ..host.sources()
    };
    let world = World::discover(&sources).unwrap();
    let name = format!("docker/{}", &id('a')[..12]);
    assert_eq!(container(&world, &name).confidence(), Confidence::Likely);
}
