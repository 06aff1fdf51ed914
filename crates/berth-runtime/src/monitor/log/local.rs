//! Records of the driver `local`, with every byte as it came.
//!
//! A record is a frame, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the body |
//! | 1 | version (1) in the upper half, stream and marks in the lower |
//! | 8 | nanoseconds since 1970 |
//! | n | the text |
//! | 4 | length of the body, again: files are read from their end as well |
//!
//! `berth_engine` reads them.

/// Standard output.
pub(super) const STDOUT: u8 = 0x10;
/// Standard error.
pub(super) const STDERR: u8 = 0x11;
/// Says what was lost.
pub(super) const LOST: u8 = 0x02;

/// Flags and time.
const HEAD: usize = 9;
/// Both lengths.
const LENGTHS: usize = 8;
/// The longest body that is believed: a line, and room for words of ours.
const MAX_BODY: usize = HEAD + 2 * super::MAX_LINE;

/// Adds one record.
pub(super) fn push(batch: &mut Vec<u8>, flags: u8, nanos: u64, text: &[u8]) {
    // A record is at most a line long.
    let length = u32::try_from(HEAD + text.len()).unwrap_or(u32::MAX);
    batch.extend_from_slice(&length.to_le_bytes());
    batch.push(flags);
    batch.extend_from_slice(&nanos.to_le_bytes());
    batch.extend_from_slice(text);
    batch.extend_from_slice(&length.to_le_bytes());
}

/// How many bytes and records at the beginning of `bytes` are whole.
pub(super) fn whole(bytes: &[u8]) -> (usize, u64) {
    let (mut end, mut records) = (0, 0);
    while let Some(next) = bytes.get(end..).and_then(frame) {
        end += next;
        records += 1;
    }
    (end, records)
}

/// The length of the frame that `bytes` begin with, if it is whole.
fn frame(bytes: &[u8]) -> Option<usize> {
    let body = length(bytes)?;
    let after = bytes.get(4 + body..)?;
    (length(after)? == body).then_some(body + LENGTHS)
}

fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?);
    let length = usize::try_from(length).ok()?;
    (HEAD..=MAX_BODY).contains(&length).then_some(length)
}

/// Whether a file whose last bytes are `tail` ends with a whole frame.
pub(super) fn ends_whole(tail: &[u8]) -> bool {
    let last = tail.last_chunk::<4>().and_then(|last| length(last));
    last.and_then(|body| tail.len().checked_sub(body + LENGTHS))
        .and_then(|start| frame(tail.get(start..)?))
        .is_some()
}

/// So many bytes of a file are enough for [`ends_whole`].
pub(super) const TAIL: usize = MAX_BODY + LENGTHS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_frames_count() {
        let mut batch = Vec::new();
        push(&mut batch, STDOUT, 7, b"one\n");
        let first = batch.len();
        push(&mut batch, STDERR, 8, b"");
        assert_eq!(whole(&batch), (batch.len(), 2));
        assert!(ends_whole(&batch) && ends_whole(&batch[first..]));
        for cut in 1..batch.len() {
            let records = u64::from(cut >= first);
            assert_eq!(whole(&batch[..cut]).1, records, "{cut}");
            assert_eq!(ends_whole(&batch[..cut]), cut == first, "{cut}");
        }
    }
}
