//! The surface, without any container.

use crate::support::Berth;

#[test]
fn help_goes_to_standard_output() {
    let berth = Berth::new();
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["help", "stop"],
        &["ps", "-h"],
    ] {
        let done = berth.run(arguments);
        assert_eq!(done.code, 0, "{arguments:?}");
        assert!(
            done.out.contains("Usage: berth"),
            "{arguments:?}: {}",
            done.out
        );
        assert_eq!(done.err, "");
    }
    let bare = std::process::Command::new(env!("CARGO_BIN_EXE_berth"))
        .output()
        .unwrap();
    assert_eq!(bare.status.code(), Some(0));
    assert!(bare.stdout.starts_with(b"Usage: berth"));
    let done = berth.run(&[]);
    assert_eq!(done.code, 125);
    assert_eq!(
        done.err,
        "berth: a command is missing; see \"berth --help\"\n"
    );
}

#[test]
fn help_texts() {
    let berth = Berth::new();
    insta::assert_snapshot!("help", berth.ok(&["--help"]));
    insta::assert_snapshot!("help_run", berth.ok(&["run", "--help"]));
    insta::assert_snapshot!("help_exec", berth.ok(&["exec", "--help"]));
}

#[test]
fn the_version() {
    let berth = Berth::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(berth.ok(&["--version"]), format!("berth {version}"));
    assert_eq!(berth.ok(&["-v"]), format!("berth {version}"));
    assert_eq!(
        berth.ok(&["version", "--format", "{{.Client.Version}}"]),
        version
    );
    assert!(
        berth
            .ok(&["version"])
            .starts_with("Client: Berth\n Version:")
    );
    assert_eq!(berth.ok(&["info", "-f", "{{.Containers}}"]), "0");
}

#[test]
fn bad_usage_is_125_for_every_command() {
    let berth = Berth::new();
    for command in [
        "run", "create", "start", "exec", "ps", "stop", "kill", "rm", "wait", "logs", "inspect",
        "top", "stats", "version", "info", "pid", "map", "load", "save", "import",
    ] {
        let done = berth.run(&[command, "--no-such-flag"]);
        assert_eq!(done.code, 125, "{command}: {done:?}");
        assert_eq!(done.out, "");
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
        let expected = format!("berth: unknown flag --no-such-flag for \"berth {command}\"");
        assert!(done.err.starts_with(&expected), "{}", done.err);
    }
}

#[test]
fn errors_as_json() {
    let berth = Berth::new();
    let done = berth.run(&["--error-format", "json", "run", "--nmae", "x"]);
    assert_eq!(done.code, 125);
    insta::assert_snapshot!(done.err, @r#"{"class":"invalid","object":"--nmae","message":"unknown flag --nmae for \"berth run\"; did you mean --name?","hint":null}"#);
    let done = berth.run(&["--error-format=json", "stop", "nosuch"]);
    assert_eq!(done.code, 1);
    assert!(
        done.err
            .starts_with(r#"{"class":"not-found","object":"nosuch""#),
        "{}",
        done.err
    );
}

#[test]
fn nothing_is_written_by_looking() {
    let berth = Berth::new();
    berth.ok(&["ps", "-a"]);
    berth.run(&["inspect", "nosuch"]);
    berth.run(&["run", "nosuchimage"]);
    berth.run(&["rm", "nosuch"]);
    assert!(berth.ids().is_empty());
    assert!(!berth.path("state").exists());
}

#[test]
fn removing_by_force_what_is_not_there_is_no_failure() {
    let berth = Berth::new();
    assert_eq!(berth.run(&["rm", "nosuch"]).code, 1);
    assert_eq!(berth.run(&["rm", "-f", "nosuch"]).code, 0);
}
