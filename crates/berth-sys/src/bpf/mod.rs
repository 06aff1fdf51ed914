//! bpf(2): cgroup device programs, iterators over kernel objects, and tracepoints.
//!
//! | Module | Programs |
//! |---|---|
//! | `device` | which device nodes the processes of a v2 cgroup may make, read and write |
//! | `iterator` | what is read of every task, or of every open file, in one go |
//! | `tracepoint` | what is told when something happens |
//! | `ring`, `map` | through which programs tell it |
//! | `instruction` | what programs are made of |

mod device;
mod instruction;
mod iterator;
mod map;
mod ring;
mod tracepoint;

pub use device::{
    attach_cgroup_device, cgroup_device_programs, detach_cgroup_device, load_cgroup_device,
};
pub use instruction::{Condition, Instruction, Register, Width};
pub use iterator::{attach_iterator, load_iterator, open_iterator};
pub use map::Counter;
pub use ring::RingBuffer;
pub use tracepoint::{
    attach_function_end, attach_raw_tracepoint, attach_tracepoint, load_function_end,
    load_raw_tracepoint, load_tracepoint,
};

use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

const BPF_PROG_LOAD: libc::c_long = 5;

/// A program was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// What the kernel said.
    pub errno: Errno,
    /// What the verifier said, empty when it was not reached.
    pub log: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errno.fmt(f)?;
        // The last line is a summary (5.2); the one before says what is wrong.
        let mut lines = self.log.trim().lines().rev();
        match lines.find(|line| !line.starts_with("processed ")) {
            Some(line) => write!(f, " (verifier: {line})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LoadError {}

/// The part of `union bpf_attr` that BPF_PROG_LOAD needs here.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
    /// Of the program's own BTF: unused.
    own_btf: [u32; 8],
    own_btf_lines: u32,
    /// What in the kernel's own BTF it attaches to; 0 for none.
    attach_btf_id: u32,
}

/// What tells one program from another when it is loaded.
struct Kind<'a> {
    program_type: u32,
    expected_attach_type: u32,
    /// The function or type of the kernel's BTF that it attaches to; 0 for none.
    attach_btf_id: u32,
    license: &'a CStr,
    /// At most 15 bytes, for listings.
    name: &'a str,
}

/// Calls bpf(2).
///
/// # Safety
///
/// `T` must be the layout of `union bpf_attr` for `command`, without uninitialised bytes, and
/// every pointer in it must be valid for what the command does with it.
unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> Result<libc::c_int, Errno> {
    // SAFETY: the caller vouches for layout and inner pointers; the size is that of the layout,
    // and the kernel takes the bytes beyond it as zero.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(last_errno());
    }
    libc::c_int::try_from(result).map_err(|_| Errno::OVERFLOW)
}

fn address<T>(pointer: *const T) -> u64 {
    // Lossless: Linux has no pointers wider than 64 bits.
    pointer.expose_provenance() as u64
}

fn number(fd: BorrowedFd<'_>) -> Result<u32, Errno> {
    u32::try_from(fd.as_raw_fd()).map_err(|_| Errno::BADF)
}

/// Takes over a descriptor that bpf(2) returned.
fn owned(fd: libc::c_int) -> OwnedFd {
    // SAFETY: the command that returned it makes a new descriptor, close-on-exec, which nobody
    // else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Loads a program (BPF_PROG_LOAD). On refusal it is loaded once more to learn what the verifier
/// says.
fn load(program: &[Instruction], kind: &Kind<'_>) -> Result<OwnedFd, LoadError> {
    match try_load(program, kind, &mut []) {
        Ok(fd) => Ok(fd),
        Err(errno) => {
            let mut buffer = vec![0u8; 256 * 1024];
            match try_load(program, kind, &mut buffer) {
                Ok(fd) => Ok(fd),
                Err(_) => {
                    let text = buffer.split(|byte| *byte == 0).next().unwrap_or_default();
                    let log = String::from_utf8_lossy(text).into_owned();
                    Err(LoadError { errno, log })
                }
            }
        }
    }
}

fn try_load(program: &[Instruction], kind: &Kind<'_>, log: &mut [u8]) -> Result<OwnedFd, Errno> {
    let mut name = [0u8; 16];
    // The last byte stays zero.
    for (to, from) in name.iter_mut().take(15).zip(kind.name.bytes()) {
        *to = from;
    }
    let mut attributes = LoadAttributes {
        program_type: kind.program_type,
        instruction_count: u32::try_from(program.len()).map_err(|_| Errno::INVAL)?,
        instructions: address(program.as_ptr()),
        license: address(kind.license.as_ptr()),
        name,
        expected_attach_type: kind.expected_attach_type,
        attach_btf_id: kind.attach_btf_id,
        ..LoadAttributes::default()
    };
    if !log.is_empty() {
        attributes.log_level = 1;
        attributes.log_size = u32::try_from(log.len()).map_err(|_| Errno::INVAL)?;
        attributes.log_buffer = address(log.as_mut_ptr());
    }
    // SAFETY: the layout is the one of BPF_PROG_LOAD up to attach_btf_id, its fields fill it
    // without gaps; instructions, licence and log outlive the call, with their true lengths.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &mut attributes) }?;
    Ok(owned(fd))
}
