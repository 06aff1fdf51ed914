//! `tag`, `rmi`, `image prune` and `system prune`.

use serde_json::json;

use crate::maker::{Recipe, World};

#[test]
fn names_are_given_and_taken() {
    let world = World::new();
    let id = world.id("box:1");
    for name in ["other", "quay.io/a/b:c", "localhost:5000/x"] {
        world.ok(&format!("tag {} {name}", &id[7..19]));
        assert_eq!(world.id(name), id);
    }
    world.ok("tag box:1 other");
    for (line, code) in [
        ("tag nosuch x", 1),
        ("tag box:1 Upper", 125),
        ("tag box:1 x:-y", 125),
        ("tag box:1 x@sha256:aaaa", 125),
    ] {
        let said = world.fails(code, line);
        assert!(!said.is_empty(), "{line}");
    }
    // A name of 64 digits would be an id.
    let said = world.fails(125, &format!("tag box:1 {}", &id[7..]));
    assert!(said.contains("64"), "{said}");
    // One that looks like a short id is a name, and wins.
    world.load(&Recipe::busybox().layer(&[("x", "x")]), "two:1");
    let short = &world.id("two:1")[7..19];
    world.ok(&format!("tag box:1 {short}"));
    assert_eq!(world.id(short), id);
    assert_eq!(
        world.ok(&format!("rmi {short}")),
        format!("Untagged: {short}:latest")
    );
    assert_eq!(world.id(short), world.id("two:1"));
}

#[test]
fn the_last_name_takes_the_image_away() {
    let world = World::new();
    let id = world.id("box:1");
    world.ok("tag box:1 two:1");
    let said = world.fails(1, &format!("rmi {}", &id[7..19]));
    assert!(said.contains("several names (box:1, two:1)"), "{said}");
    assert_eq!(world.ok("rmi box:1"), "Untagged: box:1");
    assert_eq!(world.images(), ["two:1"]);
    let layer = &Recipe::busybox().diff_ids()[0];
    assert_eq!(
        world.ok("rmi two:1"),
        format!("Untagged: two:1\nDeleted: {id}\nDeleted: {layer}")
    );
    assert_eq!(
        (world.count("layers"), world.count("images/blobs/sha256")),
        (0, 0)
    );
    let said = world.fails(1, "rmi two:1");
    insta::assert_snapshot!(said, @r#"berth: no such image: two:1; "berth images" lists all, "berth pull" fetches one"#);
    // By id, with all its names.
    world.load(&Recipe::busybox(), "box:1");
    world.ok("tag box:1 two:1");
    let out = world.ok(&format!("rmi -f {}", &id[7..15]));
    assert!(
        out.contains("Untagged: box:1") && out.contains("Untagged: two:1"),
        "{out}"
    );
    assert!(world.images().is_empty());
}

#[test]
fn what_containers_use_stays() {
    let world = World::new();
    let id = world.id("box:1");
    world.sh("-d --name runs box:1", "sleep 1000");
    world.ok("create --name idle box:1");
    for line in [
        "rmi box:1",
        &format!("rmi {}", &id[7..19]),
        &format!("rmi -f {}", &id[7..19]),
    ] {
        let said = world.fails(1, line);
        assert!(
            said.contains("the running container runs uses it"),
            "{line}: {said}"
        );
    }
    world.ok("rm -f runs");
    let said = world.fails(1, "rmi box:1");
    insta::assert_snapshot!(said, @r#"berth: cannot remove image box:1: the container idle was made from it; remove that with "berth rm idle", or take the name away with "berth rmi -f box:1""#);
    assert_eq!(world.ok("image prune -af"), "Total reclaimed space: 0B");
    // By force the name goes, and the container starts all the same.
    assert_eq!(world.ok("rmi -f box:1"), "Untagged: box:1");
    assert_eq!(world.images(), ["<none>:<none>"]);
    world.ok("start -a idle");
    assert_eq!(world.ok("ps -a --format {{.Image}}"), &id[7..19]);
    world.ok("rm idle");
    world.ok("image prune -f");
    assert!(world.images().is_empty());
    assert_eq!(world.count("layers"), 0);
}

#[test]
fn layers_that_others_have_stay() {
    let world = World::new();
    world.load(&Recipe::busybox().layer(&[("x", "x")]), "two:1");
    world.ok("rmi box:1");
    assert_eq!(world.count("layers"), 2);
    assert_eq!(world.sh("--rm two:1", "cat /x"), "x");
    world.load(&Recipe::busybox(), "box:1");
    world.ok("rmi two:1");
    assert_eq!(world.count("layers"), 1);
    assert_eq!(world.sh("--rm box:1", "echo fine"), "fine");
}

#[test]
fn prune_takes_what_nothing_uses() {
    let world = World::new();
    world.load(&Recipe::with(json!({"Labels": {"keep": "1"}})), "kept:1");
    world.load(&Recipe::busybox().layer(&[("x", "1")]), "moved:1");
    world.load(&Recipe::busybox().layer(&[("x", "2")]), "moved:1");
    world.sh("--name ended box:1", "echo x >/f");
    let done = world.berth.run(&["image", "prune"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "no answer is a no");
    let out = world.ok("image prune -f");
    assert!(
        out.starts_with("Deleted Images:\ndeleted: sha256:"),
        "{out}"
    );
    assert_eq!(world.images(), ["box:1", "kept:1", "moved:1"]);
    world.ok("image prune -af --filter label!=keep");
    assert_eq!(world.images(), ["box:1", "kept:1"]);
    let rows = world.ok("system df --format {{.Type}}={{.TotalCount}}/{{.Active}}");
    assert_eq!(rows, "Images=2/1\nContainers=1/0\nLocal\u{20}Volumes=0/0");
    let out = world.ok("system prune -af");
    assert!(out.starts_with("Deleted Containers:\n"), "{out}");
    assert!(world.images().is_empty());
    assert_eq!((world.count("layers"), world.count("containers")), (0, 0));
}
