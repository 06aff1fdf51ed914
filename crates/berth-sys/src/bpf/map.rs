//! Maps: memory that programs write and the process that made them reads without a call.
//!
//! Making one needs CAP_BPF (5.8) or CAP_SYS_ADMIN. Kernels before 5.11 charge them to
//! RLIMIT_MEMLOCK.

use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::{Instruction, Register, bpf, owned};
use crate::clone::last_errno;

const BPF_MAP_CREATE: libc::c_long = 0;

const BPF_MAP_TYPE_ARRAY: u32 = 2;
const BPF_F_MMAPABLE: u32 = 1 << 10;

/// The source of a wide load: the constant is a map's descriptor, and the map is loaded.
const BPF_PSEUDO_MAP_FD: u8 = 1;
/// The same, and the address of an array's first value is loaded (5.2).
const BPF_PSEUDO_MAP_VALUE: u8 = 2;

/// The part of `union bpf_attr` that BPF_MAP_CREATE needs here.
#[repr(C)]
struct CreateAttributes {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner_map: u32,
    numa_node: u32,
    name: [u8; 16],
}

/// What a map is to be.
pub(super) struct MapKind<'a> {
    pub(super) map_type: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
    /// At most 15 bytes, for listings.
    pub(super) name: &'a str,
}

/// Makes a map (BPF_MAP_CREATE).
pub(super) fn create(kind: &MapKind<'_>) -> Result<OwnedFd, Errno> {
    let mut name = [0u8; 16];
    // The last byte stays zero.
    for (to, from) in name.iter_mut().take(15).zip(kind.name.bytes()) {
        *to = from;
    }
    let mut attributes = CreateAttributes {
        map_type: kind.map_type,
        key_size: kind.key_size,
        value_size: kind.value_size,
        max_entries: kind.max_entries,
        flags: kind.flags,
        inner_map: 0,
        numa_node: 0,
        name,
    };
    // SAFETY: the layout is the one of BPF_MAP_CREATE up to map_name, without gaps; it holds no
    // pointer.
    let fd = unsafe { bpf(BPF_MAP_CREATE, &mut attributes) }?;
    Ok(owned(fd))
}

/// A wide load of what a map's descriptor stands for: two instructions, of which the second only
/// holds the upper half of the constant.
pub(super) fn load_of(map: &OwnedFd, to: Register, source: u8) -> [Instruction; 2] {
    let wide = Instruction {
        code: 0x18,
        registers: to as u8 | source << 4,
        offset: 0,
        constant: map.as_raw_fd(),
    };
    let upper = Instruction {
        code: 0,
        registers: 0,
        offset: 0,
        constant: 0,
    };
    [wide, upper]
}

/// As [`load_of`], of the map itself.
pub(super) fn load_map(map: &OwnedFd, to: Register) -> [Instruction; 2] {
    load_of(map, to, BPF_PSEUDO_MAP_FD)
}

/// Bytes of a page (sysconf(3)).
pub(super) fn page_size() -> Result<usize, Errno> {
    // SAFETY: it takes a number and returns one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).map_err(|_| Errno::INVAL)
}

/// Pages of a map in our memory.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the whole process and is unmapped only when dropped; what is in
// it is read and written with atomic operations, or owned by one side at a time.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared access hands out nothing but atomics and a pointer.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps pages of a map (mmap(2), shared).
    pub(super) fn new(
        map: &OwnedFd,
        offset: usize,
        length: usize,
        protection: libc::c_int,
    ) -> Result<Self, Errno> {
        let offset = libc::off_t::try_from(offset).map_err(|_| Errno::INVAL)?;
        // SAFETY: the kernel chooses the address, so no memory of ours is replaced; it checks
        // descriptor, offset and length against the map, which cannot be resized.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                protection,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(last_errno());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, length })
    }

    /// The first eight bytes, which the kernel writes too.
    pub(super) fn first(&self) -> &AtomicU64 {
        // SAFETY: a mapping is at least a page long and begins at one, so that eight aligned bytes
        // lie there as long as `self` does; both sides access them atomically.
        unsafe { self.start.cast::<AtomicU64>().as_ref() }
    }

    /// Where it begins.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let start = self.start.as_ptr().cast::<c_void>();
        // SAFETY: start and length are those of a mapping that we own, and no borrow of it is
        // left. It cannot fail on a range that was mapped as a whole.
        unsafe { libc::munmap(start, self.length) };
    }
}

/// A number that programs add to and that we read: a map of one element (BPF_MAP_TYPE_ARRAY,
/// mapped with BPF_F_MMAPABLE, 5.5).
#[derive(Debug)]
pub struct Counter {
    map: OwnedFd,
    value: Mapping,
}

impl Counter {
    /// Makes one that is zero.
    pub fn new(name: &str) -> Result<Self, Errno> {
        let map = create(&MapKind {
            map_type: BPF_MAP_TYPE_ARRAY,
            key_size: 4,
            value_size: 8,
            max_entries: 1,
            flags: BPF_F_MMAPABLE,
            name,
        })?;
        let value = Mapping::new(&map, 0, page_size()?, libc::PROT_READ)?;
        Ok(Self { map, value })
    }

    /// What it is at now.
    pub fn read(&self) -> u64 {
        self.value.first().load(Ordering::Relaxed)
    }

    /// Instructions that put its address into a register. The program must be loaded before this
    /// value goes away.
    pub fn load_address(&self, to: Register) -> [Instruction; 2] {
        load_of(&self.map, to, BPF_PSEUDO_MAP_VALUE)
    }
}
