//! Programs at tracepoints and at the ends of functions: run where something happens.
//!
//! Loading one needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in the initial user namespace. A
//! program is detached when its descriptor is closed.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::{Instruction, Kind, LoadError, address, bpf, load, number, owned};
use crate::clone::last_errno;

const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;

const BPF_PROG_TYPE_TRACEPOINT: u32 = 5;
const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_FEXIT: u32 = 25;

/// For the helpers that copy the kernel's memory.
const LICENSE: &CStr = c"Dual MIT/GPL";

/// The part of `union bpf_attr` that BPF_RAW_TRACEPOINT_OPEN needs.
#[repr(C)]
struct RawAttributes {
    name: u64,
    program: u32,
    padding: u32,
}

/// `struct perf_event_attr` (perf_event_open(2)) as its first version had it.
#[repr(C)]
#[derive(Default)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint: u32,
    more: u64,
}

/// Loads a program for a raw tracepoint (4.17).
///
/// Its context is the tracepoint's arguments, 64 bits each.
pub fn load_raw_tracepoint(program: &[Instruction], name: &str) -> Result<OwnedFd, LoadError> {
    load_for(BPF_PROG_TYPE_RAW_TRACEPOINT, program, name)
}

/// Loads a program for a tracepoint by its id (4.7).
///
/// Its context is the tracepoint's record as its `format` file in tracefs describes it.
pub fn load_tracepoint(program: &[Instruction], name: &str) -> Result<OwnedFd, LoadError> {
    load_for(BPF_PROG_TYPE_TRACEPOINT, program, name)
}

fn load_for(kind: u32, program: &[Instruction], name: &str) -> Result<OwnedFd, LoadError> {
    let kind = Kind {
        program_type: kind,
        expected_attach_type: 0,
        attach_btf_id: 0,
        license: LICENSE,
        name,
    };
    load(program, &kind)
}

/// Loads a program for the end of a function (BPF_TRACE_FEXIT, 5.5; on arm64 6.0), whose id in the
/// kernel's BTF is given.
///
/// Its context is the function's arguments and its result, 64 bits each.
pub fn load_function_end(
    program: &[Instruction],
    name: &str,
    function: u32,
) -> Result<OwnedFd, LoadError> {
    let kind = Kind {
        program_type: BPF_PROG_TYPE_TRACING,
        expected_attach_type: BPF_TRACE_FEXIT,
        attach_btf_id: function,
        license: LICENSE,
        name,
    };
    load(program, &kind)
}

/// Attaches a program to the end of the function it was loaded for, until the descriptor returned
/// is closed. Costs the callers of other functions nothing.
///
/// Fails with ENOTSUPP (524) where the kernel lacks direct calls from its function tracer.
pub fn attach_function_end(program: &OwnedFd) -> Result<OwnedFd, Errno> {
    open_raw(program, std::ptr::null())
}

/// Attaches a program to a raw tracepoint (BPF_RAW_TRACEPOINT_OPEN), for all processors, until the
/// descriptor returned is closed.
///
/// Fails with ENOENT when there is none of this name, EINVAL when the program reads more arguments
/// than it has.
pub fn attach_raw_tracepoint(program: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    open_raw(program, name.as_ptr())
}

/// BPF_RAW_TRACEPOINT_OPEN, with a C string or, for what the program itself names, null.
fn open_raw(program: &OwnedFd, name: *const libc::c_char) -> Result<OwnedFd, Errno> {
    let mut attributes = RawAttributes {
        name: address(name),
        program: number(program.as_fd())?,
        padding: 0,
    };
    // SAFETY: the layout is the one of BPF_RAW_TRACEPOINT_OPEN with the padding behind it; the
    // name is null or a C string that outlives the call, by the callers above.
    let fd = unsafe { bpf(BPF_RAW_TRACEPOINT_OPEN, &mut attributes) }?;
    Ok(owned(fd))
}

/// Attaches a program to the tracepoint with this id (perf_event_open(2) and
/// PERF_EVENT_IOC_SET_BPF), until the descriptor returned is closed.
///
/// A tracepoint of a system call makes every system call of the machine slower while it is
/// attached, by about 50 ns. The program runs on all processors: the event itself, which counts on one, is never enabled.
pub fn attach_tracepoint(program: &OwnedFd, id: u64) -> Result<OwnedFd, Errno> {
    const PERF_TYPE_TRACEPOINT: u32 = 2;
    /// The first bit of the flags.
    const DISABLED: u64 = 1;
    const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
    /// _IOW('$', 8, __u32).
    const PERF_EVENT_IOC_SET_BPF: libc::c_ulong = 0x4004_2408;
    let attributes = EventAttributes {
        kind: PERF_TYPE_TRACEPOINT,
        size: u32::try_from(size_of::<EventAttributes>()).map_err(|_| Errno::INVAL)?,
        config: id,
        flags: DISABLED,
        ..EventAttributes::default()
    };
    let (every_process, first_processor, no_group) = (-1, 0, -1);
    // SAFETY: the attributes are a perf_event_attr of the size it says and outlive the call; the
    // rest are numbers.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            every_process,
            first_processor,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(last_errno());
    }
    let fd = libc::c_int::try_from(fd).map_err(|_| Errno::OVERFLOW)?;
    // SAFETY: a non-negative result is a new descriptor that nobody else owns.
    let event = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the argument is a number; both descriptors are open.
    let result = unsafe {
        libc::ioctl(
            event.as_raw_fd(),
            PERF_EVENT_IOC_SET_BPF as libc::Ioctl,
            program.as_raw_fd(),
        )
    };
    match result {
        0 => Ok(event),
        _ => Err(last_errno()),
    }
}
