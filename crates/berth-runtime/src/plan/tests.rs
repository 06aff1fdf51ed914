//! Plans as snapshots: the order is the security, so a change of it must be seen.

use berth_base::state::{CgroupPaths, RootSource};
use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use super::{
    CgroupEntry, Keyring, PlanError, RootChange, RootPlace, Setup, StartSignal, Supervision, build,
};
use crate::facts::{HostFacts, Secret, Source, Submount, SystemEntry};

pub(super) fn spec() -> Value {
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

pub(super) fn setup() -> Setup {
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

pub(super) fn facts() -> HostFacts {
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

pub(super) fn render(spec: Value, setup: &Setup, facts: &HostFacts) -> String {
    let spec: Spec = serde_json::from_value(spec).unwrap();
    match build(&spec, setup, facts) {
        Ok(plan) => plan.render(),
        Err(error) => format!("{error}\n"),
    }
}

pub(super) fn with_user_namespace(mut spec: Value) -> Value {
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

/// As the OCI command line plans a bundle.
fn bundle_setup() -> Setup {
    Setup {
        root: RootSource::Directory {
            path: "/bundle/rootfs".into(),
            writable: true,
        },
        place: RootPlace::OwnPath,
        supervision: Supervision::Never,
        start: StartSignal::Socket,
        ..setup()
    }
}

fn bundle_facts() -> HostFacts {
    HostFacts {
        system: Vec::new(),
        submounts: Vec::new(),
        secrets: Vec::new(),
        overlay_in_memory: false,
        root_mount: Some("/".into()),
        ..facts()
    }
}

/// The plan of a bundle that `change` was made to.
fn bundle(change: impl FnOnce(&mut Value)) -> String {
    let mut changed = spec();
    change(&mut changed);
    render(changed, &bundle_setup(), &bundle_facts())
}

#[test]
fn a_bundle() {
    insta::assert_snapshot!(bundle(|_| {}));
}

#[test]
fn a_bundle_with_a_user_namespace() {
    insta::assert_snapshot!(bundle(|s| {
        *s = with_user_namespace(s.clone());
        s["linux"]["devices"] = json!([{ "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229 },
                                       { "path": "/dev/pipe", "type": "p" }]);
    }));
}

#[test]
fn mounts_of_a_bundle() {
    let mut facts = bundle_facts();
    facts.sources.insert("/bundle/data".into(), Source::FOLDER);
    let mut changed = spec();
    changed["linux"]["rootfsPropagation"] = json!("shared");
    changed["mounts"] = json!([
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "mode=755"] },
        { "destination": "/a", "source": "data", "options": ["rbind", "rro", "rshared", "z"] },
        { "destination": "b", "source": "data", "options": ["bind", "idmap"],
          "uidMappings": [{ "containerID": 0, "hostID": 5, "size": 1 }],
          "gidMappings": [{ "containerID": 0, "hostID": 5, "size": 1 }] },
        { "destination": "/run", "type": "tmpfs", "options": ["tmpcopyup", "sync", "async"] },
        { "destination": "/run", "type": "tmpfs", "options": ["remount", "nosuid"] },
        { "destination": "/disk", "type": "ext4", "source": "/dev/x", "options": ["ro"] }
    ]);
    insta::assert_snapshot!(render(changed, &bundle_setup(), &facts));
}

#[test]
fn a_bundle_without_a_dev_of_its_own() {
    let mut setup = bundle_setup();
    setup.terminal = Some((0, 0));
    setup.root_change = RootChange::Move;
    let mut changed = spec();
    changed["mounts"] = json!([]);
    changed["linux"]["devices"] = json!([
        { "path": "/opt/loop", "type": "b", "major": 7, "minor": 0, "fileMode": 384, "uid": 5 },
        { "path": "/dev/null", "type": "u", "major": 1, "minor": 3, "fileMode": 420 }
    ]);
    insta::assert_snapshot!(render(changed, &setup, &bundle_facts()));
}

#[test]
fn the_process_of_a_bundle() {
    let mut facts = bundle_facts();
    facts.bounding = 0b1;
    facts.apparmor = true;
    let mut changed = spec();
    changed["mounts"] = json!([]);
    changed["linux"]["personality"] = json!({ "domain": "LINUX32" });
    changed["linux"]["memoryPolicy"] = json!({ "mode": "MPOL_BIND", "nodes": "0-1" });
    changed["linux"]["netDevices"] = json!({ "eth1": { "name": "lan" } });
    changed["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    changed["process"] = json!({
        "user": { "uid": 5, "gid": 6, "umask": 63, "additionalGids": [7] },
        "args": ["sh"], "cwd": "/tmp", "env": ["A=1", "B=2", "A=3"],
        "capabilities": { "bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN"],
                          "inheritable": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN", "CAP_KILL"] },
        "ioPriority": { "class": "IOPRIO_CLASS_BE", "priority": 3 },
        "scheduler": { "policy": "SCHED_BATCH", "nice": 3 },
        "execCPUAffinity": { "initial": "0", "final": "1" },
        "apparmorProfile": "box"
    });
    insta::assert_snapshot!(render(changed, &bundle_setup(), &facts));
}

#[test]
fn a_bundle_is_refused_by_the_field() {
    let refusals: [Refusal; 7] = [
        (
            |s| s["mounts"][5]["source"] = json!("/nowhere"),
            "mounts[5]: the source /nowhere",
        ),
        (
            |s| s["mounts"][5]["destination"] = json!("/proc/sys"),
            "mounts[5]: a mount on /proc/sys",
        ),
        (
            |s| s["process"]["apparmorProfile"] = json!("x"),
            "process.apparmorProfile: AppArmor is not active",
        ),
        (
            |s| s["process"]["selinuxLabel"] = json!("x"),
            "process.selinuxLabel: SELinux is not active",
        ),
        (
            |s| s["linux"]["mountLabel"] = json!("x"),
            "linux.mountLabel: SELinux is not active",
        ),
        (
            |s| s["process"]["rlimits"][0]["hard"] = json!(5000),
            "process.rlimits[0]: the hard limit 5000",
        ),
        (
            |s| s["mounts"][5]["options"] = json!(["bind", "idmap"]),
            "mounts[5]: idmap without uidMappings",
        ),
    ];
    let mut facts = bundle_facts();
    facts.hard_limits.insert("RLIMIT_NOFILE".into(), 4096);
    for (change, message) in refusals {
        let mut changed = spec();
        change(&mut changed);
        let refused = render(changed, &bundle_setup(), &facts);
        assert!(
            refused.starts_with(message),
            "{refused:?} is not {message:?}"
        );
    }
}

/// A namespace joined by a path that leads to our own is the host's all the same.
#[test]
fn the_hosts_namespace_by_another_name() {
    let mut changed = spec();
    changed["linux"]["namespaces"] = json!([
        { "type": "mount" }, { "type": "uts", "path": "/run/uts" },
        { "type": "network", "path": "/run/net" }
    ]);
    changed["mounts"] = json!([]);
    let mut facts = bundle_facts();
    assert!(!render(changed.clone(), &bundle_setup(), &facts).contains("needs a"));
    facts.own_namespaces = crate::namespaces::NEW_NET;
    let refused = render(changed.clone(), &bundle_setup(), &facts);
    assert!(refused.starts_with("linux.sysctl: "), "{refused}");
    facts.own_namespaces = crate::namespaces::NEW_UTS;
    let refused = render(changed, &bundle_setup(), &facts);
    assert!(refused.starts_with("hostname: "), "{refused}");
}

/// The engine's own option, by which it names a part of a volume; to a bundle it is a word like any.
#[test]
fn a_part_of_a_volume_is_opened_below_it() {
    let mut changed = spec();
    let options = json!(["rbind", "rw", "idmap", "x-berth.beneath=logs/web"]);
    changed["mounts"] = json!([
        { "destination": "/data", "type": "bind", "source": "/v/_data", "options": options }
    ]);
    let mut facts = facts();
    facts.sources.insert("/v/_data".into(), Source::FOLDER);
    let spec = with_user_namespace(changed.clone());
    let lines = |plan: &str| -> Vec<String> {
        let about = plan.lines().filter(|line| line.contains("/v/_data"));
        about.map(|line| line.trim().to_owned()).collect()
    };
    let missing = "the source /v/_data/logs/web of the mount on /data does not exist\n";
    assert_eq!(render(spec.clone(), &setup(), &facts), missing);
    let part = "/v/_data/logs/web".into();
    facts.sources.insert(part, Source::FOLDER);
    let plan = render(spec, &setup(), &facts);
    let below = lines(&plan);
    assert_eq!(below.len(), 1, "{plan}");
    assert!(
        below[0].contains("clone the mount at logs/web below /v/_data"),
        "{below:?}"
    );
    let mut facts = bundle_facts();
    facts.sources.insert("/v/_data".into(), Source::FOLDER);
    changed["mounts"][0]["options"] = json!(["rbind", "x-berth.beneath=logs/web"]);
    let whole = lines(&render(changed, &bundle_setup(), &facts));
    assert!(
        whole.iter().all(|line| !line.contains("below")) && !whole.is_empty(),
        "{whole:?}"
    );
}
