//! Readers in other namespaces than the first ones: other tests, run again in there.

use super::*;

const LIFE: &str = "lives::a_process_is_seen_at_every_level_from_birth_to_end";
const BOTH: &str = "sources::the_connector_and_bpf_agree";

/// Runs a test below unshare(1).
fn run(flags: &[&str], test: &str) {
    let own = std::env::current_exe().unwrap();
    let test = format!("discover::events::tests::{test}");
    let mut command = Command::new("unshare");
    command
        .args(flags)
        .arg(own)
        .args(["--exact", &test, "--include-ignored"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn a_reader_in_a_pid_namespace_counts_as_it_does() {
    if Watch::bpf().is_some() {
        run(&["--pid", "--fork", "--kill-child", "--mount-proc"], LIFE);
    }
}

#[test]
fn a_reader_in_a_time_namespace_is_told_its_own_time() {
    if Watch::bpf().is_none() {
        return;
    }
    let tests = match Watch::connector() {
        Some(_) => &[LIFE, BOTH][..],
        None => &[LIFE],
    };
    for test in tests {
        run(&["--time", "--fork", "--boottime", "100000"], test);
        run(&["--time", "--fork", "--monotonic", "100000"], test);
    }
}

#[test]
fn the_connector_is_silent_in_a_pid_namespace() {
    // Who may not use BPF may make no namespaces either.
    if Watch::bpf().is_some() && Watch::connector().is_some() {
        let test = "elsewhere::there_is_no_connector";
        run(&["--pid", "--fork", "--kill-child", "--mount-proc"], test);
    }
}

#[test]
#[ignore = "a child of the test above"]
fn there_is_no_connector() {
    let Err(why) = open_connector(&host()) else {
        panic!("it speaks to somebody else");
    };
    assert!(why.contains("does not answer"), "{why}");
}
