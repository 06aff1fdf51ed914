//! The bytes around what is recorded. Pure.
//!
//! All numbers are little-endian. A block is a header of [`HEADER_LEN`] bytes and a payload:
//!
//! | Bytes | Field |
//! |---|---|
//! | 1 | kind: 1 whole frame, 2 changed frame, 3 events, 4 end |
//! | 1 | packing: 0 none, 1 an LZ4 block |
//! | 2 | zero |
//! | 8 | time, nanoseconds since boot |
//! | 4 | length of the payload as stored |
//! | 4 | its length unpacked |
//! | 4 | CRC-32 of the payload as stored |
//! | 4 | CRC-32 of the header before this field |

use crate::live::BootTime;

/// The first bytes of a recording.
const MAGIC: [u8; 8] = *b"BERTHMAP";

/// What this code writes. It reads nothing else, until there is something else to read.
pub(super) const VERSION: u32 = 1;

/// Magic and version.
pub(super) const FILE_HEADER_LEN: usize = 12;

/// Length of a block's header.
pub(super) const HEADER_LEN: usize = 28;

/// The largest payload: a whole frame takes about 100 bytes a process.
pub(super) const MAX_PAYLOAD: usize = 64 * 1024 * 1024;

/// No LZ4 block grows more when it is unpacked.
const MAX_RATIO: usize = 255;

/// What is below is not worth packing.
const MIN_PACKED: usize = 64;

/// The beginning of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) version: u32,
}

impl FileHeader {
    pub(super) fn to_bytes(self) -> [u8; FILE_HEADER_LEN] {
        let mut bytes = [0; FILE_HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..].copy_from_slice(&self.version.to_le_bytes());
        bytes
    }

    /// `None` where it is no recording.
    pub(super) fn from_bytes(bytes: &[u8; FILE_HEADER_LEN]) -> Option<Self> {
        let (magic, version) = bytes.split_first_chunk::<8>()?;
        let version = version.first_chunk().copied()?;
        (*magic == MAGIC).then(|| Self {
            version: u32::from_le_bytes(version),
        })
    }
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A frame that needs no other.
    Whole = 1,
    /// A frame, as what is different from the one before.
    Changed = 2,
    /// Events.
    Events = 3,
    /// Nothing: the recording was ended and not cut off.
    End = 4,
}

/// A block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    is_packed: bool,
    pub(super) at: BootTime,
    stored: u32,
    raw: u32,
    checksum: u32,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = self.kind as u8;
        bytes[1] = u8::from(self.is_packed);
        bytes[4..12].copy_from_slice(&self.at.0.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.stored.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.raw.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.checksum.to_le_bytes());
        let own = crc32fast::hash(&bytes[..24]);
        bytes[24..].copy_from_slice(&own.to_le_bytes());
        bytes
    }

    /// `None` where it is damaged, or says what no writer would.
    pub(super) fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        let four = |at: usize| -> Option<u32> {
            let bytes = bytes.get(at..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes))
        };
        if four(24)? != crc32fast::hash(&bytes[..24]) {
            return None;
        }
        let header = Self {
            kind: match bytes[0] {
                1 => Kind::Whole,
                2 => Kind::Changed,
                3 => Kind::Events,
                4 => Kind::End,
                _ => return None,
            },
            is_packed: match bytes[1] {
                0 => false,
                1 => true,
                _ => return None,
            },
            at: BootTime(u64::from_le_bytes(*bytes[4..].first_chunk()?)),
            stored: four(12)?,
            raw: four(16)?,
            checksum: four(20)?,
        };
        let (stored, raw) = (header.stored_len(), header.raw_len());
        let fits = match header.is_packed {
            true => raw <= stored.saturating_mul(MAX_RATIO),
            false => raw == stored,
        };
        (fits && stored.max(raw) <= MAX_PAYLOAD).then_some(header)
    }

    /// Bytes that follow the header.
    pub(super) fn stored_len(&self) -> usize {
        usize::try_from(self.stored).unwrap_or(usize::MAX)
    }

    fn raw_len(&self) -> usize {
        usize::try_from(self.raw).unwrap_or(usize::MAX)
    }

    /// The payload unpacked; `None` where it is damaged.
    pub(super) fn unpack(&self, stored: Vec<u8>) -> Option<Vec<u8>> {
        if crc32fast::hash(&stored) != self.checksum {
            return None;
        }
        match self.is_packed {
            true => lz4_flex::block::decompress(&stored, self.raw_len()).ok(),
            false => Some(stored),
        }
    }
}

/// A whole block. The error is a size that is too large.
pub(super) fn pack(kind: Kind, at: BootTime, payload: &[u8]) -> Result<Vec<u8>, usize> {
    let too_large = || payload.len();
    let raw = u32::try_from(payload.len()).map_err(|_| too_large())?;
    if payload.len() > MAX_PAYLOAD {
        return Err(too_large());
    }
    let packed = match payload.len() >= MIN_PACKED {
        true => lz4_flex::block::compress(payload),
        false => Vec::new(),
    };
    let is_packed = !packed.is_empty() && packed.len() < payload.len();
    let stored = if is_packed { &packed } else { payload };
    let header = Header {
        kind,
        is_packed,
        at,
        stored: u32::try_from(stored.len()).map_err(|_| too_large())?,
        raw,
        checksum: crc32fast::hash(stored),
    };
    let mut block = header.to_bytes().to_vec();
    block.extend_from_slice(stored);
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(block: &[u8]) -> Option<Header> {
        Header::from_bytes(block.first_chunk().unwrap())
    }

    #[test]
    fn payloads_survive() {
        for payload in [
            &b""[..],
            b"short",
            &[7; 5_000],
            b"abcdefgh".repeat(99).as_slice(),
        ] {
            let block = pack(Kind::Events, BootTime(9), payload).unwrap();
            let header = header(&block).unwrap();
            assert_eq!((header.kind, header.at), (Kind::Events, BootTime(9)));
            let stored = block[HEADER_LEN..].to_vec();
            assert_eq!(stored.len(), header.stored_len());
            assert_eq!(header.unpack(stored).unwrap(), payload);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let block = pack(Kind::Whole, BootTime(1), &[1; 300]).unwrap();
        for bit in 0..block.len() * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let read = header(&damaged).and_then(|h| h.unpack(damaged[HEADER_LEN..].to_vec()));
            assert!(read.is_none(), "bit {bit}");
        }
    }

    #[test]
    fn lengths_are_believed_within_bounds_alone() {
        let mut header = Header {
            kind: Kind::Whole,
            is_packed: true,
            at: BootTime(0),
            stored: 10,
            raw: 2_551,
            checksum: 0,
        };
        assert!(Header::from_bytes(&header.to_bytes()).is_none());
        header.raw = 2_550;
        assert!(Header::from_bytes(&header.to_bytes()).is_some());
        header.is_packed = false;
        assert!(Header::from_bytes(&header.to_bytes()).is_none());
        (header.stored, header.raw) = (u32::MAX, u32::MAX);
        assert!(Header::from_bytes(&header.to_bytes()).is_none());
    }
}
