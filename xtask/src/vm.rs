//! `vm`: the thin VM tier. Boots Debian's cloud kernel in QEMU and runs the guest tests there.
//!
//! The build machine has one kernel and one layout of cgroups. The guest has the other: kernel 6.1
//! and cgroup v2 with all controllers. Nothing of it is installed on the host; the kernel's
//! package is only unpacked, below the target folder.

mod boot;
mod cpio;
mod disk;
mod initramfs;
mod kernel;
mod modules;
mod report;

use std::fs;
use std::time::Instant;

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::setup::{self, Purpose};
use crate::{build, workspace};

/// Runs `cargo xtask vm`.
pub(crate) fn command(mut args: Args) -> Outcome {
    let only = args.word();
    args.finish()?;
    setup::ensure(&[Purpose::Build, Purpose::Vm])?;
    run(only.as_deref().unwrap_or("")).map(drop)
}

/// Builds the release, boots the guest and runs the tests whose names contain `only`.
/// Returns the reasons of those that were skipped.
///
/// # Errors
/// A test fails, the guest does not end in time, or what it needs cannot be made.
pub(crate) fn run(only: &str) -> Outcome<Vec<String>> {
    let binaries = build::release()?;
    let folder = workspace::target_dir()?.join("vm");
    fs::create_dir_all(&folder).map_err(|error| Failure::file("create", &folder, &error))?;
    let kernel = kernel::obtain(&folder)?;
    exec::announce(&format!("vm: Linux {}", kernel.release));
    let initramfs = initramfs::make(&folder, &kernel)?;
    let disk = disk::make(&folder, &binaries)?;
    let begun = Instant::now();
    let guest = boot::Guest {
        kernel: kernel.image,
        initramfs,
        disk,
        only: only.to_owned(),
    };
    let report = guest.run(&folder)?;
    report.conclude(begun.elapsed(), &folder.join("console.log"))?;
    Ok(report.skipped().to_vec())
}
