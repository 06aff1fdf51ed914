//! Bodies of requests: bytes, or a part of a blob's file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// Bytes read from a file at once.
const PIECE: u64 = 128 << 10;

/// What a request carries; it can be sent again.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Empty,
    Bytes(Bytes),
    /// From `from` to `to` of a file.
    Part {
        file: Arc<File>,
        from: u64,
        to: u64,
        /// Counts what was taken.
        sent: Arc<AtomicU64>,
    },
}

impl Payload {
    /// Its length, where it is to be told.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part { from, to, .. } => to - from,
        }
    }

    pub(super) fn open(&self) -> Outgoing {
        if let Self::Part { sent, .. } = self {
            sent.store(0, Ordering::Relaxed);
        }
        Outgoing(self.clone())
    }
}

/// A payload on its way.
pub(super) struct Outgoing(Payload);

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.0 {
            Payload::Empty => Poll::Ready(None),
            Payload::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Payload::Bytes(bytes) => {
                let all = std::mem::take(bytes);
                Poll::Ready(Some(Ok(Frame::data(all))))
            }
            Payload::Part { from, to, .. } if *from >= *to => Poll::Ready(None),
            Payload::Part {
                file,
                from,
                to,
                sent,
            } => {
                // A page cache answers at once, and the thread has nothing else to do meanwhile.
                let read = read_piece(file, *from, *to);
                if let Ok(piece) = &read {
                    *from += piece.len() as u64;
                    sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                }
                Poll::Ready(Some(read.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.length())
    }
}

fn read_piece(file: &File, from: u64, to: u64) -> io::Result<Bytes> {
    let length = usize::try_from(PIECE.min(to - from)).unwrap_or(4096);
    let mut piece = vec![0; length];
    let count = file.read_at(&mut piece, from)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    piece.truncate(count);
    Ok(Bytes::from(piece))
}
