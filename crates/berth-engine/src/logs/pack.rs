//! Compressing turned files, in a process of its own.
//!
//! A monitor lives as long as its container and must stay small; an encoder takes 300 KiB and time
//! in which nobody would read the container's output. So each turn starts `berth internal pack-log`,
//! which compresses every turned file that is not yet, and ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_persist::{At, Op, Replace, perform};
use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::series;
use crate::EngineError;

/// Compresses the turned files of a log, given its newest file.
pub fn pack_log(newest: &Path) -> Result<(), EngineError> {
    pack(newest).map_err(|error| {
        let text = format!("cannot compress the log {}: {error}", newest.display());
        EngineError::new(ErrorClass::Unavailable, text).on(newest.display().to_string())
    })
}

fn pack(newest: &Path) -> io::Result<()> {
    // Files are turned while we work: again until there is nothing to do.
    while let Some(number) = oldest_plain(newest) {
        if !pack_one(newest, number)? {
            return Ok(());
        }
    }
    Ok(())
}

fn oldest_plain(newest: &Path) -> Option<u32> {
    let turned = series::turned(newest).into_iter();
    let plain = turned.filter(|(_, is_packed)| !is_packed);
    plain.map(|(number, _)| number).max()
}

/// Compresses one file; false where another process does.
fn pack_one(newest: &Path, number: u32) -> io::Result<bool> {
    let mut plain = match berth_persist::open(&series::named(newest, &number.to_string())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        opened => opened?,
    };
    match flock(&plain, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(false),
        locked => locked?,
    }
    // A name of which a sweep knows whose it is.
    let temporary = series::named(newest, &format!("{}.tmp", std::process::id()));
    let packed = write_packed(&mut plain, &temporary)
        .and_then(|()| publish(newest, plain.metadata()?.ino(), &temporary));
    if packed.is_err() {
        drop(perform("log.pack.undo", Op::Unlink(At::path(&temporary))));
    }
    packed.map(|()| true)
}

fn write_packed(plain: &mut File, temporary: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut encoder = GzEncoder::new(options.open(temporary)?, Compression::fast());
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let length = plain.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        encoder.write_all(buffer.get(..length).unwrap_or_default())?;
    }
    encoder.finish().map(drop)
}

/// Puts the compressed file in the place of the plain one, whatever its number is by now.
fn publish(newest: &Path, inode: u64, temporary: &Path) -> io::Result<()> {
    let lock = File::open(newest.parent().unwrap_or(Path::new("/")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let turned = series::turned(newest).into_iter();
    let plain = turned
        .filter(|(_, is_packed)| !is_packed)
        .map(|(number, _)| number)
        .find(|number| inode_of(&series::named(newest, &number.to_string())) == Some(inode));
    let Some(number) = plain else {
        // Too old meanwhile.
        return perform("log.pack.undo", Op::Unlink(At::path(temporary)));
    };
    let packed: PathBuf = series::named(newest, &format!("{number}.gz"));
    perform(
        "log.pack.publish",
        Op::Rename {
            from: At::path(temporary),
            to: At::path(&packed),
            replace: Replace::Yes,
        },
    )?;
    let plain = series::named(newest, &number.to_string());
    perform("log.pack.remove", Op::Unlink(At::path(&plain)))
}

fn inode_of(path: &Path) -> Option<u64> {
    path.symlink_metadata().ok().map(|metadata| metadata.ino())
}
