//! A tar stream that is read, hashed and written at the same time.
//!
//! Buffers go round in a ring: one thread fills them (it inflates), the next hashes them, the
//! caller's own thread writes files out of them, and hands them back. What fits into one buffer,
//! and most layers of many images do, is read and hashed in place: no thread is made for it. A stream
//! whose digest is known is not hashed.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};

use berth_base::{Digest, DigestAlgorithm};

use super::{LayerError, Limits};
use crate::Hasher;

/// Large enough that handing over costs nothing, small enough to stay in a cache.
const CHUNK_BYTES: usize = 256 << 10;
/// Two between each pair of neighbours.
const CHUNKS: usize = 6;

/// A buffer and how much of it is filled.
struct Chunk {
    data: Box<[u8]>,
    length: usize,
}

impl Chunk {
    fn new() -> Self {
        Self {
            data: vec![0; CHUNK_BYTES].into_boxed_slice(),
            length: 0,
        }
    }

    fn filled(&self) -> &[u8] {
        self.data.get(..self.length).unwrap_or_default()
    }

    /// Reads until the buffer is full or the stream at its end.
    fn fill(&mut self, reader: &mut impl Read) -> io::Result<()> {
        self.length = 0;
        while let Some(free) = self.data.get_mut(self.length..).filter(|f| !f.is_empty()) {
            match reader.read(free) {
                Ok(0) => break,
                Ok(count) => self.length += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.length == self.data.len()
    }
}

/// The stream as the parser sees it.
pub(super) struct Source {
    current: Chunk,
    /// Bytes of `current` that were taken.
    at: usize,
    /// Bytes of the stream that were taken.
    offset: u64,
    ring: Option<Ring>,
}

struct Ring {
    filled: Receiver<Result<Chunk, LayerError>>,
    free: Sender<Chunk>,
}

impl Source {
    /// Bytes taken so far.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes, at most so many; none at the end of the stream.
    pub(super) fn peek(&mut self, most: u64) -> Result<&[u8], LayerError> {
        if self.at == self.current.length {
            self.advance()?;
        }
        let rest = self.current.filled().get(self.at..).unwrap_or_default();
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(rest.get(..most).unwrap_or(rest))
    }

    /// Takes bytes that [`Source::peek`] showed.
    pub(super) const fn consume(&mut self, count: usize) {
        self.at += count;
        self.offset += count as u64;
    }

    /// Fills a buffer; tells how much of it, less than all at the end of the stream.
    pub(super) fn read_full(&mut self, buffer: &mut [u8]) -> Result<usize, LayerError> {
        let mut done = 0;
        while let Some(free) = buffer.get_mut(done..).filter(|f| !f.is_empty()) {
            let next = self.peek(free.len() as u64)?;
            let count = next.len();
            if count == 0 {
                break;
            }
            if let Some(free) = free.get_mut(..count) {
                free.copy_from_slice(next);
            }
            self.consume(count);
            done += count;
        }
        Ok(done)
    }

    /// Lets bytes pass; tells how many there were.
    pub(super) fn skip(&mut self, count: u64) -> Result<u64, LayerError> {
        let mut left = count;
        while left > 0 {
            let next = self.peek(left)?.len();
            if next == 0 {
                break;
            }
            self.consume(next);
            left -= next as u64;
        }
        Ok(count - left)
    }

    fn advance(&mut self) -> Result<(), LayerError> {
        self.at = 0;
        let Some(ring) = &self.ring else {
            self.current.length = 0;
            return Ok(());
        };
        // The filling thread hangs up at the end of the stream.
        let next = match ring.filled.recv() {
            Ok(next) => next?,
            Err(_) => {
                self.ring = None;
                self.current.length = 0;
                return Ok(());
            }
        };
        let done = std::mem::replace(&mut self.current, next);
        // Nobody takes it back once the stream has ended.
        drop(ring.free.send(done));
        Ok(())
    }
}

/// Runs `work` over a stream, reads what it leaves, and returns with its result the digest and the
/// length of the whole stream. The digest is that of `known`, if the caller vouches for it.
pub(super) fn run<T>(
    mut reader: impl Read + Send,
    limits: &Limits,
    known: Option<&Digest>,
    work: impl FnOnce(&mut Source) -> Result<T, LayerError>,
) -> Result<(T, Digest, u64), LayerError> {
    let mut first = Chunk::new();
    first.fill(&mut reader).map_err(LayerError::read)?;
    let mut source = Source {
        at: 0,
        offset: 0,
        ring: None,
        current: first,
    };
    let limit = limits.layer_bytes;
    if source.current.length as u64 > limit {
        return Err(Limits::bytes_error(limit));
    }
    let hasher = known.is_none().then(|| {
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        hasher.update(source.current.filled());
        hasher
    });
    let (done, hasher) = if source.current.is_full() {
        run_threaded(reader, limit, hasher, &mut source, work)?
    } else {
        let done = work(&mut source)?;
        source.skip(u64::MAX)?;
        (done, hasher)
    };
    let digest = match (hasher, known) {
        (Some(hasher), _) => hasher.finish(),
        (None, Some(known)) => known.clone(),
        (None, None) => return Err(hashing_failed()),
    };
    Ok((done, digest, source.offset()))
}

fn run_threaded<T>(
    reader: impl Read + Send,
    limit: u64,
    hasher: Option<Hasher>,
    source: &mut Source,
    work: impl FnOnce(&mut Source) -> Result<T, LayerError>,
) -> Result<(T, Option<Hasher>), LayerError> {
    let (free, free_in) = channel();
    let (read, read_in) = channel();
    for _ in 1..CHUNKS {
        // The receiver is right here.
        drop(free.send(Chunk::new()));
    }
    std::thread::scope(|scope| {
        scope.spawn(move || fill_all(reader, limit, &free_in, &read));
        let (filled, hashing) = match hasher {
            None => (read_in, None),
            Some(mut hasher) => {
                let (filled_out, filled) = channel();
                let hashing = scope.spawn(move || {
                    while let Ok(chunk) = read_in.recv() {
                        if let Ok(chunk) = &chunk {
                            hasher.update(chunk.filled());
                        }
                        if filled_out.send(chunk).is_err() {
                            break;
                        }
                    }
                    hasher
                });
                (filled, Some(hashing))
            }
        };
        source.ring = Some(Ring { filled, free });
        let done = work(source).and_then(|done| {
            source.skip(u64::MAX)?;
            Ok(done)
        });
        // Both threads end when nobody takes their buffers.
        source.ring = None;
        let hasher = hashing.map(std::thread::ScopedJoinHandle::join);
        let hasher = hasher.transpose().map_err(|_| hashing_failed());
        Ok((done?, hasher?))
    })
}

fn hashing_failed() -> LayerError {
    LayerError::Read(io::Error::other("the hashing thread panicked"))
}

/// Fills buffers until the stream ends, fails or is too long, or nobody wants more.
fn fill_all(
    mut reader: impl Read,
    limit: u64,
    free: &Receiver<Chunk>,
    read: &Sender<Result<Chunk, LayerError>>,
) {
    let mut total = CHUNK_BYTES as u64;
    while let Ok(mut chunk) = free.recv() {
        let filled = chunk.fill(&mut reader).map_err(LayerError::read);
        total += chunk.length as u64;
        let next = match filled {
            Ok(()) if total > limit => Err(Limits::bytes_error(limit)),
            Ok(()) if chunk.length == 0 => return,
            Ok(()) => Ok(chunk),
            Err(e) => Err(e),
        };
        let last = next.is_err();
        if read.send(next).is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(length: usize) -> Vec<u8> {
        (0..=250_u8)
            .flat_map(|b| [b; 7])
            .cycle()
            .take(length)
            .collect()
    }

    #[test]
    fn the_stream_arrives_whole_and_hashed() {
        for length in [0, 1, 511, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES * 9 + 5] {
            let bytes = stream(length);
            let (seen, digest, total) = run(&bytes[..], &Limits::default(), None, |source| {
                let mut seen = vec![0; length];
                assert_eq!(source.read_full(&mut seen)?, length);
                assert_eq!(source.offset(), length as u64);
                assert!(source.peek(9)?.is_empty());
                Ok(seen)
            })
            .unwrap();
            assert_eq!(total, length as u64);
            assert!(seen == bytes, "{length}");
            assert_eq!(digest, Hasher::sha256(&bytes));
        }
    }

    #[test]
    fn what_is_left_over_is_hashed_too() {
        let bytes = stream(CHUNK_BYTES * 20);
        let ((), digest, total) = run(&bytes[..], &Limits::default(), None, |_| Ok(())).unwrap();
        assert_eq!(
            (digest, total),
            (Hasher::sha256(&bytes), bytes.len() as u64)
        );
    }

    #[test]
    fn a_known_digest_is_taken_at_its_word() {
        let known = Hasher::sha256(b"another");
        for length in [0, 511, CHUNK_BYTES, CHUNK_BYTES * 9 + 5] {
            let bytes = stream(length);
            let (seen, digest, total) =
                run(&bytes[..], &Limits::default(), Some(&known), |source| {
                    let mut seen = vec![0; length / 2];
                    assert_eq!(source.read_full(&mut seen)?, length / 2);
                    Ok(seen)
                })
                .unwrap();
            assert_eq!((digest, total), (known.clone(), length as u64));
            assert!(seen == bytes[..length / 2], "{length}");
        }
    }

    #[test]
    fn errors_of_all_sides_end_the_threads() {
        let bytes = stream(CHUNK_BYTES * 20);
        let limits = Limits {
            layer_bytes: CHUNK_BYTES as u64 * 3,
            ..Limits::default()
        };
        let long = run(&bytes[..], &limits, None, |_| Ok(())).unwrap_err();
        assert!(matches!(
            long,
            LayerError::Limit {
                name: "layer-bytes",
                ..
            }
        ));
        let own = run(&bytes[..], &Limits::default(), None, |_| {
            Err::<(), _>(LayerError::Unsupported("no".to_owned()))
        });
        assert!(matches!(own, Err(LayerError::Unsupported(_))));
        let failing = bytes[..].chain(Failing);
        let read = run(failing, &Limits::default(), None, |_| Ok(())).unwrap_err();
        assert_eq!(read.to_string(), "cannot read it: the disk is gone");
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
}
