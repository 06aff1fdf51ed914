//! The documents as programs read them, and docs/map.md as people do.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

mod rich;
mod support;

use std::collections::BTreeSet;

use berth_map::json::{Layout, MapDocument, PidDocument, to_text};
use serde_json::Value;
use support::{Fake, FakeHost, pid, run_file, three_levels};

fn parse<T: serde::Serialize>(document: &T) -> Value {
    serde_json::from_str(&to_text(document, Layout::Indented).unwrap()).unwrap()
}

fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                keys(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_is_documented() {
    let host = three_levels();
    let ended = Fake::new(&[900], 1, "x");
    host.record_run(&run_file('e', "ended", &ended, true));
    let world = host.world();
    let mut found = BTreeSet::new();
    keys(&parse(&MapDocument::from(&world)), &mut found);
    keys(&parse(&MapDocument::from(&rich::sketch())), &mut found);
    let resolution = world.resolve(pid(522)).unwrap();
    keys(&parse(&PidDocument::new(&world, &resolution)), &mut found);
    assert!(found.len() > 40, "{found:?}");
    let docs = include_str!("../../../docs/map.md");
    let sets = docs.replace(
        "cgroup ipc mnt net pid time user uts",
        "`cgroup` `ipc` `mnt` `net` `pid` `time` `user` `uts`",
    );
    for key in found {
        assert!(
            sets.contains(&format!("`{key}`")),
            "docs/map.md does not name {key}"
        );
    }
}

#[test]
fn one_process_of_the_map() {
    let host = three_levels();
    let map = parse(&MapDocument::from(&host.world()));
    assert_eq!(map["version"], 2);
    let processes = map["processes"].as_array().unwrap();
    let deep = processes.iter().find(|p| p["pid"] == 522).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(deep).unwrap(), @r#"
    {
      "cgroups": 1,
      "comm": "deep",
      "container": "berth/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "context": false,
      "kernel_thread": false,
      "namespaces": {
        "cgroup": "201",
        "ipc": "202",
        "mnt": "203",
        "net": "204",
        "pid": "300",
        "time": "206",
        "user": "107",
        "uts": "208"
      },
      "namespaces_denied": false,
      "parent": 521,
      "pid": 522,
      "pid_namespaces": [
        "100",
        "200",
        "300"
      ],
      "pids": [
        522,
        22,
        2
      ],
      "start_ticks": "1522",
      "state": "T",
      "uid": 0
    }
    "#);
}

#[test]
fn one_container_of_the_map() {
    let map = parse(&MapDocument::from(&three_levels().world()));
    let containers = map["containers"].as_array().unwrap();
    let side = containers.iter().find(|c| c["name"] == "side").unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(side).unwrap(), @r#"
    {
      "confidence": "certain",
      "engine": "berth",
      "evidence": [
        {
          "detail": "containers/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/run.json",
          "kind": "run-file"
        },
        {
          "detail": "/berth/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
          "kind": "cgroup-path"
        }
      ],
      "id": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
      "image": null,
      "init": 600,
      "key": "berth/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
      "name": "side",
      "own_pid_namespace": false,
      "parent": null,
      "pid_level": 1,
      "pid_namespace": "200",
      "pod": null,
      "shares_with_host": [
        "net",
        "user"
      ]
    }
    "#);
}

#[test]
fn one_pid() {
    let host = three_levels();
    let world = host.world();
    let resolution = world.resolve(pid(522)).unwrap();
    let document = PidDocument::new(&world, &resolution);
    insta::assert_snapshot!(to_text(&document, Layout::Indented).unwrap(), @r#"
    {
      "version": 2,
      "pid": 522,
      "start_ticks": "1522",
      "answer": "web:22",
      "container": {
        "key": "berth/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "engine": "berth",
        "id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "name": "web"
      },
      "levels": [
        {
          "level": 0,
          "namespace": "100",
          "pid": 522,
          "container": null
        },
        {
          "level": 1,
          "namespace": "200",
          "pid": 22,
          "container": {
            "key": "berth/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "engine": "berth",
            "id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "name": "web"
          }
        },
        {
          "level": 2,
          "namespace": "300",
          "pid": 2,
          "container": null
        }
      ]
    }
    "#);
}

#[test]
fn containers_of_one_name_are_told_apart_by_what_is_around_them() {
    let make = |number, ppid, path: &str| Fake::new(&[number], ppid, "p").cgroup(path);
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "init"),
        make(10, 1, "/lxc.payload.a/lxc.payload.web"),
        make(11, 1, "/lxc.payload.b/lxc.payload.web"),
    ]);
    let map = parse(&MapDocument::from(&host.world()));
    let keys: BTreeSet<_> = map["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["key"].as_str().unwrap())
        .collect();
    let expected = ["lxc/a", "lxc/a/lxc/web", "lxc/b", "lxc/b/lxc/web"];
    assert!(keys.into_iter().eq(expected));
}
