//! bpf(2): loading and attaching cgroup device programs.
//!
//! A device program (BPF_PROG_TYPE_CGROUP_DEVICE, 4.15) decides which device nodes the processes of
//! a v2 cgroup may make, read and write. Loading one needs CAP_BPF (5.8) or CAP_SYS_ADMIN;
//! attaching, write access to the cgroup and CAP_NET_ADMIN or CAP_SYS_ADMIN.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::clone::last_errno;

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_DETACH: libc::c_long = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_PROG_QUERY: libc::c_long = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of the cgroups above and of later attachments run as well; all must allow.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// A register of the BPF machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// The result.
    R0,
    /// The context, at the start.
    R1,
    /// Free for use.
    R2,
    /// Free for use.
    R3,
    /// Free for use.
    R4,
    /// Free for use.
    R5,
    /// Free for use, survives calls.
    R6,
}

/// When a jump is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The low 32 bits equal the constant.
    Equal,
    /// The low 32 bits differ from the constant.
    NotEqual,
}

/// One BPF instruction, laid out as `struct bpf_insn` (linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Class, operation and source of the operand.
    pub code: u8,
    /// Destination in the low four bits, source in the high four.
    pub registers: u8,
    /// Offset of a jump, in instructions, or of a load, in bytes.
    pub offset: i16,
    /// The constant.
    pub constant: i32,
}

impl Instruction {
    const fn new(code: u8, to: Register, from: Register, offset: i16, constant: i32) -> Self {
        Self {
            code,
            registers: to as u8 | (from as u8) << 4,
            offset,
            constant,
        }
    }

    /// `to = *(u32 *)(from + offset)`.
    pub const fn load_word(to: Register, from: Register, offset: i16) -> Self {
        Self::new(0x61, to, from, offset, 0)
    }

    /// `to = from`, 64 bits.
    pub const fn move_register(to: Register, from: Register) -> Self {
        Self::new(0xbf, to, from, 0, 0)
    }

    /// `to = constant`, sign-extended to 64 bits.
    pub const fn move_constant(to: Register, constant: i32) -> Self {
        Self::new(0xb7, to, Register::R0, 0, constant)
    }

    /// `to &= constant`, the constant sign-extended to 64 bits.
    pub const fn and_constant(to: Register, constant: i32) -> Self {
        Self::new(0x57, to, Register::R0, 0, constant)
    }

    /// `to >>= bits`, without sign.
    pub const fn shift_right(to: Register, bits: i32) -> Self {
        Self::new(0x77, to, Register::R0, 0, bits)
    }

    /// Goes on `over` instructions after the next one when the low 32 bits of `register` compare
    /// so with `constant` (BPF_JMP32, 5.1).
    pub const fn jump(condition: Condition, register: Register, constant: i32, over: i16) -> Self {
        let code = match condition {
            Condition::Equal => 0x16,
            Condition::NotEqual => 0x56,
        };
        Self::new(code, register, Register::R0, over, constant)
    }

    /// Returns register 0.
    pub const fn exit() -> Self {
        Self::new(0x95, Register::R0, Register::R0, 0, 0)
    }
}

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
        match self.log.trim().lines().last() {
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
}

/// The part of `union bpf_attr` that BPF_PROG_ATTACH and BPF_PROG_DETACH need here.
#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// The part of `union bpf_attr` that BPF_PROG_QUERY needs here.
#[repr(C)]
struct QueryAttributes {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    program_ids: u64,
    program_count: u32,
    padding: u32,
}

/// The part of `union bpf_attr` that BPF_PROG_GET_FD_BY_ID needs here.
#[repr(C)]
struct IdAttributes {
    id: u32,
    next_id: u32,
    open_flags: u32,
    padding: u32,
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

/// Loads a cgroup device program (BPF_PROG_LOAD).
///
/// It runs with the context `struct bpf_cgroup_dev_ctx` and returns 1 to allow, 0 to deny with
/// EPERM. On refusal it is loaded once more to learn what the verifier says.
pub fn load_cgroup_device(program: &[Instruction]) -> Result<OwnedFd, LoadError> {
    match load(program, &mut []) {
        Ok(fd) => Ok(fd),
        Err(errno) => {
            let mut buffer = vec![0u8; 64 * 1024];
            match load(program, &mut buffer) {
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

fn load(program: &[Instruction], log: &mut [u8]) -> Result<OwnedFd, Errno> {
    let license = c"Apache-2.0";
    let mut name = [0u8; 16];
    for (to, from) in name.iter_mut().zip(b"berth_devices") {
        *to = *from;
    }
    let mut attributes = LoadAttributes {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: u32::try_from(program.len()).map_err(|_| Errno::INVAL)?,
        instructions: address(program.as_ptr()),
        license: address(license.as_ptr()),
        name,
        expected_attach_type: BPF_CGROUP_DEVICE,
        ..LoadAttributes::default()
    };
    if !log.is_empty() {
        attributes.log_level = 1;
        attributes.log_size = u32::try_from(log.len()).map_err(|_| Errno::INVAL)?;
        attributes.log_buffer = address(log.as_mut_ptr());
    }
    // SAFETY: the layout is the one of BPF_PROG_LOAD up to expected_attach_type, its fields fill
    // it without gaps; instructions, licence and log outlive the call, with their true lengths.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &mut attributes) }?;
    Ok(owned(fd))
}

/// Attaches a device program to a v2 cgroup directory (BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI).
///
/// It stays attached when its descriptor is closed, until it is detached or the cgroup is gone.
/// It acts beside the programs of the cgroups above; an access needs the consent of all.
pub fn attach_cgroup_device(cgroup: BorrowedFd<'_>, program: &OwnedFd) -> Result<(), Errno> {
    let mut attributes = AttachAttributes {
        target: number(cgroup)?,
        program: number(program.as_fd())?,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the layout is the one of BPF_PROG_ATTACH up to attach_flags; it holds no pointer.
    unsafe { bpf(BPF_PROG_ATTACH, &mut attributes) }.map(drop)
}

/// Detaches the device program with this id from a v2 cgroup directory (BPF_PROG_DETACH).
///
/// Turning the id into a descriptor needs CAP_SYS_ADMIN.
pub fn detach_cgroup_device(cgroup: BorrowedFd<'_>, id: u32) -> Result<(), Errno> {
    let mut by_id = IdAttributes {
        id,
        next_id: 0,
        open_flags: 0,
        padding: 0,
    };
    // SAFETY: the layout is the one of BPF_*_GET_*_ID up to open_flags and four bytes of a field
    // after it, which are zero; it holds no pointer.
    let fd = unsafe { bpf(BPF_PROG_GET_FD_BY_ID, &mut by_id) }?;
    let program = owned(fd);
    let mut attributes = AttachAttributes {
        target: number(cgroup)?,
        program: number(program.as_fd())?,
        attach_type: BPF_CGROUP_DEVICE,
        flags: 0,
    };
    // SAFETY: the layout is the one of BPF_PROG_DETACH up to attach_flags; it holds no pointer.
    unsafe { bpf(BPF_PROG_DETACH, &mut attributes) }.map(drop)
}

/// The ids of the device programs that are attached to a v2 cgroup directory itself
/// (BPF_PROG_QUERY), at most 64.
pub fn cgroup_device_programs(cgroup: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut ids = [0u32; 64];
    let mut attributes = QueryAttributes {
        target: number(cgroup)?,
        attach_type: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        program_ids: address(ids.as_mut_ptr()),
        program_count: 64,
        padding: 0,
    };
    // SAFETY: the layout is the one of BPF_PROG_QUERY up to prog_cnt and four bytes of padding;
    // `ids` has room for the count given and outlives the call.
    unsafe { bpf(BPF_PROG_QUERY, &mut attributes) }?;
    let count = usize::try_from(attributes.program_count).unwrap_or(usize::MAX);
    Ok(ids.into_iter().take(count).collect())
}
