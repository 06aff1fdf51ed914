//! Writing tar entries: ustar, with a pax header in front where ustar cannot say it.

use std::fs::File;
use std::io::Read;

use tar::EntryType;

use super::super::error::printable;
use super::super::xattr::Xattr;
use super::super::{LayerError, pax};
use super::Times;
use super::stream::Sink;

const BLOCK_BYTES: usize = 512;
/// Fields of the header, without a closing NUL.
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;
/// The most that seven, and eleven, octal digits say.
const ID_MAX: u32 = 0o7_777_777;
const SIZE_MAX: u64 = 0o77_777_777_777;

/// An entry to write.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: (i64, u32),
    pub(super) device: (u32, u32),
}

/// An archive that grows.
pub(super) struct Tape<'a> {
    sink: &'a mut Sink,
    times: Times,
    entries: u64,
}

impl<'a> Tape<'a> {
    pub(super) const fn new(sink: &'a mut Sink, times: Times) -> Self {
        Self {
            sink,
            times,
            entries: 0,
        }
    }

    /// Writes an entry, with the file's content if there is one.
    pub(super) fn append(
        &mut self,
        header: &Header,
        xattrs: &[Xattr],
        content: Option<&File>,
    ) -> Result<(), LayerError> {
        let records = self.records(header, xattrs);
        if !records.is_empty() {
            let own = Header {
                name: b"PaxHeaders/entry".to_vec(),
                link: Vec::new(),
                kind: b'x',
                mode: 0o644,
                uid: 0,
                gid: 0,
                size: records.len() as u64,
                mtime: (0, 0),
                device: (0, 0),
            };
            self.sink.write(&block(&own))?;
            self.sink.write(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.sink.write(&block(header))?;
        if let Some(file) = content {
            self.content(header, file)?;
            self.pad(header.size)?;
        }
        self.entries += 1;
        Ok(())
    }

    /// Ends the archive; tells how many entries it has.
    pub(super) fn finish(self) -> Result<u64, LayerError> {
        self.sink.write(&[0; 2 * BLOCK_BYTES])?;
        Ok(self.entries)
    }

    /// As many bytes as the header says: a file that grows meanwhile is cut, and one that shrinks
    /// cannot be packed.
    fn content(&mut self, header: &Header, mut file: &File) -> Result<(), LayerError> {
        let mut left = header.size;
        while left > 0 {
            let free = self.sink.free()?;
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(free.len());
            let free = free.get_mut(..most).unwrap_or_default();
            let count = match file.read(free) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other.map_err(|e| LayerError::io("read", &header.name, e))?,
            };
            if count == 0 {
                return Err(LayerError::Unsupported(format!(
                    "{} became shorter while it was packed; pause the container",
                    printable(&header.name)
                )));
            }
            self.sink.advance(count);
            left -= count as u64;
        }
        Ok(())
    }

    fn pad(&mut self, bytes: u64) -> Result<(), LayerError> {
        let padding = usize::try_from(bytes.wrapping_neg() % BLOCK_BYTES as u64).unwrap_or(0);
        let zeros = [0; BLOCK_BYTES];
        self.sink.write(zeros.get(..padding).unwrap_or_default())
    }

    fn records(&self, header: &Header, xattrs: &[Xattr]) -> Vec<u8> {
        let mut records = Vec::new();
        if let Some(mtime) = self.pax_time(header.mtime) {
            pax::append(&mut records, b"mtime", mtime.as_bytes());
        }
        if header.gid > ID_MAX {
            pax::append(&mut records, b"gid", header.gid.to_string().as_bytes());
        }
        if header.link.len() > NAME_BYTES {
            pax::append(&mut records, b"linkpath", &header.link);
        }
        if ustar_split(&header.name).is_none() {
            pax::append(&mut records, b"path", &header.name);
        }
        if header.size > SIZE_MAX {
            pax::append(&mut records, b"size", header.size.to_string().as_bytes());
        }
        if header.uid > ID_MAX {
            pax::append(&mut records, b"uid", header.uid.to_string().as_bytes());
        }
        for (name, value) in xattrs {
            let key = [b"SCHILY.xattr.", name.as_slice()].concat();
            pax::append(&mut records, &key, value);
        }
        records
    }

    fn pax_time(&self, (seconds, nanoseconds): (i64, u32)) -> Option<String> {
        let fraction = self.times == Times::Nanoseconds && nanoseconds > 0;
        let plain = u64::try_from(seconds).is_ok_and(|s| s <= SIZE_MAX);
        if !fraction {
            return (!plain).then(|| seconds.to_string());
        }
        if seconds >= 0 {
            return Some(format!("{seconds}.{nanoseconds:09}"));
        }
        // The fraction of a negative number counts the other way.
        let (whole, rest) = (-(seconds + 1), 1_000_000_000 - nanoseconds);
        Some(format!("-{whole}.{rest:09}"))
    }
}

/// Prefix and name, where ustar's two fields can hold the path.
fn ustar_split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_BYTES {
        return Some((b"", path));
    }
    // The slash between the fields is written nowhere; the last of a folder's name is none of them.
    let last = path.len() - 1;
    let from = path.len().saturating_sub(NAME_BYTES + 1);
    (from..last)
        .find(|at| path.get(*at) == Some(&b'/') && *at > 0)
        .filter(|at| *at <= PREFIX_BYTES)
        .and_then(|at| Some((path.get(..at)?, path.get(at + 1..)?)))
}

fn block(header: &Header) -> [u8; BLOCK_BYTES] {
    let mut block = tar::Header::new_ustar();
    block.set_entry_type(EntryType::new(header.kind));
    block.set_mode(header.mode);
    block.set_uid(u64::from(header.uid.min(ID_MAX)));
    block.set_gid(u64::from(header.gid.min(ID_MAX)));
    block.set_size(header.size.min(SIZE_MAX));
    block.set_mtime(u64::try_from(header.mtime.0).unwrap_or(0).min(SIZE_MAX));
    let (prefix, name) = ustar_split(&header.name)
        .unwrap_or_else(|| (b"", header.name.get(..NAME_BYTES).unwrap_or(&header.name)));
    if let Some(ustar) = block.as_ustar_mut() {
        put(&mut ustar.prefix, prefix);
        put(&mut ustar.name, name);
        put(&mut ustar.linkname, &header.link);
        if matches!(header.kind, b'3' | b'4') {
            ustar.set_device_major(header.device.0);
            ustar.set_device_minor(header.device.1);
        }
    }
    block.set_cksum();
    *block.as_bytes()
}

/// As much of the text as the field holds.
fn put(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    if let (Some(field), Some(text)) = (field.get_mut(..length), text.get(..length)) {
        field.copy_from_slice(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_split_at_a_slash() {
        let a = "a".repeat(60);
        let b = "b".repeat(60);
        let path = format!("{a}/{b}");
        assert_eq!(
            ustar_split(path.as_bytes()),
            Some((a.as_bytes(), b.as_bytes()))
        );
        assert_eq!(ustar_split(b"short"), Some((&b""[..], &b"short"[..])));
        assert_eq!(ustar_split("x".repeat(101).as_bytes()), None);
        let folder = format!("{}/", "x".repeat(100));
        assert_eq!(ustar_split(folder.as_bytes()), None);
        let far = format!("{}/b", "x".repeat(156));
        assert_eq!(ustar_split(far.as_bytes()), None);
    }
}
