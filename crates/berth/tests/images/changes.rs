//! `diff`, `commit`, `export` and `import`, `save` and `load`.

use serde_json::{Value, json};

use crate::cli::Terminal;
use crate::maker::{Recipe, World};

fn made() -> World {
    let world = World::empty();
    let recipe = Recipe::busybox().layer(&[
        ("old/", ""),
        ("old/kept", "kept"),
        ("old/gone", "gone"),
        ("opt/", ""),
        ("opt/sub/", ""),
        ("opt/sub/file", "x"),
    ]);
    world.load(&recipe, "box:1");
    world
}

#[test]
fn diff_shows_what_the_container_did_and_nothing_else() {
    let world = made();
    let host = world.berth.path("host");
    std::fs::create_dir(&host).unwrap();
    let flags = format!(
        "--name a -v /anon -v {0}:/bound/deep -v /etc/hostname:/old/hostname --tmpfs /t box:1",
        host.display()
    );
    world.sh(&flags, "true");
    assert_eq!(world.ok("diff a"), "", "mount points are nobody's change");
    let script = "rm /old/gone; echo y >>/opt/sub/file; mkdir -p /new/d; echo 1 >/new/f; \
                  ln -s x /link; touch /anon/x /t/x /bound/deep/x";
    world.sh(&flags.replace("--name a", "--name b"), script);
    let expected = "A /link\nA /new\nA /new/d\nA /new/f\nC /old\nD /old/gone\nC /opt\nC /opt/sub\nC /opt/sub/file";
    assert_eq!(world.ok("diff b"), expected);
    let line = world.berth.ok(&["diff", "--format", "json", "b"]);
    assert_eq!(
        line.lines().next().unwrap(),
        r#"{"Kind":"A","Path":"/link"}"#
    );
    let said = world.fails(1, "diff nosuch");
    assert!(said.contains("nosuch"), "{said}");
}

#[test]
fn folders_above_mount_points_look_as_in_the_image() {
    let world = made();
    let script = "stat -c %a:%u:%Y /old /opt /opt/sub; ls /old /opt/sub";
    let plain = world.sh("--rm box:1", script);
    let with = world.sh("--rm -v /opt/sub/v -v /old/v box:1", script);
    assert_eq!(
        plain.lines().take(3).collect::<Vec<_>>(),
        with.lines().take(3).collect::<Vec<_>>()
    );
    assert!(
        with.ends_with("/old:\ngone\nkept\nv\n\n/opt/sub:\nfile\nv"),
        "{with}"
    );
}

#[test]
fn commit_makes_an_image_of_a_container() {
    let world = made();
    let script = "echo new >/new; rm /old/gone; echo in >/anon/f; echo p >/etc/proc";
    world.sh("--name a -v /anon -e SET=user -w /old box:1", script);
    let words = [
        "commit",
        "-a",
        "me",
        "-m",
        "why",
        "-c",
        "CMD [\"cat\", \"/new\"]",
        "-c",
        "LABEL k=v",
        "--change",
        "EXPOSE 8080",
        "a",
        "made:1",
    ];
    let id = world.berth.ok(&words);
    assert_eq!(world.id("made:1"), id);
    assert_eq!(world.ok("run --rm made:1"), "new");
    let shown: Value = serde_json::from_str(&world.ok("image inspect made:1")).unwrap();
    let image = &shown[0];
    assert_eq!(image["Author"], "me");
    assert_eq!(image["Comment"], "why");
    assert_eq!(image["Config"]["Labels"], json!({"k": "v"}));
    assert_eq!(image["Config"]["ExposedPorts"], json!({"8080/tcp": {}}));
    assert_eq!(image["Config"]["WorkingDir"], "/old");
    let env = image["Config"]["Env"].as_array().unwrap();
    assert!(env.contains(&json!("SET=user")), "{env:?}");
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 3);
    let out = world.sh("--rm made:1", "ls /old; test ! -e /anon/f");
    assert_eq!(out, "kept", "and what lies in a volume is not the image's");
    // The layer has what was done, and no mount point.
    let listed = layer_names(&world, "made:1");
    assert_eq!(listed, ["etc/", "etc/proc", "new", "old/", "old/.wh.gone"]);
    // Without a name.
    let nameless = world.ok("commit a");
    assert_eq!(world.images(), ["<none>:<none>", "box:1", "made:1"]);
    world.ok(&format!("rmi {nameless}"));
    // The same name again takes it away from the first.
    world.ok("commit a made:1");
    assert_eq!(world.images(), ["<none>:<none>", "box:1", "made:1"]);
}

#[test]
fn commit_tells_a_terminal_how_far_it_is() {
    let world = made();
    world.sh("--name a box:1", "echo new >/new");
    let done = world.run("commit a made:1");
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
    let said = Terminal::start(&world.berth, &["commit", "a", "made:2"]).rest();
    let end = format!("a: done\r\n{}\r\n", world.id("made:2"));
    assert!(said.ends_with(&end), "{said:?}");
    let said = Terminal::start(&world.berth, &["commit", "-q", "a", "made:3"]).rest();
    assert_eq!(said, format!("{}\r\n", world.id("made:3")));
}

/// The names in the topmost layer of an image.
fn layer_names(world: &World, image: &str) -> Vec<String> {
    let store = berth_image::ImageStore::open(&world.berth.path("root"));
    let image = store.resolve(image).unwrap();
    let blob = store.blob_path(&image.layers.last().unwrap().descriptor.digest);
    let listed = std::process::Command::new("tar")
        .arg("-tzf")
        .arg(blob)
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let names = text.lines().map(str::to_owned);
    let mut names: Vec<String> = names.filter(|name| name != "./").collect();
    names.sort();
    names
}

#[test]
fn commit_pauses_what_runs() {
    let world = made();
    world.sh(
        "-d --name a box:1",
        "echo 1 >/f; sync; echo ready; sleep 1000",
    );
    crate::cli::eventually("the file", || world.ok("logs a") == "ready");
    for (flag, name) in [("--pause=true", "paused:1"), ("--pause=false", "running:1")] {
        world.ok(&format!("commit {flag} a {name}"));
        assert_eq!(world.sh(&format!("--rm {name}"), "cat /f"), "1");
        assert_eq!(world.ok("inspect -f {{.State.Status}} a"), "running");
    }
    world.ok("rm -f a");
}

#[test]
fn commit_refuses_what_makes_no_sense() {
    let world = made();
    world.ok("create --name a box:1");
    let said = world.berth.run(&["commit", "-c", "RUN x", "a", "made:1"]);
    assert_eq!(said.code, 125, "{said:?}");
    insta::assert_snapshot!(said.err.trim_end(), @r#"berth: cannot use the change "RUN x": changes begin with one of CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR"#);
    let said = world.fails(125, "commit a Upper");
    insta::assert_snapshot!(said, @r#"berth: invalid image reference "Upper": the name must be lower case; write [REGISTRY/]NAME[:TAG][@DIGEST], such as alpine:3.19"#);
    world.ok("create --name h --net none host true");
    insta::assert_snapshot!(world.fails(1, "commit h made:1"), @r#"berth: cannot commit container h: it was made from the built-in image "host", not from an image, and what it changes is kept in memory alone"#);
    assert_eq!(world.images(), ["box:1"]);
}

#[test]
fn export_and_import_give_the_same_root() {
    let world = made();
    world.sh(
        "--name a -v /anon box:1",
        "echo new >/new; rm /old/gone; touch /anon/x; ln /new /hard",
    );
    world.ok("export -o root.tar a");
    world.ok("import root.tar again:1");
    let script = "cat /new /hard /old/kept; ls /old /anon; stat -c %h /new";
    assert_eq!(
        world.sh("--rm again:1 /bin/busybox", script),
        "new\nnew\nkept/anon:\n\n/old:\nkept\n2"
    );
    assert_eq!(world.ok("history -q again:1").lines().count(), 1);
}

#[test]
fn save_and_load_give_the_same_image() {
    let world = made();
    let id = world.id("box:1");
    world.ok("tag box:1 other:2");
    world.ok("save -o both.tar box:1 other:2");
    let other = World::empty();
    let archive = world.berth.path("both.tar").display().to_string();
    let out = other.ok(&format!("load -i {archive}"));
    assert_eq!(out, "Loaded image: box:1\nLoaded image: other:2");
    assert_eq!(other.id("box:1"), id);
    assert_eq!(other.id("other:2"), id);
    assert_eq!(other.count("layers"), 2, "unpacked when they are loaded");
    other.ok("save -o both.tar box:1 other:2");
    let read = |world: &World| std::fs::read(world.berth.path("both.tar")).unwrap();
    assert!(read(&world) == read(&other), "byte for byte");
}

/// Its container used to stay frozen, listed as running: whoever joined it waited for ever.
#[test]
fn a_commit_that_is_killed_leaves_nothing_frozen() {
    let world = World::new();
    world.ok("run -d --name a box:1 sleep 1000");
    world.ok("exec a /bin/busybox dd if=/dev/urandom of=/big bs=1048576 count=24");
    for (wait_ms, signal) in [
        (60, rustix::process::Signal::KILL),
        (250, rustix::process::Signal::KILL),
        (250, rustix::process::Signal::INT),
    ] {
        let mut commit = world.berth.spawn(&["commit", "a", "made:1"]);
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        crate::cli::signal(&commit, signal);
        crate::cli::exit_code(&mut commit);
        world.ok("exec a true");
    }
    world.ok("commit a made:1");
    world.ok("rm -f a");
}

/// The archive has the zeros, as Docker's; the file that it is in has holes.
#[test]
fn the_archive_of_a_sparse_file_takes_as_little_room_as_the_file() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::new();
    let script = "echo begin >/sparse; busybox truncate -s 1000000000 /sparse; echo end >>/sparse";
    world
        .berth
        .ok(&["run", "--name", "a", "box:1", "sh", "-c", script]);
    let path = world.berth.path("a.tar");
    world
        .berth
        .ok(&["export", "-o", path.to_str().unwrap(), "a"]);
    let made = std::fs::metadata(&path).unwrap();
    assert!(made.len() > 1_000_000_000, "{}", made.len());
    assert!(made.blocks() * 512 < 20_000_000, "{} blocks", made.blocks());
    let mut archive = tar::Archive::new(std::fs::File::open(&path).unwrap());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut sparse = entries
        .find(|entry| entry.path_bytes().ends_with(b"sparse"))
        .unwrap();
    assert_eq!(sparse.header().entry_type(), tar::EntryType::Regular);
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut sparse, &mut content).unwrap();
    assert_eq!(content.len(), 1_000_000_004);
    assert!(content.starts_with(b"begin\n\0") && content.ends_with(b"\0end\n"));
}

/// An image that its own store would refuse to unpack is not made, and nobody waits hours to hear.
#[test]
fn a_commit_of_a_huge_sparse_file_says_so_at_once() {
    let world = World::new();
    world.ok("run --name a box:1 busybox truncate -s 1099511627776 /huge");
    let said = world.fails(1, "commit a big:1");
    assert!(
        said.contains("the file huge of 1099511627776 bytes is more than the limit file-bytes"),
        "{said}"
    );
    assert!(world.run("image inspect big:1").code != 0);
}
