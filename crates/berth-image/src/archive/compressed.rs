//! Compressed streams: whole archives, and layers inside of them.

use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::{Compression, ImageError};

/// Input is taken in such pieces.
const INPUT_BYTES: usize = 256 << 10;
/// The longest magic that is looked for.
const MAGIC_BYTES: u64 = 6;

type Input<R> = BufReader<io::Chain<Cursor<Vec<u8>>, R>>;

/// What a stream holds, uncompressed.
pub(super) enum Plain<R: Read> {
    Tar(io::Chain<Cursor<Vec<u8>>, R>),
    Gzip(Box<MultiGzDecoder<Input<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Input<R>>>),
}

/// Tells by its first bytes how content is compressed; `Err` names a format that is not read.
///
/// RFC 1952 section 2.3.1; RFC 8878 sections 3.1.1 and 3.1.2.
pub(super) fn sniff(head: &[u8]) -> Result<Compression, &'static str> {
    match head {
        [0x1f, 0x8b, ..] => Ok(Compression::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Compression::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Err("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err("xz"),
        _ => Ok(Compression::None),
    }
}

/// Opens a stream; `what` names it in errors, `remedy` says what to do about a format that is not
/// read.
pub(super) fn open<R: Read>(
    what: &str,
    remedy: &str,
    mut input: R,
) -> Result<Plain<R>, ImageError> {
    let mut head = Vec::new();
    input
        .by_ref()
        .take(MAGIC_BYTES)
        .read_to_end(&mut head)
        .map_err(|e| read_error(what, e))?;
    let compression = sniff(&head).map_err(|format| {
        ImageError::unsupported(what, format!("it is compressed by {format}; {remedy}"))
    })?;
    let all = Cursor::new(head).chain(input);
    let buffered = |all| BufReader::with_capacity(INPUT_BYTES, all);
    Ok(match compression {
        Compression::None => Plain::Tar(all),
        Compression::Gzip => Plain::Gzip(Box::new(MultiGzDecoder::new(buffered(all)))),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(buffered(all));
            Plain::Zstd(Box::new(decoder.map_err(|e| read_error(what, e))?))
        }
    })
}

impl<R: Read> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tar(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer).map_err(|e| damaged("gzip", e)),
            Self::Zstd(decoder) => decoder.read(buffer).map_err(|e| damaged("zstd", e)),
        }
    }
}

/// What the decoders say of content is of one kind; a source that fails keeps its own.
fn damaged(format: &str, error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() {
        return error;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => error,
        _ => io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its {format} stream is damaged: {error}"),
        ),
    }
}

/// Puts an error of reading into words.
pub(super) fn read_error(what: &str, error: io::Error) -> ImageError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            ImageError::malformed(what, "it ends in the middle; was it copied completely?")
        }
        io::ErrorKind::InvalidData => ImageError::malformed(what, error.to_string()),
        _ => ImageError::io("read", std::path::Path::new(what), error),
    }
}
