//! An allocator that refuses to serve a process that must not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

static FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Forbids heap allocation in this process until it executes another program.
///
/// Only effective where [`GuardedAllocator`] is the global allocator: debug builds.
pub fn forbid_allocation() {
    FORBIDDEN.store(true, Ordering::Relaxed);
}

/// The system allocator, which aborts once [`forbid_allocation`] was called.
///
/// Between clone3 and execve a child must not allocate: it may have copied a heap lock in a
/// locked state, and what it touches is charged to a container that has not started yet.
pub struct GuardedAllocator;

// SAFETY: every call goes to `System`, whose contract is the caller's own; the flag check
// touches no memory that the allocator manages.
unsafe impl GlobalAlloc for GuardedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if FORBIDDEN.load(Ordering::Relaxed) {
            std::process::abort();
        }
        // SAFETY: the layout is the caller's, who upholds GlobalAlloc::alloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System.alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}
