//! Docker's groups lead to the same commands, with the same exit codes.

use crate::cli::Berth;

#[test]
fn a_life_in_the_words_of_the_group() {
    let berth = Berth::new();
    let done = berth.run(&["container", "run", "--rm", "host", "sh", "-c", "exit 7"]);
    assert_eq!(done.code, 7, "{done:?}");
    let done = berth.run(&["container", "run", "--rm", "host", "no-such-program"]);
    assert_eq!(done.code, 127, "{done:?}");
    let done = berth.run(&["container", "run", "--nmae", "x", "host"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err, @r#"berth: unknown flag --nmae for "berth run"; did you mean --name?"#);
    berth.ok(&[
        "container",
        "run",
        "-d",
        "--name",
        "web",
        "host",
        "sleep",
        "100",
    ]);
    for list in ["ls", "list", "ps"] {
        let names = berth.ok(&["container", list, "--format", "{{.Names}}"]);
        assert_eq!(names, "web");
    }
    assert_eq!(berth.ok(&["container", "exec", "web", "echo", "hi"]), "hi");
    assert_eq!(berth.ok(&["container", "kill", "web"]), "web");
    assert_eq!(berth.ok(&["container", "wait", "web"]), "137");
    assert_eq!(berth.ok(&["container", "remove", "web"]), "web");
    let done = berth.run(&["container", "rm", "web"]);
    assert_eq!(done.code, 1);
}

#[test]
fn prune_takes_what_has_ended() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "new", "--label", "a=b", "host", "true"]);
    berth.ok(&["run", "--name", "over", "host", "true"]);
    berth.ok(&["run", "-d", "--name", "live", "host", "sleep", "100"]);
    let done = berth.run(&["container", "prune"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "no answer is a no");
    let done = berth.run(&["container", "prune", "-f", "--filter", "dangling=true"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err, @"berth: invalid --filter dangling=true: no filter is called dangling; there are label, label!, until");
    let out = berth.ok(&["container", "prune", "-f", "--filter", "label!=a"]);
    assert!(out.starts_with("Deleted Containers:\n"), "{out}");
    let left = || berth.ok(&["ps", "-a", "--format", "{{.Names}}"]);
    assert_eq!(left(), "live\nnew");
    berth.ok(&["container", "prune", "-f"]);
    assert_eq!(left(), "live");
}

#[test]
fn what_is_not_ours_says_so() {
    let berth = Berth::new();
    let lines: [&[&str]; 8] = [
        &["build", "-t", "x", "."],
        &["compose", "up"],
        &["swarm", "init"],
        &["search", "nginx"],
        &["run", "--link", "db", "host"],
        &["run", "--isolation", "hyperv", "host"],
        &["--host", "tcp://box:2375", "ps"],
        &["container", "inpsect", "x"],
    ];
    let mut answers = String::new();
    for line in lines {
        let done = berth.run(line);
        assert_eq!((done.code, done.out.as_str()), (125, ""), "{line:?}");
        answers.push_str(&done.err);
    }
    insta::assert_snapshot!(answers, @r#"
    berth: "build" is not for berth: berth builds no images
    hint: use buildah, or "docker build -t NAME ." and then "docker save NAME | berth load"
    berth: "compose" is not for berth: berth runs no compose files
    hint: start each service with "berth run -d" on a network of their own
    berth: "swarm" is not for berth: berth runs containers on one host and knows no swarm
    berth: "search" is not for berth: berth searches no registry
    hint: search on the registry's page, then "berth pull NAME"
    berth: --link is not for berth: links are gone: containers on one network of their own find each other by name, and --network-alias gives further names
    berth: invalid value "hyperv" for --isolation: give default: the others are Windows'
    berth: --host is not for berth: berth has no daemon; run it on the host that is meant
    berth: unknown command "inpsect"; did you mean "berth container inspect"?
    "#);
}

#[test]
fn labels_come_from_files_too() {
    let berth = Berth::new();
    let file = berth.path("labels");
    std::fs::write(&file, "# note\na=1\nb\n").unwrap();
    let file = file.display().to_string();
    let more = ["--disable-content-trust", "--volume-driver", "local"];
    let line = ["create", "--name", "c", "--label-file", &file, "-l", "a=2"];
    berth.ok(&[&line[..], &more, &["host", "true"]].concat());
    let labels = berth.ok(&["inspect", "-f", "{{json .Config.Labels}}", "c"]);
    assert_eq!(labels, r#"{"a":"2","b":""}"#);
    let done = berth.run(&["create", "--label-file", "/nonexistent", "host"]);
    assert_eq!(done.code, 125, "{done:?}");
}

#[test]
fn the_help_begins_with_what_is_needed_every_day() {
    let berth = Berth::new();
    let help = berth.ok(&["--help"]);
    let titles: Vec<&str> = help
        .lines()
        .filter(|line| line.ends_with(':') && !line.starts_with(' '))
        .collect();
    assert_eq!(
        titles,
        [
            "Common commands:",
            "Management commands:",
            "Commands:",
            "Namespaces and PIDs:",
            "Global options:"
        ]
    );
    assert!(
        !help.contains('\x1b'),
        "no colour where there is no terminal"
    );
    let of_run = berth.ok(&["help", "container", "run"]);
    assert!(
        of_run.contains("--detach") && !of_run.contains("BOOL"),
        "{of_run}"
    );
    assert_eq!(berth.run(&["frobnicate", "--help"]).code, 125);
}

#[test]
fn top_takes_options_of_ps() {
    let berth = Berth::new();
    berth.ok(&["run", "-d", "--name", "web", "host", "sleep", "100"]);
    let pid = berth.ok(&["inspect", "-f", "{{.State.Pid}}", "web"]);
    let out = berth.ok(&["top", "web", "-o", "pid,comm"]);
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["PID", "COMMAND", &pid, "sleep"]);
    // Without a choice by PID of its own: what is the container's is chosen from all lines.
    let out = berth.ok(&["container", "top", "web", "aux"]);
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.contains(&format!(" {pid} ")), "{out}");
    let done = berth.run(&["top", "web", "-o", "comm"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err, @"berth: ps shows no PID with these options, by which its lines are chosen; add pid to -o");
    let done = berth.run(&["top", "web", "--no-such"]);
    assert_eq!((done.code, done.out.as_str()), (125, ""), "{done:?}");
    assert_eq!(berth.run(&["top", "nosuch", "aux"]).code, 1);
}
