//! Ring buffers: what programs hand out as it happens (BPF_MAP_TYPE_RINGBUF, 5.8;
//! Documentation/bpf/ringbuf.rst of the kernel).

use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use super::map::{MapKind, Mapping, create, load_map, page_size};
use super::{Instruction, Register};

const BPF_MAP_TYPE_RINGBUF: u32 = 27;

/// Bits of a record's header: still being written; given up.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
/// Length, and where the ring begins, which is the kernel's own.
const HEADER: usize = 8;

/// A ring buffer and its only reader.
#[derive(Debug)]
pub struct RingBuffer {
    map: OwnedFd,
    /// How far we have read, in bytes since the start; ours to write.
    consumed: Mapping,
    /// How far was written, and from the next page on the data, twice in a row, so that no record
    /// is cut at the end of the ring.
    produced: Mapping,
    page: usize,
    size: u64,
}

impl RingBuffer {
    /// Makes one of so many bytes: a power of two, of pages.
    pub fn new(name: &str, bytes: NonZeroU32) -> Result<Self, Errno> {
        let map = create(&MapKind {
            map_type: BPF_MAP_TYPE_RINGBUF,
            key_size: 0,
            value_size: 0,
            max_entries: bytes.get(),
            flags: 0,
            name,
        })?;
        let page = page_size()?;
        let size = usize::try_from(bytes.get()).map_err(|_| Errno::INVAL)?;
        let whole = size
            .checked_mul(2)
            .and_then(|twice| twice.checked_add(page));
        let whole = whole.ok_or(Errno::INVAL)?;
        let consumed = Mapping::new(&map, 0, page, libc::PROT_READ | libc::PROT_WRITE)?;
        let produced = Mapping::new(&map, page, whole, libc::PROT_READ)?;
        Ok(Self {
            map,
            consumed,
            produced,
            page,
            size: u64::from(bytes.get()),
        })
    }

    /// Instructions that put the ring into a register, as helpers take it. The program must be
    /// loaded before this value goes away.
    pub fn load(&self, to: Register) -> [Instruction; 2] {
        load_map(&self.map, to)
    }

    /// Gives every record that is complete to `take`, in the order in which room was made for
    /// them, and frees their room one by one. At most as many bytes as the ring holds are read in
    /// one call, so that it ends while records keep coming.
    pub fn drain(&mut self, mut take: impl FnMut(&[u8])) {
        let mut at = self.consumed.first().load(Ordering::Relaxed);
        let end = at.saturating_add(self.size);
        while at < end && at < self.produced.first().load(Ordering::Acquire) {
            let Some((record, next)) = self.record(at) else {
                return;
            };
            if let Some(record) = record {
                take(record);
            }
            at = next;
            self.consumed.first().store(at, Ordering::Release);
        }
    }

    /// The record at a position below the producer's, unless it was given up, and where the next
    /// one is; `None` when it is still being written.
    fn record(&self, at: u64) -> Option<(Option<&[u8]>, u64)> {
        // Lossless: the remainder is less than the size, which is 32 bits.
        let place = usize::try_from(at % self.size).ok()?;
        let header = self.data(place)?.cast::<AtomicU32>();
        // SAFETY: records begin at multiples of eight inside the ring, whose data the mapping
        // covers twice; the kernel writes the word with atomic operations, so do we read it.
        let header = unsafe { header.as_ref() }.load(Ordering::Acquire);
        if header & BUSY != 0 {
            return None;
        }
        let length = header & !DISCARDED;
        let next = at + (u64::from(length) + HEADER as u64).next_multiple_of(8);
        if header & DISCARDED != 0 {
            return Some((None, next));
        }
        let length = usize::try_from(length).ok()?;
        let start = self.data(place.checked_add(HEADER)?)?;
        // SAFETY: a record that is not busy lies whole between consumer and producer, so within
        // one size from a place in the first copy of the data; the kernel writes there no more
        // until the consumer's position passes it, which happens after this borrow.
        let record = unsafe { std::slice::from_raw_parts(start.as_ptr(), length) };
        Some((Some(record), next))
    }

    /// A place in the data.
    fn data(&self, place: usize) -> Option<NonNull<u8>> {
        let offset = self.page.checked_add(place)?;
        // SAFETY: callers give places below the size, or a header behind one, and the mapping is a
        // page and twice the size long.
        Some(unsafe { self.produced.start().add(offset) })
    }
}

impl AsFd for RingBuffer {
    /// Can be polled: readable while a record waits. The kernel wakes a poller when the first
    /// record comes behind those that were read, not for each.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}
