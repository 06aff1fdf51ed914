//! The guest's disk: an ext4 image with Debian's packages, a shell, our binaries and the tests.
//!
//! A disk, since pivot_root(2) fails on an initramfs, and containers need it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::binaries::{self, TestBinary};
use super::initramfs::BUSYBOX;
use super::profiles::Errand;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::workspace;

/// Large enough for binaries, state and logs; the image is sparse.
const SIZE_MIB: &str = "1024M";

const FOLDERS: [&str; 13] = [
    "dev",
    "home/user",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "srv",
    "sys",
    "tmp",
    "usr/sbin",
    "var/lib/systemd/linger",
    "tests/bin",
];

/// Units of systemd that the guest has no use for and that cost time under emulation.
const MASKED: [&str; 18] = [
    "cryptsetup.target",
    "integritysetup.target",
    "veritysetup.target",
    "dev-hugepages.mount",
    "kmod-static-nodes.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-firstboot.service",
    "systemd-journal-flush.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-repart.service",
    "systemd-sysusers.service",
    "systemd-update-utmp.service",
];

/// The root from which guests' disks are made.
pub(super) struct Root {
    path: PathBuf,
}

impl Root {
    /// Lays the root out below `folder`: the packages in `debian`, our binaries and the tests.
    ///
    /// # Errors
    /// A file cannot be copied.
    pub(super) fn lay_out(
        folder: &Path,
        debian: &Path,
        binaries: &[PathBuf],
        tests: &[TestBinary],
    ) -> Outcome<Self> {
        let path = folder.join("root");
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|error| Failure::file("remove", &path, &error))?;
        }
        let sources = workspace::root().join("xtask/vm");
        copy_tree(debian, &path)?;
        copy_tree(&sources.join("root"), &path)?;
        for folder in FOLDERS {
            create_folder(&path.join(folder))?;
        }
        for unit in MASKED {
            link(
                Path::new("/dev/null"),
                &path.join("etc/systemd/system").join(unit),
            )?;
        }
        // A user whose manager runs without a login.
        write(&path.join("var/lib/systemd/linger/user"), "")?;
        for binary in binaries {
            copy(binary, &path.join("usr/bin"))?;
        }
        let expected = binaries::expected_in()?;
        write(&path.join("tests/expected"), &expected.to_string_lossy())?;
        copy(Path::new(BUSYBOX), &path.join("usr/bin"))?;
        applets(&path)?;
        for script in files_in(&sources)?
            .iter()
            .chain(&files_in(&sources.join("tests"))?)
        {
            copy(script, &path.join("tests"))?;
        }
        for test in tests {
            let to = path.join("tests/bin").join(&test.name);
            fs::copy(&test.path, &to).map_err(|error| Failure::file("copy", &test.path, &error))?;
        }
        Ok(Self { path })
    }

    /// Writes the disk of a guest that is to run these rows.
    ///
    /// # Errors
    /// The list cannot be written, or mke2fs fails.
    pub(super) fn disk(&self, image: &Path, errands: &[Errand]) -> Outcome {
        let lines: String = errands.iter().map(Errand::line).collect();
        write(&self.path.join("tests/rows"), &lines)?;
        match fs::remove_file(image) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::file("remove", image, &error));
            }
            _ => {}
        }
        let mut mke2fs = exec::at_root("/sbin/mke2fs");
        // With project quotas, which the hosts of tests seldom have.
        mke2fs.args(["-q", "-t", "ext4", "-O", "^has_journal,quota,project"]);
        mke2fs.args(["-E", "root_owner=0:0,quotatype=prjquota", "-d"]);
        exec::read(mke2fs.arg(&self.path).arg(image).arg(SIZE_MIB)).map(drop)
    }
}

/// Makes `from` and all that is in it part of `to`, with owners and modes.
fn copy_tree(from: &Path, to: &Path) -> Outcome {
    create_folder(to)?;
    let mut cp = exec::at_root("cp");
    cp.args(["--archive", "--no-target-directory"]);
    exec::read(cp.arg(from).arg(to)).map(drop)
}

/// A link to busybox for every program that it can be and that no package has.
fn applets(root: &Path) -> Outcome {
    let list = exec::read(exec::at_root(BUSYBOX).arg("--list"))?;
    for name in list
        .lines()
        .filter(|name| !name.is_empty() && *name != "busybox")
    {
        let taken = |folder: &str| root.join(folder).join(name).exists();
        if !taken("usr/bin") && !taken("usr/sbin") {
            link(Path::new("busybox"), &root.join("usr/bin").join(name))?;
        }
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

fn create_folder(path: &Path) -> Outcome {
    fs::create_dir_all(path).map_err(|error| Failure::file("create", path, &error))
}

fn link(target: &Path, path: &Path) -> Outcome {
    symlink(target, path).map_err(|error| Failure::file("create", path, &error))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| Failure::file("write", path, &error))
}
