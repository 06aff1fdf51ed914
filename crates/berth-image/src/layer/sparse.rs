//! Maps of sparse files: GNU's own and those in extended headers, 0.0, 0.1 and 1.0 (GNU tar manual,
//! "Storing Sparse Files").

use super::number::{decimal, field};
use super::pax::Record;

/// A piece of a file that is in the archive; holes lie between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Where the pieces of a file lie, and how long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) pieces: Vec<Piece>,
    pub(super) size: u64,
}

impl Map {
    /// Bytes of all pieces; an error where they overlap, are out of order or beyond the end.
    pub(super) fn check(&self) -> Result<u64, &'static str> {
        let mut end = 0_u64;
        let mut total = 0_u64;
        for piece in &self.pieces {
            if piece.offset < end {
                return Err("a map of a sparse file that goes backwards");
            }
            end = piece
                .offset
                .checked_add(piece.length)
                .filter(|end| *end <= self.size)
                .ok_or("a map of a sparse file that goes beyond its end")?;
            total += piece.length;
        }
        Ok(total)
    }
}

/// Entries of 24 bytes in a GNU header; `true` when the last was reached.
pub(super) fn gnu_entries(block: &[u8], pieces: &mut Vec<Piece>) -> Result<bool, &'static str> {
    for entry in block.chunks_exact(24) {
        let (offset, length) = entry.split_at(12);
        if offset.first() == Some(&0) || length.first() == Some(&0) {
            return Ok(true);
        }
        pieces.push(Piece {
            offset: unsigned(offset)?,
            length: unsigned(length)?,
        });
    }
    Ok(false)
}

fn unsigned(bytes: &[u8]) -> Result<u64, &'static str> {
    u64::try_from(field(bytes)?).map_err(|_| "a negative number")
}

/// What extended headers say of a sparse file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extended {
    /// Nothing.
    None,
    /// The map is here (0.0 and 0.1).
    Map(Map),
    /// The map comes before the data (1.0); the size is known.
    InData(u64),
}

/// Finds the map of a sparse file in the records of its extended header. The order of records
/// matters in version 0.0.
pub(super) fn extended(records: &[Record<'_>]) -> Result<Extended, &'static str> {
    let mut pieces = Vec::new();
    let mut offset = None;
    let mut size = None;
    let mut real_size = None;
    let mut map = None;
    let (mut major, mut minor) = (&b""[..], &b""[..]);
    for (key, value) in records {
        match *key {
            b"GNU.sparse.major" => major = value,
            b"GNU.sparse.minor" => minor = value,
            b"GNU.sparse.size" => size = Some(decimal(value)?),
            b"GNU.sparse.realsize" => real_size = Some(decimal(value)?),
            b"GNU.sparse.map" => map = Some(numbers(value.split(|b| *b == b','))?),
            b"GNU.sparse.offset" => offset = Some(decimal(value)?),
            b"GNU.sparse.numbytes" => pieces.push(Piece {
                offset: offset.take().ok_or("a sparse piece without offset")?,
                length: decimal(value)?,
            }),
            _ => {}
        }
    }
    match (major, minor) {
        (b"1", b"0") => {
            let size = real_size.or(size).ok_or("a sparse file without size")?;
            return Ok(Extended::InData(size));
        }
        (b"" | b"0", b"" | b"0" | b"1") => {}
        _ => return Err("a sparse file of an unknown version"),
    }
    let Some(size) = size.or(real_size) else {
        return Ok(Extended::None);
    };
    let pieces = map.unwrap_or(pieces);
    Ok(Extended::Map(Map { pieces, size }))
}

/// Offsets and lengths by turns. Nothing at all is an empty map.
pub(super) fn numbers<'a>(
    texts: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Piece>, &'static str> {
    let mut pieces = Vec::new();
    let mut offset = None;
    for text in texts.filter(|t| !t.is_empty()) {
        let value = decimal(text)?;
        match offset.take() {
            None => offset = Some(value),
            Some(offset) => pieces.push(Piece {
                offset,
                length: value,
            }),
        }
    }
    match offset {
        None => Ok(pieces),
        Some(_) => Err("a map of a sparse file with half a piece"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str, size: u64) -> Map {
        let pieces = numbers(text.as_bytes().split(|b| *b == b',')).unwrap();
        Map { pieces, size }
    }

    #[test]
    fn maps_are_checked() {
        assert_eq!(map("0,10,20,5,100,0", 100).check(), Ok(15));
        assert_eq!(map("", 100).check(), Ok(0));
        assert!(map("0,10,5,5", 100).check().is_err());
        assert!(map("0,101", 100).check().is_err());
        assert!(map("18446744073709551615,2", u64::MAX).check().is_err());
        assert!(numbers([&b"1"[..]].into_iter()).is_err());
    }

    #[test]
    fn versions() {
        let record = |k: &'static str, v: &'static str| (k.as_bytes(), v.as_bytes());
        let zero = [
            record("GNU.sparse.size", "9"),
            record("GNU.sparse.offset", "1"),
            record("GNU.sparse.numbytes", "2"),
            record("GNU.sparse.offset", "5"),
            record("GNU.sparse.numbytes", "3"),
        ];
        assert_eq!(extended(&zero), Ok(Extended::Map(map("1,2,5,3", 9))));
        let one = [
            record("GNU.sparse.size", "9"),
            record("GNU.sparse.map", "1,2,5,3"),
        ];
        assert_eq!(extended(&one), Ok(Extended::Map(map("1,2,5,3", 9))));
        let two = [
            record("GNU.sparse.major", "1"),
            record("GNU.sparse.minor", "0"),
            record("GNU.sparse.realsize", "9"),
        ];
        assert_eq!(extended(&two), Ok(Extended::InData(9)));
        assert_eq!(extended(&[record("path", "x")]), Ok(Extended::None));
        assert!(extended(&[record("GNU.sparse.major", "2")]).is_err());
        assert!(extended(&[record("GNU.sparse.numbytes", "2")]).is_err());
    }
}
