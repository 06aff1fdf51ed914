//! What a container sees of its mounts.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use serde_json::Value;

use crate::support::World;

#[test]
fn a_volume_outlives_its_containers() {
    let world = World::new();
    world.run(&["-v", "data:/x"], "echo one > /x/file");
    assert_eq!(
        world.run(&["-v", "data:/y:ro"], "cat /y/file; touch /y/z 2>&1; true"),
        "one\ntouch: /y/z: Read-only file system"
    );
    assert_eq!(world.volumes(), ["data"]);
    // Nothing of it is mounted on the host.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(world.berth.path("root").to_str().unwrap()));
}

#[test]
fn an_empty_volume_gets_what_the_image_has() {
    let world = World::new();
    let image = world.image().join("data");
    std::fs::create_dir(image.join("sub")).unwrap();
    std::fs::hard_link(image.join("file"), image.join("sub/again")).unwrap();
    symlink("file", image.join("link")).unwrap();
    chown(image.join("file"), Some(1000), Some(2000)).unwrap();
    chown(&image, Some(5), Some(6)).unwrap();
    std::fs::set_permissions(&image, std::fs::Permissions::from_mode(0o1770)).unwrap();
    let seen = world.run(
        &["-v", "data:/data"],
        "stat -c '%n %a %u %g %h' /data /data/file; readlink /data/link; cat /data/sub/again",
    );
    assert_eq!(
        seen,
        "/data 1770 5 6 3\n/data/file 644 1000 2000 2\nfile\nimage"
    );
    // Once: what is there stays.
    world.run(
        &["-v", "data:/data"],
        "echo mine > /data/file; rm /data/link",
    );
    assert_eq!(
        world.run(
            &["-v", "data:/data"],
            "cat /data/file; ls /data/link 2>&1 | wc -l"
        ),
        "mine\n1"
    );
    // Not with nocopy, not through a subpath, not where the image has nothing.
    assert_eq!(world.run(&["-v", "none:/data:nocopy"], "ls /data"), "");
    assert_eq!(
        world.run(&["--mount", "dst=/data,volume-nocopy"], "ls /data"),
        ""
    );
    assert_eq!(world.run(&["-v", "none:/nothing"], "ls /nothing"), "");
    // An empty folder of the image gives its owner and mode.
    let empty = world.image().join("empty");
    std::fs::create_dir(&empty).unwrap();
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(world.run(&["-v", "/empty"], "stat -c %a /empty"), "1777");
    // A bind mount is never filled.
    std::fs::create_dir(world.berth.path("host")).unwrap();
    assert_eq!(world.run(&["-v", "./host:/data"], "ls /data"), "");
}

#[test]
fn the_target_of_a_copy_is_found_inside_the_image() {
    let world = World::new();
    let secret = world.berth.path("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("key"), "").unwrap();
    symlink(&secret, world.image().join("out")).unwrap();
    symlink("/data", world.image().join("in")).unwrap();
    world.create("a", &["-v", "out:/out", "-v", "in:/in"]);
    assert_eq!(std::fs::read_dir(world.data("out")).unwrap().count(), 0);
    assert!(world.data("in").join("file").exists());
}

#[test]
fn options_of_volumes_become_mounts() {
    let world = World::new();
    world.ok("volume create --opt type=tmpfs --opt o=size=1m,mode=1770 mem");
    let seen = world.run(
        &["-v", "mem:/data"],
        "stat -c %a /data; cat /data/file; grep ' /data ' /proc/mounts",
    );
    assert!(
        seen.starts_with("1770\nimage") || seen.starts_with("755\nimage"),
        "{seen}"
    );
    assert!(
        seen.contains("tmpfs /data tmpfs rw") && seen.contains("size=1024k"),
        "{seen}"
    );
    let host = world.berth.path("host");
    let device = format!("device={}", host.display());
    world.berth.ok(&[
        "volume",
        "create",
        "-o",
        "type=none",
        "-o",
        "o=bind,ro",
        "-o",
        &device,
        "bound",
    ]);
    let done = world.start("run", &["--rm", "-v", "bound:/b"], "true");
    assert_eq!(done.code, 125);
    assert!(
        done.err
            .contains("does not exist; create it with \"mkdir -p"),
        "{}",
        done.err
    );
    std::fs::create_dir(&host).unwrap();
    std::fs::write(host.join("x"), "host").unwrap();
    let seen = world.run(&["-v", "bound:/b"], "cat /b/x; touch /b/y 2>&1; true");
    assert_eq!(seen, "hosttouch: /b/y: Read-only file system");
    // What it names is not removed with it.
    world.ok("volume rm bound");
    assert!(host.join("x").exists());
}

/// As with Docker, and said: a slip in a path would go unnoticed else.
#[test]
fn a_missing_folder_of_the_short_form_is_made() {
    let world = World::new();
    let folder = world.berth.path("not/there");
    let mount = format!("{}:/b", folder.display());
    let done = world.start("run", &["--rm", "-v", &mount], "touch /b/x");
    assert_eq!(done.code, 0, "{done:?}");
    let said = format!("made the folder {} on the host", folder.display());
    assert!(done.err.contains(&said), "{done:?}");
    assert!(folder.join("x").exists());
    let again = world.start("run", &["--rm", "-v", &mount], "rm /b/x");
    assert_eq!((again.code, again.err.as_str()), (0, ""));
    // What cannot be made is no container.
    std::fs::write(folder.join("file"), "").unwrap();
    let below = format!("{}/file/below:/b", folder.display());
    let done = world.start("run", &["--rm", "-v", &below], "true");
    assert_eq!(done.code, 125);
    assert!(done.err.contains("cannot make"), "{done:?}");
    assert_eq!(world.ok("ps -aq"), "");
}

#[test]
fn the_long_form_says_the_same() {
    let world = World::new();
    std::fs::create_dir(world.berth.path("host")).unwrap();
    std::fs::write(world.berth.path("host/x"), "host").unwrap();
    let seen = world.run(
        &[
            "--mount", "type=bind,src=host,dst=/b,ro",
            "--mount", "type=volume,source=v,target=/v,volume-label=a=b",
            "--mount", "type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1700",
            "--mount", "\"type=volume\",dst=/o,\"volume-opt=type=tmpfs\",\"volume-opt=o=size=2m,mode=700\"",
            "--mount", "type=bind,src=host/new/deep,dst=/n,bind-create-src",
        ],
        "cat /b/x; touch /b/y 2>/dev/null || echo ro; stat -c %a /t /o; grep -c ' /v ' /proc/mounts; \
         grep -E ' /(t|o) ' /proc/mounts | grep -o 'size=[0-9]*k'; touch /n/made",
    );
    assert_eq!(seen, "hostro\n1700\n700\n1\nsize=1024k\nsize=2048k");
    assert_eq!(world.ok("volume inspect -f {{.Labels.a}} v"), "b");
    assert!(world.berth.path("host/new/deep/made").exists());
}

#[test]
fn a_tree_is_read_only_where_asked() {
    if !rustix::process::geteuid().is_root() {
        return berth_testkit::skip("only root mounts below a folder");
    }
    let world = World::new();
    // The mount is made in a mount namespace of the test's own, and berth started in there.
    let host = world.berth.path("host");
    std::fs::create_dir_all(host.join("sub")).unwrap();
    let image = world.image();
    let seen = |flags: &str| {
        let mount = format!("type=bind,src={},dst=/b{flags}", host.display());
        let script = "for d in /b /b/sub; do touch $d/x 2>/dev/null && echo rw || echo ro; done";
        let inner = world.berth.command(&[
            "run",
            "--rm",
            "--rootfs",
            image.to_str().unwrap(),
            "--mount",
            &mount,
            "sh",
            "-c",
            script,
        ]);
        let mut command = std::process::Command::new("unshare");
        command.args([
            "-m",
            "sh",
            "-c",
            "mount -t tmpfs tmpfs \"$0\" && exec \"$@\"",
        ]);
        command
            .arg(host.join("sub"))
            .arg(inner.get_program())
            .args(inner.get_args());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().replace('\n', " ")
    };
    assert_eq!(seen(""), "rw rw ");
    assert_eq!(seen(",ro"), "ro ro ");
    assert_eq!(seen(",ro,bind-recursive=writable"), "ro rw ");
    assert_eq!(seen(",ro,bind-recursive=enabled"), "ro ro ");
    assert_eq!(seen(",ro,bind-recursive=readonly"), "ro ro ");
}

#[test]
fn volumes_of_other_containers() {
    let world = World::new();
    world.create(
        "one",
        &["-v", "data:/data", "-v", "/anon", "-v", "conf:/conf:ro"],
    );
    world.create("two", &["-v", "other:/data"]);
    let script =
        "for d in /data /anon /conf; do touch $d/x 2>/dev/null && echo rw || echo ro; done";
    assert_eq!(world.run(&["--volumes-from", "one"], script), "rw\nrw\nro");
    assert_eq!(
        world.run(&["--volumes-from", "one:ro"], script),
        "ro\nro\nro"
    );
    assert_eq!(
        world.run(&["--volumes-from", "one:ro", "-v", "/anon"], script),
        "ro\nrw\nro"
    );
    assert!(world.data("data").join("x").exists() && !world.data("other").join("x").exists());
    world.run(&["--volumes-from", "one", "--volumes-from", "two"], script);
    assert!(world.data("other").join("x").exists());
    // Its anonymous volume is still there.
    assert_eq!(world.volumes().len(), 4);
    world.create("three", &["--volumes-from", "one:ro"]);
    let shown = world.ok("inspect three");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["HostConfig"]["VolumesFrom"][0], "one:ro");
    assert_eq!(shown[0]["Mounts"].as_array().unwrap().len(), 3);
    assert_eq!(shown[0]["HostConfig"]["Binds"], serde_json::json!([]));
}

#[test]
fn inspect_shows_mounts_as_docker_does() {
    let world = World::new();
    std::fs::create_dir(world.berth.path("host")).unwrap();
    let flags = [
        "-v",
        "data:/data:ro,nocopy",
        "-v",
        "./host:/b:rslave",
        "-v",
        "/anon",
        "--tmpfs",
        "/t:size=1m",
    ];
    world.create("a", &flags);
    let shown: Value = serde_json::from_str(&world.ok("inspect a")).unwrap();
    let mounts = shown[0]["Mounts"].as_array().unwrap();
    let of = |target: &str| {
        let mut found = mounts.iter().filter(|mount| mount["Destination"] == target);
        found.next().unwrap().clone()
    };
    assert_eq!(
        of("/data"),
        serde_json::json!({
            "Type": "volume", "Name": "data", "Source": world.data("data"), "Destination": "/data",
            "Driver": "local", "Mode": "", "RW": false, "Propagation": "",
        })
    );
    assert_eq!(of("/b")["Propagation"], "rslave");
    assert_eq!(of("/t")["Type"], "tmpfs");
    assert_eq!(of("/anon")["Name"].as_str().unwrap().len(), 64);
    let host = world.berth.path("host");
    let binds = serde_json::json!([
        "data:/data:ro,nocopy",
        format!("{}:/b:rslave", host.display())
    ]);
    let binds_shown = shown[0]["HostConfig"]["Binds"]
        .to_string()
        .replace("/./host", "/host");
    assert_eq!(binds_shown, binds.to_string());
    assert_eq!(
        shown[0]["Config"]["Volumes"],
        serde_json::json!({"/anon": {}})
    );
    let listed = world.ok("ps -a --no-trunc --format {{.LocalVolumes}}_{{.Mounts}}");
    assert!(listed.starts_with("2_data,"), "{listed}");
    assert_eq!(world.ok("ps -aq --filter volume=data").len(), 12);
    assert_eq!(world.ok("ps -aq --filter volume=/anon").len(), 12);
}

#[test]
fn a_fresh_volume_is_everybodys_to_enter() {
    let world = World::new();
    world.ok("volume create data");
    let stat = std::fs::metadata(world.data("data")).unwrap();
    assert_eq!(stat.mode() & 0o7777, 0o755);
    assert_eq!(
        world.run(&["-u", "1000", "-v", "data:/x"], "ls /x; id -u"),
        "1000"
    );
}
