//! `berth inspect` of whatever has the name.

use crate::cli::Berth;

#[test]
fn anything_is_found_by_its_name() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "web", "host", "true"]);
    berth.ok(&["volume", "create", "data"]);
    berth.ok(&["network", "create", "--subnet", "10.201.0.0/24", "lan"]);
    let show = |line: &[&str]| berth.ok(&[&["inspect", "--format"], line].concat());
    assert_eq!(
        show(&["{{.Name}}", "web", "data", "lan"]),
        "/web\ndata\nlan"
    );
    // A name that several things have: the container comes first, --type chooses.
    berth.ok(&["volume", "create", "web"]);
    assert_eq!(show(&["{{.Name}}", "web"]), "/web");
    assert_eq!(
        show(&["{{.Mountpoint}}", "--type", "volume", "web"])
            .matches("web")
            .count(),
        1
    );
    assert_eq!(show(&["{{.Driver}}", "--type=network", "lan"]), "bridge");
    let done = berth.run(&["inspect", "--type", "network", "web"]);
    assert_eq!((done.code, done.out.trim()), (1, "[]"));
    let done = berth.run(&["inspect", "nosuch", "web"]);
    assert_eq!(done.code, 1);
    assert!(
        done.out.contains("\"/web\""),
        "the others are shown: {done:?}"
    );
    insta::assert_snapshot!(done.err, @"berth: no container, image, network or volume is called nosuch");
    let done = berth.run(&["inspect", "--type", "pod", "web"]);
    assert_eq!(done.code, 125);
    berth.ok(&["network", "rm", "lan"]);
}

#[test]
fn sizes_are_added_up_where_asked_for() {
    let berth = Berth::new();
    berth.ok(&["create", "--name", "web", "host", "true"]);
    for line in [&["inspect", "-s"][..], &["container", "inspect", "--size"]] {
        let sizes = ["-f", "{{.SizeRw}} {{.SizeRootFs}}", "web"];
        assert_eq!(berth.ok(&[line, &sizes].concat()), "0 0");
    }
    // As with Docker, a pointer to nothing.
    let without = berth.ok(&["container", "inspect", "-f", "{{.SizeRw}}", "web"]);
    assert_eq!(without, "<nil>");
    // A group finds its own kind alone.
    berth.ok(&["volume", "create", "data"]);
    assert_eq!(berth.run(&["container", "inspect", "data"]).code, 1);
}
