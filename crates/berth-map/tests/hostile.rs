//! Files of other engines that are damaged, outdated, or written by somebody who wants to be taken
//! for another.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::os::unix::fs::symlink;

use berth_map::model::{Engine, EvidenceKind};
use proptest::prelude::*;
use serde_json::json;
use support::engines::{
    answer, answer_whole, container, docker_config, docker_file, docker_process, host,
};
use support::{Fake, FakeHost, id, pid};

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

/// A container of Docker's that has a daemon of its own, and a container of that one.
fn docker_in_docker() -> FakeHost {
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
    host
}

#[test]
fn links_in_a_containers_files_are_not_followed() {
    let host = docker_in_docker();
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
fn a_user_takes_no_name_from_roots_containers() {
    let mine = |digit, number, base| {
        let process = docker_process(digit, &[number, 1], base);
        process.cgroup(&format!("/user.slice/docker-{}.scope", id(digit)))
    };
    let host = host(&[
        docker_process('a', &[500, 1], 200),
        mine('b', 600, 300),
        mine('c', 700, 400),
    ]);
    host.write(&docker_file('a'), &docker_config('a', "web", 500));
    host.write("etc/passwd", "u:x:1000:1000::/home/u:/bin/sh\n");
    std::fs::create_dir_all(host.root().join("run/user/1000")).unwrap();
    let theirs = |folder: char, digit, name, number| {
        let folder = format!("home/u/.local/share/docker/containers/{}", id(folder));
        let path = format!("{folder}/config.v2.json");
        host.write(&path, &docker_config(digit, name, number));
        std::os::unix::fs::chown(host.root().join(path), Some(1000), None)
    };
    if theirs('b', 'b', "web", 600).is_err() {
        return eprintln!("skipped: needs root to give a file away");
    }
    theirs('a', 'a', "other", 700).unwrap();
    let world = host.world();
    // Neither process is the user's, so nothing that the files say is believed.
    let web = world.container(world.find_container("docker/web").unwrap());
    assert_eq!(web.unwrap().init, Some(pid(500)));
    assert_eq!(world.containers().len(), 3);
    // Read by that user the files count, and still take nothing away.
    let reader = std::thread::spawn(move || {
        let user = rustix::fs::Uid::from_raw(1000);
        rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        host.world()
    });
    let world = reader.join().unwrap();
    let web = world.container(world.find_container("docker/web").unwrap());
    assert_eq!(web.unwrap().init, Some(pid(500)));
    let own = format!("docker/{}", &id('b')[..12]);
    assert_eq!(
        container(&world, &own).evidence[0].kind,
        EvidenceKind::StateFile
    );
}

#[test]
fn file_systems_that_may_not_answer_are_left_alone() {
    let host = docker_in_docker();
    host.write_in(500, &docker_file('b'), &docker_config('b', "b", 2));
    assert!(host.world().find_container("docker/b").is_ok());
    let mountinfo = host.proc().join("500/mountinfo");
    let mount = |point: &str| {
        let line = format!("36 35 98:0 / {point} rw - fuse.trap trap rw\n");
        std::fs::write(&mountinfo, line).unwrap();
        host.world()
    };
    for point in ["/var/lib/docker", "/"] {
        let world = mount(point);
        assert!(world.find_container("docker/b").is_err(), "{point}");
    }
    assert!(mount("/var/lib/dock").find_container("docker/b").is_ok());
}

/// Every kind of file that is read of an engine's.
fn places() -> Vec<String> {
    let task = format!(
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/{}",
        id('b')
    );
    let userdata = format!(
        "run/containers/storage/overlay-containers/{}/userdata",
        id('c')
    );
    let graph = "var/lib/containers/storage";
    vec![
        docker_file('a'),
        "etc/docker/daemon.json".to_owned(),
        "etc/containerd/config.toml".to_owned(),
        "etc/containers/storage.conf".to_owned(),
        "etc/passwd".to_owned(),
        format!("{task}/init.pid"),
        format!("{task}/config.json"),
        format!("{userdata}/pidfile"),
        format!("{userdata}/config.json"),
        format!("{graph}/overlay-containers/containers.json"),
        format!("{graph}/db.sql"),
        "run/systemd/machines/deb".to_owned(),
        "run/user/0/.flatpak/1/bwrapinfo.json".to_owned(),
        "run/user/0/.flatpak/1/info".to_owned(),
    ]
}

/// Texts that such files could hold, whole or in part.
fn contents() -> impl Strategy<Value = String> {
    let crio = json!({
        "annotations": {"io.container.manager": "cri-o"},
        "linux": {"cgroupsPath": format!("::{}", id('c'))},
    });
    let stored = json!([{"id": id('c'), "names": ["x"], "metadata": "{"}]);
    let known = prop::sample::select(vec![
        docker_config('a', "\u{1b}[2J", 500),
        "500".to_owned(),
        crio.to_string(),
        stored.to_string(),
        "CLASS=container\nLEADER=500\nSCOPE=/\n".to_owned(),
        "{\"child-pid\": 500}".to_owned(),
    ]);
    let cut = (known.clone(), 0..200usize).prop_map(|(text, at)| text.chars().take(at).collect());
    prop_oneof![known, cut, ".{0,80}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the files hold, the map is made, warnings are few and harmless, and nobody but
    /// the process at hand is taken for a container.
    #[test]
    fn any_file_is_survived(texts in prop::collection::vec(contents(), 14)) {
        let host = host(&[Fake::new(&[500, 1], 1, "sh").isolated(200)]);
        for (place, text) in places().iter().zip(&texts) {
            host.write(place, text);
        }
        let world = host.world();
        prop_assert_eq!(world.containers().len(), 1, "{:?}", world.containers());
        prop_assert!(world.warnings().len() < 40);
        prop_assert!(world.warnings().iter().all(|line| !line.contains('\x1b')));
        prop_assert!(world.owner(pid(1)).is_none());
        prop_assert!(world.owner(pid(500)).is_some());
    }
}
