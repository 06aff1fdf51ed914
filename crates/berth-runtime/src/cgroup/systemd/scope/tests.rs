//! Against the real systemd: a user's own one, in namespaces and a cgroup of the test's, where it
//! sees cgroup v2 alone.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command};

use super::super::Bus;
use super::*;
use crate::cgroup::kernel_tests::Place;
use crate::cgroup::{Placement, files};

const SYSTEMD: &str = "/lib/systemd/systemd";

/// Enters the cgroup `$1`, new namespaces, and starts the test `$3` of the program `$2` there
/// beside a bus and a systemd.
const OUTSIDE: &str = r#"
set -e
echo 0 > "$1/cgroup.procs"
exec unshare --mount --cgroup --pid --fork --kill-child --mount-proc --propagation private sh -c "$4" sh "$2" "$3"
"#;

/// PID 1 of the namespace: what it leaves dies with it.
const INSIDE: &str = r#"
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/0
export XDG_RUNTIME_DIR=/run/user/0 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/0/bus
dbus-daemon --session --address=$DBUS_SESSION_BUS_ADDRESS --nofork --nopidfile 2>/dev/null &
i=0; while ! [ -S /run/user/0/bus ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
/lib/systemd/systemd --user --log-target=null >/dev/null 2>&1 &
i=0; while ! [ -S /run/user/0/systemd/private ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
"$1" --ignored --exact "$2" --nocapture
"#;

#[test]
fn a_real_systemd_makes_changes_and_stops_a_scope() {
    let Some(place) = Place::new("sd") else {
        return;
    };
    let cgroup = place.create("a");
    let Some(v2) = cgroup.v2.as_ref().filter(|_| Path::new(SYSTEMD).exists()) else {
        eprintln!("skipped: no cgroup v2, or no systemd installed");
        return cgroup.remove().unwrap();
    };
    let module = module_path!().split_once("::").unwrap().1;
    let output = Command::new("sh")
        .args(["-c", OUTSIDE, "sh"])
        .arg(&v2.path)
        .arg(std::env::current_exe().unwrap())
        .arg(format!("{module}::inside_with_systemd"))
        .arg(INSIDE)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    cgroup.kill().unwrap();
    assert!(
        cgroup
            .wait_empty(crate::cgroup::kernel_tests::soon())
            .unwrap()
    );
    cgroup.remove().unwrap();
}

/// What systemd says of the unit's properties, by name.
fn show(scope: &Scope) -> HashMap<String, String> {
    let output = Command::new("systemctl")
        .args(["--user", "show", &scope.unit])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn sleeper() -> (Child, HostPid) {
    let child = Command::new("sleep").arg("100").spawn().unwrap();
    let pid = HostPid::new(child.id()).unwrap();
    (child, pid)
}

fn planned(path: &str) -> SystemdPlace {
    let annotations = HashMap::from([(
        "org.systemd.property.TimeoutStopSec".to_owned(),
        "uint64 3".to_owned(),
    )]);
    let path = Some(Path::new(path));
    match Placement::systemd(path, "id", Bus::User, Some(&annotations)).unwrap() {
        Placement::Systemd(place) => place,
        Placement::Cgroupfs(_) => unreachable!(),
    }
}

/// Limits of controllers that this v2 may lack: what systemd was told, it shows.
fn limits_are_told(scope: &Scope, hierarchies: &Hierarchies) {
    let limits = serde_json::from_str(
        r#"{"memory": {"limit": 67108864, "swap": 77108864}, "pids": {"limit": 55},
            "cpu": {"shares": 512, "quota": 33333, "period": 100000, "cpus": "0-1", "mems": "0"},
            "blockIO": {"weight": 100}, "unified": {"memory.high": "1000000000"}}"#,
    )
    .unwrap();
    scope.update(hierarchies, &limits).unwrap();
    let shown = show(scope);
    for (name, value) in [
        ("MemoryMax", "67108864"),
        ("MemorySwapMax", "10000000"),
        ("MemoryHigh", "1000000000"),
        ("TasksMax", "55"),
        ("CPUWeight", "59"),
        ("CPUQuotaPerSecUSec", "340ms"),
        ("CPUQuotaPeriodUSec", "100ms"),
        ("AllowedCPUs", "0-1"),
        ("AllowedMemoryNodes", "0"),
        ("IOWeight", "910"),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
}

#[test]
#[ignore = "runs inside the namespaces of the test above"]
fn inside_with_systemd() {
    let read = |file| std::fs::read_to_string(file).unwrap();
    let hierarchies =
        Hierarchies::discover(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    let place = planned("a-b.slice:berth:x+1");
    let rules = serde_json::from_str(
        r#"{"devices": [{"allow": false, "access": "rwm"},
                        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
                        {"allow": true, "type": "c", "major": 136, "access": "rw"}],
            "unified": {"cgroup.max.depth": "7"}}"#,
    )
    .unwrap();
    let (mut child, pid) = sleeper();
    let start = |pid| place.start_scope(&hierarchies, Access::Required, pid, &rules);
    let cgroup = start(pid).unwrap();

    // The process is inside, where it was foretold, and both ways of setting have worked.
    assert_eq!(cgroup.processes().unwrap(), [pid]);
    let foretold = Placement::Systemd(place.clone()).paths(&hierarchies);
    assert_eq!(cgroup.paths(), foretold);
    let dir = cgroup.v2.as_ref().unwrap().open().unwrap();
    assert_eq!(files::read_at(dir, "cgroup.max.depth").unwrap(), "7\n");
    let shown = show(&place.scope);
    for (name, value) in [
        ("ActiveState", "active"),
        ("Slice", "a-b.slice"),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("DevicePolicy", "strict"),
        ("TimeoutStopUSec", "3s"),
        ("MemoryAccounting", "yes"),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }

    limits_are_told(&place.scope, &hierarchies);

    // A living scope of that name is refused, and lives on.
    let (mut other, pid) = sleeper();
    let refused = start(pid).unwrap_err();
    assert!(refused.to_string().contains("UnitExists"), "{refused}");
    assert_eq!(show(&place.scope)["ActiveState"], "active");
    other.kill().unwrap();
    other.wait().unwrap();

    place.scope.stop().unwrap();
    child.wait().unwrap();
    assert_eq!(show(&place.scope)["ActiveState"], "inactive");
    place.scope.stop().unwrap();
    cgroup.remove().unwrap();

    // What cannot be set leaves no scope.
    let (mut child, pid) = sleeper();
    let place = planned(":berth:y");
    let bad = serde_json::from_str(r#"{"unified": {"nosuch.max": "1"}}"#).unwrap();
    let refused = place
        .start_scope(&hierarchies, Access::Required, pid, &bad)
        .unwrap_err();
    assert!(refused.to_string().contains("nosuch"), "{refused}");
    child.wait().unwrap();
    assert_eq!(show(&place.scope)["ActiveState"], "inactive");
}
