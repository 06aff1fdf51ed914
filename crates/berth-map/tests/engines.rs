//! Containers of other engines: fixtures of their files, as the engines were seen to write them or
//! as they document them.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::os::unix::fs::{MetadataExt as _, symlink};

use berth_map::discover::{EngineRoot, EngineRoots, Sources};
use berth_map::lookup;
use berth_map::model::{Confidence, Engine, EvidenceKind, World};
use serde_json::json;
use support::engines::{
    answer, answer_whole, container, docker_config, docker_file, docker_process, host,
};
use support::{Fake, id, pid};

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
    let firefox = container(&world, "snap/firefox.firefox");
    assert_eq!(firefox.id, name);
    assert_eq!(firefox.confidence(), Confidence::Certain);
    assert_eq!(firefox.image.as_deref(), Some("firefox"));
    assert_eq!(
        container(&world, "snap/lxd.daemon").confidence(),
        Confidence::Likely
    );
    assert_eq!(answer(&host, 501), "snap/firefox.firefox:501");
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
