//! Two roots on one host.

use crate::cli::Berth;

#[test]
fn another_root_with_the_same_state_leaves_alone_what_runs() {
    let berth = Berth::new();
    berth.background("a", "sleep 1000");
    let other = berth.path("other");
    let other = other.to_str().unwrap();
    // The first command of a root sweeps what crashed ones left.
    berth.ok(&["--root", other, "run", "--rm", "host", "true"]);
    berth.ok(&["--root", other, "system", "restore"]);
    assert_eq!(
        berth.ok(&["inspect", "-f", "{{.State.Status}}", "a"]),
        "running"
    );
    assert_eq!(berth.ok(&["exec", "a", "echo", "there"]), "there");
}

#[test]
fn each_root_has_a_state_folder_of_its_own_unless_somebody_says() {
    let berth = Berth::new();
    let state = |root: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_berth"));
        command.args(["--root", root, "info", "--format", "{{.StateDir}}"]);
        command.env_remove("BERTH_STATE").env_remove("BERTH_ROOT");
        command
            .env("XDG_RUNTIME_DIR", berth.path(""))
            .env("HOME", berth.path(""));
        let out = command.output().unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    let (one, two) = (berth.path("one"), berth.path("two"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let before = state(one);
    assert!(before.contains("/roots/"), "{before}");
    assert_ne!(before, state(two));
    // The same whether it exists yet, and by whichever way it is reached.
    std::fs::create_dir(one).unwrap();
    assert_eq!(state(one), before);
    std::os::unix::fs::symlink(one, berth.path("link")).unwrap();
    assert_eq!(state(berth.path("link").to_str().unwrap()), before);
}

/// The state of other roots is below that of the usual one, so that the map of the host has them all.
#[test]
fn the_map_names_containers_of_other_roots() {
    let berth = Berth::new();
    let (root, state) = (berth.path("other"), berth.path("state/roots/1"));
    let other = |arguments: &[&str]| {
        let place = ["--root", root.to_str().unwrap()];
        let state = ["--state", state.to_str().unwrap()];
        berth.ok(&[&place[..], &state[..], arguments].concat())
    };
    other(&["run", "-d", "--name", "far-away", "host", "sleep", "1000"]);
    let pid = other(&["inspect", "-f", "{{.State.Pid}}", "far-away"]);
    let said = berth.ok(&["pid", &pid]);
    let map = berth.ok(&["map", "--json"]);
    other(&["rm", "-f", "far-away"]);
    assert!(said.contains("far-away"), "{said}");
    assert!(map.contains("far-away"), "it is not on the map");
}
