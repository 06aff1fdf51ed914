//! `exec ls`: what it shows, and whom it mistakes for nobody.

use crate::support::{Berth, eventually};
use crate::world::sessions;

#[test]
fn sessions_are_listed_with_what_they_run() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    berth.ok(&["run", "-d", "--name", "b", "host", "sleep", "1000"]);
    assert!(sessions(&berth, "a").is_empty());
    assert_eq!(
        berth.ok(&["inspect", "-f", "{{json .ExecIDs}}", "a"]),
        "null"
    );
    assert_eq!(
        berth.ok(&["exec", "-d", "a", "sleep", "1001"]),
        "",
        "as Docker"
    );
    let shell = "sleep 1002 & sleep 1003";
    berth.ok(&["exec", "-dt", "-u", "nobody", "a", "sh", "-c", shell]);
    berth.ok(&["exec", "-d", "b", "sleep", "1004"]);
    let columns = "{{.Container}} {{.Command}} {{.User}} {{.Tty}} {{.Detached}} {{.Status}}";
    let list = berth.ok(&["exec", "ls", "--no-trunc", "--format", columns, "a"]);
    insta::assert_snapshot!(list, @r#"
    a "sleep 1001" 0:0 false true Running
    a "sh -c 'sleep 1002 & sleep 1003'" nobody true true Running
    "#);
    assert_eq!(berth.ok(&["exec", "ls", "-q"]).lines().count(), 3);
    let ids = sessions(&berth, "a");
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| id.len() == 64));
    let shown = berth.ok(&["inspect", "-f", "{{json .ExecIDs}}", "a"]);
    assert_eq!(shown, format!("[\"{}\",\"{}\"]", ids[0], ids[1]));
    let json = berth.ok(&["exec", "ls", "--format", "json", "b"]);
    assert!(
        json.contains("\"Command\":\"\\\"sleep 1004\\\"\""),
        "{json}"
    );
    // The PID is that of the program, as the host counts it.
    let pid = berth.ok(&["exec", "ls", "--format", "{{.Pid}}", "b"]);
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(line, "sleep\u{0}1004\u{0}");
    // With the container its sessions are gone.
    berth.ok(&["kill", "a"]);
    assert!(sessions(&berth, "a").is_empty());
    berth.ok(&["start", "a"]);
    assert!(sessions(&berth, "a").is_empty());
}

/// A session is on the list until its last process has ended.
#[test]
fn what_a_session_left_behind_is_listed() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "a", "host", "sleep", "1000"]);
    let done = berth.run(&[
        "exec",
        "a",
        "sh",
        "-c",
        "setsid sleep 1000 >/dev/null 2>&1 & exit 5",
    ]);
    assert_eq!(done.code, 5);
    let status = ["exec", "ls", "--format", "{{.Status}} {{.Pid}}", "a"];
    eventually("its end to be on record", || {
        berth.ok(&status) == "Exited (5), 1 process left -"
    });
    let id = sessions(&berth, "a").remove(0);
    let done = berth.run(&["exec", "kill", "-s", "TERM", &id]);
    assert_eq!(done.code, 1);
    assert!(
        done.err.contains("has ended, 1 are left of it"),
        "{}",
        done.err
    );
    berth.ok(&["exec", "kill", &id]);
    assert!(sessions(&berth, "a").is_empty());
}

/// `exec ls COMMAND` of Docker stays what it was: a container that is called so comes first.
#[test]
fn a_container_that_is_called_as_a_verb_comes_first() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "ls", "host", "sleep", "1000"]);
    assert_eq!(berth.ok(&["exec", "ls", "echo", "inside"]), "inside");
    let done = berth.run(&["exec", "kill", "echo"]);
    assert_eq!(done.code, 1, "no session is called so: {done:?}");
    berth.ok(&["rename", "ls", "web"]);
    berth.ok(&["exec", "-d", "web", "sleep", "1000"]);
    assert_eq!(berth.ok(&["exec", "ls", "-q"]).lines().count(), 1);
    // A flag of exec, or --, says that a container follows.
    for flags in [&["exec", "-i"][..], &["exec", "--"], &["exec", "-e", "A=b"]] {
        let done = berth.run(&[flags, &["ls", "true"]].concat());
        assert_eq!(done.code, 125);
        assert!(done.err.contains("no such container: ls"), "{}", done.err);
    }
    assert_eq!(berth.run(&["exec", "ls", "--help"]).code, 0);
}

#[test]
fn mistakes_are_named() {
    let berth = Berth::new();
    let mut answers = Vec::new();
    for words in [
        &["ls", "nosuch"][..],
        &["ls", "--formt", "x"],
        &["kill"],
        &["kill", "0123"],
        &["kill", "../x"],
        &["kill", "-s", "TREM", "0123"],
    ] {
        let done = berth.run(&[&["exec"], words].concat());
        answers.push(format!("{} {}", done.code, done.err.trim_end()));
    }
    insta::assert_snapshot!(answers.join("\n"), @r#"
    1 berth: no such container: nosuch; "berth ps -a" lists all containers
    125 berth: unknown flag --formt for "berth exec ls"; did you mean --format?
    125 berth: "berth exec kill" needs SESSION; see "berth exec kill --help"
    1 berth: no such exec session: 0123; "berth exec ls" lists those that run
    1 berth: no such exec session: ../x; "berth exec ls" lists those that run
    125 berth: invalid value "TREM" for --signal: no signal is called so; did you mean TERM?
    "#);
    let done = berth.run(&["exec", "-d", "--end-with-client", "a", "true"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err, @"berth: --end-with-client and -d exclude each other; leave one out");
}
