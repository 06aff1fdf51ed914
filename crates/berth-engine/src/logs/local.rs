//! Reading the driver `local`; the frames are described where they are written
//! (`berth_runtime`, `monitor/log/local.rs`).

use super::record::{Encoding, LogStream, Spans, Time};

/// Flags and time.
const HEAD: usize = 9;
/// Both lengths.
const LENGTHS: usize = 8;
/// The longest body that is believed.
const MAX_BODY: usize = HEAD + 32 * 1024;
/// The version in the upper half of the flags.
const VERSION: u8 = 0x10;
const STDERR: u8 = 0x01;

/// So many bytes hold any frame.
pub(super) const MAX_FRAME: usize = MAX_BODY + LENGTHS;

/// What bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole frame of so many bytes.
    Whole(usize),
    /// A frame that is not whole yet.
    Part,
    /// No frame.
    Broken,
}

/// Looks at what `bytes` begin with.
pub(super) fn frame(bytes: &[u8]) -> Frame {
    let Some(first) = bytes.first_chunk() else {
        return Frame::Part;
    };
    let Some(body) = length(*first) else {
        return Frame::Broken;
    };
    match bytes.get(4 + body..).and_then(<[u8]>::first_chunk) {
        None => Frame::Part,
        Some(last) if last == first => Frame::Whole(body + LENGTHS),
        Some(_) => Frame::Broken,
    }
}

/// The length of the frame that ends where `bytes` do.
pub(super) fn frame_before(bytes: &[u8]) -> Option<usize> {
    length(*bytes.last_chunk()?).map(|body| body + LENGTHS)
}

fn length(bytes: [u8; 4]) -> Option<usize> {
    let length = usize::try_from(u32::from_le_bytes(bytes)).ok()?;
    (HEAD..=MAX_BODY).contains(&length).then_some(length)
}

/// Finds the parts of a whole frame.
pub(super) fn parse(frame: &[u8]) -> Option<Spans> {
    let flags = *frame.get(4)?;
    if flags & 0xf0 != VERSION {
        return None;
    }
    let nanos = u64::from_le_bytes(*frame.get(5..)?.first_chunk()?);
    Some(Spans {
        text: 4 + HEAD..frame.len().checked_sub(4)?,
        encoding: Encoding::Bytes,
        stream: match flags & STDERR {
            0 => LogStream::Out,
            _ => LogStream::Error,
        },
        time: Time::Nanos(nanos),
        attributes: None,
    })
}
