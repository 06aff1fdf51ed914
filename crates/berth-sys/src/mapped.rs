//! Files of the kernel, mapped.

use std::ffi::c_void;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

/// A mapping of the kernel's own type information; see [`map_kernel_btf`].
#[derive(Debug)]
pub struct MappedBtf {
    start: NonNull<u8>,
    length: usize,
}

/// Maps `/sys/kernel/btf/vmlinux` for reading, without copying it (6.16; ENODEV before).
///
/// `length` is its size by fstat(2). A file of another file system than sysfs is refused, since
/// somebody could change or cut it while it is mapped.
pub fn map_kernel_btf(file: impl AsFd, length: usize) -> io::Result<MappedBtf> {
    let file = file.as_fd();
    /// SYSFS_MAGIC of linux/magic.h.
    const SYSFS_MAGIC: u64 = 0x6265_6572;
    let kind = rustix::fs::fstatfs(file)?.f_type;
    if u64::try_from(kind) != Ok(SYSFS_MAGIC) || length == 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the kernel chooses the address, so no memory of ours is replaced; descriptor and
    // length are checked by the kernel, which refuses what lies beyond the file.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok(MappedBtf { start, length })
}

impl Deref for MappedBtf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is `length` readable bytes until it is dropped, which the borrow of
        // `self` forbids meanwhile; it lies in the kernel's read-only data, which nobody writes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for MappedBtf {
    fn drop(&mut self) {
        let start = self.start.as_ptr().cast::<c_void>();
        // SAFETY: start and length are those of a mapping that we own, and no borrow of it is
        // left. It cannot fail on a range that was mapped as a whole.
        unsafe { libc::munmap(start, self.length) };
    }
}
