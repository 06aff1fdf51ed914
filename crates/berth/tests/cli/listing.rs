//! ps, inspect, stats, top: fields, filters, formats, closed pipes.

use std::process::Stdio;

use crate::support::{Berth, finish};

fn three() -> Berth {
    let berth = Berth::new();
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "old",
        "--label",
        "tier=back",
        "host",
        "sh",
        "-c",
        "exit 3",
    ]);
    berth.ok(&["wait", "old"]);
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "web",
        "--label",
        "tier=front",
        "--label",
        "a.b-c_d=x y",
        "host",
        "sleep",
        "1000",
    ]);
    berth.ok(&["create", "--name", "new", "host", "true"]);
    berth
}

#[test]
fn names_by_filter() {
    let berth = three();
    let names = |arguments: &[&str]| {
        let all = [&["ps", "--format", "{{.Names}}"], arguments].concat();
        berth.ok(&all).replace('\n', " ")
    };
    assert_eq!(names(&[]), "web");
    assert_eq!(names(&["-a"]), "new web old");
    assert_eq!(names(&["-n", "2"]), "new web");
    assert_eq!(names(&["-l"]), "new");
    assert_eq!(names(&["-f", "status=exited"]), "old");
    assert_eq!(
        names(&["-f", "status=exited", "-f", "status=created"]),
        "new old"
    );
    assert_eq!(names(&["-f", "exited=3"]), "old");
    assert_eq!(names(&["-a", "-f", "label=tier"]), "web old");
    assert_eq!(names(&["-a", "-f", "label=tier=front"]), "web");
    assert_eq!(
        names(&["-a", "-f", "label=tier", "-f", "label=tier=back"]),
        "old"
    );
    assert_eq!(names(&["-f", "before=web"]), "old");
    assert_eq!(names(&["-f", "since=web"]), "new");
    assert_eq!(names(&["-a", "-f", "name=^o"]), "old");
    assert_eq!(
        names(&["-a", "-f", "ancestor=host", "-f", "name=e"]),
        "new web"
    );
}

#[test]
fn formats() {
    let berth = three();
    let format = |template: &str| berth.ok(&["ps", "--format", template]);
    assert_eq!(
        format(r#"{{.Names}} {{.Label "tier"}} {{.State}} {{upper .Image}}"#),
        "web front running HOST"
    );
    assert_eq!(
        format(r#"table {{.Names}}\t{{.Label "a.b-c_d"}}\t{{.Command}}"#),
        "NAMES     b c d     COMMAND\nweb       x y       \"sleep 1000\""
    );
    let json: serde_json::Value = serde_json::from_str(&format("json")).unwrap();
    assert_eq!(json["Names"], "web");
    assert_eq!(json["Labels"], "a.b-c_d=x y,tier=front");
    let table = berth.ok(&["ps", "-a"]);
    let heading = table.lines().next().unwrap();
    assert!(
        heading.starts_with("CONTAINER ID   IMAGE     COMMAND"),
        "{heading}"
    );
    assert!(table.contains("Exited (3) "), "{table}");
    assert!(table.contains("Created"), "{table}");
}

#[test]
fn bad_templates_are_bad_usage() {
    let berth = three();
    for (template, message) in [
        (
            "{{.Nam}}",
            "berth: invalid --format: template:1:3: there is no field .Nam; did you mean .Names?\n",
        ),
        (
            "{{.Names",
            "berth: invalid --format: template:1:1: an action that never ends; close it with }}\n",
        ),
    ] {
        let done = berth.run(&["ps", "--format", template]);
        assert_eq!(
            (done.code, done.out.as_str(), done.err.as_str()),
            (125, "", message)
        );
    }
}

#[test]
fn inspect_has_dockers_fields() {
    let berth = three();
    let field = |template: &str| berth.ok(&["inspect", "--format", template, "web"]);
    assert_eq!(
        field("{{.Name}} {{.State.Running}} {{.Config.Image}}"),
        "/web true host"
    );
    assert_eq!(field(r#"{{index .Config.Labels "a.b-c_d"}}"#), "x y");
    assert_eq!(field("{{json .Args}}"), r#"["1000"]"#);
    let pid = field("{{.State.Pid}}");
    assert_eq!(pid, berth.ok(&["pid", "web:1"]));
    let all: serde_json::Value =
        serde_json::from_str(&berth.ok(&["inspect", "web", "old"])).unwrap();
    assert_eq!(all[0]["State"]["Status"], "running");
    assert_eq!(all[1]["State"]["ExitCode"], 3);
    let done = berth.run(&["inspect", "web", "nosuch"]);
    assert_eq!(done.code, 1);
    assert!(done.out.contains("\"/web\""));
}

#[test]
fn a_closed_pipe_ends_a_listing_quietly() {
    let berth = three();
    for arguments in [
        &["ps", "-a"][..],
        &["inspect", "web", "old", "new"],
        &["map"],
        &["map", "--json"],
        &["top", "web"],
        &["info"],
        &["run", "--help"],
        &["logs", "old"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = berth
            .command(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let done = finish(child);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_told() {
    let berth = three();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let child = berth
        .command(&["ps"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let done = finish(child);
    assert_eq!(done.code, 1);
    assert!(
        done.err.contains("cannot write to standard output"),
        "{}",
        done.err
    );
}

#[test]
fn hostile_text_is_escaped_in_tables() {
    let berth = Berth::new();
    let label = "x=\u{1b}[2J\u{9b}31m\n\tok";
    berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "--label",
        label,
        "host",
        "bash",
        "-c",
        "exec -a \"$(printf '\\033[31mred')\" sleep 1000",
    ]);
    for arguments in [
        &["ps"][..],
        &[
            "ps",
            "--no-trunc",
            "--format",
            "table {{.Names}}\t{{.Labels}}",
        ],
        &["ps", "--format", "json"],
        &["inspect", "a"],
        &["top", "a"],
        &["map"],
    ] {
        let out = berth.ok(arguments);
        assert!(
            !out.contains(['\u{1b}', '\u{9b}']),
            "{arguments:?}: {out:?}"
        );
    }
    let table = berth.ok(&["ps", "--format", "table {{.Labels}}"]);
    assert_eq!(table, "LABELS\nx=\\x1b[2J\\x9b31m\\n\\tok");
}

#[test]
fn stats_once() {
    let berth = three();
    let table = berth.ok(&["stats", "--no-stream"]);
    let mut lines = table.lines();
    let heading = lines.next().unwrap();
    assert!(
        heading.starts_with("CONTAINER ID   NAME      CPU %"),
        "{heading}"
    );
    assert!(lines.next().unwrap().contains("web"));
    assert_eq!(lines.next(), None);
    let text = berth.ok(&[
        "stats",
        "--no-stream",
        "--format",
        "{{.Name}} {{.PIDs}} {{.MemPerc}}",
        "web",
    ]);
    assert!(text.starts_with("web 1 ") && text.ends_with('%'), "{text}");
}
