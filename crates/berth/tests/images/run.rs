//! Containers of images: what the image says, what the user says instead, what is left.

use serde_json::{Value, json};

use crate::maker::{Recipe, World, layer};

#[test]
fn what_the_image_says_is_honoured() {
    let world = World::empty();
    let config = json!({
        "Env": ["PATH=/bin", "WHO=image", "ALSO=this"],
        "Entrypoint": ["sh", "-c", "echo $WHO-$ALSO $0 $1; id; pwd"],
        "Cmd": ["zero", "one"],
        "User": "web:staff",
        "WorkingDir": "/srv/made",
        "ExposedPorts": {"80/tcp": {}},
        "StopSignal": "SIGQUIT",
        "Labels": {"a": "image", "b": "image"},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000_i64, "Retries": 2},
        "Volumes": {"/data": {}},
    });
    let recipe = Recipe::with(config).layer(&[("data/", ""), ("data/file", "from the image")]);
    world.load(&recipe, "all:1");
    let out = world.ok("run --name a all:1");
    let expected = "image-this zero one\nuid=1000(web) gid=50(staff) groups=50(staff)\n/srv/made";
    assert_eq!(out, expected);
    let shown: Value = serde_json::from_str(&world.ok("inspect a")).unwrap();
    let (config, mounts) = (&shown[0]["Config"], &shown[0]["Mounts"]);
    assert_eq!(config["User"], "web:staff");
    assert_eq!(config["WorkingDir"], "/srv/made");
    assert_eq!(config["StopSignal"], "SIGQUIT");
    assert_eq!(config["Labels"], json!({"a": "image", "b": "image"}));
    assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}}));
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "true"]));
    assert_eq!(config["Healthcheck"]["Retries"], 2);
    assert_eq!(mounts[0]["Destination"], "/data");
    let volume = world.ok("volume ls -q");
    assert_eq!(volume.len(), 64, "one, and anonymous");
    let file = world
        .berth
        .path("root/volumes")
        .join(&volume)
        .join("_data/file");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "from the image");
    world.ok("rm -v a");
    assert_eq!(world.ok("volume ls -q"), "");
}

#[test]
fn what_the_user_says_wins() {
    let world = World::empty();
    let config = json!({
        "Env": ["PATH=/bin", "WHO=image"], "Entrypoint": ["echo", "entry"], "Cmd": ["cmd"],
        "User": "web", "WorkingDir": "/tmp", "Labels": {"a": "image"}, "StopSignal": "SIGQUIT",
    });
    world.load(&Recipe::with(config), "all:1");
    assert_eq!(world.ok("run --rm all:1"), "entry cmd");
    assert_eq!(world.ok("run --rm all:1 own"), "entry own");
    assert_eq!(world.ok("run --rm --entrypoint pwd all:1"), "/tmp");
    assert_eq!(world.ok("run --rm --entrypoint pwd -w /bin all:1"), "/bin");
    assert_eq!(world.ok("run --rm -u 7:8 --entrypoint id all:1 -u"), "7");
    let out = world.ok("run --rm -e WHO=user -e NEW=1 --entrypoint env all:1");
    assert!(out.contains("WHO=user") && out.contains("NEW=1"), "{out}");
    world.ok("create --name a --label a=user --stop-signal INT all:1");
    let shown = world.ok("inspect -f {{.Config.Labels.a}},{{.Config.StopSignal}} a");
    assert_eq!(shown, "user,SIGINT");
    let said = world.fails(125, "run --rm -u nobody all:1");
    assert!(said.contains("nobody"), "{said}");
}

#[test]
fn a_command_is_needed() {
    let world = World::empty();
    world.load(&Recipe::with(json!({"Cmd": null})), "bare:1");
    let said = world.fails(125, "run --rm bare:1");
    insta::assert_snapshot!(said, @"berth: no command given, and the image names none; write one after the image");
    assert_eq!(world.ok("run --rm bare:1 echo fine"), "fine");
}

#[test]
fn changes_survive_until_the_container_is_removed() {
    let world = World::new();
    world.sh(
        "--name a box:1",
        "test -e /count && cat /count; echo again >>/count; rm -f /etc/group; test ! -e /etc/group",
    );
    assert_eq!(world.ok("start -a a"), "again");
    assert_eq!(world.ok("start -a a"), "again\nagain");
    // Another container of the image sees none of it.
    assert_eq!(
        world
            .sh("--rm box:1", "ls /count /etc/group 2>&1 || true")
            .lines()
            .count(),
        2
    );
    world.ok("rm a");
}

#[test]
fn rm_leaves_nothing() {
    let world = World::new();
    assert_eq!(
        world.sh("--rm -v /anon box:1", "echo x >/f; touch /anon/f; cat /f"),
        "x"
    );
    assert_eq!(world.count("containers"), 0);
    assert_eq!(world.ok("volume ls -q"), "");
    assert_eq!(world.count("layers"), 1);
    assert_eq!(world.count("image-work/leases"), 0);
    assert_eq!(world.count("image-work/ingest"), 0);
}

#[test]
fn an_image_for_another_machine_warns() {
    let world = World::empty();
    let mut recipe = Recipe::busybox();
    recipe.architecture = "s390x".into();
    world.load(&recipe, "far:1");
    let done = world.run("run --rm far:1 echo hi");
    // Its programs are this host's all the same.
    assert_eq!((done.code, done.out.as_str()), (0, "hi\n"), "{done:?}");
    insta::assert_snapshot!(done.err.trim_end(), @"berth: warning: the image far:1 is for linux/s390x, this host is linux/amd64; without an emulator its programs do not execute");
}

#[test]
fn an_image_without_layers() {
    let world = World::empty();
    let mut recipe = Recipe::busybox();
    recipe.layers.clear();
    world.load(&recipe, "none:1");
    let done = world.run("run --rm none:1 true");
    assert_eq!(done.code, 127, "{done:?}");
    // A program of the host's is all it takes.
    let line = "run --name a -v /bin/busybox:/bin/busybox:ro none:1 /bin/busybox ls /";
    assert_eq!(world.ok(line), "bin\ndev\netc\nproc\nsys");
    assert_eq!(world.ok("diff a"), "");
}

#[test]
fn an_image_of_many_layers() {
    let world = World::empty();
    let mut recipe = Recipe::busybox();
    for at in 1..130 {
        let (file, text) = (format!("f{at}"), at.to_string());
        recipe = recipe.layer(&[
            ("many/", ""),
            (&format!("many/{file}"), &text),
            ("top", &text),
        ]);
    }
    world.load(&recipe, "many:1");
    let out = world.sh(
        "--rm many:1",
        "ls /many | wc -l; cat /top; echo x >>/top; cat /many/f1",
    );
    assert_eq!(out, "129\n1291");
    assert_eq!(world.count("layers"), 130);
    world.ok("rmi many:1");
    assert_eq!(world.count("layers"), 0);
}

#[test]
fn as_many_layers_as_overlayfs_takes() {
    let world = World::empty();
    let mut recipe = Recipe::busybox();
    for at in 1..500 {
        recipe.layers.push(layer(&[("top", &at.to_string())]));
    }
    world.load(&recipe, "many:1");
    // There is no room for one with mount points.
    assert_eq!(world.sh("--rm many:1", "cat /top"), "499");
    recipe.layers.push(layer(&[("top", "500")]));
    let done = world
        .berth
        .run_with(&["load"], &recipe.archive(&["more:1"]));
    assert_eq!(done.code, 1, "{done:?}");
    assert!(
        done.err
            .contains("it has 501 layers, at most 500 are possible"),
        "{done:?}"
    );
}

#[test]
fn a_store_that_cannot_be_written() {
    let world = World::new();
    // Root passes over modes: a file in the place of the folder stops it.
    let containers = world.berth.path("root/containers");
    world.sh("--rm box:1", "true");
    std::fs::remove_dir(&containers).unwrap();
    std::fs::write(&containers, "").unwrap();
    let said = world.fails(125, "run --rm box:1 true");
    assert!(said.contains("root/containers"), "{said}");
    std::fs::remove_file(&containers).unwrap();
    assert_eq!(world.sh("--rm box:1", "echo fine"), "fine");
}

#[test]
fn users_groups_and_folders_that_are_missing() {
    let world = World::new();
    assert_eq!(world.ok("run --rm -u web box:1 id -g"), "1001");
    assert_eq!(
        world.sh("--rm -w /made/here box:1", "pwd; stat -c %u:%a ."),
        "/made/here\n0:755"
    );
    let said = world.fails(125, "run --rm -u web:nogroup box:1 true");
    assert!(said.contains("nogroup"), "{said}");
    let said = world.fails(127, "run --rm box:1 nosuch");
    insta::assert_snapshot!(said, @r#"berth: cannot run "nosuch": executable file not found in the container's PATH"#);
    let said = world.fails(125, "run --rm nosuch:1 true");
    assert!(said.contains("nosuch:1"), "{said}");
}

/// As with Docker: an image that is here and is for something else is no answer to `--platform`.
#[test]
fn an_image_of_another_platform_than_was_asked_for_is_refused() {
    let world = World::new();
    let said = world.fails(
        125,
        "run --rm --platform linux/arm64 --pull never box:1 true",
    );
    assert_eq!(
        said,
        "berth: the image box:1 here is for linux/amd64, not for linux/arm64; leave --platform out, or let it be pulled with --pull missing"
    );
    // Every failure of create has this code, as of run.
    world.fails(125, "create --platform linux/arm64 --pull never box:1 true");
    assert_eq!(world.ok("ps -aq"), "");
    let said = world.fails(125, "run --rm --platform linux/arm64 host true");
    assert!(
        said.ends_with("it is the host itself; leave --platform out"),
        "{said}"
    );
    world.ok("run --rm --platform linux/amd64 --pull never box:1 true");
    world.ok("run --rm --platform linux/amd64 host true");
}
