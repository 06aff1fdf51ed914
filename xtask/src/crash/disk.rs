//! Full disks and disks that became read-only.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use super::checks;
use super::operations::{self, BERTH_TEMPLATE, Operation, Program, STORE_TEMPLATE};
use super::world::{Faults, World, said};
use crate::exec;
use crate::failure::{Failure, Outcome};

/// The word for all of this on the command line.
pub(super) const NAME: &str = "disk";

/// A file system that is unmounted when dropped.
pub(super) struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// A tmpfs with these options.
    ///
    /// # Errors
    /// It cannot be mounted.
    pub(super) fn tmpfs(at: &Path, options: &str) -> Outcome<Self> {
        fs::create_dir_all(at).map_err(|error| Failure::file("create", at, &error))?;
        let data = std::ffi::CString::new(format!("mode=755{options}"))
            .map_err(|_| Failure::new("a mount option has a zero in it"))?;
        let flags = MountFlags::empty();
        mount("tmpfs", at, "tmpfs", flags, Some(data.as_c_str())).map_err(|error| {
            Failure::new(format!("cannot mount a tmpfs on {}: {error}", at.display()))
        })?;
        Ok(Self { at: at.to_owned() })
    }

    /// Waits for whoever still writes: the monitor of a container that has ended.
    fn remount(&self, flags: MountFlags) -> Outcome {
        checks::soon(|| {
            mount_remount(&self.at, flags, "").map_err(|error| {
                Failure::new(format!("cannot remount {}: {error}", self.at.display()))
            })
        })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.at, UnmountFlags::DETACH) {
            eprintln!("xtask: cannot unmount {}: {error}", self.at.display());
        }
    }
}

/// The root lies on a file system of this size.
const DISK_KIB: u64 = 1024;
const PAGE: u64 = 4096;

/// What must work on a disk that is full or read-only, since it writes nothing.
const fn reader(program: Program) -> &'static [&'static str] {
    match program {
        Program::Berth => &["ps", "-a"],
        Program::Store => &["check"],
    }
}

/// The operations that write.
const WRITERS: [&str; 9] = [
    "create",
    "run",
    "rm",
    "create-image",
    "volume-create",
    "image-put",
    "image-load",
    "image-unpack",
    "image-tag",
];

/// Fills disks, and makes them read-only.
///
/// # Errors
/// A check fails.
pub(super) fn run(world: &World<'_>) -> Outcome {
    world.clear()?;
    for operation in operations::all() {
        if WRITERS.contains(&operation.name) {
            let failed = full(world, operation)?;
            println!(
                "disk full: {} failed in {failed} places, and the store was whole after each",
                operation.name
            );
            read_only(world, operation)?;
            println!("disk read-only: {} was refused in words", operation.name);
        }
    }
    Ok(())
}

/// A root on a disk of its own, with what the operation needs.
fn disk(world: &World<'_>, operation: &Operation) -> Outcome<Mounted> {
    world.clear()?;
    let options = format!(",size={DISK_KIB}k");
    let disk = Mounted::tmpfs(&world.root(), &options)?;
    let common = match operation.program {
        Program::Berth => BERTH_TEMPLATE,
        Program::Store => STORE_TEMPLATE,
    };
    world.steps(operation.program, common, false)?;
    let setup = operation.setup.unwrap_or_default();
    world.steps(operation.program, setup, false)?;
    Ok(disk)
}

/// Leaves less and less room, a page at a time, until the operation succeeds; how often it failed.
fn full(world: &World<'_>, operation: &Operation) -> Outcome<u64> {
    exec::announce(&format!("disk full: {}", operation.name));
    for pages in 0.. {
        let _disk = disk(world, operation)?;
        let filler = world.root().join("filler");
        fill(&filler, pages)?;
        let output = world.run(operation.program, operation.run, Faults::default())?;
        let text = said(&output);
        let succeeded = output.status.code() == Some(operation.code);
        if !succeeded {
            refused(operation, &output, "No space left on device")?;
        }
        // Whoever only reads is not concerned.
        world.must(operation.program, reader(operation.program))?;
        fs::remove_file(&filler).map_err(|error| Failure::file("remove", &filler, &error))?;
        checks::after_crash(world, operation, true).map_err(|failure| {
            Failure::new(format!(
                "with {pages} pages left, after \"{text}\": {failure}"
            ))
        })?;
        if succeeded {
            return Ok(pages);
        }
    }
    Ok(0)
}

/// Fills the disk but for some pages.
fn fill(filler: &Path, pages: u64) -> Outcome {
    let failed = |error| Failure::file("write", filler, &error);
    let mut file = fs::File::create(filler).map_err(failed)?;
    let page = vec![0; usize::try_from(PAGE).unwrap_or_default()];
    while std::io::Write::write_all(&mut file, &page).is_ok() {}
    let length = file.metadata().map_err(failed)?.len();
    file.set_len(length.saturating_sub(pages * PAGE))
        .map_err(failed)
}

fn read_only(world: &World<'_>, operation: &Operation) -> Outcome {
    let disk = disk(world, operation)?;
    disk.remount(MountFlags::RDONLY)?;
    let output = world.run(operation.program, operation.run, Faults::default())?;
    refused(operation, &output, "Read-only file system")?;
    world.must(operation.program, reader(operation.program))?;
    disk.remount(MountFlags::empty())?;
    checks::after_crash(world, operation, true)
}

/// An operation failed with the exit code of its command and the reason in words.
fn refused(operation: &Operation, output: &std::process::Output, why: &str) -> Outcome {
    let text = said(output);
    let engine = matches!(operation.run.first(), Some(&("create" | "run")));
    let expected = if engine { 125 } else { 1 };
    if output.status.code() == Some(expected) && text.contains(why) && text.contains("cannot ") {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} on such a disk ended with {} instead of {expected} and said: {text}",
        operation.name, output.status
    )))
}
