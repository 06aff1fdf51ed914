//! Instructions of classic BPF, as many as programs of seccomp(2) consist of (linux/filter.h,
//! linux/bpf_common.h).

/// Loads a 32-bit word of `struct seccomp_data` at the offset that is the constant.
pub(super) const LOAD_WORD: u16 = 0x20;
/// Clears the bits of the accumulator that the constant does not have.
pub(super) const AND: u16 = 0x54;
/// Jumps over as many instructions as the constant says.
pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_IF_EQUAL: u16 = 0x15;
pub(super) const JUMP_IF_GREATER: u16 = 0x25;
pub(super) const JUMP_IF_NOT_LESS: u16 = 0x35;
/// Jumps if any bit of the constant is set.
pub(super) const JUMP_IF_SET: u16 = 0x45;
pub(super) const RETURN: u16 = 0x06;

/// Where `struct seccomp_data` has the number of the call, and the architecture (AUDIT_ARCH_*).
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;

/// One `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    /// How many instructions are jumped over if the test holds, and if not.
    pub(super) if_true: u8,
    pub(super) if_false: u8,
    pub(super) constant: u32,
}

impl Instruction {
    /// One without alternatives.
    pub(super) const fn plain(code: u16, constant: u32) -> Self {
        Self::test(code, 0, 0, constant)
    }

    pub(super) const fn test(code: u16, if_true: u8, if_false: u8, constant: u32) -> Self {
        Self {
            code,
            if_true,
            if_false,
            constant,
        }
    }

    /// As the kernel reads it: native byte order.
    pub(super) const fn to_bytes(self) -> [u8; 8] {
        let [c0, c1] = self.code.to_ne_bytes();
        let [k0, k1, k2, k3] = self.constant.to_ne_bytes();
        [c0, c1, self.if_true, self.if_false, k0, k1, k2, k3]
    }

    pub(super) const fn from_bytes(bytes: [u8; 8]) -> Self {
        let [c0, c1, if_true, if_false, k0, k1, k2, k3] = bytes;
        Self {
            code: u16::from_ne_bytes([c0, c1]),
            if_true,
            if_false,
            constant: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    }
}
