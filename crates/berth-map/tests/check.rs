//! `berth check` on fake worlds: each rule finds what it is for, and nothing else.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod support;

use berth_base::{NamespaceId, NamespaceKind};
use berth_map::attribute::KnownContainer;
use berth_map::check::{Finding, RULES, Severity, check, worst};
use berth_map::json::{CheckDocument, SarifLog};
use berth_map::model::{
    CgroupUsage, Engine, Evidence, EvidenceKind, Holder, IdMaps, IdRange, NamespaceSet, Parts,
    Process, Thread, World,
};
use support::{Fake, id, parts, pid, three_levels};

fn known(engine: Engine, name: &str, init: &Process, kind: EvidenceKind) -> KnownContainer {
    KnownContainer {
        engine,
        id: id('a'),
        name: name.to_owned(),
        init: init.pid,
        pid_namespace: init.pid_namespace(),
        own_pid_namespace: init.is_namespace_init(),
        cgroup_dirs: Vec::new(),
        image: None,
        pod: None,
        evidence: Evidence {
            kind,
            detail: "test".to_owned(),
        },
    }
}

/// A host with one container, whose first process is host PID 500, started by a shim.
fn with_container(change: impl Fn(Fake) -> Fake) -> Parts {
    with_container_of(Engine::Docker, EvidenceKind::StateFile, change)
}

fn with_container_of(engine: Engine, kind: EvidenceKind, change: impl Fn(Fake) -> Fake) -> Parts {
    // A well isolated one: even the user and time namespaces are its own.
    let init = Fake::new(&[500, 1], 400, "nginx")
        .isolated(200)
        .ns("user", 900);
    let init = change(init).process();
    let mut all = parts(vec![
        Fake::new(&[1], 0, "systemd").process(),
        Fake::new(&[400], 1, "shim").process(),
        init.clone(),
    ]);
    all.known = vec![known(engine, "web", &init, kind)];
    all
}

fn found(parts: Parts) -> Vec<(&'static str, Severity, String)> {
    let world = World::assemble(parts);
    let line = |f: Finding| (f.rule.id, f.severity, f.reason);
    check(&world).into_iter().map(line).collect()
}

fn ids(parts: Parts) -> Vec<(&'static str, Severity)> {
    found(parts).into_iter().map(|f| (f.0, f.1)).collect()
}

#[test]
fn a_container_of_its_own_is_fine() {
    assert_eq!(found(with_container(|fake| fake)), []);
}

#[test]
fn sharing_is_weighed_by_kind() {
    for (kind, inode, expected) in [
        ("net", 104, ("BM002", Severity::Warning)),
        ("mnt", 103, ("BM003", Severity::Error)),
        ("ipc", 102, ("BM004", Severity::Warning)),
        ("uts", 108, ("BM005", Severity::Info)),
        ("cgroup", 101, ("BM006", Severity::Info)),
    ] {
        let shared = ids(with_container(|fake| fake.ns(kind, inode)));
        assert_eq!(shared, [expected], "{kind}");
    }
    // Of the engines only Berth makes time namespaces.
    let time = |engine| {
        ids(with_container_of(engine, EvidenceKind::RunFile, |f| {
            f.ns("time", 106)
        }))
    };
    assert_eq!(time(Engine::Berth), [("BM007", Severity::Info)]);
    assert_eq!(time(Engine::Docker), []);
}

#[test]
fn what_only_looks_like_a_container_may_share() {
    let guess = with_container_of(Engine::Unshare, EvidenceKind::Namespaces, |fake| {
        fake.ns("mnt", 103)
    });
    assert_eq!(ids(guess), []);
}

#[test]
fn the_pid_namespace_of_the_host_is_worse_with_its_root() {
    let shares = |user| {
        let mut all = with_container(|fake| fake);
        let init = Fake::new(&[500], 400, "agent").isolated(200);
        let init = init.ns("pid", 100).ns("user", user).process();
        all.known = vec![known(Engine::Docker, "web", &init, EvidenceKind::StateFile)];
        all.processes[2] = init;
        ids(all)
    };
    assert_eq!(shares(900), [("BM001", Severity::Warning)]);
    assert_eq!(
        shares(107),
        [("BM001", Severity::Error), ("BM010", Severity::Warning)]
    );
}

#[test]
fn root_is_root_by_namespace_and_by_mapping() {
    let by_namespace = with_container(|fake| fake.ns("user", 107));
    assert_eq!(ids(by_namespace), [("BM010", Severity::Warning)]);
    let mut by_mapping = with_container(|fake| fake);
    let user = NamespaceId {
        kind: NamespaceKind::User,
        inode: 900,
    };
    let range = |outside| IdMaps {
        uids: vec![IdRange {
            inside: 0,
            outside,
            count: 65_536,
        }],
        gids: Vec::new(),
    };
    by_mapping.details.id_maps.insert(user, range(0));
    assert_eq!(ids(by_mapping.clone()), [("BM010", Severity::Warning)]);
    by_mapping.details.id_maps.insert(user, range(100_000));
    assert_eq!(ids(by_mapping), []);
}

#[test]
fn a_limit_is_near_from_nine_tenths_on() {
    let with = |pids, limit| {
        let mut all = with_container(|fake| fake.cgroup("/web"));
        let usage = CgroupUsage {
            pids: Some(pids),
            pids_max: limit,
            ..CgroupUsage::default()
        };
        let cgroups = all.processes[2].cgroups.clone();
        all.details.usage.insert(cgroups, usage);
        ids(all)
    };
    assert_eq!(with(89, Some(100)), []);
    assert_eq!(with(90, Some(100)), [("BM020", Severity::Warning)]);
    assert_eq!(with(100, Some(100)), [("BM020", Severity::Error)]);
    assert_eq!(with(100, None), []);
}

#[test]
fn the_hosts_pids_are_counted_with_threads() {
    let with = |limit, threads: u32| {
        let mut all = with_container(|fake| fake);
        all.host.pid_max = Some(limit);
        let thread = |tid| Thread {
            tid: pid(tid),
            tids: vec![tid],
            namespaces: NamespaceSet::default(),
            comm: "t".to_owned(),
            state: 'S',
            start_ticks: 1,
        };
        all.details
            .threads
            .insert(pid(1), (1000..1000 + threads).map(thread).collect());
        ids(all)
    };
    assert_eq!(with(100, 80), []);
    assert_eq!(with(100, 87), [("BM021", Severity::Warning)]);
    assert_eq!(with(100, 97), [("BM021", Severity::Error)]);
}

#[test]
fn zombies_are_counted_by_who_leaves_them() {
    let mut all = with_container(|fake| fake);
    let inside = |pids: &[u32], parent| Fake::new(pids, parent, "x").isolated(200).ns("user", 900);
    for at in 0..3 {
        all.processes
            .push(inside(&[510 + at, 10 + at], 500).state('Z').process());
    }
    all.processes.push(inside(&[520, 20], 500).process());
    all.processes
        .push(inside(&[521, 21], 520).state('Z').process());
    let findings = found(all);
    let [(rule, severity, reason), (other, info, by)] = findings.as_slice() else {
        panic!("{findings:?}")
    };
    assert_eq!((*rule, *severity), ("BM030", Severity::Warning));
    assert_eq!(
        reason,
        "its PID 1 \"nginx\" (host PID 500) does not reap: 3 zombies (the first is host PID 510)"
    );
    assert_eq!((*other, *info), ("BM031", Severity::Info));
    assert!(
        by.contains("(host PID 520)") && by.ends_with("1 zombie (host PID 521)"),
        "{by}"
    );
}

#[test]
fn namespaces_without_life_are_leaks() {
    let net = NamespaceId {
        kind: NamespaceKind::Net,
        inode: 777,
    };
    let with = |holders: Vec<Holder>| {
        let mut all = with_container(|fake| fake);
        all.namespaces.push(berth_map::model::Namespace::new(net));
        all.details.holders.insert(net, holders);
        found(all)
    };
    let socket = Holder::Socket {
        pid: pid(400),
        fd: 9,
    };
    let mount = Holder::BindMount {
        mount_namespace: None,
        path: "/run/netns/\x1b[2J".to_owned(),
    };
    let child = Holder::Child { namespace: net };
    assert_eq!(with(vec![child.clone()]), []);
    let mounted = with(vec![mount.clone(), child]);
    assert_eq!((mounted[0].0, mounted[0].1), ("BM040", Severity::Info));
    assert!(
        mounted[0].2.ends_with("a mount at /run/netns/\\x1b[2J"),
        "{mounted:?}"
    );
    let held = with(vec![mount, socket]);
    assert_eq!((held[0].0, held[0].1), ("BM040", Severity::Warning));
    assert!(
        held[0]
            .2
            .ends_with("a socket: fd 9 of process 400 \"shim\", and 1 other"),
        "{held:?}"
    );
}

#[test]
fn a_namespace_that_a_thread_lives_in_is_no_leak() {
    let net = NamespaceId {
        kind: NamespaceKind::Net,
        inode: 777,
    };
    let mut all = with_container(|fake| fake);
    let mut namespaces = all.host.namespaces;
    namespaces.insert(net);
    all.namespaces.push(berth_map::model::Namespace::new(net));
    all.details
        .holders
        .insert(net, vec![Holder::Descriptor { pid: pid(1), fd: 3 }]);
    let thread = Thread {
        tid: pid(30),
        tids: vec![30],
        namespaces,
        comm: "t".to_owned(),
        state: 'S',
        start_ticks: 1,
    };
    all.details.threads.insert(pid(1), vec![thread]);
    assert_eq!(found(all), []);
}

#[test]
fn who_comes_from_outside_is_found() {
    let inside = |pids: &[u32], parent, comm: &str| {
        Fake::new(pids, parent, comm).isolated(200).ns("user", 900)
    };
    let mut all = with_container(|fake| fake);
    all.processes.push(Fake::new(&[600], 1, "bash").process());
    // Started by the shim that started the container, and by a shell of the host.
    all.processes
        .push(inside(&[510, 10], 400, "probe").process());
    all.processes
        .push(inside(&[511, 11], 600, "intruder").process());
    // A child of one that came in is not told again.
    all.processes
        .push(inside(&[512, 12], 511, "child").process());
    // In the network namespace alone; a kernel thread and the one that made it do not count.
    all.processes
        .push(Fake::new(&[601], 600, "tcpdump").ns("net", 204).process());
    let findings = found(all);
    let told: Vec<(&str, Severity)> = findings.iter().map(|f| (f.0, f.1)).collect();
    assert_eq!(
        told,
        [
            ("BM050", Severity::Warning),
            ("BM050", Severity::Warning),
            ("BM050", Severity::Info)
        ],
        "{findings:?}"
    );
    assert!(
        findings[0]
            .2
            .starts_with("process 511 \"intruder\" came from outside: its parent is 600")
    );
    assert!(
        findings[1]
            .2
            .starts_with("process 601 \"tcpdump\" lives in its net namespace")
    );
    assert!(
        findings[2]
            .2
            .starts_with("process 510 \"probe\" was started by its engine")
    );
}

#[test]
fn a_thread_that_joined_is_found() {
    let mut all = with_container(|fake| fake);
    let mut namespaces = all.host.namespaces;
    namespaces.insert(NamespaceId {
        kind: NamespaceKind::Net,
        inode: 204,
    });
    let thread = Thread {
        tid: pid(430),
        tids: vec![430],
        namespaces,
        comm: "t".to_owned(),
        state: 'S',
        start_ticks: 1,
    };
    all.details.threads.insert(pid(1), vec![thread]);
    let findings = found(all);
    assert_eq!((findings.len(), findings[0].0), (1, "BM050"));
    assert!(
        findings[0]
            .2
            .starts_with("thread 430 of process 1 \"systemd\""),
        "{findings:?}"
    );
}

#[test]
fn documents_say_the_same() {
    let world = three_levels().world();
    let findings = check(&world);
    assert_eq!(worst(&findings), Some(Severity::Error));
    assert!(
        findings
            .windows(2)
            .all(|pair| pair[0].severity >= pair[1].severity)
    );
    let json = serde_json::to_value(CheckDocument::new(&world, &findings)).unwrap();
    assert_eq!(json["version"], 2);
    assert_eq!(json["findings"].as_array().unwrap().len(), findings.len());
    let count = |word: &str| json["summary"][word].as_u64().unwrap();
    assert_eq!(
        count("errors") + count("warnings") + count("infos"),
        findings.len() as u64
    );
    let sarif = serde_json::to_value(SarifLog::new(&world, &findings, "1.2.3")).unwrap();
    check_sarif(&sarif, findings.len());
}

/// The required properties of SARIF 2.1.0, and the constraints on those that are there.
fn check_sarif(log: &serde_json::Value, results: usize) {
    assert_eq!(log["version"], "2.1.0"); // 3.13.2
    let runs = log["runs"].as_array().unwrap(); // 3.13.4
    assert_eq!(runs.len(), 1);
    let driver = &runs[0]["tool"]["driver"]; // 3.14.6, 3.18.2
    assert!(!driver["name"].as_str().unwrap().is_empty()); // 3.19.8
    assert_eq!(driver["version"], "1.2.3");
    let rules = driver["rules"].as_array().unwrap();
    assert_eq!(rules.len(), RULES.len());
    for rule in rules {
        assert!(rule["id"].is_string()); // 3.49.3
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[text]["text"].as_str().unwrap().is_empty()); // 3.12.3
        }
        assert!(
            rule["name"]
                .as_str()
                .unwrap()
                .chars()
                .all(|c| c.is_ascii_alphanumeric())
        );
    }
    let all = runs[0]["results"].as_array().unwrap();
    assert_eq!(all.len(), results);
    for result in all {
        assert!(!result["message"]["text"].as_str().unwrap().is_empty()); // 3.27.11
        let level = result["level"].as_str().unwrap();
        assert!(["none", "note", "warning", "error"].contains(&level)); // 3.27.10
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]); // 3.27.6
        let logical = &result["locations"][0]["logicalLocations"][0];
        assert!(logical["fullyQualifiedName"].is_string() && logical["kind"].is_string());
    }
}
