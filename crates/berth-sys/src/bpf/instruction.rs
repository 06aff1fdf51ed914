//! Instructions (Documentation/bpf/standardization/instruction-set.rst of the kernel). Pure.

/// A register of the BPF machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// The result.
    R0,
    /// The context, at the start; the first argument of a call.
    R1,
    /// The second argument of a call.
    R2,
    /// The third argument of a call.
    R3,
    /// The fourth argument of a call.
    R4,
    /// The fifth argument of a call.
    R5,
    /// Free for use, survives calls.
    R6,
    /// Free for use, survives calls.
    R7,
    /// Free for use, survives calls.
    R8,
    /// Free for use, survives calls.
    R9,
    /// The end of the stack, of which 512 bytes lie below it. Cannot be written.
    R10,
}

/// When a jump is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Both are equal.
    Equal,
    /// They differ.
    NotEqual,
    /// The register is less than the other operand, both without sign.
    Less,
    /// They have a bit in common.
    CommonBit,
}

impl Condition {
    /// The operation in the upper four bits of the code.
    const fn code(self) -> u8 {
        match self {
            Self::Equal => 0x10,
            Self::NotEqual => 0x50,
            Self::Less => 0xa0,
            Self::CommonBit => 0x40,
        }
    }
}

/// How many bytes are loaded or stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One.
    Byte,
    /// Two.
    Half,
    /// Four.
    Word,
    /// Eight.
    Double,
}

impl Width {
    const fn code(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }

    /// The width of so many bytes.
    pub const fn of_bytes(bytes: u32) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Half),
            4 => Some(Self::Word),
            8 => Some(Self::Double),
            _ => None,
        }
    }
}

/// Classes and modes: the lower bits of the code.
const LOAD: u8 = 0x61;
const STORE: u8 = 0x63;
const STORE_CONSTANT: u8 = 0x62;
const JUMP: u8 = 0x05;
const JUMP_WORD: u8 = 0x06;
/// The second operand is a register.
const BY_REGISTER: u8 = 0x08;

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
        Self::load(Width::Word, to, from, offset)
    }

    /// `to = *(from + offset)`, zero-extended.
    pub const fn load(width: Width, to: Register, from: Register, offset: i16) -> Self {
        Self::new(LOAD | width.code(), to, from, offset, 0)
    }

    /// `*(to + offset) = from`.
    pub const fn store(width: Width, to: Register, offset: i16, from: Register) -> Self {
        Self::new(STORE | width.code(), to, from, offset, 0)
    }

    /// `*(to + offset) = constant`, sign-extended.
    pub const fn store_constant(width: Width, to: Register, offset: i16, constant: i32) -> Self {
        Self::new(
            STORE_CONSTANT | width.code(),
            to,
            Register::R0,
            offset,
            constant,
        )
    }

    /// `to = from`, 64 bits.
    pub const fn move_register(to: Register, from: Register) -> Self {
        Self::new(0xbf, to, from, 0, 0)
    }

    /// `to = constant`, sign-extended to 64 bits.
    pub const fn move_constant(to: Register, constant: i32) -> Self {
        Self::new(0xb7, to, Register::R0, 0, constant)
    }

    /// `to += constant`, the constant sign-extended to 64 bits.
    pub const fn add_constant(to: Register, constant: i32) -> Self {
        Self::new(0x07, to, Register::R0, 0, constant)
    }

    /// `to -= from`, 64 bits.
    pub const fn subtract(to: Register, from: Register) -> Self {
        Self::new(0x1f, to, from, 0, 0)
    }

    /// `to &= constant`, the constant sign-extended to 64 bits.
    pub const fn and_constant(to: Register, constant: i32) -> Self {
        Self::new(0x57, to, Register::R0, 0, constant)
    }

    /// `to <<= bits`.
    pub const fn shift_left(to: Register, bits: i32) -> Self {
        Self::new(0x67, to, Register::R0, 0, bits)
    }

    /// `to >>= bits`, without sign.
    pub const fn shift_right(to: Register, bits: i32) -> Self {
        Self::new(0x77, to, Register::R0, 0, bits)
    }

    /// Goes on `over` instructions after the next one when the low 32 bits of `register` compare
    /// so with `constant` (BPF_JMP32, 5.1).
    pub const fn jump(condition: Condition, register: Register, constant: i32, over: i16) -> Self {
        let code = JUMP_WORD | condition.code();
        Self::new(code, register, Register::R0, over, constant)
    }

    /// As [`Self::jump`], with all 64 bits. A pointer may be compared so with 0.
    pub const fn jump_double(
        condition: Condition,
        register: Register,
        constant: i32,
        over: i16,
    ) -> Self {
        let code = JUMP | condition.code();
        Self::new(code, register, Register::R0, over, constant)
    }

    /// As [`Self::jump_double`], with another register.
    pub const fn jump_register(
        condition: Condition,
        register: Register,
        other: Register,
        over: i16,
    ) -> Self {
        let code = JUMP | BY_REGISTER | condition.code();
        Self::new(code, register, other, over, 0)
    }

    /// Goes on `over` instructions after the next one.
    pub const fn jump_always(over: i16) -> Self {
        Self::new(JUMP, Register::R0, Register::R0, over, 0)
    }

    /// Calls a helper of the kernel by number (`enum bpf_func_id`, bpf-helpers(7)). Registers 1 to
    /// 5 are lost.
    pub const fn call(helper: i32) -> Self {
        Self::new(0x85, Register::R0, Register::R0, 0, helper)
    }

    /// Calls a function of the kernel by the id that it has in the kernel's BTF
    /// (BPF_PSEUDO_KFUNC_CALL, 5.13). Registers 1 to 5 are lost.
    pub const fn call_kernel(function: i32) -> Self {
        Self::new(0x85, Register::R0, Register::R2, 0, function)
    }

    /// Returns register 0.
    pub const fn exit() -> Self {
        Self::new(0x95, Register::R0, Register::R0, 0, 0)
    }

    /// `to += from`, 64 bits.
    pub const fn add(to: Register, from: Register) -> Self {
        Self::new(0x0f, to, from, 0, 0)
    }

    /// `*(u64 *)(to + offset) += from`, at once for all processors (BPF_ATOMIC, BPF_ADD).
    pub const fn add_atomic(to: Register, offset: i16, from: Register) -> Self {
        Self::new(0xdb, to, from, offset, 0)
    }
}
