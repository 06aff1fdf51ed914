//! `vm`: the VM tier. Boots Debian's cloud kernel in QEMU and runs tests there.
//!
//! The build machine has one kernel and one layout of cgroups. The guests have the other: kernel
//! 6.1 and cgroup v2 with all controllers, below a shell or below systemd, as root or as a user.
//! Nothing of it is installed on the host; kernel and packages are only unpacked, below the target
//! folder.

mod binaries;
mod boot;
mod cpio;
mod debian;
mod disk;
mod initramfs;
mod kernel;
mod modules;
mod profiles;
mod report;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::setup::{self, Purpose};
use crate::test::skips;
use crate::{build, workspace};
use disk::Root;
use profiles::{Errand, Guest};

pub(crate) use profiles::Selection;

/// From power on to the first test, and from the last one to power off.
const BOOT_S: u64 = 60;

/// Runs `cargo xtask vm`.
pub(crate) fn command(mut args: Args) -> Outcome {
    let dev = args.flag("--dev");
    let (first, second) = (args.word(), args.word());
    args.finish()?;
    let selection = Selection::parse(first, second)?;
    setup::ensure(&[Purpose::Build, Purpose::Vm])?;
    let binaries = if dev {
        build::debug()?
    } else {
        build::release()?
    };
    skips::check(&run(&selection, &binaries)?)
}

/// Boots the guests that the selection needs, one after the other, and runs the tests with these
/// binaries. Returns the reasons of those that were skipped.
///
/// # Errors
/// A test fails, a guest does not end in time, or what it needs cannot be made. The other guests
/// run all the same.
pub(crate) fn run(selection: &Selection, binaries: &[PathBuf]) -> Outcome<Vec<String>> {
    let folder = workspace::target_dir()?.join("vm");
    fs::create_dir_all(&folder).map_err(|error| Failure::file("create", &folder, &error))?;
    let guests: Vec<(Guest, Vec<Errand>)> = Guest::ALL
        .into_iter()
        .map(|guest| (guest, selection.errands(guest)))
        .filter(|(_, errands)| !errands.is_empty())
        .collect();
    let tests = binaries::build(guests.iter().flat_map(|(_, errands)| errands))?;
    let kernel = kernel::obtain(&folder)?;
    let debian = debian::obtain(&folder)?;
    exec::announce(&format!("vm: Linux {}", kernel.release));
    let initramfs = initramfs::make(&folder, &kernel)?;
    let root = Root::lay_out(&folder, &debian, binaries, &tests)?;
    let (mut reasons, mut problems, mut count) = (Vec::new(), Vec::new(), 0);
    for (guest, errands) in guests {
        let name = guest.name();
        let disk = folder.join(format!("{name}.ext4"));
        root.disk(&disk, &errands)?;
        let machine = boot::Machine {
            kernel: kernel.image.clone(),
            initramfs: initramfs.clone(),
            disk,
            init: guest.init(),
            only: selection.only(),
            console: folder.join(format!("{name}.log")),
            deadline: Duration::from_secs(
                BOOT_S + errands.iter().map(|errand| errand.limit_s).sum::<u64>(),
            ),
        };
        let begun = Instant::now();
        let report = machine.run()?;
        let run = report::Run {
            guest: name,
            rows: errands.len(),
            took: begun.elapsed(),
            console: &machine.console,
        };
        problems.extend(
            report
                .conclude(&run)
                .err()
                .map(|failure| failure.to_string()),
        );
        count += report.count();
        reasons.extend(report.into_reasons());
    }
    if count == 0 && problems.is_empty() {
        problems.push("no guest ran a test; is the name right?".to_owned());
    }
    if problems.is_empty() {
        Ok(reasons)
    } else {
        Err(Failure::new(problems.join("; ")))
    }
}
