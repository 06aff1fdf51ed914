//! A root file system of busybox.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Where Debian's busybox-static puts it.
const BUSYBOX: &str = "/bin/busybox";

/// Folders that a container expects, with their modes.
const FOLDERS: [(&str, u32); 12] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
];

/// Small files that programs look up users and names in.
const FILES: [(&str, &str); 4] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         daemon:x:1:1:daemon:/:/bin/false\n\
         someone:x:1000:1000:someone:/home:/bin/sh\n\
         nobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    (
        "etc/group",
        "root:x:0:\ndaemon:x:1:\ntty:x:5:\nsome:x:1000:someone\nextra:x:2000:someone\n\
         nogroup:x:65534:\n",
    ),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    ("etc/hostname", "testkit\n"),
];

/// Makes the folder `root` and fills it. The copy of busybox is the test's own: a container that
/// writes to it harms nothing.
pub(crate) fn make(root: &Path) {
    fs::create_dir(root).expect("make the rootfs");
    set_mode(root, 0o755);
    for (name, mode) in FOLDERS {
        let folder = root.join(name);
        fs::create_dir(&folder).expect("make a folder of the rootfs");
        set_mode(&folder, mode);
    }
    for (name, text) in FILES {
        fs::write(root.join(name), text).expect("write a file of the rootfs");
    }
    let busybox = root.join("bin/busybox");
    fs::copy(BUSYBOX, &busybox).unwrap_or_else(|error| {
        panic!("cannot copy {BUSYBOX} ({error}); install busybox-static");
    });
    set_mode(&busybox, 0o755);
    for applet in applets().iter().filter(|applet| *applet != "busybox") {
        // A symbolic link is an inode, and hundreds of them cost more than a container.
        fs::hard_link(&busybox, root.join("bin").join(applet)).expect("link an applet");
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set a mode");
}

/// What this busybox can be called by.
fn applets() -> &'static [String] {
    static APPLETS: OnceLock<Vec<String>> = OnceLock::new();
    APPLETS.get_or_init(|| {
        let output = Command::new(BUSYBOX)
            .arg("--list")
            .output()
            .unwrap_or_else(|error| panic!("cannot start {BUSYBOX} ({error})"));
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(str::to_owned).collect()
    })
}
