//! JSON and tables as runc 1.1 prints them: names and kinds of their parts.

use berth_testkit::{covers, soon};
use serde_json::{Value, json};

use crate::runtime;

#[track_caller]
fn assert_kinds(value: &Value, kinds: &[(&str, &str)]) {
    for (pointer, kind) in kinds {
        let found = value.pointer(pointer).unwrap_or(&Value::Null);
        let is_right = match *kind {
            "string" => found.is_string(),
            "number" => found.is_number(),
            "list" => found.is_array(),
            "object" => found.is_object(),
            other => panic!("{other}"),
        };
        assert!(is_right, "{pointer} is no {kind} in {value:#}");
    }
}

const CONTAINER: [(&str, &str); 8] = [
    ("/ociVersion", "string"),
    ("/id", "string"),
    ("/pid", "number"),
    ("/status", "string"),
    ("/bundle", "string"),
    ("/rootfs", "string"),
    ("/created", "string"),
    ("/owner", "string"),
];

#[test]
fn state_and_list_have_runcs_shape() {
    covers!("runtime/state-schema");
    let runtime = runtime();
    assert_eq!(
        runtime.invoke(&["list", "--format", "json"]).ok().text(),
        "null"
    );
    let bundle = runtime.bundle().sleeping();
    let container = runtime.started("one", &bundle);
    let state = container.state();
    assert_kinds(&state, &CONTAINER);
    assert_eq!(state["rootfs"], bundle.rootfs().to_str().unwrap());
    let list = runtime.list();
    assert_eq!(list.len(), 1);
    assert_kinds(&list[0], &CONTAINER);
    assert_eq!(list[0]["owner"], "root");
    for field in [
        "id",
        "pid",
        "status",
        "bundle",
        "rootfs",
        "created",
        "ociVersion",
    ] {
        assert_eq!(list[0][field], state[field], "{field}");
    }
    container.end();
    assert_eq!(
        runtime.invoke(&["list", "--format", "json"]).ok().text(),
        "null"
    );
}

#[test]
fn the_list_is_a_table_or_ids_alone() {
    let runtime = runtime();
    let bundle = runtime.bundle().sleeping();
    let container = runtime.started("one", &bundle);
    let created = runtime.created("two", &runtime.bundle());
    let table = runtime.invoke(&["list"]).ok().out;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    );
    assert_eq!(lines.len(), 3);
    let pid = container.pid.to_string();
    assert_eq!(
        lines[1][..4],
        [
            "one",
            pid.as_str(),
            "running",
            bundle.path().to_str().unwrap()
        ]
    );
    assert_eq!(lines[2][2], "created");
    assert_eq!(lines[1][5], "root");
    assert_eq!(runtime.invoke(&["list", "--quiet"]).ok().out, "one\ntwo\n");
    assert!(runtime.invoke(&["list", "--format", "yaml"]).code > 0);
    created.end();
    container.end();
}

#[test]
fn ps_is_a_table_of_ps_or_a_list_of_pids() {
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sh("sleep 1000 & exec sleep 1001"));
    let pids = soon("two processes", || {
        let pids = runtime
            .invoke(&["ps", "--format", "json", "one"])
            .ok()
            .json();
        Some(pids).filter(|pids| pids.as_array().is_some_and(|list| list.len() == 2))
    });
    assert_eq!(pids[0], json!(container.pid));
    assert!(pids[1].is_u64());
    let table = runtime.invoke(&["ps", "one"]).ok().out;
    assert!(table.lines().next().unwrap().contains("PID"), "{table}");
    assert!(table.contains(&container.pid.to_string()), "{table}");
    assert!(table.contains(&pids[1].to_string()), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");
    container.end();
}

#[test]
fn stats_have_runcs_shape() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .set("/linux/resources/memory", json!({"limit": 67_108_864}))
        .set("/linux/resources/pids", json!({"limit": 50}))
        .sleeping();
    let container = runtime.started("one", &bundle);
    let event = runtime.invoke(&["events", "--stats", "one"]).ok().json();
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"], "one");
    assert_kinds(
        &event,
        &[
            ("/data/cpu/usage/total", "number"),
            ("/data/cpu/usage/kernel", "number"),
            ("/data/cpu/usage/user", "number"),
            ("/data/cpu/throttling", "object"),
            ("/data/memory/usage/usage", "number"),
            ("/data/memory/usage/limit", "number"),
            ("/data/memory/usage/failcnt", "number"),
            ("/data/memory/swap", "object"),
            ("/data/memory/kernel", "object"),
            ("/data/memory/raw", "object"),
            ("/data/pids/current", "number"),
            ("/data/pids/limit", "number"),
            ("/data/blkio", "object"),
            ("/data/hugetlb", "object"),
        ],
    );
    assert_eq!(event["data"]["memory"]["usage"]["limit"], 67_108_864);
    assert_eq!(event["data"]["pids"]["limit"], 50);
    assert!(event["data"]["pids"]["current"].as_u64().unwrap() >= 1);
    assert!(event["data"]["cpu"]["usage"]["total"].as_u64().unwrap() > 0);
    container.end();
    drop(runtime.invoke(&["events", "--stats", "one"]).refused());
}

#[test]
fn events_repeat_and_end_with_the_container() {
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    let out = runtime.path("events");
    let mut command = runtime.command(&["events", "--interval", "100ms", "one"]);
    let mut child = command
        .stdout(std::fs::File::create(&out).unwrap())
        .spawn()
        .unwrap();
    let lines = || std::fs::read_to_string(&out).unwrap();
    soon("two events", || {
        (lines().lines().count() >= 2).then_some(())
    });
    container.kill("KILL");
    container.wait();
    container.delete();
    berth_testkit::finish(&mut child);
    for line in lines().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["id"], "one");
    }
}
