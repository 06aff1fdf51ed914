//! A machine for tests that runs a seccomp program on one call, as the kernel would.

/// One system call as the filter sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) arch: u32,
    pub(super) number: u32,
    pub(super) args: [u64; 6],
}

pub(super) const X86_64: u32 = 0xc000_003e;
pub(super) const X86: u32 = 0x4000_0003;

impl Call {
    pub(super) fn new(number: u32) -> Self {
        Self {
            arch: X86_64,
            number,
            args: [0; 6],
        }
    }

    pub(super) fn arg(mut self, index: usize, value: u64) -> Self {
        self.args[index] = value;
        self
    }

    pub(super) fn on(mut self, arch: u32) -> Self {
        self.arch = arch;
        self
    }

    fn word(&self, offset: u32) -> u32 {
        let arg = |index: u32| self.args[usize::try_from(index).unwrap()];
        let part = |value: u64, high: bool| {
            u32::try_from(if high {
                value >> 32
            } else {
                value & 0xffff_ffff
            })
            .unwrap()
        };
        match offset {
            0 => self.number,
            4 => self.arch,
            8 | 12 => 0,
            offset => part(arg((offset - 16) / 8), offset % 8 == 4),
        }
    }
}

/// What a program returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    Errno(u16),
    Kill,
    Other(u32),
}

/// Runs a program; what it says about the call.
pub(super) fn run(program: &[[u8; 8]], call: Call) -> Verdict {
    verdict(value_of(program, call))
}

/// Runs a program; its SECCOMP_RET_* value. Panics where the kernel would have refused it.
pub(super) fn value_of(program: &[[u8; 8]], call: Call) -> u32 {
    let (mut a, mut x, mut at) = (0u32, 0u32, 0usize);
    let mut memory = [0u32; 16];
    loop {
        let [c0, c1, jt, jf, k0, k1, k2, k3] = program[at];
        let code = u16::from_ne_bytes([c0, c1]);
        let k = u32::from_ne_bytes([k0, k1, k2, k3]);
        at += 1;
        let mut jump = |taken: bool| at += usize::from(if taken { jt } else { jf });
        match code {
            0x20 => a = call.word(k),
            0x00 => a = k,
            0x01 => x = k,
            0x02 => memory[usize::try_from(k).unwrap()] = a,
            0x60 => a = memory[usize::try_from(k).unwrap()],
            0x07 => x = a,
            0x87 => a = x,
            0x54 => a &= k,
            0x44 => a |= k,
            0x05 => at += usize::try_from(k).unwrap(),
            0x15 => jump(a == k),
            0x25 => jump(a > k),
            0x35 => jump(a >= k),
            0x45 => jump(a & k != 0),
            0x06 => return k,
            0x16 => return a,
            code => panic!("unexpected instruction {code:#x} at {}", at - 1),
        }
    }
}

fn verdict(value: u32) -> Verdict {
    match value & 0xffff_0000 {
        0x7fff_0000 => Verdict::Allow,
        0x0005_0000 => Verdict::Errno(u16::try_from(value & 0xffff).unwrap()),
        0x8000_0000 | 0 => Verdict::Kill,
        _ => Verdict::Other(value),
    }
}
