//! What is offered for a line that is being typed, from what there is.

use crate::cli::Berth;

/// The words that are offered, and the line for the shell.
fn offers(berth: &Berth, line: &[&str]) -> String {
    let root = berth.path("root").display().to_string();
    let state = berth.path("state").display().to_string();
    let start = [
        "internal", "complete", "--", "--root", &root, "--state", &state,
    ];
    let text = berth.ok(&[&start[..], line].concat());
    let words = text.lines().map(|line| line.split('\t').next().unwrap());
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn names_are_those_of_the_engine_that_the_line_chooses() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "idle", "host", "true"]);
    berth.ok(&["run", "-d", "--name", "live", "host", "sleep", "100"]);
    berth.ok(&["volume", "create", "data"]);
    let ask = |line: &[&str]| offers(&berth, line);
    assert_eq!(ask(&["exec", ""]), "live :none");
    assert_eq!(ask(&["container", "start", ""]), "idle :none");
    assert_eq!(ask(&["rm", ""]), "live idle :none");
    assert_eq!(ask(&["rm", "li"]), "live :none");
    assert_eq!(ask(&["volume", "rm", ""]), "data :none");
    assert_eq!(ask(&["run", "-v", "d"]), "data: :files");
    assert_eq!(
        ask(&["run", "--pid=container:"]),
        "--pid=container:live :none"
    );
    assert_eq!(ask(&["cp", "l"]), "live: :files");
}

#[test]
fn a_store_that_is_not_there_or_damaged_is_no_error() {
    let berth = Berth::new();
    assert_eq!(offers(&berth, &["rm", ""]), ":none");
    std::fs::create_dir_all(berth.path("root/containers")).unwrap();
    std::fs::write(berth.path("root/containers/x"), "junk").unwrap();
    assert_eq!(offers(&berth, &["rm", ""]), ":none");
    for half in ["--root", "frobnicate", ""] {
        assert_eq!(berth.run(&["internal", "complete", "--", half]).code, 0);
    }
}
