//! The systemd driver, `--systemd-cgroup`: what systemd knows of a container, and when it forgets
//! it again.
//!
//! These need systemd as PID 1, as the VM tier has it: the system's own for root, the user's own
//! for a user with `DBUS_SESSION_BUS_ADDRESS` or `XDG_RUNTIME_DIR`.

mod unit;

use std::fs;
use std::os::unix::fs::MetadataExt;

use berth_testkit::Bundle;
use serde_json::json;

use self::unit::Systemd;

const MIB: u64 = 1 << 20;

#[test]
fn a_container_is_a_scope_until_it_is_deleted() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(Bundle::sleeping);
    let container = systemd.runtime.created("one", &unit.bundle);
    assert_eq!(systemd.property(&unit.name, "ActiveState"), "active");
    let slice = if systemd.is_user {
        "user.slice"
    } else {
        "system.slice"
    };
    assert_eq!(systemd.property(&unit.name, "Slice"), slice);
    let cgroup = systemd.property(&unit.name, "ControlGroup");
    assert_eq!(container.proc("cgroup").trim(), format!("0::{cgroup}"));
    container.start();
    container.kill("KILL");
    assert_eq!(container.wait(), -9);
    container.delete();
    systemd.forgets(&unit.name);
}

#[test]
fn a_run_leaves_no_unit() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(|bundle| bundle.sh("echo ran; exit 7"));
    let output = systemd.runtime.run("one", &unit.bundle);
    assert_eq!((output.code, output.text()), (7, "ran"), "{output:#?}");
    systemd.forgets(&unit.name);
}

#[test]
fn a_forced_delete_ends_all_and_leaves_no_unit() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd
        .unit()
        .map(|bundle| bundle.sh("sleep 1000 & sleep 1000 & echo both; wait"));
    let container = systemd.runtime.started("one", &unit.bundle);
    container.says("both");
    let pids = systemd.limit(&unit.name, "cgroup.procs");
    assert_eq!(pids.lines().count(), 3, "{pids}");
    drop(systemd.runtime.delete_force("one").ok());
    systemd.forgets(&unit.name);
    for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
        assert!(!berth_testkit::is_running(pid), "{pid} outlived delete");
    }
}

#[test]
fn limits_are_properties_and_in_place() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(Bundle::sleeping).resources(json!({
        "memory": {"limit": 64 * MIB, "reservation": 32 * MIB, "swap": 96 * MIB},
        "pids": {"limit": 23},
        "cpu": {"shares": 2048, "quota": 50_000, "period": 100_000},
    }));
    let _container = systemd.runtime.created("one", &unit.bundle);
    for (property, value) in [
        ("MemoryMax", (64 * MIB).to_string()),
        ("MemoryLow", (32 * MIB).to_string()),
        ("MemorySwapMax", (32 * MIB).to_string()),
        ("TasksMax", "23".to_owned()),
        ("CPUQuotaPerSecUSec", "500ms".to_owned()),
    ] {
        assert_eq!(systemd.property(&unit.name, property), value, "{property}");
    }
    for (file, value) in [
        ("memory.max", (64 * MIB).to_string()),
        ("memory.low", (32 * MIB).to_string()),
        ("pids.max", "23".to_owned()),
        ("cpu.max", "50000 100000".to_owned()),
        ("cpu.weight", systemd.property(&unit.name, "CPUWeight")),
    ] {
        assert_eq!(systemd.limit(&unit.name, file), value, "{file}");
    }
    assert_ne!(systemd.limit(&unit.name, "cpu.weight"), "100");
}

#[test]
fn unified_settings_are_in_place() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().resources(json!({
        "unified": {"memory.high": (48 * MIB).to_string(), "pids.max": "31"},
    }));
    let _container = systemd.runtime.created("one", &unit.bundle);
    assert_eq!(
        systemd.limit(&unit.name, "memory.high"),
        (48 * MIB).to_string()
    );
    assert_eq!(systemd.limit(&unit.name, "pids.max"), "31");
    // What systemd does not know it takes back sooner or later.
    systemd.reload();
    assert_eq!(
        systemd.limit(&unit.name, "memory.high"),
        (48 * MIB).to_string()
    );
    assert_eq!(systemd.limit(&unit.name, "pids.max"), "31");
}

#[test]
fn an_update_reaches_the_unit_and_stays() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(Bundle::sleeping).resources(json!({
        "memory": {"limit": 64 * MIB}, "pids": {"limit": 23},
    }));
    let container = systemd.runtime.started("one", &unit.bundle);
    let memory = (128 * MIB).to_string();
    let words = [
        "update",
        "--memory",
        &memory,
        "--pids-limit",
        "42",
        "--cpu-quota",
        "20000",
        "--cpu-period",
        "100000",
        "one",
    ];
    drop(systemd.runtime.invoke(&words).ok());
    let check = || {
        assert_eq!(systemd.property(&unit.name, "MemoryMax"), memory);
        assert_eq!(systemd.property(&unit.name, "TasksMax"), "42");
        assert_eq!(systemd.property(&unit.name, "CPUQuotaPerSecUSec"), "200ms");
        assert_eq!(systemd.limit(&unit.name, "memory.max"), memory);
        assert_eq!(systemd.limit(&unit.name, "pids.max"), "42");
        assert_eq!(systemd.limit(&unit.name, "cpu.max"), "20000 100000");
    };
    check();
    systemd.reload();
    check();
    container.end();
    systemd.forgets(&unit.name);
}

/// systemd attaches a filter of its own, and again at each reload. The devices are some that need
/// no capability to be opened, so that nothing but the filter can refuse them.
#[test]
fn the_device_filter_outlives_a_reload() {
    let Some(systemd) = Systemd::of_the_system() else {
        return;
    };
    let disk = fs::metadata("/").unwrap().dev();
    let (major, minor) = (rustix::fs::major(disk), rustix::fs::minor(disk));
    // The other serial line can be opened here, by who is allowed to.
    fs::File::open("/dev/ttyS0").unwrap();
    let script = format!(
        "mknod /tmp/disk b {major} {minor}; mknod /tmp/line c 4 64; echo made; exec sleep 1000"
    );
    let unit = systemd.unit().map(|bundle| {
        bundle.sh(&script).set(
            "/linux/resources/devices",
            json!([
                {"allow": false, "access": "rwm"},
                {"allow": true, "type": "c", "access": "m"},
                {"allow": true, "type": "b", "major": major, "minor": minor, "access": "rm"},
            ]),
        )
    });
    let container = systemd.runtime.started("one", &unit.bundle);
    container.says("made");
    let check = |when: &str| {
        let allowed = container.sh("echo > /dev/null && : < /dev/ptmx && : < /tmp/disk");
        assert_eq!(allowed.code, 0, "{when}: {allowed:#?}");
        for script in [": < /tmp/line", ": > /tmp/disk"] {
            let message = container.sh(script).refused();
            assert!(message.contains("not permitted"), "{when}: {message}");
        }
    };
    check("at first");
    systemd.reload();
    check("after a reload");
    container.end();
}

#[test]
fn a_slice_is_made_on_the_way() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let above = format!("berthtest{}", std::process::id());
    let slice = format!("{above}-inner.slice");
    let unit = systemd.unit_in(&slice).map(Bundle::sleeping);
    let container = systemd.runtime.created("one", &unit.bundle);
    assert_eq!(systemd.property(&unit.name, "Slice"), slice);
    let cgroup = systemd.cgroup(&unit.name);
    let tail = format!("{above}.slice/{slice}/{}", unit.name);
    assert!(cgroup.ends_with(&tail), "{}", cgroup.display());
    let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap();
    assert_eq!(procs.trim(), container.pid.to_string());
    drop(systemd.runtime.delete_force("one").ok());
    systemd.forgets(&unit.name);
    drop(systemd.systemctl(&["stop", &format!("{above}.slice")]));
}

#[test]
fn the_unit_is_delegated() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(Bundle::sleeping);
    let _container = systemd.runtime.created("one", &unit.bundle);
    assert_eq!(systemd.property(&unit.name, "Delegate"), "yes");
    // systemd leaves alone what is below a delegated unit.
    let below = systemd.cgroup(&unit.name).join("below");
    fs::create_dir(&below).unwrap();
    systemd.reload();
    assert!(below.exists());
    fs::remove_dir(below).unwrap();
}

#[test]
fn an_exec_is_in_the_scope() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(Bundle::sleeping);
    let container = systemd.runtime.started("one", &unit.bundle);
    let cgroup = systemd.property(&unit.name, "ControlGroup");
    let output = container.sh("cat /proc/self/cgroup").ok();
    assert_eq!(output.text(), format!("0::{cgroup}"));
    container.end();
}

#[test]
fn a_paused_container_is_frozen_in_its_scope() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(Bundle::sleeping);
    let container = systemd.runtime.started("one", &unit.bundle);
    drop(systemd.runtime.invoke(&["pause", "one"]).ok());
    assert_eq!(systemd.limit(&unit.name, "cgroup.freeze"), "1");
    assert_eq!(container.status(), "paused");
    drop(systemd.runtime.invoke(&["resume", "one"]).ok());
    assert_eq!(systemd.limit(&unit.name, "cgroup.freeze"), "0");
    assert_eq!(container.status(), "running");
    container.end();
    systemd.forgets(&unit.name);
}

/// A scope whose process the OOM killer ended stays as "failed" until somebody resets it.
#[test]
fn a_failed_scope_is_reset_so_that_its_name_is_free() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd
        .unit()
        .map(|bundle| bundle.sh("echo begun; tail /dev/zero; exec tail /dev/zero"))
        .resources(json!({"memory": {"limit": 16 * MIB, "swap": 16 * MIB}}));
    for _ in 0..2 {
        let container = systemd.runtime.started("one", &unit.bundle);
        assert_ne!(container.wait(), 0);
        container.delete();
        systemd.forgets(&unit.name);
    }
}

#[test]
fn a_unit_that_exists_is_refused_and_left_alone() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(Bundle::sleeping);
    let first = systemd.runtime.started("first", &unit.bundle);
    let message = systemd.runtime.create("second", &unit.bundle).refused();
    assert!(
        message.contains(&unit.name) || systemd.runtime.is_foreign(),
        "{message}"
    );
    assert!(systemd.runtime.state("second").code != 0);
    assert_eq!(systemd.property(&unit.name, "ActiveState"), "active");
    assert_eq!(first.status(), "running");
    first.end();
    systemd.forgets(&unit.name);
}

#[test]
fn annotations_set_harmless_properties() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(|bundle| {
        bundle.sleeping().set(
            "/annotations",
            json!({
                "org.systemd.property.TimeoutStopUSec": "uint64 123000000",
                "org.systemd.property.CollectMode": "'inactive-or-failed'",
            }),
        )
    });
    let _container = systemd.runtime.created("one", &unit.bundle);
    assert_eq!(systemd.property(&unit.name, "TimeoutStopUSec"), "2min 3s");
    assert_eq!(
        systemd.property(&unit.name, "CollectMode"),
        "inactive-or-failed"
    );
}

/// CVE-2024-3154: a property can start programs or lift limits. Nothing is created.
#[test]
fn annotations_set_no_other_property() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    for (name, value) in [
        ("MemoryMax", "uint64 18446744073709551615"),
        ("Wants", "['guest-tests.target']"),
        ("OOMScoreAdjust", "-1000"),
    ] {
        let unit = systemd.unit().map(|bundle| {
            bundle.set(
                "/annotations",
                json!({format!("org.systemd.property.{name}"): value}),
            )
        });
        let message = systemd.runtime.create("one", &unit.bundle).refused();
        assert!(message.contains(name), "{message}");
        assert_eq!(systemd.property(&unit.name, "LoadState"), "not-found");
        assert!(systemd.runtime.state("one").code != 0);
    }
}

#[test]
fn other_forms_of_the_path_are_refused() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    for path in [
        "/a/b",
        "a.slice:b",
        "no-slice:berthtest:c",
        "a/b.slice:berthtest:c",
    ] {
        let bundle = systemd.runtime.bundle().set("/linux/cgroupsPath", path);
        let message = systemd.runtime.create("one", &bundle).refused();
        assert!(
            message.contains(path) || systemd.runtime.is_foreign(),
            "{message}"
        );
    }
}

/// A creation that fails after the scope was made.
#[test]
fn a_failed_creation_leaves_no_unit() {
    let Some(systemd) = Systemd::here() else {
        return;
    };
    let unit = systemd.unit().map(|bundle| {
        bundle
            .mount("no-such-type", "none", "/mnt", &[])
            .args(&["true"])
    });
    drop(systemd.runtime.create("one", &unit.bundle).refused());
    systemd.forgets(&unit.name);
    assert!(systemd.runtime.state("one").code != 0);
}
