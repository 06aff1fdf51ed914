//! What cannot be meant: refused with the field's path, before anything is made.

use berth_testkit::covers;
use serde_json::json;

use crate::{refused, runtime};

#[test]
fn ids_that_could_lead_elsewhere_are_refused() {
    covers!("runtime/create-id-invalid");
    let runtime = runtime();
    let bundle = runtime.bundle();
    let long = "x".repeat(1025);
    for id in [
        "../x", "..", ".", "", "a/b", "/abs", "a b", "a\nb", "ä", "-x", "a*", &long,
    ] {
        let mut words = vec![
            "create",
            "--bundle",
            bundle.path().to_str().unwrap(),
            "--",
            id,
        ];
        if id == "-x" {
            words.remove(3);
        }
        bundle.write();
        let output = runtime.invoke(&words);
        assert!(output.code > 0, "{id:?}: {output:?}");
        runtime.assert_nothing_left();
    }
    for verb in ["state", "start", "kill", "delete", "exec"] {
        let output = runtime.invoke(&[verb, "../x", "true"]);
        assert!(output.code > 0, "{verb}: {output:?}");
    }
}

#[test]
fn ids_of_every_allowed_character_are_taken() {
    let runtime = runtime();
    let id = "aZ09_+.-x";
    let container = runtime.created(id, &runtime.bundle());
    container.end();
}

#[test]
fn names_that_nobody_knows_are_refused() {
    covers!("config/invalid-refused");
    refused("linux.namespaces", |b| {
        b.push("/linux/namespaces", json!({"type": "nonesuch"}))
    });
    refused("process.rlimits", |b| {
        b.push(
            "/process/rlimits",
            json!({"type": "RLIMIT_NONESUCH", "soft": 1, "hard": 1}),
        )
    });
    refused("linux.seccomp.syscalls[0].action", |b| {
        b.set(
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW",
                   "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NONESUCH"}]}),
        )
    });
}

#[test]
fn an_rlimit_above_the_hard_limit_is_refused_where_it_cannot_be_raised() {
    let runtime = runtime();
    let bundle = runtime.bundle().push(
        "/process/rlimits",
        json!({"type": "RLIMIT_NOFILE", "soft": 100, "hard": 4096}),
    );
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let has_resource = std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .is_some_and(|bits| bits >> 24 & 1 == 1);
    let drops = if has_resource {
        "setpriv --bounding-set -sys_resource --"
    } else {
        ""
    };
    let script = format!("ulimit -Sn 512; ulimit -Hn 512; exec {drops} \"$@\"");
    let mut command = runtime.through_shell(&script, &["create", "--bundle", path, "one"]);
    let output = runtime.finish(&mut command);
    assert!(output.code > 0, "{output:?}");
    assert!(
        output.err.contains("process.rlimits") || runtime.is_foreign(),
        "{output:?}"
    );
    runtime.assert_nothing_left();
}

#[test]
fn a_host_name_without_a_namespace_of_its_own_is_refused() {
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    refused("hostname", |b| b.without_namespace("uts"));
    refused("domainname", |b| {
        b.without_namespace("uts")
            .without("/hostname")
            .set("/domainname", "x")
    });
    assert_eq!(
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(),
        before
    );
}

#[test]
fn strings_that_no_kernel_takes_are_refused() {
    covers!("config/invalid-refused");
    refused("process.args", |b| b.args(&["echo", "a\u{0}b"]));
    refused("process.env", |b| b.env("A=b\u{0}c"));
    refused("process.cwd", |b| b.set("/process/cwd", "/a\u{0}b"));
    refused("hostname", |b| b.set("/hostname", "x".repeat(65)));
}

#[test]
fn selinux_and_apparmor_that_are_not_there_are_errors() {
    covers!("runtime/create-cannot-apply");
    // Whether there is no AppArmor or no such profile, the field is named.
    refused("process.apparmorProfile", |b| {
        b.set("/process/apparmorProfile", "nonesuch")
    });
    if !std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        refused("process.selinuxLabel", |b| {
            b.set("/process/selinuxLabel", "a:b:c:s0")
        });
    }
}

#[test]
fn intel_rdt_without_resctrl_is_refused() {
    covers!("config-linux/rdt-not-mounted");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    if mounts.contains(" - resctrl ") {
        return berth_testkit::skip("resctrl is mounted here");
    }
    refused("linux.intelRdt", |b| {
        b.set("/linux/intelRdt", json!({"closID": "guaranteed"}))
    });
}

#[test]
fn malformed_intel_rdt_is_refused() {
    covers!(
        "config-linux/rdt-mem-bw-form",
        "config-linux/rdt-schemata-form"
    );
    for rdt in [
        json!({"memBwSchema": "L3:0=20"}),
        json!({"memBwSchema": "MB:0=20\nMB:1=70"}),
        json!({"schemata": ["L3:0=f\nMB:0=10"]}),
        json!({"closID": "../x"}),
    ] {
        refused("linux.intelRdt", |b| b.set("/linux/intelRdt", rdt));
    }
}
