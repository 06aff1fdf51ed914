//! Translation and attribution on fake hosts.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use std::str::FromStr as _;

use berth_base::ErrorClass;
use berth_map::discover::Sources;
use berth_map::lookup::{self, LookupError};
use berth_map::model::{Engine, EvidenceKind, StaleReason, World};
use berth_map::translate::{PidError, PidSpec};
use support::{Fake, FakeHost, HOST_PIDNS, id, pid, run_file, three_levels};

/// What `berth pid SPEC` prints, and what `--in` adds: the host PID, the answer.
fn ask(sources: &Sources, spec: &str) -> Result<(u32, String), LookupError> {
    let found = lookup::find(sources, &PidSpec::from_str(spec)?)?;
    let resolution = found.resolution()?;
    Ok((found.pid.get(), resolution.answer.to_string()))
}

#[test]
fn every_process_is_answered_for_and_the_whole_scan_agrees() {
    let host = three_levels();
    let sources = host.sources();
    let world = host.world();
    let table = [
        (1, "host:1"),
        (400, "host:400"),
        (500, "web:1"),
        (501, "web:7"),
        (502, "web:8"),
        (510, "web:12"),
        (520, "web:20"),
        (521, "web:21"),
        (522, "web:22"),
        (600, "side:40"),
        (700, "agent:700"),
    ];
    for (number, answer) in table {
        assert_eq!(
            ask(&sources, &number.to_string()).unwrap(),
            (number, answer.to_owned())
        );
        assert_eq!(
            world.resolve(pid(number)).unwrap().answer.to_string(),
            answer
        );
        assert_eq!(ask(&sources, answer).unwrap().0, number, "{answer}");
    }
    assert!(world.warnings().is_empty(), "{:?}", world.warnings());
}

#[test]
fn every_level_is_named() {
    let host = three_levels();
    for world in [
        host.world(),
        World::around(&host.sources(), pid(500)).unwrap().unwrap(),
    ] {
        let levels = world.resolve(pid(500)).unwrap().levels;
        let shown: Vec<_> = levels
            .iter()
            .map(|l| (l.level, l.namespace.map(|n| n.inode), l.pid))
            .collect();
        assert_eq!(shown, [(0, Some(HOST_PIDNS), 500), (1, Some(200), 1)]);
        assert_eq!(world.container_label(levels[1].container.unwrap()), "web");
    }
    let world = host.world();
    let levels = world.resolve(pid(522)).unwrap().levels;
    let inodes: Vec<_> = levels.iter().map(|l| l.namespace.unwrap().inode).collect();
    assert_eq!(inodes, [HOST_PIDNS, 200, 300]);
    assert!(levels[2].container.is_none());
}

#[test]
fn a_process_is_seen_from_outer_containers_only() {
    let host = three_levels();
    let sources = host.sources();
    let found = lookup::find(&sources, &PidSpec::Host(pid(521))).unwrap();
    assert_eq!(lookup::seen_from(&sources, &found, "host").unwrap(), 521);
    assert_eq!(lookup::seen_from(&sources, &found, "web").unwrap(), 21);
    assert_eq!(lookup::seen_from(&sources, &found, "side").unwrap(), 21);
    let agent = lookup::find(&sources, &PidSpec::Host(pid(700))).unwrap();
    let error = lookup::seen_from(&sources, &agent, "web").unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert_eq!(
        error.to_string(),
        "process 700 on the host cannot be seen from container web: it does not live in that \
         container's PID namespace or one below"
    );
}

#[test]
fn what_is_not_there_is_said() {
    let host = three_levels();
    let sources = host.sources();
    let message = |spec: &str| ask(&sources, spec).unwrap_err().to_string();
    assert!(message("4000").starts_with("no process has the host PID 4000"));
    assert!(message("web:4000").starts_with("no process has PID 4000 in container web"));
    assert!(message("nosuch:1").starts_with("no running container is called \"nosuch\""));
    assert!(message("docker/x:1").starts_with("no running container is called \"docker/x\""));
    assert!(message("web:0").contains("PIDs count from 1"));
    assert!(message("we b").starts_with("not a PID: \"we b\""));
}

#[test]
fn a_run_file_is_believed_only_for_the_very_process() {
    let alive = Fake::new(&[500, 1], 1, "sh").isolated(200);
    let host = FakeHost::new(&[Fake::new(&[1], 0, "init"), alive.clone()]);
    let mut reused = run_file('a', "reused", &alive, true);
    reused.init.start_ticks += 1;
    let mut rebooted = run_file('b', "rebooted", &alive, true);
    rebooted.init.boot_id = "another".to_owned();
    let mut ended = run_file('c', "ended", &alive, true);
    ended.init.pid = pid(999);
    for run in [&reused, &rebooted, &ended] {
        host.record_run(run);
    }
    let world = host.world();
    let engines: Vec<_> = world.containers().iter().map(|c| c.engine).collect();
    assert_eq!(engines, [Engine::Unshare]);
    let reasons: Vec<_> = world.stale().iter().map(|s| s.reason).collect();
    assert_eq!(
        reasons,
        [
            StaleReason::PidReused,
            StaleReason::OtherBoot,
            StaleReason::Ended
        ]
    );
    assert_eq!(ask(&host.sources(), "500").unwrap().1, "unshare/500:1");
    let error = ask(&host.sources(), "ended:1").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Conflict);
    assert!(error.to_string().contains("is not running"), "{error}");
}

#[test]
fn damaged_and_newer_run_files_are_warned_about_and_the_rest_goes_on() {
    let host = three_levels();
    host.record_text(&id('d'), "{\"version\": 99, \"future\": true}");
    host.record_text(&id('e'), "{\"version\": 1, \"id\":");
    let other = Fake::new(&[500, 1], 1, "x");
    host.record_text(
        &id('f'),
        &serde_json::to_string(&run_file('a', "x", &other, true)).unwrap(),
    );
    std::fs::create_dir(host.state().join("containers/starting")).unwrap();
    std::fs::write(host.state().join("containers/a-file"), "").unwrap();
    host.add_odd_name();
    let world = host.world();
    assert_eq!(world.containers().len(), 3);
    let warnings = world.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("has version 99, this berth reads up to 1"));
    assert!(warnings[1].contains("is damaged"));
    assert!(warnings[2].contains("names another container"));
}

#[test]
fn a_container_cannot_claim_another_ones_processes() {
    // A process of web made a cgroup named like side below its own.
    let web = format!("/berth/{}", id('a'));
    let init = Fake::new(&[500, 1], 1, "sh").isolated(200).cgroup(&web);
    let side = Fake::new(&[600, 1], 1, "sh")
        .isolated(300)
        .cgroup(&format!("/berth/{}", id('b')));
    let liar = Fake::new(&[501, 2], 500, "liar")
        .isolated(200)
        .cgroup(&format!("{web}/berth/{}", id('b')));
    let host = FakeHost::new(&[Fake::new(&[1], 0, "init"), init.clone(), side.clone(), liar]);
    host.record('a', "web", &init, true);
    host.record('b', "side", &side, true);
    assert_eq!(ask(&host.sources(), "501").unwrap().1, "web:2");
    for world in [
        host.world(),
        World::around(&host.sources(), pid(501)).unwrap().unwrap(),
    ] {
        let owner = world.resolve(pid(501)).unwrap().owner.unwrap();
        assert_eq!(world.container_label(owner), "web");
        assert!(world.containers().iter().all(|c| c.parent.is_none()));
    }
}

#[test]
fn a_process_outside_the_pid_namespace_is_the_hosts() {
    // In web's cgroup, but never entered its PID namespace.
    let host = three_levels();
    let web = format!("/berth/{}", id('a'));
    let all = FakeHost::new(&[
        Fake::new(&[1], 0, "init"),
        Fake::new(&[500, 1], 1, "sh").isolated(200).cgroup(&web),
        Fake::new(&[800], 1, "hook").cgroup(&web),
    ]);
    std::fs::remove_dir_all(all.state()).unwrap();
    std::fs::rename(host.state(), all.state()).unwrap();
    assert_eq!(ask(&all.sources(), "800").unwrap().1, "host:800");
    let world = all.world();
    let owner = world.resolve(pid(800)).unwrap().owner.unwrap();
    assert_eq!(world.container_label(owner), "web");
}

#[test]
fn a_process_that_joined_by_nsenter_belongs_by_pid_namespace() {
    let init = Fake::new(&[500, 1], 1, "sh").isolated(200);
    let joined = Fake::new(&[510, 9], 1, "sh").ns("pid", 200);
    let host = FakeHost::new(&[Fake::new(&[1], 0, "init"), init.clone(), joined]);
    host.record('a', "web", &init, true);
    assert_eq!(ask(&host.sources(), "510").unwrap().1, "web:9");
}

#[test]
fn other_engines_are_recognised_by_cgroup() {
    let docker = format!("/docker/{}", id('d'));
    let inner = format!("{docker}/kubelet/pod7/{}", id('e'));
    let make = |pids: &[u32], ppid, cgroup: &str| Fake::new(pids, ppid, "p").cgroup(cgroup);
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "init"),
        make(&[500, 1], 1, &docker).isolated(200),
        make(&[501, 5], 500, &docker).isolated(200),
        make(&[510, 6, 1], 501, &inner).isolated(300),
        make(&[511, 7, 2], 510, &inner).isolated(300),
        make(&[600], 1, "/lxc.payload.deb"),
    ]);
    let sources = host.sources();
    let (outer, nested) = (&id('d')[..12], &id('e')[..12]);
    let table = [
        (501, format!("docker/{outer}:5")),
        (510, format!("kubernetes/{nested}:1")),
        (511, format!("kubernetes/{nested}:2")),
        (600, "lxc/deb:600".to_owned()),
    ];
    let world = host.world();
    for (number, answer) in table {
        assert_eq!(ask(&sources, &number.to_string()).unwrap().1, answer);
        assert_eq!(ask(&sources, &answer).unwrap().0, number);
        assert_eq!(
            world.resolve(pid(number)).unwrap().answer.to_string(),
            answer
        );
    }
    let found = lookup::find(&sources, &PidSpec::Host(pid(511))).unwrap();
    let seen = lookup::seen_from(&sources, &found, &format!("docker/{outer}"));
    assert_eq!(seen.unwrap(), 7);
    let deepest = world.container(world.owner(pid(511)).unwrap()).unwrap();
    assert_eq!(deepest.engine, Engine::Kubernetes);
    assert!(deepest.rests_on(EvidenceKind::CgroupPath));
    assert_eq!(
        world.container(deepest.parent.unwrap()).unwrap().id,
        id('d')
    );
}

#[test]
fn a_zombie_of_an_earlier_run_is_not_the_first_process() {
    let docker = format!("/docker/{}", id('d'));
    let make = |pids: &[u32], base| Fake::new(pids, 1, "p").cgroup(&docker).isolated(base);
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "init"),
        make(&[500, 1], 200).state('Z'),
        make(&[600, 1], 300),
        make(&[601, 2], 300),
    ]);
    let answer = host.world().resolve(pid(601)).unwrap().answer.to_string();
    assert_eq!(answer, format!("docker/{}:2", &id('d')[..12]));
}

#[test]
fn processes_left_behind_keep_the_name_of_their_container() {
    let cgroup = format!("/berth/{}", id('a'));
    let init = Fake::new(&[500], 1, "init").cgroup(&cgroup);
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "init"),
        Fake::new(&[501], 1, "left").cgroup(&cgroup),
    ]);
    host.record('a', "web", &init, false);
    assert_eq!(ask(&host.sources(), "501").unwrap().1, "web:501");
    assert_eq!(
        host.world().resolve(pid(501)).unwrap().answer.to_string(),
        "web:501"
    );
}

#[test]
fn a_pid_that_ends_while_asked_for_is_not_found() {
    let host = three_levels();
    host.remove(501);
    let error = ask(&host.sources(), "501").unwrap_err();
    assert!(matches!(
        error,
        LookupError::Pid(PidError::NoProcess { .. })
    ));
    // Half gone: the directory is there, its files are not.
    std::fs::remove_file(host.proc().join("510/status")).unwrap();
    assert!(host.world().process(pid(510)).is_none());
}
