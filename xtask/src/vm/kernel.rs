//! The guest's kernel: Debian's package for clouds, downloaded and unpacked, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::setup;

/// The package that depends on the newest build of the cloud kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// An unpacked kernel.
pub(super) struct Kernel {
    /// As `uname -r` prints it.
    pub(super) release: String,
    /// The bzImage.
    pub(super) image: PathBuf,
    /// `lib/modules/RELEASE`.
    pub(super) modules: PathBuf,
}

/// The kernel below `folder`, after downloading it if there is none yet.
///
/// # Errors
/// The package is unknown to apt, or cannot be downloaded or unpacked.
pub(super) fn obtain(folder: &Path) -> Outcome<Kernel> {
    let unpacked = folder.join("kernel");
    if let Some(kernel) = find(&unpacked) {
        return Ok(kernel);
    }
    let package = newest_package()?;
    let download = folder.join("download");
    fs::create_dir_all(&unpacked).map_err(|error| Failure::file("create", &unpacked, &error))?;
    for archive in debian::fetch(&[&package], &download)? {
        exec::run(Command::new("dpkg").arg("-x").arg(&archive).arg(&unpacked))?;
    }
    fs::remove_dir_all(&download).map_err(|error| Failure::file("remove", &download, &error))?;
    find(&unpacked).ok_or_else(|| {
        Failure::new(format!(
            "package {package} has no kernel; remove {}",
            unpacked.display()
        ))
    })
}

fn find(unpacked: &Path) -> Option<Kernel> {
    let name = names_in(&unpacked.join("boot")).find(|name| name.starts_with("vmlinuz-"))?;
    let release = name.strip_prefix("vmlinuz-")?.to_owned();
    let modules = unpacked.join("lib/modules").join(&release);
    let image = unpacked.join("boot").join(&name);
    modules.is_dir().then_some(Kernel {
        release,
        image,
        modules,
    })
}

/// The versioned package behind the meta package; asks for fresh lists once if there are none.
fn newest_package() -> Outcome<String> {
    if let Some(package) = dependency_of_meta() {
        return Ok(package);
    }
    if setup::is_root()? {
        exec::run(Command::new("apt-get").args(["update", "-q"]))?;
    }
    dependency_of_meta().ok_or_else(|| {
        Failure::new(format!(
            "apt does not know {META_PACKAGE}; run \"apt-get update\" as root on a Debian machine"
        ))
    })
}

fn dependency_of_meta() -> Option<String> {
    let mut query = Command::new("apt-cache");
    query.env("LC_ALL", "C").args(["depends", META_PACKAGE]);
    let text = exec::read(&mut query).ok()?;
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|package| package.starts_with("linux-image-"))
        .map(str::to_owned)
}

/// The names in a folder, none when it cannot be read.
fn names_in(folder: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}
