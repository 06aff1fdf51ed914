//! Iterators: programs that the kernel runs once for each object of a kind, and whose output is
//! read like a file (BPF_TRACE_ITER, 5.8).
//!
//! Loading one needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in the initial user namespace.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use super::{Instruction, Kind, LoadError, bpf, load, number, owned};

const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;

const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_ITER: u32 = 28;

/// The part of `union bpf_attr` that BPF_LINK_CREATE needs here.
#[repr(C)]
struct LinkAttributes {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    info: u64,
    info_size: u32,
    padding: u32,
}

/// The part of `union bpf_attr` that BPF_ITER_CREATE needs.
#[repr(C)]
struct IterAttributes {
    link: u32,
    flags: u32,
}

/// Loads an iterator program.
///
/// `target` is the id of the function `bpf_iter_KIND` in the kernel's BTF; the context is
/// `struct bpf_iter__KIND`. The program returns 0, or 1 to be run again for the same object.
/// Its licence is "Dual MIT/GPL", since the helpers that write output are for GPL programs.
///
/// Functions that it hands to helpers begin where `callbacks` says, in instructions from the start
/// and ascending; each ends with an exit.
pub fn load_iterator(
    program: &[Instruction],
    callbacks: &[u32],
    name: &str,
    target: u32,
) -> Result<OwnedFd, LoadError> {
    let kind = Kind {
        program_type: BPF_PROG_TYPE_TRACING,
        expected_attach_type: BPF_TRACE_ITER,
        attach_btf_id: target,
        callbacks,
        license: c"Dual MIT/GPL",
        name,
    };
    load(program, &kind)
}

/// Makes the link of an iterator program (BPF_LINK_CREATE): over all objects of its kind.
pub fn attach_iterator(program: &OwnedFd) -> Result<OwnedFd, Errno> {
    let mut attributes = LinkAttributes {
        program: number(program.as_fd())?,
        target: 0,
        attach_type: BPF_TRACE_ITER,
        flags: 0,
        info: 0,
        info_size: 0,
        padding: 0,
    };
    // SAFETY: the layout is the one of BPF_LINK_CREATE up to iter_info_len and four bytes of
    // padding; the pointer is null with length 0, which means all objects.
    let fd = unsafe { bpf(BPF_LINK_CREATE, &mut attributes) }?;
    Ok(owned(fd))
}

/// Opens an iterator for one pass (BPF_ITER_CREATE).
///
/// Tasks and files are those of the PID namespace of the caller of this function.
pub fn open_iterator(link: &OwnedFd) -> Result<OwnedFd, Errno> {
    let mut attributes = IterAttributes {
        link: number(link.as_fd())?,
        flags: 0,
    };
    // SAFETY: the layout is the whole of BPF_ITER_CREATE; it holds no pointer.
    let fd = unsafe { bpf(BPF_ITER_CREATE, &mut attributes) }?;
    Ok(owned(fd))
}
