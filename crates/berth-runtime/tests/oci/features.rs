//! The features structure, and that what it lists is so.

use berth_testkit::covers;
use serde_json::{Value, json};

use crate::runtime;

fn strings<'a>(features: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = features.pointer(pointer).and_then(Value::as_array);
    let list = list.unwrap_or_else(|| panic!("no list at {pointer} in {features:#}"));
    list.iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn versions_are_in_order_and_accepted() {
    covers!(
        "features/version-min",
        "features/version-max",
        "features/version-order"
    );
    let runtime = runtime();
    let features = runtime.invoke(&["features"]).ok().json();
    let parts = |field: &str| -> Vec<u32> {
        let version = features[field].as_str().unwrap();
        let numbers = version.split(['-', '+']).next().unwrap();
        numbers
            .split('.')
            .map(|part| part.parse().unwrap())
            .collect()
    };
    assert!(
        parts("ociVersionMin") <= parts("ociVersionMax"),
        "{features}"
    );
    for field in ["ociVersionMin", "ociVersionMax"] {
        let bundle = runtime.bundle().set("/ociVersion", features[field].clone());
        drop(runtime.run("one", &bundle).ok());
    }
}

#[test]
fn only_defined_properties_are_there() {
    covers!(
        "features/no-undefined-properties",
        "features/null-is-absent",
        "features/annotations"
    );
    let features = runtime().invoke(&["features"]).ok().json();
    let known = |value: &Value, names: &[&str]| {
        for name in value.as_object().unwrap().keys() {
            assert!(names.contains(&name.as_str()), "{name}");
        }
    };
    known(
        &features,
        &[
            "ociVersionMin",
            "ociVersionMax",
            "hooks",
            "mountOptions",
            "linux",
            "annotations",
            "potentiallyUnsafeConfigAnnotations",
        ],
    );
    let linux = &features["linux"];
    known(
        linux,
        &[
            "namespaces",
            "capabilities",
            "cgroup",
            "seccomp",
            "apparmor",
            "selinux",
            "memoryPolicy",
            "intelRdt",
            "mountExtensions",
            "netDevices",
        ],
    );
    known(
        &linux["cgroup"],
        &["v1", "v2", "systemd", "systemdUser", "rdma"],
    );
    known(
        &linux["seccomp"],
        &[
            "enabled",
            "actions",
            "operators",
            "archs",
            "knownFlags",
            "supportedFlags",
        ],
    );
    for value in features["annotations"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.values())
    {
        assert!(value.is_string(), "{features}");
    }
}

#[test]
fn listed_mount_options_are_recognised() {
    covers!("features/mount-options");
    let runtime = runtime();
    let features = runtime.invoke(&["features"]).ok().json();
    let options = strings(&features, "/mountOptions");
    for must in [
        "async",
        "atime",
        "bind",
        "defaults",
        "dev",
        "diratime",
        "dirsync",
        "exec",
        "iversion",
        "lazytime",
        "loud",
        "noatime",
        "nodev",
        "nodiratime",
        "noexec",
        "noiversion",
        "nolazytime",
        "norelatime",
        "nostrictatime",
        "nosuid",
        "private",
        "rbind",
        "relatime",
        "remount",
        "ro",
        "rprivate",
        "rshared",
        "rslave",
        "runbindable",
        "rw",
        "shared",
        "silent",
        "slave",
        "strictatime",
        "suid",
        "sync",
        "unbindable",
    ] {
        assert!(options.contains(&must), "{must}");
    }
    let mut bundle = runtime.bundle();
    let source = bundle.path().to_str().unwrap().to_owned();
    for (at, option) in options.iter().enumerate() {
        // These need a source with users, or a mount that is there.
        let destination = format!("/mnt/{at}");
        bundle = match *option {
            "remount" | "acl" | "noacl" => bundle,
            "bind" | "rbind" => bundle.mount("none", &source, &destination, &[option]),
            "idmap" | "ridmap" => {
                let ids = json!([{"containerID": 0, "hostID": 0, "size": 65_536}]);
                bundle.push(
                    "/mounts",
                    json!({"type": "none", "source": source, "destination": destination,
                           "options": ["bind", option], "uidMappings": ids, "gidMappings": ids}),
                )
            }
            _ => bundle.mount("tmpfs", "tmpfs", &destination, &[option]),
        };
    }
    drop(runtime.run("one", &bundle.sh("true")).ok());
}

#[test]
fn listed_namespaces_and_capabilities_are_recognised() {
    covers!("features-linux/namespaces", "features-linux/capabilities");
    let runtime = runtime();
    let features = runtime.invoke(&["features"]).ok().json();
    let namespaces = strings(&features, "/linux/namespaces");
    for kind in ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"] {
        assert!(namespaces.contains(&kind), "{kind}");
    }
    let mut bundle = runtime.bundle().user_namespace(100_000);
    for kind in namespaces.into_iter().filter(|kind| *kind != "user") {
        bundle = bundle.namespace(kind);
    }
    drop(runtime.run("one", &bundle).ok());
    let capabilities = strings(&features, "/linux/capabilities");
    assert!(capabilities.contains(&"CAP_CHECKPOINT_RESTORE") && capabilities.len() == 41);
    let mut bundle = runtime.bundle();
    for set in ["bounding", "permitted", "effective"] {
        bundle = bundle.set(&format!("/process/capabilities/{set}"), json!(capabilities));
    }
    drop(runtime.run("two", &bundle).ok());
}

#[test]
fn hooks_cgroups_and_modules_are_told() {
    covers!("features/hooks", "features-linux/idmap");
    let runtime = runtime();
    let features = runtime.invoke(&["features"]).ok().json();
    let hooks = strings(&features, "/hooks");
    for kind in [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    ] {
        assert!(hooks.contains(&kind), "{kind}");
    }
    assert_eq!(features["linux"]["cgroup"]["v1"], true);
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    if !runtime.is_foreign() {
        assert_eq!(
            features["linux"]["mountExtensions"]["idmap"]["enabled"],
            true
        );
        assert_eq!(features["linux"]["netDevices"]["enabled"], true);
    }
}

#[test]
fn listed_memory_policies_are_recognised() {
    covers!(
        "features-linux/memory-policy-modes",
        "features-linux/memory-policy-flags"
    );
    let runtime = runtime();
    let features = runtime.invoke(&["features"]).ok().json();
    let modes = strings(&features, "/linux/memoryPolicy/modes");
    let flags = strings(&features, "/linux/memoryPolicy/flags");
    assert!(modes.contains(&"MPOL_BIND") && flags.contains(&"MPOL_F_STATIC_NODES"));
    for (at, mode) in modes.iter().enumerate() {
        let mut policy = json!({"mode": mode});
        if !matches!(*mode, "MPOL_DEFAULT" | "MPOL_LOCAL") {
            policy["nodes"] = json!("0");
        }
        let bundle = runtime.bundle().set("/linux/memoryPolicy", policy);
        let ran = runtime.run(&format!("mode{at}"), &bundle);
        // Recognised, and more than an older kernel knows: the message says so.
        let needs_newer = format!("{mode} needs Linux ");
        assert!(ran.code == 0 || ran.err.contains(&needs_newer), "{ran:?}");
    }
    for (at, flag) in flags.iter().enumerate() {
        let policy = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]});
        let bundle = runtime.bundle().set("/linux/memoryPolicy", policy);
        drop(runtime.run(&format!("flag{at}"), &bundle).ok());
    }
}
