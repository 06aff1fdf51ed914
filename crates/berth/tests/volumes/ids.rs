//! Volumes of containers with a user namespace: the ids on disk are those inside.

use std::os::unix::fs::MetadataExt;

use crate::support::World;

#[test]
fn a_mapped_container_writes_its_own_ids() {
    if !rustix::process::geteuid().is_root() {
        return berth_testkit::skip("only root maps the ids of a mount");
    }
    let world = World::new();
    let script = "touch /data/x; chown 1000:2000 /data/x; stat -c '%u %g' /data/x /data/file";
    let seen = world.run(&["--userns", "private", "-v", "data:/data"], script);
    assert_eq!(seen, "1000 2000\n0 0");
    let stat = std::fs::metadata(world.data("data").join("x")).unwrap();
    assert_eq!((stat.uid(), stat.gid()), (1000, 2000));
    // Another container, without or with other ids, sees the same.
    let again = "stat -c '%u %g' /data/x";
    assert_eq!(world.run(&["-v", "data:/data"], again), "1000 2000");
    let flags = ["--userns", "private", "--mount", "src=data,dst=/data,ro"];
    assert_eq!(world.run(&flags, again), "1000 2000");
    // Memory belongs to the namespace's root.
    world.ok("volume create --opt type=tmpfs mem");
    let seen = world.run(
        &["--userns", "private", "-v", "mem:/m"],
        "touch /m/x; stat -c %u /m /m/x",
    );
    assert_eq!(seen, "0\n0");
}

#[test]
fn a_joined_user_namespace_maps_too() {
    if !rustix::process::geteuid().is_root() {
        return berth_testkit::skip("only root maps the ids of a mount");
    }
    let world = World::new();
    let done = world.start(
        "run",
        &["-d", "--name", "first", "--userns", "private"],
        "sleep 1000",
    );
    assert_eq!(done.code, 0, "{done:?}");
    let flags = ["--userns", "container:first", "-v", "data:/x"];
    assert_eq!(world.run(&flags, "touch /x/y; stat -c %u /x /x/y"), "0\n0");
    assert_eq!(
        std::fs::metadata(world.data("data").join("y"))
            .unwrap()
            .uid(),
        0
    );
}

#[test]
fn a_file_system_without_id_mapping_is_named() {
    if !rustix::process::geteuid().is_root() {
        return berth_testkit::skip("only root maps the ids of a mount");
    }
    let world = World::new();
    // An overlay takes no mapping.
    let folders = ["lower", "upper", "work", "merged"].map(|name| world.berth.path(name));
    for folder in &folders {
        std::fs::create_dir(folder).unwrap();
    }
    let [lower, upper, work, merged] = &folders;
    let device = format!("device={}", merged.display());
    world.berth.ok(&[
        "volume",
        "create",
        "-o",
        "type=none",
        "-o",
        "o=bind",
        "-o",
        &device,
        "laid",
    ]);
    let image = world.image();
    let inner = world.berth.command(&[
        "run",
        "--rm",
        "--userns",
        "private",
        "--rootfs",
        image.to_str().unwrap(),
        "-v",
        "laid:/x",
        "true",
    ]);
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let mut command = std::process::Command::new("unshare");
    command.args([
        "-m",
        "sh",
        "-c",
        "mount -t overlay overlay -o \"$0\" \"$1\" && shift && exec \"$@\"",
    ]);
    command
        .arg(options)
        .arg(merged)
        .arg(inner.get_program())
        .args(inner.get_args());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125), "{text}");
    assert!(
        text.contains("takes no id mapping, use --userns host"),
        "{text}"
    );
}
