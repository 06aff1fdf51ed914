//! Reading a tar stream: v7, ustar, pax, GNU.
//!
//! The places where archivers differ are decided as Go's `archive/tar` does, since that is what
//! Docker and containerd see: a file must not be one thing to them and another to us. Global
//! extended headers are passed over, GNU long names win over extended headers, links and devices
//! have no data whatever their size says.

use super::entry::{Attributes, Entry, Kind};
use super::error::printable;
use super::number::{decimal, field, time};
use super::pipeline::Source;
use super::sparse::{Extended, Map, Piece, extended, gnu_entries, numbers};
use super::{LayerError, Limits, pax};

/// Headers and data come in such blocks.
const BLOCK_BYTES: usize = 512;
/// File systems take a few dozens.
const XATTRS_MAX: usize = 1000;

type Block = [u8; BLOCK_BYTES];

/// A stream of entries.
pub(super) struct Archive<'a> {
    source: &'a mut Source,
    limits: &'a Limits,
    /// Bytes of the present entry's data that were not taken.
    data_left: u64,
    padding: u64,
    entries: u64,
    /// The name of the present entry, for errors.
    name: Vec<u8>,
}

/// What headers in front of an entry say of it.
#[derive(Default)]
struct Extras {
    pax: Vec<u8>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<'a> Archive<'a> {
    pub(super) const fn new(source: &'a mut Source, limits: &'a Limits) -> Self {
        Self {
            source,
            limits,
            data_left: 0,
            padding: 0,
            entries: 0,
            name: Vec::new(),
        }
    }

    /// Entries so far.
    pub(super) const fn entries(&self) -> u64 {
        self.entries
    }

    /// The next entry; `None` at the end of the archive. Data that was not taken passes.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, LayerError> {
        let mut extras = Extras::default();
        loop {
            self.finish_data()?;
            let Some(block) = self.header()? else {
                return Ok(None);
            };
            let kind = byte(&block, 156);
            let size = self.number(&block, 124..136)?;
            match kind {
                b'x' => extras.pax = self.meta(size)?,
                b'L' => extras.long_name = Some(until_nul(&self.meta(size)?).to_vec()),
                b'K' => extras.long_link = Some(until_nul(&self.meta(size)?).to_vec()),
                b'g' => self.begin_data(size),
                _ => return self.entry(&block, size, extras).map(Some),
            }
            self.count()?;
        }
    }

    /// The next bytes of the entry's data, at most so many; none at its end.
    pub(super) fn data(&mut self, most: u64) -> Result<&[u8], LayerError> {
        let most = most.min(self.data_left);
        if most == 0 {
            return Ok(&[]);
        }
        if self.source.peek(most)?.is_empty() {
            return Err(self.malformed("the archive ends within a file"));
        }
        self.source.peek(most)
    }

    /// Takes data that [`Archive::data`] showed.
    pub(super) const fn consume(&mut self, count: usize) {
        self.source.consume(count);
        self.data_left -= count as u64;
    }

    /// Names what is wrong with the present entry.
    pub(super) fn malformed(&self, why: impl Into<String>) -> LayerError {
        LayerError::Malformed {
            offset: self.source.offset(),
            entry: printable(&self.name),
            why: why.into(),
        }
    }

    fn count(&mut self) -> Result<(), LayerError> {
        self.entries += 1;
        self.limits.check_entries(self.entries)
    }

    const fn begin_data(&mut self, size: u64) {
        self.data_left = size;
        self.padding = size.wrapping_neg() % BLOCK_BYTES as u64;
    }

    fn finish_data(&mut self) -> Result<(), LayerError> {
        if self.source.skip(self.data_left)? < self.data_left {
            return Err(self.malformed("the archive ends within a file"));
        }
        self.data_left = 0;
        // Some archivers leave out the padding of the last entry; the next header will miss.
        self.source.skip(self.padding)?;
        self.padding = 0;
        Ok(())
    }

    /// A header whose checksum is right; `None` at the end: two empty blocks, or no more bytes.
    fn header(&mut self) -> Result<Option<Block>, LayerError> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block.iter().all(|b| *b == 0) {
            return match self.block()? {
                Some(second) if second.iter().any(|b| *b != 0) => {
                    self.name.clear();
                    Err(self.malformed("an empty block between entries"))
                }
                _ => Ok(None),
            };
        }
        self.name = until_nul(slice(&block, 0..100)).to_vec();
        let stored = field(slice(&block, 148..156)).map_err(|why| self.malformed(why))?;
        let (unsigned, signed) = checksums(&block);
        if stored != unsigned && stored != signed {
            self.name.clear();
            return Err(self.malformed("a header with a wrong checksum"));
        }
        Ok(Some(block))
    }

    fn block(&mut self) -> Result<Option<Block>, LayerError> {
        let mut block = [0; BLOCK_BYTES];
        match self.source.read_full(&mut block)? {
            0 => Ok(None),
            BLOCK_BYTES => Ok(Some(block)),
            _ => Err(self.malformed("the archive ends within a header")),
        }
    }

    /// The data of a header that belongs to the next entry.
    fn meta(&mut self, size: u64) -> Result<Vec<u8>, LayerError> {
        self.limits.check_header(size)?;
        let mut data = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        if self.source.read_full(&mut data)? < data.len() {
            return Err(self.malformed("the archive ends within a header"));
        }
        self.begin_data(size);
        self.data_left = 0;
        Ok(data)
    }

    fn number(&self, block: &Block, at: std::ops::Range<usize>) -> Result<u64, LayerError> {
        let value = field(slice(block, at)).map_err(|why| self.malformed(why))?;
        u64::try_from(value).map_err(|_| self.malformed("a negative number"))
    }

    fn entry(&mut self, block: &Block, size: u64, extras: Extras) -> Result<Entry, LayerError> {
        self.count()?;
        let mut entry = self.basic(block, size)?;
        let records = pax::records(&extras.pax).map_err(|why| self.malformed(why))?;
        for (key, value) in &records {
            apply(&mut entry, key, value).map_err(|why| self.malformed(why))?;
        }
        if let Some(name) = extras.long_name {
            entry.name = name;
        }
        if let Some(link) = extras.long_link {
            entry.link = link;
        }
        // Beside it, "path" is a name for those who cannot read sparse files.
        let sparse_name = records.iter().rfind(|(key, _)| *key == b"GNU.sparse.name");
        if let Some((_, name)) = sparse_name.filter(|_| entry.kind == Kind::File) {
            entry.name = name.to_vec();
        }
        self.name.clone_from(&entry.name);
        self.limits.check_path(&entry.name)?;
        self.limits.check_path(&entry.link)?;
        // The owner's -1 means "leave it" to chown(2).
        if entry.attributes.uid == u32::MAX || entry.attributes.gid == u32::MAX {
            return Err(self.malformed("the owner -1"));
        }
        let slash = entry.name.ends_with(b"/");
        if byte(block, 156) == 0 && slash && entry.kind == Kind::File {
            entry.kind = Kind::Folder;
        }
        if entry.kind != Kind::File {
            entry.data_bytes = 0;
        }
        self.begin_data(entry.data_bytes);
        if entry.kind == Kind::File {
            entry.sparse = self.sparse_map(block, &records, &entry)?;
            entry.data_bytes = self.data_left;
            let bytes = entry.sparse.as_ref().map_or(entry.data_bytes, |m| m.size);
            self.limits.check_file(&entry.name, bytes)?;
            self.limits.check_file(&entry.name, entry.data_bytes)?;
        }
        Ok(entry)
    }

    fn basic(&self, block: &Block, size: u64) -> Result<Entry, LayerError> {
        let id = |at| {
            u32::try_from(self.number(block, at)?)
                .map_err(|_| self.malformed("an owner beyond 32 bits"))
        };
        let device = |at| {
            u32::try_from(self.number(block, at)?)
                .map_err(|_| self.malformed("a device number beyond 32 bits"))
        };
        let kind = match byte(block, 156) {
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice(device(329..337)?, device(337..345)?),
            b'4' => Kind::BlockDevice(device(329..337)?, device(337..345)?),
            b'5' => Kind::Folder,
            b'6' => Kind::Fifo,
            b's' => Kind::Socket,
            other => {
                let shown = other.escape_ascii();
                return Err(self.malformed(format!("an entry of the unknown type '{shown}'")));
            }
        };
        let mode = self.number(block, 100..108)? & 0o7777;
        let mtime = field(slice(block, 136..148)).map_err(|why| self.malformed(why))?;
        Ok(Entry {
            name: ustar_name(block),
            link: until_nul(slice(block, 157..257)).to_vec(),
            kind,
            attributes: Attributes {
                mode: u32::try_from(mode).unwrap_or_default(),
                uid: id(108..116)?,
                gid: id(116..124)?,
                mtime: (mtime, 0),
                xattrs: Vec::new(),
            },
            data_bytes: size,
            sparse: None,
        })
    }

    /// The map of a sparse file, which can lie in the header, behind it, or before the data.
    fn sparse_map(
        &mut self,
        block: &Block,
        records: &[pax::Record<'_>],
        entry: &Entry,
    ) -> Result<Option<Map>, LayerError> {
        let map = if byte(block, 156) == b'S' {
            self.gnu_map(block)?
        } else {
            match extended(records).map_err(|why| self.malformed(why))? {
                Extended::None => return Ok(None),
                Extended::Map(map) => map,
                Extended::InData(size) => self.map_in_data(size)?,
            }
        };
        self.limits.check_file(&entry.name, map.size)?;
        let total = map.check().map_err(|why| self.malformed(why))?;
        if total != self.data_left {
            return Err(self.malformed("a sparse file whose map and data differ in length"));
        }
        Ok(Some(map))
    }

    fn gnu_map(&mut self, block: &Block) -> Result<Map, LayerError> {
        let mut pieces = Vec::new();
        let size = self.number(block, 483..495)?;
        gnu_entries(slice(block, 386..482), &mut pieces).map_err(|why| self.malformed(why))?;
        let mut more = byte(block, 482) != 0;
        while more {
            let Some(next) = self.block()? else {
                return Err(self.malformed("the archive ends within a header"));
            };
            gnu_entries(slice(&next, 0..504), &mut pieces).map_err(|why| self.malformed(why))?;
            self.limits.check_header(pieces.len() as u64 * 24)?;
            more = byte(&next, 504) != 0;
        }
        Ok(Map { pieces, size })
    }

    /// Version 1.0: decimal numbers, one a line, padded to whole blocks, count first.
    fn map_in_data(&mut self, size: u64) -> Result<Map, LayerError> {
        let mut text = Vec::new();
        let mut lines = 0_u64;
        let mut wanted = None;
        while wanted.is_none_or(|wanted| lines < wanted) {
            if self.data_left < BLOCK_BYTES as u64 {
                return Err(self.malformed("a sparse file without map"));
            }
            let Some(block) = self.block()? else {
                return Err(self.malformed("the archive ends within a file"));
            };
            self.data_left -= BLOCK_BYTES as u64;
            lines += block.iter().filter(|b| **b == b'\n').count() as u64;
            text.extend_from_slice(&block);
            self.limits.check_header(text.len() as u64)?;
            if wanted.is_none() && lines > 0 {
                let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
                let count = decimal(first).map_err(|why| self.malformed(why))?;
                wanted = Some(count.saturating_mul(2).saturating_add(1));
            }
        }
        let wanted = usize::try_from(wanted.unwrap_or(1)).unwrap_or(usize::MAX);
        let all = text.split(|b| *b == b'\n').take(wanted).skip(1);
        let pieces: Vec<Piece> = numbers(all).map_err(|why| self.malformed(why))?;
        Ok(Map { pieces, size })
    }
}

/// Lets a record of an extended header win over the header. An empty value takes nothing away that
/// could be told, so it is passed over.
fn apply(entry: &mut Entry, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
    let id = |value| u32::try_from(decimal(value)?).map_err(|_| "an owner beyond 32 bits");
    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
        return set_xattr(entry, name.to_vec(), value.to_vec());
    }
    if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
        let name = pax::url_decoded(name).ok_or("a broken attribute name")?;
        let value = pax::base64_decoded(value).ok_or("a broken attribute value")?;
        return set_xattr(entry, name, value);
    }
    if value.is_empty() {
        return Ok(());
    }
    match key {
        b"path" => {
            if value.contains(&0) {
                return Err("a name with a NUL byte");
            }
            entry.name = value.to_vec();
        }
        b"linkpath" => {
            if value.contains(&0) {
                return Err("a link with a NUL byte");
            }
            entry.link = value.to_vec();
        }
        b"size" => entry.data_bytes = decimal(value)?,
        b"uid" => entry.attributes.uid = id(value)?,
        b"gid" => entry.attributes.gid = id(value)?,
        b"mtime" => entry.attributes.mtime = time(value)?,
        _ => {}
    }
    Ok(())
}

/// The later of two values of a name wins.
fn set_xattr(entry: &mut Entry, name: Vec<u8>, value: Vec<u8>) -> Result<(), &'static str> {
    let xattrs = &mut entry.attributes.xattrs;
    if let Some((_, known)) = xattrs.iter_mut().find(|(known, _)| *known == name) {
        *known = value;
    } else if xattrs.len() < XATTRS_MAX {
        xattrs.push((name, value));
    } else {
        return Err("more than 1000 extended attributes");
    }
    Ok(())
}

/// The name, with the prefix that ustar and star put in front.
fn ustar_name(block: &Block) -> Vec<u8> {
    let name = until_nul(slice(block, 0..100));
    if slice(block, 257..263) != b"ustar\0" {
        return name.to_vec();
    }
    // star's headers have times where the prefix of others ends.
    let end = if slice(block, 508..512) == b"tar\0" {
        476
    } else {
        500
    };
    let prefix = until_nul(slice(block, 345..end));
    if prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// The sum over a header with blanks in place of the sum, of unsigned and of signed bytes: old
/// archivers on some machines wrote the latter.
fn checksums(block: &Block) -> (i64, i64) {
    let mut unsigned = 0;
    let mut signed = 0;
    for (at, byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&at) {
            b' '
        } else {
            *byte
        };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    (unsigned, signed)
}

fn slice(block: &Block, at: std::ops::Range<usize>) -> &[u8] {
    block.get(at).unwrap_or_default()
}

fn byte(block: &Block, at: usize) -> u8 {
    block.get(at).copied().unwrap_or_default()
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}
