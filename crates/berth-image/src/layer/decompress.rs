//! Blobs to tar streams.
//!
//! The content decides how a blob is read, not its media type: registries are full of layers whose
//! media type says gzip and which are none.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::{LayerError, Limits};
use crate::Compression;

/// Input is taken in such pieces.
const INPUT_BYTES: usize = 256 << 10;
/// The longest magic that is looked for.
const MAGIC_BYTES: usize = 6;

type Input<R> = BufReader<io::Chain<Cursor<Vec<u8>>, R>>;

/// A blob's uncompressed content.
///
/// Read errors carry a [`LayerError`] where the content is at fault.
pub struct Decompressor<R: Read> {
    inner: Inner<R>,
    left: u64,
    limit: u64,
}

enum Inner<R: Read> {
    Plain(Input<R>),
    Gzip(Box<MultiGzDecoder<Input<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Input<R>>>),
}

/// Tells by its first bytes how content is compressed; `Err` names a format that is not read.
///
/// RFC 1952 section 2.3.1; RFC 8878 sections 3.1.1 and 3.1.2, whose skippable frames may come first.
pub fn sniff(head: &[u8]) -> Result<Compression, &'static str> {
    match head {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Compression::Zstd),
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Err("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err("xz"),
        _ => Ok(Compression::None),
    }
}

/// Opens a blob, compressed or not. Gzip may have several members, zstd several frames. More than
/// `limit_bytes` of output is an error of the read that would go beyond.
pub fn decompress<R: Read>(mut input: R, limit_bytes: u64) -> Result<Decompressor<R>, LayerError> {
    let mut head = Vec::with_capacity(MAGIC_BYTES);
    input
        .by_ref()
        .take(MAGIC_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(LayerError::read)?;
    let compression = sniff(&head).map_err(LayerError::Compressed)?;
    let input = BufReader::with_capacity(INPUT_BYTES, Cursor::new(head).chain(input));
    let inner = match compression {
        Compression::None => Inner::Plain(input),
        Compression::Gzip => Inner::Gzip(Box::new(MultiGzDecoder::new(input))),
        Compression::Zstd => Inner::Zstd(Box::new(
            zstd::stream::read::Decoder::with_buffer(input).map_err(LayerError::Read)?,
        )),
    };
    Ok(Decompressor {
        inner,
        left: limit_bytes,
        limit: limit_bytes,
    })
}

impl<R: Read> Decompressor<R> {
    /// How the content is compressed.
    pub const fn compression(&self) -> Compression {
        match self.inner {
            Inner::Plain(_) => Compression::None,
            Inner::Gzip(_) => Compression::Gzip,
            Inner::Zstd(_) => Compression::Zstd,
        }
    }

    /// Reads what is left of the input, so that whoever counts or hashes it sees all of it, and
    /// returns it.
    pub fn finish(self) -> io::Result<R> {
        let mut input = match self.inner {
            Inner::Plain(input) => input,
            Inner::Gzip(decoder) => decoder.into_inner(),
            Inner::Zstd(decoder) => decoder.finish(),
        };
        loop {
            let length = input.fill_buf()?.len();
            if length == 0 {
                return Ok(input.into_inner().into_inner().1);
            }
            input.consume(length);
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.inner {
            Inner::Plain(input) => input.read(buffer),
            Inner::Gzip(decoder) => decoder.read(buffer).map_err(|e| damaged("gzip", e)),
            Inner::Zstd(decoder) => decoder.read(buffer).map_err(|e| damaged("zstd", e)),
        }
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(Limits::bytes_error(self.limit))),
        }
        Ok(count)
    }
}

/// Tells a damaged stream from a source that failed.
fn damaged(format: &'static str, source: io::Error) -> io::Error {
    let own = source.raw_os_error().is_none()
        && matches!(
            source.kind(),
            io::ErrorKind::InvalidData
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::Other
        )
        && !source
            .get_ref()
            .is_some_and(|inner| inner.is::<LayerError>() || inner.is::<crate::ImageError>());
    if own {
        io::Error::other(LayerError::Damaged { format, source })
    } else {
        source
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(blob: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut decompressor = decompress(blob, limit).map_err(io::Error::other)?;
        let mut all = Vec::new();
        decompressor.read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn what_comes_in_comes_out() {
        let text = b"some text ".repeat(1000);
        assert_eq!(read(&text, u64::MAX).unwrap(), text);
        assert_eq!(read(&gzip(&text), u64::MAX).unwrap(), text);
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        assert_eq!(read(&zstd, u64::MAX).unwrap(), text);
        assert_eq!(read(b"", u64::MAX).unwrap(), b"");
        assert_eq!(read(b"ab", u64::MAX).unwrap(), b"ab");
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        let blob = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        assert_eq!(read(&blob, u64::MAX).unwrap(), b"one two");
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let frame = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        let blob = [&skippable[..], &frame(b"one "), &skippable, &frame(b"two")].concat();
        assert_eq!(read(&blob, u64::MAX).unwrap(), b"one two");
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let blob = gzip(&vec![0; 10 << 20]);
        assert!(blob.len() < 100 << 10);
        let error = LayerError::read(read(&blob, 1 << 20).unwrap_err());
        insta::assert_snapshot!(error, @"the uncompressed layer is more than the limit layer-bytes (1048576); raise it in config.toml for images that you trust");
        assert_eq!(read(&blob, 10 << 20).unwrap().len(), 10 << 20);
    }

    #[test]
    fn damage_is_told() {
        let blob = gzip(&b"some text ".repeat(1000));
        let cut = LayerError::read(read(&blob[..blob.len() - 9], u64::MAX).unwrap_err());
        assert!(
            matches!(cut, LayerError::Damaged { format: "gzip", .. }),
            "{cut}"
        );
        let mut flipped = blob.clone();
        let last = flipped.len() - 5;
        flipped[last] ^= 1;
        let sum = LayerError::read(read(&flipped, u64::MAX).unwrap_err());
        assert!(matches!(sum, LayerError::Damaged { .. }), "{sum}");
        let zstd = zstd::encode_all(&b"some text"[..], 3).unwrap();
        let cut = LayerError::read(read(&zstd[..zstd.len() - 2], u64::MAX).unwrap_err());
        assert!(
            matches!(cut, LayerError::Damaged { format: "zstd", .. }),
            "{cut}"
        );
        let xz = decompress(&b"\xfd7zXZ\0\0"[..], 1).err().unwrap();
        insta::assert_snapshot!(xz, @"it is compressed by xz; pack it anew with gzip or zstd");
    }

    #[test]
    fn the_rest_of_the_input_is_read() {
        let blob = [gzip(b"text"), vec![]].concat();
        let mut decompressor = decompress(Cursor::new(blob.clone()), u64::MAX).unwrap();
        let mut first = [0; 1];
        decompressor.read_exact(&mut first).unwrap();
        let input = decompressor.finish().unwrap();
        assert_eq!(input.position(), blob.len() as u64);
    }
}
