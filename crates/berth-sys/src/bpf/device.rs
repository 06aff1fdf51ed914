//! Cgroup device programs.
//!
//! A device program (BPF_PROG_TYPE_CGROUP_DEVICE, 4.15) decides which device nodes the processes of
//! a v2 cgroup may make, read and write. Loading one needs CAP_BPF (5.8) or CAP_SYS_ADMIN;
//! attaching, write access to the cgroup and CAP_NET_ADMIN or CAP_SYS_ADMIN.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::{Instruction, Kind, LoadError, address, bpf, load, number, owned};

const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_DETACH: libc::c_long = 9;
const BPF_PROG_GET_FD_BY_ID: libc::c_long = 13;
const BPF_PROG_QUERY: libc::c_long = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of the cgroups above and of later attachments run as well; all must allow.
const BPF_F_ALLOW_MULTI: u32 = 2;

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

/// Loads a cgroup device program.
///
/// It runs with the context `struct bpf_cgroup_dev_ctx` and returns 1 to allow, 0 to deny with
/// EPERM.
pub fn load_cgroup_device(program: &[Instruction]) -> Result<OwnedFd, LoadError> {
    let kind = Kind {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        expected_attach_type: BPF_CGROUP_DEVICE,
        attach_btf_id: 0,
        callbacks: &[],
        license: c"Apache-2.0",
        name: "berth_devices",
    };
    load(program, &kind)
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
