//! Debian packages for the guest: downloaded by apt, unpacked below the target folder, never
//! installed on the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::setup;

/// What systemd as PID 1, its buses, the helpers of rootless containers and the tools that tests
/// start are made of. The
/// closure is written out, since apt would add what only an installation needs (perl, adduser).
const PACKAGES: [&str; 60] = [
    "systemd",
    "libsystemd-shared",
    "libsystemd0",
    "dbus",
    "dbus-bin",
    "dbus-daemon",
    "dbus-system-bus-common",
    "dbus-session-bus-common",
    "dbus-user-session",
    "libpam-systemd",
    "libpam-modules",
    "libpam0g",
    "mount",
    "uidmap",
    "dash",
    "util-linux",
    "iproute2",
    "nftables",
    "passt",
    "slirp4netns",
    "libacl1",
    "libapparmor1",
    "libaudit1",
    "libblkid1",
    "libbpf1",
    "libbsd0",
    "libc6",
    "libcap-ng0",
    "libcap2",
    "libcrypt1",
    "libdbus-1-3",
    "libedit2",
    "libelf1",
    "libexpat1",
    "libffi8",
    "libgcrypt20",
    "libglib2.0-0",
    "libgmp10",
    "libgpg-error0",
    "libip4tc2",
    "libjansson4",
    "libkmod2",
    "liblz4-1",
    "libmd0",
    "libmnl0",
    "liblzma5",
    "libmount1",
    "libnftables1",
    "libnftnl11",
    "libpcre2-8-0",
    "libseccomp2",
    "libselinux1",
    "libslirp0",
    "libsmartcols1",
    "libssl3",
    "libtinfo6",
    "libuuid1",
    "libxtables12",
    "libzstd1",
    "zlib1g",
];

/// Parts of packages that nobody reads in the guest, and a su that asks PAM; busybox has another.
const LEFT_OUT: [&str; 8] = [
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/locale",
    "./usr/share/info",
    "./usr/share/lintian",
    "./usr/lib/x86_64-linux-gnu/gconv",
    "./usr/lib/udev",
    "./bin/su",
];

/// As on a Debian with a merged /usr.
const LINKS: [(&str, &str); 4] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
];

/// The folder below `folder` that holds the packages' files, made if it is not there yet.
///
/// # Errors
/// A package cannot be downloaded or unpacked.
pub(super) fn obtain(folder: &Path) -> Outcome<PathBuf> {
    let root = folder.join("debian");
    let stamp = folder.join("debian.list");
    let wanted = [PACKAGES.join("\n"), LEFT_OUT.join("\n")].join("\n\n");
    if root.is_dir() && fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(root);
    }
    remove(&root)?;
    for (name, target) in LINKS {
        let path = root.join(target);
        fs::create_dir_all(&path).map_err(|error| Failure::file("create", &path, &error))?;
        let path = root.join(name);
        std::os::unix::fs::symlink(target, &path)
            .map_err(|error| Failure::file("create", &path, &error))?;
    }
    let download = folder.join("download");
    for archive in fetch(&PACKAGES, &download)? {
        unpack(&archive, &root)?;
    }
    remove(&download)?;
    fs::write(&stamp, wanted).map_err(|error| Failure::file("write", &stamp, &error))?;
    Ok(root)
}

/// Downloads packages into a folder and returns the archives. Package lists that are missing or
/// older than the mirror are renewed once.
///
/// # Errors
/// apt-get fails, or we may not renew its lists.
pub(super) fn fetch(packages: &[&str], folder: &Path) -> Outcome<Vec<PathBuf>> {
    remove(folder)?;
    fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
    let download = || {
        // The download sandbox needs a folder that user _apt can write.
        let mut apt = Command::new("apt-get");
        apt.args(["download", "-qq", "-o", "APT::Sandbox::User=root"]);
        exec::run(apt.args(packages).current_dir(folder))
    };
    if let Err(failure) = download() {
        if !setup::is_root()? {
            return Err(failure);
        }
        exec::run(Command::new("apt-get").args(["update", "-q"]))?;
        download()?;
    }
    let mut archives = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| Failure::file("list", folder, &error))? {
        let path = entry
            .map_err(|error| Failure::file("list", folder, &error))?
            .path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            archives.push(path);
        }
    }
    if archives.len() != packages.len() {
        return Err(Failure::new(format!(
            "apt-get downloaded {} archives for {} packages into {}",
            archives.len(),
            packages.len(),
            folder.display()
        )));
    }
    archives.sort();
    Ok(archives)
}

/// Unpacks an archive over a root with a merged /usr. `dpkg -x` would put folders in place of the
/// root's links.
fn unpack(archive: &Path, root: &Path) -> Outcome {
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--fsys-tarfile")
        .arg(archive)
        .stdout(Stdio::piped());
    let mut source = dpkg
        .spawn()
        .map_err(|error| exec::cannot_start(&dpkg, &error))?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--keep-directory-symlink", "-C"]).arg(root);
    for path in LEFT_OUT {
        tar.arg(format!("--exclude={path}"));
    }
    if let Some(stream) = source.stdout.take() {
        tar.stdin(stream);
    }
    let unpacked = tar
        .status()
        .map_err(|error| exec::cannot_start(&tar, &error))?;
    let read = source
        .wait()
        .map_err(|error| exec::cannot_start(&dpkg, &error))?;
    if unpacked.success() && read.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "cannot unpack {}: dpkg-deb ended with {read}, tar with {unpacked}",
        archive.display()
    )))
}

fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file("remove", folder, &error))
        }
        _ => Ok(()),
    }
}
