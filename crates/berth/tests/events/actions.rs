//! What is done, and which events tell of it.

use rustix::fs::{FlockOperation, flock};

use crate::cli::{Berth, Terminal, eventually};
use crate::support::{about, all};

#[test]
fn a_container_from_its_making_to_its_end() {
    let berth = Berth::new();
    let id = berth.ok(&[
        "run",
        "-d",
        "--name",
        "web",
        "--label",
        "tier=front",
        "-v",
        "data:/data",
        "host",
        "sleep",
        "1000",
    ]);
    assert_eq!(berth.run(&["exec", "web", "sh", "-c", "exit 3"]).code, 3);
    berth.ok(&["kill", "--signal", "CONT", "web"]);
    berth.ok(&["cp", "web:/etc/hostname", "-"]);
    berth.ok(&["stop", "--signal", "KILL", "web"]);
    berth.ok(&["rm", "web"]);
    assert_eq!(
        about(&berth, &id),
        [
            "container create",
            "volume mount",
            "container start",
            "container exec_create: sh -c exit 3",
            "container exec_start: sh -c exit 3",
            "container exec_die",
            "container kill",
            "container archive-path",
            "container kill",
            "container die",
            "volume unmount",
            "container stop",
            "container destroy",
        ]
    );
    let all = all(&berth);
    let times: Vec<u64> = all
        .iter()
        .map(|e| e["timeNano"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let die = all.iter().find(|event| event["Action"] == "die").unwrap();
    assert_eq!(die["from"], "host");
    assert_eq!(die["scope"], "local");
    let attributes = &die["Actor"]["Attributes"];
    assert_eq!(attributes["exitCode"], "137");
    assert_eq!(attributes["name"], "web");
    assert_eq!(attributes["tier"], "front");
    let exec = all.iter().find(|event| event["Action"] == "exec_die");
    assert_eq!(exec.unwrap()["Actor"]["Attributes"]["exitCode"], "3");
    let made = all.iter().find(|event| event["Actor"]["ID"] == "data");
    assert_eq!(made.unwrap()["Action"], "create");
}

#[test]
fn a_foreground_run_and_a_start_that_fails() {
    let berth = Berth::new();
    berth.ok(&["run", "--rm", "--name", "short", "host", "true"]);
    let short = all(&berth)[0]["Actor"]["ID"].as_str().unwrap().to_owned();
    assert_eq!(
        about(&berth, &short),
        [
            "container create",
            "container attach",
            "container start",
            "container die",
            "container destroy"
        ]
    );
    // What never ran has not died.
    let done = berth.run(&["run", "--name", "none", "host", "/no/such/program"]);
    assert_eq!(done.code, 127);
    let actions = berth.ok(&[
        "events",
        "--until",
        "0s",
        "--filter",
        "container=none",
        "--format",
        "{{.Action}}",
    ]);
    assert_eq!(actions, "create\nattach");
}

/// The attribute of each event of a container whose action begins with a word.
fn attributes(berth: &Berth, id: &str, word: &str, key: &str) -> Vec<String> {
    let of = |event: &&serde_json::Value| {
        let action = event["Action"].as_str().unwrap();
        event["Actor"]["ID"] == id && action.starts_with(word)
    };
    let all = all(berth);
    let found = all.iter().filter(of);
    found
        .map(|event| {
            let value = event["Actor"]["Attributes"][key].as_str();
            value.unwrap_or("none").to_owned()
        })
        .collect()
}

#[test]
fn the_events_of_a_session_carry_its_id() {
    let berth = Berth::new();
    let id = berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "1000"]);
    berth.ok(&["exec", "-d", "web", "sleep", "1000"]);
    let listed = berth.ok(&["exec", "ls", "-q", "--no-trunc"]);
    berth.ok(&["exec", "web", "true"]);
    assert_eq!(berth.run(&["exec", "web", "/none"]).code, 127);
    let begun = attributes(&berth, &id, "exec_create", "execID");
    assert_eq!(begun, attributes(&berth, &id, "exec_start", "execID"));
    let [kept, short, failed] = begun.as_slice() else {
        panic!("{begun:?}");
    };
    assert_eq!(*kept, listed);
    assert_eq!(kept.len(), 64);
    eventually("the end of the others", || {
        attributes(&berth, &id, "exec_die", "execID").len() == 2
    });
    let mut terminal = Terminal::start(&berth, &["exec", "-it", "web", "sh"]);
    terminal.press("echo a''b\n");
    terminal.expect("ab");
    terminal.press("\u{10}\u{11}");
    eventually("the client's leave", || {
        terminal.child.try_wait().unwrap().is_some()
    });
    let left = attributes(&berth, &id, "exec_create", "execID")[3].clone();
    let detached = attributes(&berth, &id, "exec_detach", "execID");
    assert_eq!(detached, std::slice::from_ref(&left));
    berth.ok(&["kill", "web"]);
    let mut ended = attributes(&berth, &id, "exec_die", "execID");
    // Those that ran on end with the container.
    assert_eq!(ended[..2], [short.clone(), failed.clone()]);
    ended[2..].sort();
    let mut expected = [kept.clone(), left];
    expected.sort();
    assert_eq!(ended[2..], expected);
    let codes = attributes(&berth, &id, "exec_die", "exitCode");
    assert_eq!(codes[2..], ["137", "137"]);
    assert_eq!(about(&berth, &id).last().unwrap(), "container die");
}

#[test]
fn the_size_of_a_terminal_and_its_changes() {
    let berth = Berth::new();
    let words = ["run", "-it", "--name", "web", "host", "sh"];
    let mut terminal = Terminal::start(&berth, &words);
    terminal.press("echo a''b\n");
    terminal.expect("ab");
    let id = berth.ok(&["inspect", "-f", "{{.Id}}", "web"]);
    let sizes = |key: &str| attributes(&berth, &id, "resize", key);
    let before = sizes("height");
    assert_eq!(before.len(), 1, "{before:?}");
    terminal.resize(33, 99);
    eventually("the change", || sizes("height").len() == 2);
    assert_eq!(
        (sizes("height")[1].as_str(), sizes("width")[1].as_str()),
        ("33", "99")
    );
    terminal.press("exit\n");
    eventually("the end", || terminal.child.try_wait().unwrap().is_some());
}

#[test]
fn one_update_and_a_restart_of_what_does_not_run() {
    let berth = Berth::new();
    let id = berth.ok(&["create", "--name", "web", "host", "sleep", "1000"]);
    let both = [
        "update",
        "--restart",
        "on-failure:3",
        "--memory",
        "64m",
        "web",
    ];
    berth.ok(&both);
    let said = berth.ok(&[
        "inspect",
        "-f",
        "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.Memory}}",
        "web",
    ]);
    assert_eq!(said, "on-failure 67108864");
    // All of it or nothing.
    let refused = ["update", "--restart", "always", "--memory", "1g", "web"];
    assert_eq!(berth.run(&refused).code, 1);
    let said = berth.ok(&["inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", "web"]);
    assert_eq!(said, "on-failure");
    berth.ok(&["restart", "web"]);
    assert_eq!(
        about(&berth, &id),
        [
            "container create",
            "container update",
            "container start",
            "container restart"
        ]
    );
}

#[test]
fn volumes_networks_and_prunes() {
    let berth = Berth::new();
    berth.ok(&["volume", "create", "a"]);
    berth.ok(&["volume", "rm", "a"]);
    let network = berth.ok(&["network", "create", "--internal", "n"]);
    berth.ok(&["network", "rm", "n"]);
    berth.ok(&["create", "--name", "old", "host", "true"]);
    berth.ok(&["system", "prune", "--force", "--volumes"]);
    assert_eq!(about(&berth, "a"), ["volume create", "volume destroy"]);
    assert_eq!(
        about(&berth, &network),
        ["network create", "network destroy"]
    );
    let prunes = berth.ok(&[
        "events",
        "--until",
        "0s",
        "--filter",
        "event=prune",
        "--format",
        "{{.Type}}",
    ]);
    assert_eq!(prunes, "container\nvolume\nimage");
    let old = berth.ok(&[
        "events",
        "--until",
        "0s",
        "--filter",
        "container=old",
        "--format",
        "{{.Action}}",
    ]);
    assert_eq!(old, "create\ndestroy");
}

#[test]
fn filters_and_times() {
    let berth = Berth::new();
    for (name, label) in [("one", "n=1"), ("two", "n=2")] {
        berth.ok(&["create", "--name", name, "--label", label, "host", "true"]);
        berth.ok(&["start", name]);
        berth.ok(&["wait", name]);
    }
    let events = |arguments: &[&str]| {
        let all = [
            &[
                "events",
                "--format",
                "{{.Action}} {{.Actor.Attributes.name}}",
            ],
            arguments,
        ];
        berth.ok(&all.concat()).replace('\n', ", ")
    };
    let until = ["--until", "0s"];
    let filtered = |filters: &[&str]| {
        let flags: Vec<&str> = filters.iter().flat_map(|f| ["--filter", *f]).collect();
        events(&[&until[..], &flags].concat())
    };
    assert_eq!(filtered(&["event=die"]), "die one, die two");
    assert_eq!(
        filtered(&["event=die", "event=start", "label=n=2"]),
        "start two, die two"
    );
    assert_eq!(filtered(&["container=one", "type=volume"]), "");
    assert_eq!(
        filtered(&["image=host", "event=create"]),
        "create one, create two"
    );
    let die: Vec<_> = all(&berth);
    let second = die
        .iter()
        .rfind(|event| event["Action"] == "create")
        .unwrap();
    let nanos = second["timeNano"].as_u64().unwrap();
    let moment = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    assert_eq!(
        events(&["--since", &moment, "--until", "0s"]),
        "create two, start two, die two"
    );
    assert_eq!(
        events(&["--until", &moment]),
        "create one, start one, die one, create two"
    );
    assert_eq!(
        berth.ok(&["system", "events", "--until", "0s"]),
        berth.ok(&["events", "--since", "0", "--until", "0s"])
    );
}

#[test]
fn mistakes_are_bad_usage() {
    let berth = Berth::new();
    for (arguments, message) in [
        (
            ["--filter", "contaner=a"],
            "berth: invalid --filter contaner=a: no filter is called contaner; did you mean container?\n",
        ),
        (
            ["--filter", "event=dies"],
            "berth: invalid --filter event=dies: no event is called dies; did you mean die?\n",
        ),
        (
            ["--format", "{{.Actoin}}"],
            "berth: invalid --format: template:1:3: there is no field .Actoin; did you mean .Action?\n",
        ),
    ] {
        let done = berth.run(&[&["events"], &arguments[..]].concat());
        assert_eq!((done.code, done.err.as_str()), (125, message));
    }
    let done = berth.run(&["events", "--since", "yesterday"]);
    assert_eq!(done.code, 125, "{done:?}");
}

/// And what its client does then comes after. Somebody holds the journal's lock, so that whoever
/// writes takes longer than usual.
#[test]
fn who_hears_that_it_runs_finds_its_start() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "web", "host", "sleep", "1000"]);
    let path = berth.path("root/events/journal.jsonl");
    let journal = std::fs::File::open(&path).unwrap();
    flock(&journal, FlockOperation::LockExclusive).unwrap();
    berth.ok(&["start", "web"]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"start\""), "{text}");
}

/// A journal that cannot be written loses events, and nothing else.
#[test]
fn no_journal_hinders_no_container() {
    let berth = Berth::new();
    std::fs::create_dir_all(berth.path("root")).unwrap();
    std::fs::write(
        berth.path("root/events"),
        "a file where the folder should be",
    )
    .unwrap();
    assert_eq!(berth.ok(&["run", "--rm", "host", "echo", "fine"]), "fine");
    let done = berth.run(&["events", "--until", "0s"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("root/events"), "{done:?}");
}
