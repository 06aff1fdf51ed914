//! The content of a file into another, within the kernel where it can, with its holes.

use std::os::fd::BorrowedFd;

use rustix::fs::{SeekFrom, copy_file_range, fstat, ftruncate, seek};
use rustix::io::Errno;

/// Bytes that one call copies.
const COPY_MAX: usize = 1 << 30;
/// Bytes that are read at a time where the kernel cannot copy.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes of a file that says it is empty.
const CONTENT_OF_EMPTY_MAX: u64 = 64 << 20;

/// Copies all of a file into an empty one.
pub(super) fn copy_data(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let stat = fstat(from)?;
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    if size == 0 {
        // Those of procfs have content all the same.
        return copy_by_hand(from, to, 0, CONTENT_OF_EMPTY_MAX);
    }
    // Blocks of 512 bytes: fewer than its size needs means that there are holes.
    let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
    if blocks.saturating_mul(512) >= size {
        copy_range(from, to, 0, size)?;
        return Ok(());
    }
    let mut at = 0;
    while at < size {
        let start = match seek(from, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            other => other?,
        };
        let end = seek(from, SeekFrom::Hole(start))?.min(size);
        copy_range(from, to, start, end)?;
        at = end;
    }
    ftruncate(to, size)
}

/// Copies a range to the same place.
fn copy_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, start: u64, end: u64) -> Result<(), Errno> {
    let (mut at, mut to_at) = (start, start);
    while at < end {
        let left = usize::try_from(end - at).unwrap_or(COPY_MAX).min(COPY_MAX);
        match copy_file_range(from, Some(&mut at), to, Some(&mut to_at), left) {
            // shorter than it was
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return copy_by_hand(from, to, at, end);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn copy_by_hand(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mut at: u64,
    end: u64,
) -> Result<(), Errno> {
    let mut buffer = vec![0; BUFFER_BYTES];
    while at < end {
        let most = usize::try_from(end - at)
            .unwrap_or(BUFFER_BYTES)
            .min(BUFFER_BYTES);
        let count = rustix::io::pread(from, buffer.get_mut(..most).unwrap_or_default(), at)?;
        if count == 0 {
            return Ok(());
        }
        let mut data = buffer.get(..count).unwrap_or_default();
        while !data.is_empty() {
            let written = rustix::io::pwrite(to, data, at)?;
            at += written as u64;
            data = data.get(written..).unwrap_or_default();
        }
    }
    Ok(())
}
