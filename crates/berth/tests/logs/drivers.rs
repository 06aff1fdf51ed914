//! What can be asked for, and what is refused.

use crate::support::{Berth, Terminal};

fn inspect(berth: &Berth, name: &str, template: &str) -> String {
    berth.ok(&["inspect", "--format", template, name])
}

/// The folder of the only container.
fn folder(berth: &Berth) -> std::path::PathBuf {
    let ids = berth.ids();
    berth.path("root/containers").join(&ids[0])
}

#[test]
fn json_file_is_the_default() {
    let berth = Berth::new();
    berth.ok(&["run", "--name", "a", "host", "echo", "<hello>"]);
    let line = std::fs::read_to_string(folder(&berth).join("log.json")).unwrap();
    let begin = "{\"log\":\"\\u003chello\\u003e\\n\",\"stream\":\"stdout\",\"time\":\"";
    assert!(
        line.starts_with(begin) && line.ends_with("Z\"}\n"),
        "{line}"
    );
    let config = inspect(&berth, "a", "{{json .HostConfig.LogConfig}}");
    assert_eq!(config, "{\"Config\":{},\"Type\":\"json-file\"}");
    let path = inspect(&berth, "a", "{{.LogPath}}");
    assert!(path.ends_with("/log.json"), "{path}");
    assert_eq!(inspect(&berth, "a", "{{.Berth.Log.Lost}}"), "0");
}

#[test]
fn attributes_go_with_each_record() {
    let berth = Berth::new();
    berth.ok(&[
        "run",
        "--name",
        "a",
        "--label",
        "x=1",
        "--label",
        "other=2",
        "-e",
        "LEVEL=a b",
        "--log-opt",
        "labels=x,none",
        "--log-opt",
        "env=LEVEL",
        "--log-opt",
        "tag={{.Name}}/{{.ImageName}}",
        "host",
        "echo",
        "hi",
    ]);
    let done = berth.ok(&["logs", "--details", "a"]);
    assert_eq!(done, "LEVEL=a+b,tag=a%2Fhost,x=1 hi");
    let times = berth.ok(&["logs", "--details", "-t", "a"]);
    assert!(
        times.ends_with("Z LEVEL=a+b,tag=a%2Fhost,x=1 hi"),
        "{times}"
    );
    assert_eq!(berth.ok(&["logs", "a"]), "hi");
}

#[test]
fn local_keeps_bytes_as_they_are() {
    let berth = Berth::new();
    let script = "printf 'a\\377\\000b\\n'; echo bad >&2; printf end";
    berth.ok(&[
        "create",
        "--name",
        "a",
        "--log-driver",
        "local",
        "host",
        "sh",
        "-c",
        script,
    ]);
    berth.ok(&["start", "a"]);
    berth.ok(&["wait", "a"]);
    let mut command = berth.command(&["logs", "a"]);
    let done = command.output().unwrap();
    assert_eq!(done.stdout, b"a\xff\0b\nend");
    assert_eq!(done.stderr, b"bad\n");
    assert_eq!(berth.ok(&["logs", "-n", "1", "a"]), "end");
    assert_eq!(inspect(&berth, "a", "{{.LogPath}}"), "");
    assert!(folder(&berth).join("log.local").exists());
}

#[test]
fn none_keeps_nothing_and_says_so() {
    let berth = Berth::new();
    let done = berth.run(&[
        "run",
        "--name",
        "a",
        "--log-driver",
        "none",
        "host",
        "echo",
        "hi",
    ]);
    assert_eq!(done.out, "hi\n");
    let done = berth.run(&["logs", "a"]);
    assert_eq!(done.code, 1);
    assert!(
        done.err
            .contains("container a keeps no log: it was made with --log-driver none")
    );
    assert!(!folder(&berth).join("log.json").exists());
}

#[test]
fn a_terminals_bytes_are_kept() {
    let berth = Berth::new();
    berth.ok(&[
        "run",
        "-dt",
        "--name",
        "a",
        "host",
        "printf",
        "\\033[1mx\\033[0m\\n",
    ]);
    berth.ok(&["wait", "a"]);
    assert_eq!(berth.run(&["logs", "a"]).out, "\u{1b}[1mx\u{1b}[0m\r\n");
    let mut terminal = Terminal::start(&berth, &["logs", "a"]);
    terminal.expect("\u{1b}[1mx\u{1b}[0m");
}

#[test]
fn the_configuration_file_sets_what_flags_do_not() {
    let berth = Berth::new();
    let home = berth.path("config");
    std::fs::create_dir_all(home.join("berth")).unwrap();
    let text = "[log]\ndriver = \"local\"\noptions = { max-size = \"1m\", max-file = \"7\" }\n";
    std::fs::write(home.join("berth/config.toml"), text).unwrap();
    let config_of = |flags: &[&str]| {
        let words = [&["create"], flags, &["host", "true"]].concat();
        let made = berth
            .command(&words)
            .env("XDG_CONFIG_HOME", &home)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let id = String::from_utf8(made.stdout).unwrap();
        inspect(&berth, id.trim(), "{{json .HostConfig.LogConfig}}")
    };
    assert_eq!(
        config_of(&["--log-opt", "max-file=2"]),
        "{\"Config\":{\"max-file\":\"2\",\"max-size\":\"1m\"},\"Type\":\"local\"}"
    );
    assert_eq!(
        config_of(&["--log-driver", "json-file"]),
        "{\"Config\":{},\"Type\":\"json-file\"}"
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let berth = Berth::new();
    for (flags, said) in [
        (
            &["--log-driver", "jsn-file"][..],
            "berth: invalid value \"jsn-file\" for --log-driver: did you mean json-file? the log drivers are json-file, local, journald, none",
        ),
        (
            &["--log-opt", "max-sizes=3"],
            "berth: invalid value \"max-sizes=3\" for --log-opt: there is no log option max-sizes; did you mean max-size?",
        ),
        (
            &["--log-opt", "max-size=3q"],
            "berth: cannot use the log option max-size=3q: give a size such as 10m, or -1 for no limit",
        ),
        (
            &["--log-driver", "local", "--log-opt", "tag=x"],
            "berth: log driver local has no option tag; it has max-size, max-file, compress, mode, max-buffer-size",
        ),
        (
            &["--log-opt", "tag={{.Nam}}"],
            "berth: cannot use the log option tag={{.Nam}}: there is no {{.Nam}}; there are {{.ID}}, {{.FullID}}, {{.Name}}, {{.ImageName}}, {{.ImageID}}, {{.ImageFullID}}, {{.Command}}, {{.DaemonName}}",
        ),
    ] {
        for command in ["run", "create"] {
            let words = [&[command], flags, &["host", "true"]].concat();
            let done = berth.run(&words);
            assert_eq!((done.code, done.err.trim_end()), (125, said), "{flags:?}");
        }
    }
    assert!(berth.ids().is_empty());
}
