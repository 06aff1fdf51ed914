//! Snapshots of specs, and what must never be one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_base::state::{NamespaceSource, Resources};
use berth_base::{ContainerId, NamespaceKind};

use super::*;
use crate::options::{Capability, MountOrigin, MountRequest, Ulimit};
use crate::subid::{IdRange, map_caller, map_range};

fn facts() -> SpecFacts {
    let mut namespaces: BTreeMap<_, _> = NamespaceKind::ALL
        .into_iter()
        .map(|kind| (kind, NamespaceSource::Private))
        .collect();
    namespaces.insert(NamespaceKind::User, NamespaceSource::Host);
    SpecFacts {
        argv: vec!["sh".into(), "-c".into(), "true".into()],
        hostname: "abababababab".into(),
        user: ResolvedUser {
            uid: 0,
            gid: 0,
            groups: vec![],
            home: "/root".into(),
        },
        rootless: false,
        available: Capabilities::all(),
        limits: CallerLimits {
            hard: BTreeMap::from([("nofile", 20000), ("core", u64::MAX)]),
            may_raise: false,
        },
        namespaces,
        cgroups_path: Some("/berth/ID".into()),
        limit_facts: LimitFacts {
            cpus: 2,
            ..LimitFacts::default()
        },
        injected: Injected::default(),
        devices: vec![HostDevice {
            path: "/dev/kvm".into(),
            kind: DeviceKind::Character,
            major: 10,
            minor: 232,
            mode: 0o660,
            uid: 0,
            gid: 0,
        }],
        host_has_mqueue: false,
        host_has_shm: true,
        network_files: Vec::new(),
        masked: vec!["/sys/devices/system/cpu/cpu0/thermal_throttle".into()],
    }
}

fn json(options: &CreateOptions, facts: &SpecFacts) -> String {
    let mut built = build(options, facts).unwrap();
    assert_eq!(built.warnings, Vec::<String>::new());
    sort_capabilities(&mut built.spec);
    serde_json::to_string_pretty(&serde_json::to_value(&built.spec).unwrap()).unwrap()
}

/// The crate keeps capabilities in hash sets; their order in the file means nothing.
fn sort_capabilities(spec: &mut Spec) {
    let value = serde_json::to_value(&*spec).unwrap();
    let sets = &value["process"]["capabilities"];
    for set in ["bounding", "effective", "permitted"] {
        assert_eq!(sets[set].as_array().unwrap().len(), 14, "{set}");
    }
    for set in ["inheritable", "ambient"] {
        assert!(sets[set].as_array().unwrap().is_empty(), "{set}");
    }
    spec.process_mut().as_mut().unwrap().set_capabilities(None);
}

#[test]
fn the_default_spec() {
    insta::assert_snapshot!(json(&CreateOptions::default(), &facts()));
}

#[test]
fn a_spec_with_everything_asked_for() {
    let options = CreateOptions {
        env: vec!["A=1".into(), "PATH=/bin".into(), "A=2".into()],
        workdir: Some("/srv".into()),
        terminal: true,
        read_only: true,
        resources: Resources {
            memory_bytes: Some(64 << 20),
            nano_cpus: Some(1_500_000_000),
            pids_limit: Some(100),
            ..Resources::default()
        },
        no_new_privileges: true,
        ulimits: vec![
            Ulimit {
                name: "core".into(),
                soft: 0,
                hard: 0,
            },
            Ulimit {
                name: "nofile".into(),
                soft: 1024,
                hard: 20000,
            },
            Ulimit {
                name: "core".into(),
                soft: 0,
                hard: u64::MAX,
            },
        ],
        mounts: vec![
            MountRequest::Bind {
                source: "/data/deep".into(),
                target: "/srv//data/./deep".into(),
                read_only: true,
                writable_below: false,
                options: vec!["rslave".into()],
                create_source: false,
                origin: MountOrigin::User,
            },
            MountRequest::Tmpfs {
                target: "/srv".into(),
                options: vec!["size=1m".into(), "exec".into()],
            },
            MountRequest::Bind {
                source: "/shm".into(),
                target: "/dev/shm".into(),
                read_only: false,
                writable_below: false,
                options: vec![],
                create_source: false,
                origin: MountOrigin::User,
            },
        ],
        ..CreateOptions::default()
    };
    insta::assert_snapshot!(json(&options, &facts()));
}

#[test]
fn privileged_has_no_masks_no_rules_and_all_devices() {
    let options = CreateOptions {
        privileged: true,
        ..CreateOptions::default()
    };
    let spec = build(&options, &facts()).unwrap().spec;
    let value = serde_json::to_value(&spec).unwrap();
    let linux = &value["linux"];
    assert_eq!(linux["maskedPaths"], serde_json::json!([]));
    assert_eq!(linux["readonlyPaths"], serde_json::json!([]));
    assert_eq!(linux["devices"][0]["path"], "/dev/kvm");
    let rules = serde_json::json!([{"allow": true, "type": "a", "access": "rwm"}]);
    assert_eq!(linux["resources"]["devices"], rules);
    let bounding = &value["process"]["capabilities"]["bounding"];
    assert_eq!(bounding.as_array().unwrap().len(), 41);
    assert!(
        value["mounts"]
            .to_string()
            .contains(r#""/sys","options":["nosuid","noexec","nodev","rw"]"#)
    );
}

#[test]
fn shared_namespaces_are_absent_and_joined_ones_have_a_path() {
    let mut facts = facts();
    let other = ContainerId::from_bytes([1; 32]);
    for (kind, source) in [
        (NamespaceKind::Pid, NamespaceSource::Host),
        (NamespaceKind::Ipc, NamespaceSource::Host),
        (
            NamespaceKind::Net,
            NamespaceSource::Container(other.clone()),
        ),
        (
            NamespaceKind::Uts,
            NamespaceSource::Path("/run/netns/x".into()),
        ),
    ] {
        facts.namespaces.insert(kind, source);
    }
    assert!(needs_run_spec(&facts.namespaces));
    let spec = build(&CreateOptions::default(), &facts).unwrap().spec;
    assert_eq!(spec.hostname(), &None);
    let run = RunFacts {
        joined: BTreeMap::from([(NamespaceKind::Net, PathBuf::from("/proc/7/ns/net"))]),
        ..RunFacts::default()
    };
    let before = serde_json::to_value(spec.linux().as_ref().unwrap().namespaces()).unwrap();
    let spec = for_run(spec, &run).unwrap();
    let after = serde_json::to_value(spec.linux().as_ref().unwrap().namespaces()).unwrap();
    let after = after.to_string().replace("/proc/7/ns/net", "JOINED");
    let placeholder = format!("container:{other}");
    insta::assert_snapshot!(after, @r#"[{"type":"cgroup"},{"type":"mount"},{"path":"JOINED","type":"network"},{"type":"time"},{"path":"/run/netns/x","type":"uts"}]"#);
    assert_eq!(before.to_string().replace(&placeholder, "JOINED"), after);
    let shm = spec.mounts().as_ref().unwrap().last().unwrap();
    assert_eq!(shm.source().as_deref(), Some("/dev/shm".as_ref()));
}

#[test]
fn a_user_namespace_gets_ids_and_refuses_unmapped_users() {
    let mut facts = facts();
    facts
        .namespaces
        .insert(NamespaceKind::User, NamespaceSource::Private);
    facts
        .namespaces
        .insert(NamespaceKind::Net, NamespaceSource::Host);
    facts
        .namespaces
        .insert(NamespaceKind::Pid, NamespaceSource::Host);
    facts.user.uid = 1000;
    let spec = build(&CreateOptions::default(), &facts).unwrap().spec;
    let wide = IdMappings {
        uid: map_range(IdRange::new(524_288, 65536)),
        gid: map_range(IdRange::new(524_288, 65536)),
    };
    let run = for_run(
        spec.clone(),
        &RunFacts {
            mappings: Some(wide),
            ..RunFacts::default()
        },
    )
    .unwrap();
    assert_eq!(
        run.linux()
            .as_ref()
            .unwrap()
            .uid_mappings()
            .as_ref()
            .unwrap()[0]
            .host_id(),
        524_288
    );
    let single = IdMappings {
        uid: map_caller(1000, None),
        gid: map_caller(1000, None),
    };
    let narrow = RunFacts {
        mappings: Some(single),
        ..RunFacts::default()
    };
    insta::assert_snapshot!(for_run(spec.clone(), &narrow).unwrap_err(), @"the id 1000 of the user is not mapped in the container's user namespace; use an id from 0");
    let mut root = spec;
    root.process_mut().as_mut().unwrap().user_mut().set_uid(0);
    let joined = RunFacts {
        joined_mappings: narrow.mappings.clone(),
        ..RunFacts::default()
    };
    for facts in [narrow, joined] {
        let spec = for_run(root.clone(), &facts).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert!(!text.contains("gid=5"));
        assert_eq!(text.contains("uidMappings"), facts.mappings.is_some());
    }
}

fn error(options: CreateOptions) -> String {
    build(&options, &facts()).unwrap_err().to_string()
}

#[test]
fn bad_requests_say_what_to_do() {
    let bind = |target: &str| MountRequest::Bind {
        source: "/data".into(),
        target: target.into(),
        read_only: false,
        writable_below: false,
        options: vec![],
        create_source: false,
        origin: MountOrigin::User,
    };
    let mount = |target: &str| {
        error(CreateOptions {
            mounts: vec![bind(target)],
            ..CreateOptions::default()
        })
    };
    let ulimit = |name: &str, soft, hard| {
        error(CreateOptions {
            ulimits: vec![Ulimit {
                name: name.into(),
                soft,
                hard,
            }],
            ..CreateOptions::default()
        })
    };
    let limit = |resources| {
        error(CreateOptions {
            resources,
            ..CreateOptions::default()
        })
    };
    let messages = [
        mount("data"),
        mount("/"),
        mount("/a/../.."),
        mount("/proc/sys"),
        error(CreateOptions {
            mounts: vec![bind("/a"), bind("/a/")],
            ..CreateOptions::default()
        }),
        ulimit("nofile", 1, 1_048_576),
        ulimit("nofile", 2, 1),
        ulimit("speed", 1, 1),
        limit(Resources {
            memory_bytes: Some(1000),
            ..Resources::default()
        }),
        limit(Resources {
            nano_cpus: Some(2_500_000_000),
            ..Resources::default()
        }),
        limit(Resources {
            nano_cpus: Some(1),
            ..Resources::default()
        }),
        error(CreateOptions {
            workdir: Some("srv".into()),
            ..CreateOptions::default()
        }),
        error(CreateOptions {
            env: vec!["A".into()],
            ..CreateOptions::default()
        }),
        error(CreateOptions {
            cap_add: vec![Capability("CAP_X".into())],
            ..CreateOptions::default()
        }),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_user_who_is_not_root_has_the_bounding_set_alone() {
    let mut facts = facts();
    facts.user.uid = 7;
    let spec = build(&CreateOptions::default(), &facts).unwrap().spec;
    let value = serde_json::to_value(&spec).unwrap();
    let sets = &value["process"]["capabilities"];
    assert_eq!(sets["bounding"].as_array().unwrap().len(), 14);
    for set in ["effective", "permitted", "inheritable", "ambient"] {
        assert!(sets[set].as_array().unwrap().is_empty(), "{set}");
    }
}

#[test]
fn many_variables_are_merged_in_no_time() {
    let began = std::time::Instant::now();
    let mut env: Vec<String> = vec!["A=1".into(), "noise".into(), "A=2".into()];
    let over: Vec<String> = (0..30_000).map(|n| format!("V{n}=x")).collect();
    super::merge_env(&mut env, &over).unwrap();
    super::merge_env(&mut env, &over).unwrap();
    super::merge_env(&mut env, &["V7=y".into(), "A=3".into()]).unwrap();
    assert_eq!(env.len(), 30_003);
    assert_eq!(env[..3], ["A=3", "noise", "A=2"]);
    assert_eq!(env[10], "V7=y");
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
