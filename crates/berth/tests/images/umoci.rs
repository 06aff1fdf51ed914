//! An image that another tool made, as a layout.

use std::process::Command;

use crate::maker::World;

#[test]
fn a_layout_of_umoci_is_loaded_and_run() {
    if Command::new("umoci").arg("--version").output().is_err() {
        berth_testkit::skip("umoci is not installed");
        return;
    }
    let world = World::empty();
    let dir = world.berth.path("umoci");
    std::fs::create_dir(&dir).unwrap();
    let umoci = |words: &[&str]| {
        let done = Command::new("umoci")
            .args(words)
            .current_dir(&dir)
            .output()
            .unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
    };
    umoci(&["init", "--layout", "it"]);
    umoci(&["new", "--image", "it:box"]);
    umoci(&["unpack", "--image", "it:box", "bundle"]);
    let root = dir.join("bundle/rootfs");
    std::fs::create_dir(root.join("bin")).unwrap();
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
    umoci(&["repack", "--image", "it:box", "bundle"]);
    umoci(&[
        "config",
        "--image",
        "it:box",
        "--config.cmd",
        "sh",
        "--config.cmd",
        "-c",
        "--config.cmd",
        "echo $A; pwd",
        "--config.env",
        "A=1",
        "--config.workingdir",
        "/made",
    ]);
    let loaded = world.ok("load -i umoci/it");
    assert!(loaded.starts_with("Loaded image"), "{loaded}");
    let id = world.ok("images -q");
    assert_eq!(world.ok(&format!("run --rm {id}")), "1\n/made");
    assert!(world.ok(&format!("history -q {id}")).lines().count() > 1);
}
