//! PIDs at every level.

use crate::support::Berth;

#[test]
fn to_the_host_and_back() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let host = berth.ok(&["pid", "a:1"]);
    assert_eq!(berth.ok(&["pid", "a"]), host);
    assert_eq!(berth.ok(&["pid", &host]), "a:1");
    assert_eq!(berth.ok(&["pid", "--in", "a", &host]), "1");
    assert_eq!(berth.ok(&["pid", "--in", "host", "a:1"]), host);
    let status = std::fs::read_to_string(format!("/proc/{host}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("NSpid:"))
        .unwrap();
    assert!(line.ends_with("\t1"), "{line}");
    let me = std::process::id().to_string();
    assert_eq!(berth.ok(&["pid", &me]), format!("host:{me}"));
    let unseen = berth.run(&["pid", "--in", "a", &me]);
    assert_eq!((unseen.code, unseen.out.as_str()), (1, ""));
    let json: serde_json::Value =
        serde_json::from_str(&berth.ok(&["pid", "--json", "a:1"])).unwrap();
    assert_eq!(json["version"], 2);
    assert_eq!(json["answer"], "a:1");
    let levels = json["levels"].as_array().unwrap();
    assert_eq!(levels.last().unwrap()["pid"], 1);
    assert_eq!(levels[0]["pid"].to_string(), host);
}

#[test]
fn top_shows_levels_below() {
    let berth = Berth::new();
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--privileged",
        "host",
        "unshare",
        "--pid",
        "--fork",
        "sleep",
        "1000",
    ]);
    crate::support::eventually("the inner process", || {
        berth.ok(&["top", "a"]).lines().count() == 3
    });
    let template = "{{.Pid}} {{.Deeper}} {{.Command}}";
    assert_eq!(
        berth.ok(&["top", "--format", template, "a"]),
        "1 - unshare --pid --fork sleep 1000\n2 1 sleep 1000"
    );
    let inner = berth.ok(&["pid", "a:2"]);
    let json: serde_json::Value =
        serde_json::from_str(&berth.ok(&["pid", "--json", &inner])).unwrap();
    let levels = json["levels"].as_array().unwrap();
    assert_eq!(levels.last().unwrap()["pid"], 1);
}

#[test]
fn the_map_shows_the_container() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let host = berth.ok(&["pid", "a:1"]);
    let picture = berth.ok(&["map", "--ascii"]);
    let line = picture
        .lines()
        .find(|line| line.contains(&format!(" {host} ")))
        .unwrap();
    assert!(line.contains("sleep"), "{line}");
    let json: serde_json::Value = serde_json::from_str(&berth.ok(&["map", "--json"])).unwrap();
    assert!(json["version"].is_u64());
}

#[test]
fn what_is_no_pid() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "idle", "host", "true"]);
    for (process, part) in [
        ("0", "PIDs count from 1"),
        ("nosuch", "not a PID"),
        ("idle", "is not running"),
        ("idle:1", "is not running"),
        ("a:b", "not a PID"),
        ("4194304", "no process"),
    ] {
        let done = berth.run(&["pid", process]);
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{process}");
        assert!(done.err.contains(part), "{process}: {}", done.err);
        assert_eq!(done.err.lines().count(), 1);
    }
}
