//! The command line itself.

use berth_testkit::covers;
use serde_json::Value;

use crate::runtime;

#[test]
fn the_version_has_runcs_layout() {
    let runtime = runtime();
    for word in ["--version", "-v"] {
        let said = runtime.invoke(&[word]).ok().out;
        let first = said.lines().next().unwrap();
        assert!(first.contains(" version "), "{said}");
        assert!(
            said.lines().any(|line| line.starts_with("commit: ")) || !runtime.is_foreign(),
            "{said}"
        );
        assert!(
            said.lines().any(|line| line.starts_with("spec: ")),
            "{said}"
        );
        assert!(
            said.lines().any(|line| line.starts_with("libseccomp: ")),
            "{said}"
        );
    }
}

#[test]
fn the_spec_command_writes_a_bundle_that_runs() {
    covers!("runtime/operations");
    let runtime = runtime();
    let bundle = runtime.bundle();
    let path = bundle.path().to_str().unwrap();
    drop(runtime.invoke(&["spec", "--bundle", path]).ok());
    let text = std::fs::read_to_string(bundle.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["process"]["args"], serde_json::json!(["sh"]));
    assert_eq!(config["process"]["terminal"], true);
    assert_eq!(config["root"]["path"], "rootfs");
    assert_eq!(config["root"]["readonly"], true);
    // An existing one is not overwritten.
    drop(runtime.invoke(&["spec", "--bundle", path]).refused());
    config["process"]["terminal"] = Value::Bool(false);
    config["process"]["args"] = serde_json::json!(["echo", "from the default"]);
    config["linux"]["cgroupsPath"] = runtime.cgroups().path("spec").into();
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let output = runtime.invoke(&["run", "--bundle", path, "one"]).ok();
    assert_eq!(output.out, "from the default\n");
    runtime.assert_nothing_left();
}

#[test]
fn unknown_words_are_refused() {
    let runtime = runtime();
    for words in [
        &["nonesuch"][..],
        &["--nonesuch", "list"],
        &["state", "--nonesuch", "one"],
        &["state", "one", "two"],
        &["kill", "one", "TERM", "more"],
    ] {
        let output = runtime.invoke(words);
        assert!(
            output.code > 0 && !output.err.is_empty(),
            "{words:?}: {output:?}"
        );
    }
}

#[test]
fn help_is_given() {
    let runtime = runtime();
    for words in [&["--help"][..], &["help"], &["create", "--help"]] {
        let output = runtime.invoke(words).ok();
        assert!(output.out.contains("create"), "{words:?}: {output:?}");
    }
}

#[test]
fn checkpoint_and_restore_say_that_they_cannot_yet() {
    let runtime = runtime();
    if runtime.is_foreign() {
        return;
    }
    for verb in ["checkpoint", "restore"] {
        let message = runtime.invoke(&[verb, "one"]).refused();
        assert!(message.contains(verb), "{message}");
    }
}

#[test]
fn short_flags_and_equal_signs_are_understood() {
    let runtime = runtime();
    let bundle = runtime.bundle().sh("echo ran");
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    assert_eq!(
        runtime.invoke(&["run", "-b", path, "one"]).ok().out,
        "ran\n"
    );
    let long = format!("--bundle={path}");
    assert_eq!(runtime.invoke(&["run", &long, "one"]).ok().out, "ran\n");
}

#[test]
fn plan_prints_the_steps() {
    let runtime = runtime();
    if runtime.is_foreign() {
        return;
    }
    let bundle = runtime.bundle();
    bundle.write();
    let output = runtime
        .invoke(&["plan", bundle.path().to_str().unwrap()])
        .ok();
    assert!(output.out.lines().count() > 10, "{output:?}");
    assert!(
        output.out.contains("/proc") && output.out.contains("pivot"),
        "{output:?}"
    );
    runtime.assert_nothing_left();
}

#[test]
fn without_pivot_or_keyring_it_runs_too() {
    let runtime = runtime();
    let bundle = runtime.bundle().sh("ls /; echo ran");
    for flag in ["--no-pivot", "--no-new-keyring", "--no-subreaper"] {
        let output = runtime.run_with("one", &bundle, &[flag]).ok();
        assert!(output.out.ends_with("ran\n"), "{flag}: {output:?}");
    }
    let keep = runtime.run_with("one", &bundle, &["--keep"]).ok();
    assert!(keep.out.ends_with("ran\n"));
    assert_eq!(runtime.state("one").ok().json()["status"], "stopped");
    drop(runtime.delete("one").ok());
    runtime.assert_nothing_left();
}
