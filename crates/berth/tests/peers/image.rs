//! Images that the test writes itself: Debian's static busybox and nothing else.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::world::{World, done};

/// busybox with a link for each of its programs; runs a shell.
pub const BUSYBOX: &str = "localhost/peer:latest";

/// The same, with an entrypoint that reaps and waits: the first container of a pod.
pub const PAUSE: &str = "localhost/pause:latest";

const BUSYBOX_PATH: &str = "/bin/busybox";

const WAIT: &str = "trap exit TERM INT; while :; do sleep 3600 & wait $!; done";

/// Writes both images as one archive of the form of `docker save`, which all peers load.
pub fn write(world: &World) -> PathBuf {
    let (root, folder) = (world.path("image-root"), world.path("image"));
    fs::create_dir(&folder).unwrap();
    write_root(&root);
    pack(&root, &folder.join("layer.tar"));
    let digest = digest(&folder.join("layer.tar"));
    let manifest = json!([
        entry(&folder, "peer", BUSYBOX, &digest, json!({ "Cmd": ["sh"] })),
        entry(
            &folder,
            "pause",
            PAUSE,
            &digest,
            json!({ "Entrypoint": ["/bin/sh", "-c", WAIT] })
        ),
    ]);
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = world.path("image.tar");
    pack(&folder, &archive);
    archive
}

/// Writes the root of both: busybox with a link for each of its programs.
pub fn write_root(root: &Path) {
    for folder in ["bin", "etc", "root", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy(found(BUSYBOX_PATH), root.join("bin/busybox")).unwrap();
    let list = done(Command::new(BUSYBOX_PATH).arg("--list"));
    for name in list.out.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nweb:x:1000:1000::/tmp:/bin/sh\n",
    )
    .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nweb:x:1000:\n").unwrap();
}

fn found(path: &str) -> &Path {
    let path = Path::new(path);
    assert!(
        path.exists(),
        "{} is missing: \"cargo xtask setup test\" installs it",
        path.display()
    );
    path
}

fn pack(folder: &Path, archive: &Path) {
    let packed = done(
        Command::new("tar")
            .args(["--owner=0", "--group=0", "-C"])
            .arg(folder)
            .arg("-cf")
            .arg(archive)
            .arg("."),
    );
    assert_eq!(packed.code, 0, "{packed:?}");
}

fn digest(file: &Path) -> String {
    let summed = done(Command::new("sha256sum").arg(file));
    let digest = summed.out.split(' ').next().unwrap_or_default();
    assert_eq!(digest.len(), 64, "{summed:?}");
    format!("sha256:{digest}")
}

/// Writes the configuration of one image; what the manifest says of it.
fn entry(folder: &Path, file: &str, tag: &str, layer: &str, mut config: Value) -> Value {
    config["Env"] = json!(["PATH=/bin"]);
    let document = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [layer] },
    });
    let file = format!("{file}.json");
    fs::write(folder.join(&file), document.to_string()).unwrap();
    json!({ "Config": file, "RepoTags": [tag], "Layers": ["layer.tar"] })
}
