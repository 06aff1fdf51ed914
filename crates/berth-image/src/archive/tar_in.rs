//! Reads tar streams: names, sizes, links and content, in the order in which they come.
//!
//! POSIX pax interchange format, and GNU's long names. What no image archive holds, sparse files
//! for one, is refused rather than guessed.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::compressed::read_error;
use super::limits::{LoadLimits, exceeded};
use super::name::{self, NAME_MAX_BYTES};
use crate::ImageError;

const BLOCK_BYTES: usize = 512;
/// The longest extended header that is read.
const PAX_MAX_BYTES: u64 = 1 << 20;
/// How much may follow the end of the archive: tar fills its last record with zeros.
const TRAILER_MAX_BYTES: u64 = 64 << 20;
/// What is not needed is read past in such pieces.
const SKIP_BYTES: usize = 256 << 10;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    /// To another entry, by its name.
    Link(String),
    /// A folder, a device and so on.
    Other,
}

/// One entry; its content is read from the reader that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: EntryKind,
    pub(super) size: u64,
}

/// A tar stream, and after [`next`](Self::next) the content of its entry.
pub(super) struct TarReader<'a, R> {
    what: &'a str,
    inner: R,
    left: u64,
    padding: u64,
    entries: u64,
    names: u64,
    limits: &'a LoadLimits,
    scratch: Vec<u8>,
}

/// What headers before an entry say of it.
#[derive(Default)]
struct Extended {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl<'a, R: Read> TarReader<'a, R> {
    /// Begins a stream; `what` names it in errors.
    pub(super) fn new(what: &'a str, inner: R, limits: &'a LoadLimits) -> Self {
        Self {
            what,
            inner,
            left: 0,
            padding: 0,
            entries: 0,
            names: 0,
            limits,
            scratch: vec![0; SKIP_BYTES],
        }
    }

    /// The next entry, after skipping what was not read of the last one.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ImageError> {
        let mut extended = Extended::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(exceeded(self.what, "archive-entries", self.limits.entries));
            }
            let size = header
                .entry_size()
                .map_err(|_| self.malformed("an entry has no sound size"))?;
            self.left = size;
            self.padding = size.wrapping_neg() % BLOCK_BYTES as u64;
            match header.entry_type() {
                EntryType::GNULongName => extended.name = Some(self.long_name()?),
                EntryType::GNULongLink => extended.link = Some(self.long_name()?),
                EntryType::XHeader => self.pax(&mut extended)?,
                EntryType::XGlobalHeader => {}
                _ => return self.entry(&header, extended).map(Some),
            }
        }
    }

    /// Reads up to the end of the source, so that its writer sees no closed pipe, and that what a
    /// compressed stream says of itself at its end is checked.
    pub(super) fn finish(mut self) -> Result<(), ImageError> {
        self.pass(TRAILER_MAX_BYTES).map(drop)
    }

    /// An error about the stream.
    pub(super) fn malformed(&self, why: impl Into<String>) -> ImageError {
        ImageError::malformed(self.what, why)
    }

    fn entry(&mut self, header: &Header, extended: Extended) -> Result<Entry, ImageError> {
        if let Some(size) = extended.size {
            self.left = size;
            self.padding = size.wrapping_neg() % BLOCK_BYTES as u64;
        }
        let raw = match extended.name {
            Some(name) => name,
            None => self.text(header.path_bytes().into_owned())?,
        };
        let refuse = |what: &str, why: &str| {
            ImageError::malformed(self.what, format!("its entry {what:?} is refused: {why}"))
        };
        let name = name::normal(&raw).map_err(|why| refuse(&raw, why))?;
        let link = |reader: &Self| match (extended.link, header.link_name_bytes()) {
            (Some(link), _) => Ok(link),
            (None, Some(bytes)) => reader.text(bytes.into_owned()),
            (None, None) => Err(refuse(&raw, "it is a link to nowhere")),
        };
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous => EntryKind::File,
            EntryType::Symlink => {
                let target = link(self)?;
                let inside = name::target_of(&name, &target);
                EntryKind::Link(inside.map_err(|why| refuse(&format!("{raw} -> {target}"), why))?)
            }
            EntryType::Link => {
                let target = link(self)?;
                let inside = name::normal(&target);
                EntryKind::Link(inside.map_err(|why| refuse(&format!("{raw} -> {target}"), why))?)
            }
            EntryType::GNUSparse => return Err(refuse(&raw, "it is a sparse file")),
            _ => EntryKind::Other,
        };
        // No content follows the header of a link or a folder (POSIX, pax), whatever its size says.
        if kind != EntryKind::File {
            (self.left, self.padding) = (0, 0);
        }
        self.names += name.len() as u64;
        if self.names > self.limits.memory_bytes {
            return Err(exceeded(
                self.what,
                "archive-memory-bytes",
                self.limits.memory_bytes,
            ));
        }
        Ok(Entry {
            name,
            kind,
            size: self.left,
        })
    }

    /// One block with a sound checksum; `None` at the end, which is a block of zeros or nothing.
    fn header(&mut self) -> Result<Option<Header>, ImageError> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(self.malformed(self.cut())),
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(read_error(self.what, e)),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if header.cksum().ok() != Some(checksum(header.as_bytes())) {
            let why = match self.entries {
                0 => "it is no tar archive, nor one compressed by gzip or zstd",
                _ => "it is damaged: an entry's header has a wrong checksum",
            };
            return Err(self.malformed(why));
        }
        Ok(Some(header))
    }

    const fn cut(&self) -> &'static str {
        match self.entries {
            0 => "it is no tar archive, nor one compressed by gzip or zstd",
            _ => "it ends in the middle; was it copied completely?",
        }
    }

    /// The content of an entry that only describes the next one.
    fn small(&mut self, limit: u64) -> Result<Vec<u8>, ImageError> {
        if self.left > limit {
            return Err(self.malformed("a name or an extended header in it is too long"));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)
            .map_err(|e| read_error(self.what, e))?;
        Ok(bytes)
    }

    fn long_name(&mut self) -> Result<String, ImageError> {
        let mut bytes = self.small(NAME_MAX_BYTES as u64 + 1)?;
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            bytes.truncate(end);
        }
        self.text(bytes)
    }

    fn text(&self, bytes: Vec<u8>) -> Result<String, ImageError> {
        String::from_utf8(bytes).map_err(|_| self.malformed("a name in it is not UTF-8"))
    }

    /// Records of `LENGTH KEY=VALUE\n`.
    fn pax(&mut self, extended: &mut Extended) -> Result<(), ImageError> {
        let bytes = self.small(PAX_MAX_BYTES)?;
        for record in tar::PaxExtensions::new(&bytes) {
            let record = record.map_err(|_| self.malformed("an extended header is damaged"))?;
            let value = || self.text(record.value_bytes().to_owned());
            match record.key_bytes() {
                b"path" => extended.name = Some(value()?),
                b"linkpath" => extended.link = Some(value()?),
                b"size" => {
                    let size = value()?.parse();
                    extended.size =
                        Some(size.map_err(|_| self.malformed("an entry has no sound size"))?);
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(self.malformed("it holds a sparse file"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<(), ImageError> {
        let left = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        match self.pass(left)? == left {
            true => Ok(()),
            false => Err(self.malformed(self.cut())),
        }
    }

    /// Reads past so many bytes, or fewer at the end of the source.
    fn pass(&mut self, bytes: u64) -> Result<u64, ImageError> {
        let mut passed = 0;
        while passed < bytes {
            let wanted = usize::try_from(bytes - passed).unwrap_or(usize::MAX);
            let wanted = wanted.min(self.scratch.len());
            let piece = self.scratch.get_mut(..wanted).unwrap_or_default();
            match self.inner.read(piece) {
                Ok(0) => break,
                Ok(count) => passed += count as u64,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(read_error(self.what, e)),
            }
        }
        Ok(passed)
    }
}

/// The content of the entry that came last.
impl<R: Read> Read for TarReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
        let wanted = wanted.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted).filter(|b| !b.is_empty()) else {
            return Ok(0);
        };
        let count = self.inner.read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Whether content begins as a tar stream does; an empty one is zeros alone.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<BLOCK_BYTES>() else {
        return false;
    };
    if block.iter().all(|byte| *byte == 0) {
        return true;
    }
    let mut header = Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    header.cksum().ok() == Some(checksum(block))
}

/// The sum of all bytes, those of the checksum itself counted as spaces.
fn checksum(block: &[u8; BLOCK_BYTES]) -> u32 {
    let sum = |(at, byte): (usize, &u8)| match at {
        148..156 => u32::from(b' '),
        _ => u32::from(*byte),
    };
    block.iter().enumerate().map(sum).sum()
}
