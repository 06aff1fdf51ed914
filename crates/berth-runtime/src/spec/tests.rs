//! What is refused, and by which field.

use std::path::Path;

use serde_json::{Value, json};

use super::{read, read_process, rules};

/// A configuration that nothing is wrong with.
fn config() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "root": { "path": "rootfs" },
        "hostname": "box",
        "process": {
            "user": { "uid": 1, "gid": 1, "additionalGids": [4, 5] },
            "args": ["sh"], "env": ["A=b"], "cwd": "/",
            "rlimits": [{ "type": "RLIMIT_CORE", "soft": 1, "hard": 2 }]
        },
        "mounts": [
            { "destination": "/proc", "type": "proc" },
            { "destination": "/data", "source": "data", "options": ["rbind"] }
        ],
        "linux": {
            "namespaces": [{ "type": "mount" }, { "type": "uts" }, { "type": "pid" },
                           { "type": "network" }, { "type": "time" }, { "type": "user" }],
            "uidMappings": [{ "containerID": 0, "hostID": 1000, "size": 10 }],
            "gidMappings": [{ "containerID": 0, "hostID": 1000, "size": 10 }],
            "devices": [{ "path": "/opt/fuse", "type": "c", "major": 10, "minor": 229 }],
            "sysctl": { "net.ipv4.ip_forward": "1" }
        },
        "annotations": { "a": "" },
        "unknown": { "ignored": true }
    })
}

fn refusal(config: &Value) -> String {
    let text = serde_json::to_vec(config).unwrap();
    match read(&text, Path::new("config.json")) {
        Ok(_) => "accepted".into(),
        Err(error) => error.to_string(),
    }
}

/// Sets the value at a JSON pointer; the last part may be new.
fn with(pointer: &str, value: Value) -> Value {
    let mut changed = config();
    set(&mut changed, pointer, value);
    changed
}

fn set(config: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Array(list) => match name.parse::<usize>() {
            Ok(index) if index < list.len() => list[index] = value,
            _ => list.push(value),
        },
        Value::Object(object) => {
            if value.is_null() {
                object.remove(name);
            } else {
                object.insert(name.into(), value);
            }
        }
        other => panic!("{other} has no {name}"),
    }
}

#[test]
fn a_good_configuration_is_taken_with_unknown_fields() {
    assert_eq!(refusal(&config()), "accepted");
}

#[test]
fn malformed_json_has_a_line_and_a_column() {
    let refused = read(
        b"{\n  \"ociVersion\": \"1.0.0\",\n  oops\n}",
        Path::new("/b/config.json"),
    );
    let message = refused.unwrap_err().to_string();
    assert_eq!(
        message,
        "cannot parse /b/config.json: line 3, column 3: key must be a string"
    );
    let mut trailing = serde_json::to_vec(&config()).unwrap();
    trailing.extend(b" x");
    let refused = read(&trailing, Path::new("c")).unwrap_err().to_string();
    assert!(refused.contains("trailing characters"), "{refused}");
    let cut = serde_json::to_vec(&config()).unwrap();
    let refused = read(&cut[..40], Path::new("c")).unwrap_err().to_string();
    assert!(refused.contains("EOF"), "{refused}");
}

#[test]
fn a_wrong_type_names_its_field() {
    for (pointer, value, message) in [
        (
            "/process/args",
            json!([5]),
            "process.args[0]: invalid type: integer `5`",
        ),
        ("/root", json!([]), "root"),
        (
            "/linux/namespaces/0",
            json!({ "type": "disk" }),
            "linux.namespaces[0].type: unknown variant `disk`",
        ),
        (
            "/process/rlimits/0/type",
            json!("RLIMIT_X"),
            "process.rlimits[0].type: unknown variant `RLIMIT_X`",
        ),
        (
            "/process/capabilities",
            json!({ "bounding": ["CAP_X"] }),
            "process.capabilities.bounding[0]: ",
        ),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_X" }),
            "linux.seccomp.defaultAction: unknown variant",
        ),
        (
            "/process/scheduler",
            json!({ "policy": "SCHED_X" }),
            "process.scheduler.policy: unknown variant",
        ),
        (
            "/process/scheduler",
            json!({ "policy": "SCHED_OTHER", "flags": ["X"] }),
            "process.scheduler.flags[0]: unknown variant",
        ),
        (
            "/process/ioPriority",
            json!({ "class": "X" }),
            "process.ioPriority.class: unknown variant",
        ),
        (
            "/linux/personality",
            json!({ "domain": "BSD" }),
            "linux.personality.domain: unknown variant",
        ),
        (
            "/linux/memoryPolicy",
            json!({ "mode": "X" }),
            "linux.memoryPolicy.mode: unknown variant",
        ),
        (
            "/process/execCPUAffinity",
            json!({ "initial": "a" }),
            "process.execCPUAffinity.initial: ",
        ),
        (
            "/mounts/0",
            json!({ "type": "proc" }),
            "mounts[0]: missing field `destination`",
        ),
    ] {
        let refused = refusal(&with(pointer, value));
        assert!(
            refused.starts_with(message),
            "{refused:?} is not {message:?}"
        );
    }
}

/// What cannot be as it is: a pointer, a value, the beginning of the message.
type Refusal = (&'static str, Value, &'static str);

fn assert_refused(refusals: impl IntoIterator<Item = Refusal>) {
    for (pointer, value, message) in refusals {
        let refused = refusal(&with(pointer, value.clone()));
        assert!(
            refused.starts_with(message),
            "{pointer} = {value}: {refused:?} is not {message:?}"
        );
    }
}

/// Reads a table of refusals.
fn rows(table: &'static str) -> Vec<Refusal> {
    let lines = table.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| match line.split(" => ").collect::<Vec<_>>()[..] {
            [pointer, value, message] => (pointer, serde_json::from_str(value).unwrap(), message),
            _ => panic!("{line:?} is no row"),
        })
        .collect()
}

#[test]
fn the_top_level() {
    assert_refused([
        ("/ociVersion", json!(null), "ociVersion: missing"),
        (
            "/ociVersion",
            json!("2.0.0"),
            "ociVersion: 2.0.0 is not supported",
        ),
        ("/root", json!(null), "root: missing"),
        ("/root/path", json!(""), "root.path: missing"),
        ("/process", json!(null), "process: missing"),
        ("/linux", json!(null), "linux: missing"),
        ("/annotations/", json!("x"), "annotations: a key is empty"),
        (
            "/hooks",
            json!({ "prestart": [{ "path": "a" }] }),
            "hooks.prestart[0].path: ",
        ),
        (
            "/hooks",
            json!({ "poststop": [{ "path": "/a" }, { "path": "/a", "timeout": 0 }] }),
            "hooks.poststop[1].timeout: ",
        ),
        ("/hostname", json!("x".repeat(65)), "hostname: longer"),
    ]);
}

/// Pointer, value, beginning of the message.
const PROCESS: &str = r#"
/process/args => null => process.args: missing
/process/args => [] => process.args: missing
/process/args => [""] => process.args[0]: empty
/process/args => ["a", "b\u0000"] => process.args[1]: contains a NUL
/process/cwd => "tmp" => process.cwd:
/process/cwd => "" => process.cwd:
/process/env => ["A=b", "C"] => process.env[1]:
/process/env => ["=b"] => process.env[0]:
/process/user/uid => 4294967295 => process.user.uid:
/process/user/umask => 512 => process.user.umask:
/process/rlimits/9 => { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 } => process.rlimits[1]: RLIMIT_CORE is listed twice
/process/rlimits/0/soft => 3 => process.rlimits[0]: the soft limit
/process/oomScoreAdj => 1001 => process.oomScoreAdj:
/process/oomScoreAdj => -1001 => process.oomScoreAdj:
/process/ioPriority => { "class": "IOPRIO_CLASS_RT", "priority": 8 } => process.ioPriority.priority:
/process/scheduler => { "policy": "SCHED_FIFO" } => process.scheduler.priority:
/process/scheduler => { "policy": "SCHED_OTHER", "priority": 1 } => process.scheduler.priority:
/process/scheduler => { "policy": "SCHED_OTHER", "nice": 20 } => process.scheduler.nice:
/process/scheduler => { "policy": "SCHED_ISO" } => process.scheduler.policy:
/process/scheduler => { "policy": "SCHED_BATCH", "period": 5 } => process.scheduler.period:
/process/scheduler => { "policy": "SCHED_DEADLINE", "runtime": 5 } => process.scheduler.deadline:
/process/scheduler => { "policy": "SCHED_DEADLINE", "runtime": 5, "deadline": 4 } => process.scheduler.runtime:
/process/execCPUAffinity => { "final": "3-1" } => process.execCPUAffinity.final:
"#;

#[test]
fn the_process() {
    assert_refused(rows(PROCESS));
}

#[test]
fn the_mounts() {
    assert_refused([
        (
            "/mounts/0/destination",
            json!("/a/../etc"),
            "mounts[0].destination: ",
        ),
        (
            "/mounts/0/destination",
            json!("/"),
            "mounts[0].destination: ",
        ),
        (
            "/mounts/0/destination",
            json!(""),
            "mounts[0].destination: ",
        ),
        ("/mounts/0/type", json!(null), "mounts[0].type: missing"),
        (
            "/mounts/0/options",
            json!(["tmpcopyup"]),
            "mounts[0].options: tmpcopyup",
        ),
        ("/mounts/1/source", json!(null), "mounts[1].source: missing"),
        (
            "/mounts/1/uidMappings",
            json!([{ "containerID": 0, "hostID": 0, "size": 1 }]),
            "mounts[1].gidMappings: missing",
        ),
    ]);
    // As runc: below the root.
    assert_eq!(
        refusal(&with("/mounts/0/destination", json!("proc"))),
        "accepted"
    );
}

/// As [`PROCESS`].
const LINUX: &str = r#"
/linux/namespaces/9 => { "type": "pid" } => linux.namespaces[6]: the namespace pid is listed twice
/linux/namespaces/0 => { "type": "ipc" } => linux.namespaces: mount is missing
/linux/namespaces/2/path => "ns/pid" => linux.namespaces[2].path:
/linux/namespaces/1 => { "type": "ipc" } => hostname: needs a uts namespace
/linux/uidMappings => [] => linux.uidMappings: missing
/linux/namespaces/5 => { "type": "ipc" } => linux.uidMappings: needs a user
/linux/timeOffsets => { "realtime": { "secs": 1 } } => linux.timeOffsets.realtime: there is no such clock
/linux/timeOffsets => { "boottime": { "nanosecs": 1000000000 } } => linux.timeOffsets.boottime.nanosecs:
/linux/sysctl => { "kernel.core_pattern": "|/x" } => linux.sysctl.kernel.core_pattern: it is not namespaced
/linux/sysctl => { "net/../kernel/x": "" } => linux.sysctl.net/../kernel/x: not the name
/linux/sysctl => { "kernel.shmmax": "1" } => linux.sysctl.kernel.shmmax: needs a ipc namespace
/linux/sysctl => { "kernel/hostname": "x" } => linux.sysctl.kernel/hostname: set
/linux/netDevices => { "a": { "name": "x%s" } } => linux.netDevices.a: not the name
/linux/netDevices => { "a/b": {} } => linux.netDevices.a/b:
/linux/netDevices => { "a": { "name": "b" }, "b": {} } => linux.netDevices.
/linux/devices/0/path => "fuse" => linux.devices[0].path:
/linux/devices/0/path => "/dev/../x" => linux.devices[0].path:
/linux/devices/0/type => "a" => linux.devices[0].type:
/linux/devices/0/major => 4096 => linux.devices[0].major:
/linux/seccomp => { "defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x" } => linux.seccomp.listenerMetadata:
/linux/seccomp => { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": [], "action": "SCMP_ACT_LOG" }] } => linux.seccomp.syscalls[0].names:
/linux/rootfsPropagation => "weird" => linux.rootfsPropagation:
/linux/maskedPaths => ["proc"] => linux.maskedPaths[0]:
/linux/readonlyPaths => ["/a", "b"] => linux.readonlyPaths[1]:
/linux/resources => { "cpu": { "quota": 5000, "burst": 6000 } } => linux.resources.cpu.burst: invalid CPU burst
/linux/resources => { "devices": [{ "allow": true, "access": "x" }] } => linux.resources.devices[0]:
/linux/intelRdt => { "closID": "../x" } => linux.intelRdt.closID:
/linux/intelRdt => { "memBwSchema": "L3:0=1" } => linux.intelRdt.memBwSchema:
/linux/memoryPolicy => { "mode": "MPOL_BIND" } => linux.memoryPolicy.nodes:
/linux/memoryPolicy => { "mode": "MPOL_LOCAL", "nodes": "0" } => linux.memoryPolicy.nodes:
/linux/memoryPolicy => { "mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"] } => linux.memoryPolicy.flags:
/linux/personality => { "domain": "LINUX", "flags": ["X"] } => linux.personality.flags:
"#;

#[test]
fn the_linux_section() {
    assert_refused(rows(LINUX));
}

/// CVE-2021-43784: a payload of mappings that wraps a 16-bit length. Seen to fail without the
/// limit on lines.
#[test]
fn cve_2021_43784_mappings_stay_below_64_kib() {
    let many: Vec<_> = (0..4000)
        .map(|n| json!({ "containerID": n * 2, "hostID": 100_000 + n * 2, "size": 1 }))
        .collect();
    assert_refused([
        (
            "/linux/uidMappings",
            json!(many),
            "linux.uidMappings: 4000 mappings",
        ),
        (
            "/linux/uidMappings",
            json!([{ "containerID": 0, "hostID": 0, "size": 0 }]),
            "linux.uidMappings[0].size: ",
        ),
        (
            "/linux/uidMappings",
            json!([{ "containerID": 0, "hostID": 4_294_967_295_u32, "size": 1 }]),
            "linux.uidMappings[0].hostID: ",
        ),
        (
            "/linux/gidMappings",
            json!([{ "containerID": 9, "hostID": 0, "size": 4_294_967_290_u32 }]),
            "linux.gidMappings[0].containerID: ",
        ),
        (
            "/linux/uidMappings",
            json!([{ "containerID": 0, "hostID": 5, "size": 10 },
                                      { "containerID": 9, "hostID": 50, "size": 1 }]),
            "linux.uidMappings[1].containerID: overlaps with linux.uidMappings[0]",
        ),
        (
            "/linux/uidMappings",
            json!([{ "containerID": 0, "hostID": 5, "size": 10 },
                                      { "containerID": 90, "hostID": 0, "size": 6 }]),
            "linux.uidMappings[1].hostID: overlaps with linux.uidMappings[0]",
        ),
    ]);
}

#[test]
fn joined_namespaces_carry_what_belongs_to_them() {
    let mut config = config();
    set(&mut config, "/linux/namespaces/1/path", json!("/run/uts"));
    set(&mut config, "/linux/namespaces/3/path", json!("/run/net"));
    assert_eq!(refusal(&config), "accepted");
    set(&mut config, "/linux/namespaces/4/path", json!("/run/time"));
    set(
        &mut config,
        "/linux/timeOffsets",
        json!({ "monotonic": { "secs": 1 } }),
    );
    assert!(refusal(&config).starts_with("linux.timeOffsets.monotonic: needs a new time"));
}

/// oci-spec 0.10 knows two flags by other names, and wants a user.
#[test]
fn names_of_the_specification_are_read() {
    let mut config = config();
    let flags = json!([
        "SCHED_FLAG_RESET_ON_FORK",
        "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_RECLAIM"
    ]);
    set(
        &mut config,
        "/process/scheduler",
        json!({ "policy": "SCHED_OTHER", "flags": flags }),
    );
    set(&mut config, "/process/user", Value::Null);
    let text = serde_json::to_vec(&config).unwrap();
    let spec = read(&text, Path::new("c")).unwrap();
    let process = spec.process().clone().unwrap();
    assert_eq!(
        process
            .scheduler()
            .clone()
            .unwrap()
            .flags()
            .clone()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(process.user().uid(), 0);
}

#[test]
fn a_process_alone() {
    let good = json!({ "args": ["sh"], "cwd": "/" }).to_string();
    assert!(read_process(good.as_bytes(), Path::new("p")).is_ok());
    let bad = json!({ "args": ["sh"], "cwd": "x" }).to_string();
    let refused = read_process(bad.as_bytes(), Path::new("p")).unwrap_err();
    assert!(refused.to_string().starts_with("process.cwd: "));
}

#[test]
fn names_of_sysctls() {
    for (key, path) in [
        ("net.ipv4.ip_forward", Some("net/ipv4/ip_forward")),
        ("net/ipv4/ip_forward", Some("net/ipv4/ip_forward")),
        (
            "net.ipv4.conf.eth0/1.forwarding",
            Some("net/ipv4/conf/eth0.1/forwarding"),
        ),
        (
            "net/ipv4/conf/eth0.1/forwarding",
            Some("net/ipv4/conf/eth0.1/forwarding"),
        ),
        ("net//x", None),
        ("net.ipv4./.x", None),
        ("net/ipv4/../x", None),
        ("net.x\n", None),
        ("", None),
    ] {
        assert_eq!(rules::sysctl_key(key).as_deref(), path, "{key}");
    }
}
