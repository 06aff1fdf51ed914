//! `setup`: the system packages and Rust tools that the other commands need.
//!
//! Asks dpkg what is there, so that a machine that has everything is never asked for root rights
//! or a network.

use std::process::Command;

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};
use Purpose::{Bench, Build, Demo, Images, Nets, Peers, Soak, Test, Vm};

/// Installs packages as apt-get's words say, without starting the daemons that some bring: while
/// `policy-rc.d` forbids it, the scripts of Debian's packages start no service.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get "$@"
"#;

/// What a machine is to be made fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compiling the workspace.
    Build,
    /// Running the tests.
    Test,
    /// The VM tier.
    Vm,
    /// Measuring against other runtimes.
    Bench,
    /// Measuring against whole engines, which bring much with them.
    Peers,
    /// Measuring images, which takes a registry.
    Images,
    /// Measuring networks.
    Nets,
    /// The soak.
    Soak,
    /// The demonstration.
    Demo,
}

impl Purpose {
    const ALL: [(&'static str, Self); 9] = [
        ("build", Self::Build),
        ("test", Self::Test),
        ("vm", Self::Vm),
        ("bench", Self::Bench),
        ("peers", Self::Peers),
        ("images", Self::Images),
        ("nets", Self::Nets),
        ("soak", Self::Soak),
        ("demo", Self::Demo),
    ];
}

/// A Debian package, what it is for, and why.
struct Package {
    name: &'static str,
    purpose: Purpose,
    why: &'static str,
}

const PACKAGES: &[Package] = &[
    package("gcc", Build, "links the binaries"),
    package("libc6-dev", Build, "the C library, linked statically"),
    package(
        "libseccomp-dev",
        Build,
        "compiles seccomp profiles, linked statically",
    ),
    package("g++", Test, "compiles LLVM's fuzzer"),
    package("procps", Test, "ps, for tests that look at the host"),
    package("util-linux", Test, "unshare and nsenter, for comparison"),
    package("iproute2", Test, "ip, for tests that look at interfaces"),
    package(
        "systemd",
        Test,
        "a user's own, for the systemd cgroup driver",
    ),
    package("dbus-daemon", Test, "its bus"),
    package("uidmap", Test, "newuidmap and newgidmap, for rootless"),
    package("passt", Test, "pasta, networks for rootless"),
    package("slirp4netns", Test, "the same, where pasta is missing"),
    package(
        "chromium",
        Test,
        "a browser, for the picture that berth map draws",
    ),
    package("busybox-static", Test, "the image of the real peers"),
    package("docker.io", Test, "a real peer, and its client"),
    package("containerd", Test, "a real peer, and its client"),
    package(
        "containernetworking-plugins",
        Test,
        "the network of containerd's pods",
    ),
    package("groff-base", Test, "reads the manual pages"),
    package("mandoc", Test, "reads them more strictly"),
    package("zsh", Test, "a shell whose completion is tried"),
    package("fish", Test, "the same"),
    package("podman", Test, "a real peer"),
    package(
        "firewalld",
        Test,
        "a firewall, beside whose rules ours have to live",
    ),
    package("docker-registry", Test, "a real registry"),
    package(
        "skopeo",
        Test,
        "copies images between registries and archives, to cross-check ours",
    ),
    package(
        "apache2-utils",
        Test,
        "htpasswd, for a registry with passwords",
    ),
    package(
        "umoci",
        Test,
        "packs and unpacks images, to cross-check ours",
    ),
    package("debootstrap", Test, "a real root file system"),
    package("lxc", Test, "containers that the map is to know"),
    package("systemd-container", Test, "systemd-nspawn, for the same"),
    package("bubblewrap", Test, "sandboxes, for the same"),
    package("qemu-system-x86", Vm, "the machine that is emulated"),
    package("busybox-static", Vm, "the shell inside it"),
    package("e2fsprogs", Vm, "mke2fs, which makes its disk"),
    package(
        "busybox-static",
        Bench,
        "the root of the measured containers",
    ),
    package("util-linux", Bench, "unshare, to keep peers apart"),
    package("iproute2", Bench, "ip, for their loopback"),
    package("procps", Bench, "ps, which lists namespaces too"),
    package("psmisc", Bench, "pstree, which sorts by namespace"),
    package("strace", Bench, "counts system calls"),
    package("busybox-static", Soak, "the root of its bundles"),
    package("runc", Bench, "a peer"),
    package("crun", Bench, "a peer"),
    package("docker.io", Peers, "a peer"),
    package("podman", Peers, "a peer"),
    package("docker-registry", Images, "what is pulled from"),
    package("skopeo", Images, "puts the measured image there"),
    package("iproute2", Nets, "ip, for the pairs without an engine"),
    package("iperf3", Nets, "how much gets through"),
    package("dnsmasq-base", Nets, "a resolver to compare with"),
    package("containernetworking-plugins", Nets, "the bridges of podman"),
    package("iptables", Nets, "the rules of docker and podman"),
    package(
        "util-linux",
        Demo,
        "unshare, for a namespace in a namespace",
    ),
];

const fn package(name: &'static str, purpose: Purpose, why: &'static str) -> Package {
    Package { name, purpose, why }
}

/// Runs `cargo xtask setup`.
pub(crate) fn command(mut args: Args) -> Outcome {
    let word = args.word();
    args.finish()?;
    let purposes = match word.as_deref() {
        None => vec![Build, Test, Vm, Demo],
        Some(word) => match Purpose::ALL.iter().find(|(name, _)| *name == word) {
            Some((_, Peers)) => vec![Build, Bench, Peers],
            Some((_, purpose)) => vec![Build, *purpose],
            None => {
                let names: Vec<_> = Purpose::ALL.iter().map(|(name, _)| *name).collect();
                return Err(Failure::usage(format!(
                    "setup knows {}, not \"{word}\"",
                    names.join(", ")
                )));
            }
        },
    };
    for package in PACKAGES
        .iter()
        .filter(|package| purposes.contains(&package.purpose))
    {
        let mark = if is_installed(package.name) {
            "ok"
        } else {
            "missing"
        };
        println!("{mark:<8} {:<28} {}", package.name, package.why);
    }
    ensure(&purposes)?;
    if purposes.contains(&Test) {
        nextest()?;
    }
    println!("ready");
    Ok(())
}

/// Makes sure that the packages for these purposes are installed; silent when they are.
///
/// # Errors
/// Some are missing and we are not root, or apt-get fails.
pub(crate) fn ensure(purposes: &[Purpose]) -> Outcome {
    let mut missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|package| purposes.contains(&package.purpose) && !is_installed(package.name))
        .map(|package| package.name)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    if !exec::installed("apt-get") {
        return Err(Failure::new(format!(
            "this machine has no apt-get; install what Debian calls {}",
            missing.join(" ")
        )));
    }
    if !is_root()? {
        return Err(Failure::new(format!(
            "system packages are missing; run as root: \
             apt-get update && apt-get install --no-install-recommends {}",
            missing.join(" ")
        )));
    }
    exec::run(debian("apt-get").args(["update", "-q"]))?;
    exec::run(
        debian("sh")
            .args(["-c", INSTALL, "sh"])
            .args(["install", "-q", "-y", "--no-install-recommends"])
            .args(missing),
    )
}

/// The test runner that is there, after an attempt to install the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// cargo-nextest: a process for each test.
    Nextest,
    /// `cargo test`, one test after the other.
    CargoTest,
}

/// Makes sure that cargo-nextest is installed, or says why `cargo test` has to do.
///
/// # Errors
/// Cargo itself cannot be started.
pub(crate) fn nextest() -> Outcome<Runner> {
    if exec::installed("cargo-nextest") {
        return Ok(Runner::Nextest);
    }
    println!("cargo-nextest is missing; it is built once now, which takes some minutes");
    // Outside the workspace, whose configuration builds for static linking.
    let mut install = exec::cargo();
    install
        .args(["install", "--locked", "cargo-nextest"])
        .current_dir("/");
    match exec::run(&mut install) {
        Ok(()) => Ok(Runner::Nextest),
        Err(failure) => {
            println!("{failure}; the tests run with plain cargo test instead");
            Ok(Runner::CargoTest)
        }
    }
}

/// Makes sure that cargo-deb is installed, which packs for Debian.
///
/// # Errors
/// It cannot be built.
pub(crate) fn cargo_deb() -> Outcome {
    if exec::installed("cargo-deb") {
        return Ok(());
    }
    println!("cargo-deb is missing; it is built once now, which takes some minutes");
    let mut install = exec::cargo();
    // Outside the workspace, whose configuration builds for static linking.
    install
        .args(["install", "--locked", "cargo-deb"])
        .current_dir("/");
    exec::run(&mut install)
}

/// Whether dpkg lists the package as installed. False where there is no dpkg.
fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", package]);
    exec::read(&mut query).is_ok_and(|status| status == "installed")
}

/// Whether we run as root in the eyes of the file system.
///
/// # Errors
/// `id` cannot be started.
pub(crate) fn is_root() -> Outcome<bool> {
    Ok(exec::read(Command::new("id").arg("-u"))?.trim() == "0")
}

/// A program of Debian's that asks nothing and speaks English.
fn debian(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_installed() {
        assert!(!is_installed("no-such-package-of-anyone"));
    }

    #[test]
    fn a_purpose_lists_a_package_once() {
        for (at, package) in PACKAGES.iter().enumerate() {
            let twice = PACKAGES[at + 1..]
                .iter()
                .any(|other| other.name == package.name && other.purpose == package.purpose);
            assert!(!twice, "{}", package.name);
        }
    }
}
