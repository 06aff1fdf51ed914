//! Copies from a file to a file or a pipe, in the kernel where it can.
//!
//! `std::io::copy` does so between files, and for everything else passes 8 KiB at a time.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::fs::{FileType, copy_file_range, fstat};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

/// What passes through here where it must.
const BUFFER_BYTES: usize = 1 << 20;

/// How to copy into one target.
pub(super) struct Copier {
    way: Way,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// copy_file_range(2): a file system may share the blocks.
    Range,
    /// splice(2): the pipe refers to the pages of the blob, which never change.
    Splice,
    /// read(2) and write(2).
    Buffer,
}

impl Copier {
    /// Decides by what the target is.
    pub(super) fn to(target: &File) -> Self {
        let kind = fstat(target).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let way = match kind {
            Ok(FileType::RegularFile) => Way::Range,
            Ok(FileType::Fifo) => Way::Splice,
            _ => Way::Buffer,
        };
        let buffer = Vec::new();
        Self { way, buffer }
    }

    /// Copies up to `bytes` from where `from` stands; 0 at its end.
    pub(super) fn copy(&mut self, mut from: &File, mut to: &File, bytes: u64) -> io::Result<u64> {
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        let copied = match self.way {
            Way::Range => copy_file_range(from, None, to, None, length),
            Way::Splice => splice(from, None, to, None, length, SpliceFlags::MORE),
            Way::Buffer => Ok(0),
        };
        match copied {
            Ok(0) => {}
            Ok(count) => return Ok(count as u64),
            Err(Errno::INTR) => return self.copy(from, to, bytes),
            Err(error) if is_refusal(error) => self.way = Way::Buffer,
            Err(error) => return Err(error.into()),
        }
        // At the end too: some file systems answer 0 before it.
        self.buffer.resize(BUFFER_BYTES, 0);
        let piece = self.buffer.get_mut(..length.min(BUFFER_BYTES));
        let count = from.read(piece.unwrap_or_default())?;
        to.write_all(self.buffer.get(..count).unwrap_or_default())?;
        Ok(count as u64)
    }
}

/// Whether the kernel says "not so" rather than "failed": between two file systems, to a file
/// opened for appending (copy_file_range(2), splice(2)).
fn is_refusal(error: Errno) -> bool {
    let all = [
        Errno::XDEV,
        Errno::INVAL,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::BADF,
        Errno::PERM,
        Errno::TXTBSY,
        Errno::OVERFLOW,
    ];
    all.contains(&error)
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;

    fn copied(from: &mut File, to: &File) -> (u64, Way) {
        from.rewind().unwrap();
        let mut copier = Copier::to(to);
        let mut total = 0;
        loop {
            match copier.copy(from, to, 300_000).unwrap() {
                0 => return (total, copier.way),
                count => total += count,
            }
        }
    }

    #[test]
    fn every_way_copies_all() {
        let content: Vec<u8> = (0..2_000_001_u32).map(|at| at.to_le_bytes()[1]).collect();
        let dir = tempfile::tempdir().unwrap();
        let mut from = tempfile::tempfile_in(dir.path()).unwrap();
        from.write_all(&content).unwrap();
        let total = content.len() as u64;

        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        assert_eq!(copied(&mut from, &file).0, total);
        assert!(std::fs::read(&path).unwrap() == content);

        let append = File::options().append(true).open(&path).unwrap();
        assert_eq!(copied(&mut from, &append), (total, Way::Buffer));
        assert_eq!(file.metadata().unwrap().len(), 2 * total);

        let (mut reader, writer) = io::pipe().unwrap();
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            bytes
        });
        let writer = File::from(std::os::fd::OwnedFd::from(writer));
        assert_eq!(copied(&mut from, &writer), (total, Way::Splice));
        drop(writer);
        assert!(reading.join().unwrap() == content);
    }
}
