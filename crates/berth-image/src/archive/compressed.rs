//! Compressed streams: whole archives, and layers inside of them.

use std::io::{self, Read};
use std::path::Path;

use crate::ImageError;
use crate::layer::{Decompressor, LayerError, decompress};

/// Opens a stream; `what` names it in errors, `remedy` says what to do about a format that is not
/// read. How long it may be is the caller's to watch.
pub(super) fn open<R: Read>(
    what: &str,
    remedy: &str,
    input: R,
) -> Result<Decompressor<R>, ImageError> {
    decompress(input, u64::MAX).map_err(|error| match error {
        LayerError::Compressed(format) => {
            ImageError::unsupported(what, format!("it is compressed by {format}; {remedy}"))
        }
        LayerError::Read(source) => read_error(what, source),
        other => other.of(what),
    })
}

/// Puts an error of reading into words.
pub(super) fn read_error(what: &str, error: io::Error) -> ImageError {
    let source = match LayerError::read(error) {
        LayerError::Read(source) => source,
        LayerError::Damaged { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
            source
        }
        other => return other.of(what),
    };
    match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            ImageError::malformed(what, "it ends in the middle; was it copied completely?")
        }
        io::ErrorKind::InvalidData => ImageError::malformed(what, source.to_string()),
        _ => ImageError::io("read", Path::new(what), source),
    }
}
