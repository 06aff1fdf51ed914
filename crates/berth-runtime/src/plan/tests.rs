//! Plans as snapshots: the order is the security, so a change of it must be seen.

use berth_base::state::{CgroupPaths, RootSource};
use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use super::{
    CgroupEntry, Keyring, PlanError, RootChange, RootPlace, Setup, StartSignal, Supervision, build,
};
use crate::facts::{HostFacts, Secret, Source, Submount, SystemEntry};

fn spec() -> Value {
    let namespaces: Vec<_> = ["pid", "network", "ipc", "uts", "mount", "cgroup", "time"]
        .map(|kind| json!({ "type": kind }))
        .into();
    json!({
        "ociVersion": "1.2.0",
        "root": { "path": "rootfs" },
        "hostname": "box",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["sleep", "1"],
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "capabilities": { "bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"],
                              "permitted": ["CAP_CHOWN"] },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096 }]
        },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "ptmxmode=0666", "gid=5"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs",
              "options": ["nosuid", "noexec", "nodev", "ro"] },
            { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
              "options": ["ro", "nosuid", "noexec", "nodev"] },
            { "destination": "/data", "type": "bind", "source": "/srv/data",
              "options": ["rbind", "ro"] }
        ],
        "linux": {
            "namespaces": namespaces,
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
            "sysctl": { "net.ipv4.ip_forward": "1" }
        }
    })
}

fn setup() -> Setup {
    Setup {
        bundle: "/bundle".into(),
        root: RootSource::Host,
        place: RootPlace::Stacked,
        cgroup: "/berth/box".into(),
        cgroup_entry: CgroupEntry::Init,
        terminal: None,
        supervision: Supervision::WhereJoined,
        root_change: RootChange::Pivot,
        keyring: Keyring::New,
        start: StartSignal::Stage,
    }
}

fn facts() -> HostFacts {
    HostFacts {
        privileged: true,
        bounding: u64::MAX,
        overlay_in_memory: true,
        system: vec![
            SystemEntry::Folder { name: "usr".into() },
            SystemEntry::Link {
                name: "bin".into(),
                target: "usr/bin".into(),
            },
            SystemEntry::Folder { name: "etc".into() },
        ],
        submounts: vec![Submount {
            path: "/etc/hosts".into(),
            is_directory: false,
        }],
        secrets: vec![
            Secret {
                path: "/etc/shadow".into(),
                is_directory: false,
            },
            Secret {
                path: "/etc/ssl/private".into(),
                is_directory: true,
            },
        ],
        sources: [("/srv/data".into(), Source::FOLDER)].into(),
        cgroups: CgroupPaths {
            v2: Some("/sys/fs/cgroup/berth/x".into()),
            ..CgroupPaths::default()
        },
        ..HostFacts::default()
    }
}

fn render(spec: Value, setup: &Setup, facts: &HostFacts) -> String {
    let spec: Spec = serde_json::from_value(spec).unwrap();
    match build(&spec, setup, facts) {
        Ok(plan) => plan.render(),
        Err(error) => format!("{error}\n"),
    }
}

fn with_user_namespace(mut spec: Value) -> Value {
    let linux = &mut spec["linux"];
    linux["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "type": "user" }));
    let mapping = json!([{ "containerID": 0, "hostID": 700_000, "size": 65_536 }]);
    linux["uidMappings"] = mapping.clone();
    linux["gidMappings"] = mapping;
    spec
}

#[test]
fn root_without_a_user_namespace() {
    insta::assert_snapshot!(render(spec(), &setup(), &facts()));
}

#[test]
fn root_with_a_user_namespace() {
    insta::assert_snapshot!(render(with_user_namespace(spec()), &setup(), &facts()));
}

#[test]
fn without_privilege() {
    let facts = HostFacts {
        privileged: false,
        overlay_in_memory: false,
        submounts: Vec::new(),
        cgroups: CgroupPaths::default(),
        ..facts()
    };
    insta::assert_snapshot!(render(with_user_namespace(spec()), &setup(), &facts));
}

#[test]
fn a_terminal_and_a_directory_of_the_users() {
    let mut setup = setup();
    setup.root = RootSource::Directory {
        path: "/srv/root".into(),
        writable: true,
    };
    setup.terminal = Some((24, 80));
    insta::assert_snapshot!(render(
        spec(),
        &setup,
        &HostFacts {
            submounts: vec![],
            ..facts()
        }
    ));
}

/// A change to a spec that must be refused, and what the message must name.
type Refusal = (fn(&mut Value), &'static str);

#[test]
fn bad_specs_are_refused_before_anything_is_made() {
    let refusals: [Refusal; 10] = [
        (
            |s| s["linux"]["namespaces"] = json!([{ "type": "pid" }]),
            "mount namespace",
        ),
        (
            |s| {
                s["linux"]["namespaces"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({ "type": "pid" }))
            },
            "pid is listed twice",
        ),
        (
            |s| s["linux"]["sysctl"] = json!({ "kernel.core_pattern": "|/x" }),
            "not namespaced",
        ),
        (
            |s| s["linux"]["sysctl"] = json!({ "net/../kernel/x": "1" }),
            "not the name of a sysctl",
        ),
        (
            |s| s["mounts"][5]["destination"] = json!("/proc/sys"),
            "would cover procfs",
        ),
        (
            |s| s["mounts"][5]["destination"] = json!("/a/../proc"),
            "contains \"..\"",
        ),
        (|s| s["mounts"][5]["source"] = json!("/nowhere"), "/nowhere"),
        (|s| s["process"]["args"] = json!([]), "no arguments"),
        (
            |s| s["linux"]["rootfsPropagation"] = json!("weird"),
            "rootfsPropagation",
        ),
        (
            |s| s["process"]["rlimits"][0]["soft"] = json!(9000),
            "the soft limit RLIMIT_NOFILE is above",
        ),
    ];
    for (change, message) in refusals {
        let mut changed = spec();
        change(&mut changed);
        let refused = render(changed, &setup(), &facts());
        assert!(
            refused.contains(message),
            "{refused:?} does not say {message:?}"
        );
    }
}

#[test]
fn a_mount_below_an_overlaid_rootfs_is_not_hidden_silently() {
    let mut setup = setup();
    setup.root = RootSource::Directory {
        path: "/etc".into(),
        writable: false,
    };
    let parsed: Spec = serde_json::from_value(spec()).unwrap();
    let refused = build(&parsed, &setup, &facts());
    assert!(matches!(refused, Err(PlanError::Unsupported(_))));
}
