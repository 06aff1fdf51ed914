//! The guest's disk: an ext4 image with a shell, our binaries and the guest tests.
//!
//! A disk, since pivot_root(2) fails on an initramfs, and containers need it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::initramfs::BUSYBOX;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::workspace;

/// Large enough for binaries, state and logs; the image is sparse.
const SIZE_MIB: &str = "256M";

const FOLDERS: [&str; 17] = [
    "dev",
    "etc",
    "home",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "srv",
    "sys",
    "tmp",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
    "var/lib",
    "tests",
];

/// As on a Debian with a merged /usr.
const LINKS: [(&str, &str); 4] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
];

const FILES: [(&str, &str); 7] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
    ),
    ("etc/group", "root:x:0:\nstaff:x:50:user\nuser:x:1000:\n"),
    ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
    ("etc/subuid", "user:100000:65536\n"),
    ("etc/subgid", "user:100000:65536\n"),
    ("etc/hostname", "guest\n"),
    ("etc/hosts", "127.0.0.1 localhost guest\n"),
];

/// Writes the disk image into the folder and returns its path.
///
/// # Errors
/// A file cannot be copied, or mke2fs fails.
pub(super) fn make(folder: &Path, binaries: &[PathBuf]) -> Outcome<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).map_err(|error| Failure::file("remove", &root, &error))?;
    }
    lay_out(&root)?;
    for binary in binaries {
        copy(binary, &root.join("usr/bin"))?;
    }
    copy(Path::new(BUSYBOX), &root.join("usr/bin"))?;
    applets(&root)?;
    let scripts = workspace::root().join("xtask/vm");
    for script in files_in(&scripts)?
        .iter()
        .chain(&files_in(&scripts.join("tests"))?)
    {
        copy(script, &root.join("tests"))?;
    }
    let image = folder.join("disk.ext4");
    match fs::remove_file(&image) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::file("remove", &image, &error));
        }
        _ => {}
    }
    let mut mke2fs = exec::at_root("/sbin/mke2fs");
    mke2fs.args([
        "-q",
        "-t",
        "ext4",
        "-O",
        "^has_journal",
        "-E",
        "root_owner=0:0",
        "-d",
    ]);
    exec::read(mke2fs.arg(&root).arg(&image).arg(SIZE_MIB))?;
    Ok(image)
}

fn lay_out(root: &Path) -> Outcome {
    for folder in FOLDERS {
        let path = root.join(folder);
        fs::create_dir_all(&path).map_err(|error| Failure::file("create", &path, &error))?;
    }
    for (name, target) in LINKS {
        let path = root.join(name);
        symlink(target, &path).map_err(|error| Failure::file("create", &path, &error))?;
    }
    for (name, text) in FILES {
        let path = root.join(name);
        fs::write(&path, text).map_err(|error| Failure::file("write", &path, &error))?;
    }
    Ok(())
}

/// A link to busybox for every program that it can be.
fn applets(root: &Path) -> Outcome {
    let list = exec::read(exec::at_root(BUSYBOX).arg("--list"))?;
    for name in list
        .lines()
        .filter(|name| !name.is_empty() && *name != "busybox")
    {
        let path = root.join("usr/bin").join(name);
        symlink("busybox", &path).map_err(|error| Failure::file("create", &path, &error))?;
    }
    Ok(())
}

fn files_in(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| Failure::file("list", folder, &error))? {
        let path = entry
            .map_err(|error| Failure::file("list", folder, &error))?
            .path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Copies a file, executable, into a folder.
fn copy(from: &Path, folder: &Path) -> Outcome {
    let Some(name) = from.file_name() else {
        return Ok(());
    };
    let to = folder.join(name);
    fs::copy(from, &to).map_err(|error| Failure::file("copy", from, &error))?;
    fs::set_permissions(&to, fs::Permissions::from_mode(0o755))
        .map_err(|error| Failure::file("change the mode of", &to, &error))
}
