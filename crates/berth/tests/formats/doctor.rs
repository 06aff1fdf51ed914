//! `system doctor`: what it says, and that it changes nothing.

use serde_json::Value;

use crate::cli::Berth;

#[test]
fn each_finding_is_complete_and_the_code_says_whether_something_is_missing() {
    let berth = Berth::new();
    let done = berth.run(&["system", "doctor", "--json"]);
    let findings: Vec<Value> = serde_json::from_str(&done.out).unwrap();
    let mut missing = 0;
    for finding in &findings {
        let state = finding["state"].as_str().unwrap();
        missing += i32::from(state == "missing");
        let has_remedy = finding["remedy"].is_string() && finding["costs"].is_string();
        assert_eq!(has_remedy, state != "ok", "{finding}");
    }
    assert_eq!(done.code, missing.min(1), "{done:?}");
    let has = |name: &str| findings.iter().any(|finding| finding["name"] == name);
    for name in [
        "pid namespaces",
        "overlay",
        "seccomp",
        "hierarchies",
        "nftables",
        "room at the root",
    ] {
        assert!(has(name), "{name} is missing in {}", done.out);
    }
    // Containers run here, so nothing of this can be missing.
    for finding in &findings {
        let name = finding["name"].as_str().unwrap();
        if name.ends_with("namespaces") || name == "overlay" {
            assert_ne!(finding["state"], "missing", "{finding}");
        }
    }
    assert!(!berth.path("root").exists() && !berth.path("state").exists());
}

#[test]
fn quiet_leaves_out_what_is_in_order() {
    let berth = Berth::new();
    let text = berth.run(&["system", "doctor"]).out;
    assert!(text.starts_with("Kernel\n  ok       version: "), "{text}");
    let quiet = berth.run(&["system", "doctor", "--quiet"]).out;
    assert!(!quiet.contains("  ok  "), "{quiet}");
    assert_eq!(text.lines().last(), quiet.lines().last());
}

/// A folder on a file system that carries no layer.
#[test]
fn an_unfit_root_is_missing_and_named() {
    let berth = Berth::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_berth"));
    command.args(["--root", "/proc/self/nothing", "--state"]);
    command
        .arg(berth.path("state"))
        .args(["system", "doctor", "--quiet"]);
    let done = command.output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("extended attributes"), "{text}");
    assert!(text.contains("remedy: berth --root"), "{text}");
}
