//! Moving a full file of the journal out of the way.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use berth_persist::{At, Op, Replace, perform};
use rustix::fs::{FlockOperation, flock};

use super::{EventLimits, aged, journal};

/// Renames the journal and its predecessors, the oldest of which goes; the next writer makes a new
/// one. Somebody else who does so at the same time, or who is in the middle of a write, is no error:
/// the next writer tries again.
///
/// A crash between two renames leaves a gap in the numbers at most, which readers do not mind.
pub(super) fn rotate(root: &Path, limits: EventLimits) -> io::Result<()> {
    let path = journal(root);
    let file = berth_persist::open(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    }
    let held = file.metadata()?;
    let found = std::fs::metadata(&path)?;
    if held.ino() != found.ino() || found.len() < limits.file_bytes {
        return Ok(());
    }
    let oldest = limits.files.max(2) - 1;
    for age in (0..oldest).rev() {
        let (from, to) = (aged(root, age), aged(root, age + 1));
        let op = Op::Rename {
            from: At::path(&from),
            to: At::path(&to),
            replace: Replace::Yes,
        };
        match perform("events.rotate", op) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // Where fewer are kept than before.
    for age in oldest + 1.. {
        let path = aged(root, age);
        if perform("events.forget", Op::Unlink(At::path(&path))).is_err() {
            break;
        }
    }
    Ok(())
}
