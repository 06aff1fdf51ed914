//! `berth check`: exit codes and forms.

use crate::support::Berth;

/// The findings about one container.
fn about(berth: &Berth, arguments: &[&str], name: &str) -> Vec<serde_json::Value> {
    let mut all = vec!["check", "--json"];
    all.extend(arguments);
    let done = berth.run(&all);
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    let findings = json["findings"].as_array().unwrap().iter();
    let object = format!("container {name}");
    findings
        .filter(|f| f["object"] == object.as_str())
        .cloned()
        .collect()
}

#[test]
fn containers_that_share_are_found() {
    let berth = Berth::new();
    berth.ok(&[
        "run", "-d", "--name", "own", "--userns", "private", "host", "sleep", "1000",
    ]);
    berth.ok(&[
        "run", "-d", "--name", "open", "--pid", "host", "--net", "host", "host", "sleep", "1000",
    ]);
    let ids = |name| {
        let found = about(&berth, &[], name);
        let id = |f: &serde_json::Value| f["id"].as_str().unwrap().to_owned();
        found.iter().map(id).collect::<Vec<_>>()
    };
    let open = ids("open");
    for id in ["BM001", "BM002", "BM010"] {
        assert!(open.contains(&id.to_owned()), "{open:?}");
    }
    let own = ids("own");
    for id in ["BM001", "BM002", "BM003", "BM004"] {
        assert!(!own.contains(&id.to_owned()), "{own:?}");
    }
    let done = berth.run(&["check"]);
    assert_eq!(done.code, 2, "{done:?}");
    assert!(
        done.out
            .contains("BM001 error: container open: it shares the pid namespace of the host")
    );
    assert!(done.out.contains("make it anew without --pid host"));
    assert_eq!(berth.run(&["check", "--fail-on", "never"]).code, 0);
    assert_eq!(berth.run(&["check", "--fail-on", "error"]).code, 2);
    assert_eq!(berth.run(&["check", "--fail-on", "loud"]).code, 125);
    let sarif = berth.run(&["check", "--sarif"]);
    assert_eq!(sarif.code, 2);
    let sarif: serde_json::Value = serde_json::from_str(&sarif.out).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().any(|result| result["level"] == "error"));
}

#[test]
fn who_does_not_reap_and_who_came_in_are_found() {
    let berth = Berth::new();
    // PID 1 is a sleep: it never reaps what is given to it.
    let script = "(sleep 0.2 & exec sleep 0.1) & exec sleep 1000";
    berth.ok(&["run", "-d", "--name", "z", "host", "sh", "-c", script]);
    crate::support::eventually("the zombies", || {
        let found = about(&berth, &[], "z");
        let zombie = found.iter().find(|f| f["id"] == "BM030");
        zombie.is_some_and(|f| f["reason"].as_str().unwrap().contains("2 zombies"))
    });
    let mut joined = berth.spawn(&["enter", "z", "sleep", "1000"]);
    crate::support::eventually("the process that came in", || {
        let found = about(&berth, &[], "z");
        let mut joined = found.iter().filter(|f| f["id"] == "BM050");
        joined.any(|f| f["severity"] == "warning")
    });
    berth.ok(&["rm", "-f", "z"]);
    joined.wait().unwrap();
}
