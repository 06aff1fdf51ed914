//! Writes tar streams that are the same for the same content: no times, no owners.

use std::fs::File;
use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::copy::Copier;

const BLOCK_BYTES: u64 = 512;
/// The longest name in the field of a header.
const NAME_FIELD_BYTES: usize = 100;
/// From here on the field of a size needs GNU's binary form.
const OCTAL_SIZE_MAX: u64 = 0o77_777_777_777;
/// Blobs are copied in such pieces, with a word of progress after each.
const PIECE_BYTES: u64 = 8 << 20;

/// A stream under way.
pub(super) struct TarWriter<'a> {
    out: &'a File,
    copier: Copier,
}

impl<'a> TarWriter<'a> {
    pub(super) fn new(out: &'a File) -> Self {
        let copier = Copier::to(out);
        Self { out, copier }
    }

    /// Writes a folder.
    pub(super) fn folder(&mut self, name: &str) -> io::Result<()> {
        self.header(name, EntryType::Directory, 0o755, 0)
    }

    /// Writes a small file.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let size = bytes.len() as u64;
        self.header(name, EntryType::Regular, 0o644, size)?;
        self.out.write_all(bytes)?;
        self.pad(size)
    }

    /// Writes a file of `size` bytes, copied by the kernel where it can.
    pub(super) fn file(
        &mut self,
        name: &str,
        content: &File,
        size: u64,
        mut copied: impl FnMut(u64),
    ) -> io::Result<()> {
        self.header(name, EntryType::Regular, 0o644, size)?;
        let mut left = size;
        while left > 0 {
            let count = self.copier.copy(content, self.out, left.min(PIECE_BYTES))?;
            if count == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a blob is shorter than it was",
                ));
            }
            left = left.saturating_sub(count);
            copied(count);
        }
        self.pad(size)
    }

    /// Ends the stream.
    pub(super) fn finish(self) -> io::Result<()> {
        let mut out = self.out;
        out.write_all(&[0; 1024])
    }

    fn header(&mut self, name: &str, kind: EntryType, mode: u32, size: u64) -> io::Result<()> {
        if name.len() > NAME_FIELD_BYTES {
            // GNU's way: the name, with its zero, as the content of an entry before.
            let length = name.len() as u64 + 1;
            self.block("././@LongLink", EntryType::GNULongName, 0o644, length)?;
            self.out.write_all(name.as_bytes())?;
            self.out.write_all(&[0])?;
            self.pad(length)?;
        }
        let short = name.get(..name.len().min(NAME_FIELD_BYTES));
        self.block(short.unwrap_or_default(), kind, mode, size)
    }

    fn block(&mut self, name: &str, kind: EntryType, mode: u32, size: u64) -> io::Result<()> {
        let gnu = size > OCTAL_SIZE_MAX || name.len() == NAME_FIELD_BYTES;
        let mut header = match gnu || kind == EntryType::GNULongName {
            true => Header::new_gnu(),
            false => Header::new_ustar(),
        };
        // Not set_path: it refuses what GNU's long names begin with.
        for (to, from) in header.as_old_mut().name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = size.wrapping_neg() % BLOCK_BYTES;
        io::copy(&mut io::repeat(0).take(padding), &mut self.out).map(drop)
    }
}
