//! The type information that a program brings of itself (Documentation/bpf/btf.rst of the kernel).
//!
//! The kernel wants none of a program that is one function. Of one that hands functions of its own
//! to a helper, such as bpf_loop, it wants to be told that they are there and that they are static
//! (`struct bpf_func_info`, 5.0). All are declared as `static long f(void)`: nothing else is looked
//! at.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::{address, bpf, owned};

const BPF_BTF_LOAD: libc::c_long = 18;

/// Of `struct btf_header`: the magic number and the version.
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER_LENGTH: u32 = 24;

/// Kinds of types, as they stand in the upper half of a type's second word.
const KIND_INT: u32 = 1 << 24;
const KIND_FUNC: u32 = 12 << 24;
const KIND_FUNC_PROTO: u32 = 13 << 24;
/// What follows an integer type: signed, 64 bits.
const SIGNED_64: u32 = 1 << 24 | 64;

/// Places of the names in the strings.
const STRINGS: &[u8] = b"\0long\0f\0";
const LONG: u32 = 1;
const F: u32 = 6;

/// The ids of the types, which count from 1.
const LONG_ID: u32 = 1;
const PROTO_ID: u32 = 2;
const FUNC_ID: u32 = 3;

/// `struct bpf_func_info`: where a function begins, and its type.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct FunctionInfo {
    offset: u32,
    type_id: u32,
}

/// Bytes of a [`FunctionInfo`].
pub(super) const INFO_LENGTH: u32 = 8;

/// What is said of a program's functions: the first begins with its first instruction, others
/// where `callbacks` says, in ascending order.
pub(super) fn functions(callbacks: &[u32]) -> Vec<FunctionInfo> {
    let all = std::iter::once(0).chain(callbacks.iter().copied());
    let info = all.map(|offset| FunctionInfo {
        offset,
        type_id: FUNC_ID,
    });
    info.collect()
}

/// The part of `union bpf_attr` that BPF_BTF_LOAD needs here.
#[repr(C)]
struct TypesAttributes {
    types: u64,
    log: u64,
    length: u32,
    log_size: u32,
    log_level: u32,
    padding: u32,
}

/// Loads the types that [`functions`] names (BPF_BTF_LOAD, 4.18). Needs CAP_BPF or CAP_SYS_ADMIN.
pub(super) fn load_types() -> Result<OwnedFd, Errno> {
    let bytes = encode();
    let mut attributes = TypesAttributes {
        types: address(bytes.as_ptr()),
        log: 0,
        length: u32::try_from(bytes.len()).map_err(|_| Errno::INVAL)?,
        log_size: 0,
        log_level: 0,
        padding: 0,
    };
    // SAFETY: the layout is the one of BPF_BTF_LOAD up to btf_log_level and four bytes that are
    // zero; `bytes` outlives the call, with its true length.
    let fd = unsafe { bpf(BPF_BTF_LOAD, &mut attributes) }?;
    Ok(owned(fd))
}

/// Header, types, strings.
fn encode() -> Vec<u8> {
    // Each type: its name, its kind, and its size or the type that it refers to.
    let types = [
        [LONG, KIND_INT, 8].as_slice(),
        &[SIGNED_64],
        &[0, KIND_FUNC_PROTO, LONG_ID],
        &[F, KIND_FUNC, PROTO_ID],
    ]
    .concat();
    let types_length = u32::try_from(types.len() * 4).unwrap_or(0);
    let strings_length = u32::try_from(STRINGS.len()).unwrap_or(0);
    let mut bytes = Vec::new();
    bytes.extend(MAGIC.to_ne_bytes());
    bytes.extend([VERSION, 0]);
    for word in [HEADER_LENGTH, 0, types_length, types_length, strings_length] {
        bytes.extend(word.to_ne_bytes());
    }
    for word in types {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(STRINGS);
    bytes
}
