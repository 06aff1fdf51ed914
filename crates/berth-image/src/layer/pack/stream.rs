//! The stream of an archive: one thread walks and reads, the other hashes and compresses.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use berth_base::{Digest, DigestAlgorithm};
use flate2::GzBuilder;

use super::super::LayerError;
use super::{Level, PackOptions};
use crate::{Compression, Hasher, HashingWriter};

/// Large enough that handing over costs nothing, small enough to stay in a cache.
const CHUNK_BYTES: usize = 256 << 10;
/// Between the two threads.
const CHUNKS: usize = 4;
/// RFC 1952, "OS": unknown, for the same bytes on every machine.
const GZIP_OS_UNKNOWN: u8 = 255;

struct Chunk {
    data: Box<[u8]>,
    length: usize,
}

/// Takes the archive's bytes.
pub(super) struct Sink {
    current: Chunk,
    full: SyncSender<Chunk>,
    empty: Receiver<Chunk>,
    allocated: usize,
}

/// Digests and lengths of both sides of the compression.
pub(super) struct Sums {
    pub(super) diff_id: Digest,
    pub(super) bytes: u64,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Sink {
    /// The free rest of the buffer, never empty.
    pub(super) fn free(&mut self) -> Result<&mut [u8], LayerError> {
        if self.current.length == self.current.data.len() {
            self.flush()?;
        }
        let from = self.current.length;
        Ok(self.current.data.get_mut(from..).unwrap_or_default())
    }

    /// Keeps bytes that were put into [`Sink::free`].
    pub(super) const fn advance(&mut self, count: usize) {
        self.current.length += count;
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), LayerError> {
        while !bytes.is_empty() {
            let free = self.free()?;
            let count = free.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            if let Some(free) = free.get_mut(..count) {
                free.copy_from_slice(now);
            }
            self.advance(count);
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LayerError> {
        let next = if self.allocated < CHUNKS {
            self.allocated += 1;
            new_chunk()
        } else {
            // The writer hangs up after an error, which it tells itself.
            self.empty.recv().map_err(|_| hung_up())?
        };
        let full = std::mem::replace(&mut self.current, next);
        self.full.send(full).map_err(|_| hung_up())
    }
}

fn new_chunk() -> Chunk {
    Chunk {
        data: vec![0; CHUNK_BYTES].into_boxed_slice(),
        length: 0,
    }
}

fn hung_up() -> LayerError {
    LayerError::Write(io::Error::other("the writer has ended"))
}

/// Runs `produce` with a sink, whose bytes are hashed, compressed, hashed again and written to `out`
/// by a second thread.
pub(super) fn run(
    out: impl Write + Send,
    options: &PackOptions,
    produce: impl FnOnce(&mut Sink) -> Result<(), LayerError>,
) -> Result<Sums, LayerError> {
    let (full, full_in) = sync_channel(CHUNKS);
    let (empty_out, empty) = channel();
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || consume(out, options, &full_in, &empty_out));
        let mut sink = Sink {
            current: new_chunk(),
            full,
            empty,
            allocated: 1,
        };
        let produced = produce(&mut sink).and_then(|()| sink.flush_last());
        drop(sink);
        let written = writing
            .join()
            .map_err(|_| LayerError::Write(io::Error::other("the writing thread panicked")))?;
        match (produced, written) {
            // The first cause: a writer that failed made the producer fail.
            (_, Err(e)) => Err(LayerError::Write(e)),
            (Err(e), _) => Err(e),
            (Ok(()), Ok(sums)) => Ok(sums),
        }
    })
}

impl Sink {
    fn flush_last(&mut self) -> Result<(), LayerError> {
        let empty = Chunk {
            data: Box::default(),
            length: 0,
        };
        let last = std::mem::replace(&mut self.current, empty);
        self.full.send(last).map_err(|_| hung_up())
    }
}

fn consume(
    out: impl Write,
    options: &PackOptions,
    full: &Receiver<Chunk>,
    empty: &Sender<Chunk>,
) -> io::Result<Sums> {
    let out = HashingWriter::new(out, DigestAlgorithm::Sha256);
    let mut encoder = Encoder::new(out, options)?;
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    while let Ok(mut chunk) = full.recv() {
        let bytes = chunk.data.get(..chunk.length).unwrap_or_default();
        hasher.update(bytes);
        encoder.write_all(bytes)?;
        chunk.length = 0;
        // Nobody takes the last ones back.
        drop(empty.send(chunk));
    }
    let mut out = encoder.finish()?;
    out.flush()?;
    let (_, digest, size) = out.finish();
    let bytes = hasher.bytes();
    Ok(Sums {
        diff_id: hasher.finish(),
        bytes,
        digest,
        size,
    })
}

enum Encoder<W: Write> {
    Plain(W),
    Gzip(Box<flate2::write::GzEncoder<W>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    fn new(out: W, options: &PackOptions) -> io::Result<Self> {
        Ok(match options.compression {
            Compression::None => Self::Plain(out),
            Compression::Gzip => {
                let level = flate2::Compression::new(match options.level {
                    Level::Fast => 1,
                    Level::Default => 6,
                    Level::Best => 9,
                });
                let builder = GzBuilder::new().mtime(0).operating_system(GZIP_OS_UNKNOWN);
                Self::Gzip(Box::new(builder.write(out, level)))
            }
            Compression::Zstd => {
                let level = match options.level {
                    Level::Fast => 1,
                    Level::Default => 3,
                    Level::Best => 19,
                };
                let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
                encoder.include_checksum(true)?;
                Self::Zstd(Box::new(encoder))
            }
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}
