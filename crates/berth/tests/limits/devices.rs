//! Devices: their nodes, and who may open them.

use crate::support::World;

const OPEN: &str = "(exec 3<>/dev/fuse) 2>/dev/null && echo opens || echo refused";

fn has_fuse() -> bool {
    let is_there = std::path::Path::new("/dev/fuse").exists();
    if !is_there {
        berth_testkit::skip("the host has no /dev/fuse");
    }
    is_there
}

#[test]
fn a_device_is_there_as_far_as_asked() {
    if !has_fuse() {
        return;
    }
    let world = World::new();
    let numbers = "stat -c '%t:%T' /dev/fuse";
    assert_eq!(world.run("--device /dev/fuse", numbers), "a:e5");
    assert_eq!(world.run("--device /dev/fuse", OPEN), "opens");
    assert_eq!(world.run("--device /dev/fuse:r", OPEN), "refused");
    assert_eq!(world.run("--device /dev/null:/dev/fuse", numbers), "1:3");
    let made = format!("mknod /dev/fuse c 10 229; {OPEN}");
    assert_eq!(world.run("", &made), "refused");
    let rule = [
        "run",
        "--rm",
        "--device-cgroup-rule",
        "c 10:* rwm",
        "host",
        "sh",
        "-c",
        &made,
    ];
    assert_eq!(world.berth.ok(&rule), "opens");
}

#[test]
fn in_a_user_namespace_the_hosts_node_is_bound() {
    if !has_fuse() {
        return;
    }
    let world = World::new();
    let script = "stat -c '%t:%T' /dev/fuse /dev/deep/other; echo x > /dev/deep/other";
    let flags = "--userns private --device /dev/fuse --device /dev/null:/dev/deep/other";
    assert_eq!(world.run(flags, script), "a:e5\n1:3");
}

#[test]
fn a_directory_brings_all_its_devices() {
    let world = World::new();
    let folder = world.berth.path("nodes");
    std::fs::create_dir_all(folder.join("deep")).unwrap();
    std::fs::write(folder.join("file"), "").unwrap();
    for (name, minor) in [("one", "3"), ("deep/two", "5")] {
        let path = folder.join(name);
        let made = std::process::Command::new("mknod")
            .arg(&path)
            .args(["c", "1", minor])
            .status();
        assert!(made.unwrap().success());
    }
    let flags = format!("--device {}:/dev/all", folder.display());
    let script = "cd /dev/all; find . -type c | sort; ls";
    assert_eq!(world.run(&flags, script), "./deep/two\n./one\ndeep\none");
}

#[test]
fn they_are_shown_as_docker_shows_them() {
    let world = World::new();
    let create = [
        "create",
        "--name",
        "a",
        "--device",
        "/dev/null:/dev/x:r",
        "--device-cgroup-rule",
        "c 42:* rmw",
        "host",
        "true",
    ];
    world.berth.ok(&create);
    assert_eq!(
        world.inspect("a", "{{json .HostConfig.Devices}} {{json .HostConfig.DeviceCgroupRules}} {{json .HostConfig.DeviceRequests}}"),
        r#"[{"CgroupPermissions":"r","PathInContainer":"/dev/x","PathOnHost":"/dev/null"}] ["c 42:* rmw"] null"#
    );
}

/// In a mount namespace of the test's own, whose /etc/cdi is.
#[test]
fn a_device_by_its_cdi_name() {
    let world = World::new();
    let folder = world.berth.path("cdi");
    std::fs::create_dir(&folder).unwrap();
    let text = r#"{"cdiVersion": "0.7.0", "kind": "test.com/thing", "devices": [
        {"name": "one", "containerEdits": {
            "env": ["THING=one"],
            "deviceNodes": [{"path": "/dev/thing", "hostPath": "/dev/null"}],
            "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/thing", "options": ["ro"]}],
            "additionalGids": [4321]}}],
        "containerEdits": {"env": ["ALL=1"]}}"#;
    std::fs::write(folder.join("thing.json"), text).unwrap();
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-ec"]);
    // Where there is no such folder, one of its own /etc gets it.
    command.arg(
        "mkdir /tmp/etc-$$ 2>/dev/null; mount -t overlay -o lowerdir=\"$1:/etc\" none /etc && rmdir /tmp/etc-$$; shift; exec \"$@\"",
    );
    let lower = world.berth.path("lower");
    std::fs::create_dir(&lower).unwrap();
    std::fs::rename(&folder, lower.join("cdi")).unwrap();
    command.arg("sh").arg(&lower);
    let inner = world.berth.command(&[
        "run",
        "--rm",
        "--device",
        "test.com/thing=one",
        "host",
        "sh",
        "-c",
        "stat -c '%t:%T' /dev/thing; echo $THING $ALL; test -f /thing && echo file; id -G",
    ]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (key, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "1:3\none 1\nfile\n0 4321\n", "{output:?}");
}
