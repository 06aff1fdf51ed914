//! Instructions that run before libseccomp's program: ENOSYS for system calls it cannot know.
//!
//! A program that probes for a new system call falls back on ENOSYS; EPERM or a kill breaks it.
//! But a profile that was written before the call existed gives just that. So every number beyond
//! the newest that libseccomp knows for an architecture answers ENOSYS.

use std::ops::RangeInclusive;

use libseccomp::{ScmpArch, ScmpSyscall};

use super::instruction::{
    ARCHITECTURE, Instruction, JUMP, JUMP_IF_EQUAL, JUMP_IF_GREATER, JUMP_IF_NOT_LESS, LOAD_WORD,
    NUMBER, RETURN,
};

const RETURN_ENOSYS: u32 = 0x0005_0000 | 38;

/// The bit in the number of an x32 call (__X32_SYSCALL_BIT).
const X32_BIT: u32 = 0x4000_0000;
/// AUDIT_ARCH_* of the architectures that the prelude knows.
const AUDIT_X86_64: u32 = 0xc000_003e;
const AUDIT_X86: u32 = 0x4000_0003;
const AUDIT_AARCH64: u32 = 0xc000_00b7;
const AUDIT_RISCV64: u32 = 0xc000_00f3;

/// Where x32's own block of numbers begins; x86_64 and x32 share those below.
const X32_OWN: u32 = 512;
/// No table of libseccomp has a number beyond this.
const SEARCH_FROM: u32 = 1023;

/// The instructions for these architectures; empty where none of them is known here.
pub(super) fn unknown_calls(architectures: &[ScmpArch]) -> Vec<[u8; 8]> {
    let mut blocks: Vec<(u32, Vec<RangeInclusive<u32>>)> = Vec::new();
    for arch in architectures {
        let Some((audit, ranges)) = unknown_of(*arch) else {
            continue;
        };
        match blocks.iter_mut().find(|(known, _)| *known == audit) {
            Some((_, all)) => all.extend(ranges),
            None => blocks.push((audit, ranges)),
        }
    }
    assemble(&blocks)
}

/// AUDIT_ARCH_* of an architecture and the numbers unknown there.
fn unknown_of(arch: ScmpArch) -> Option<(u32, Vec<RangeInclusive<u32>>)> {
    let newest = |base: u32, below: u32| {
        (0..=below)
            .rev()
            .find(|number| is_known(arch, base | number))
    };
    match arch {
        // Numbers with the x32 bit are x32's, or bad ones that libseccomp's program kills.
        ScmpArch::X8664 => Some((
            AUDIT_X86_64,
            vec![newest(0, SEARCH_FROM)? + 1..=X32_BIT - 1],
        )),
        ScmpArch::X32 => {
            let shared = newest(X32_BIT, X32_OWN - 1)?;
            let own = newest(X32_BIT, SEARCH_FROM)?.max(X32_OWN - 1);
            let ranges = vec![
                (X32_BIT | (shared + 1))..=(X32_BIT | (X32_OWN - 1)),
                (X32_BIT | (own + 1))..=u32::MAX,
            ];
            Some((
                AUDIT_X86_64,
                ranges
                    .into_iter()
                    .filter(|range| !range.is_empty())
                    .collect(),
            ))
        }
        ScmpArch::X86 => Some((AUDIT_X86, vec![newest(0, SEARCH_FROM)? + 1..=u32::MAX])),
        ScmpArch::Aarch64 => Some((AUDIT_AARCH64, vec![newest(0, SEARCH_FROM)? + 1..=u32::MAX])),
        ScmpArch::Riscv64 => Some((AUDIT_RISCV64, vec![newest(0, SEARCH_FROM)? + 1..=u32::MAX])),
        // 32-bit Arm has private numbers far above the others, and the rest is untested.
        _ => None,
    }
}

fn is_known(arch: ScmpArch, number: u32) -> bool {
    i32::try_from(number)
        .is_ok_and(|number| ScmpSyscall::from(number).get_name_by_arch(arch).is_ok())
}

/// For each architecture: skip unless it is the caller's, then return ENOSYS in each range.
fn assemble(blocks: &[(u32, Vec<RangeInclusive<u32>>)]) -> Vec<[u8; 8]> {
    if blocks.is_empty() {
        return Vec::new();
    }
    let mut program = vec![Instruction::plain(LOAD_WORD, ARCHITECTURE)];
    let length = |ranges: &[RangeInclusive<u32>]| 3 + 3 * ranges.len();
    let mut left: usize = blocks.iter().map(|(_, ranges)| length(ranges)).sum();
    for (audit, ranges) in blocks {
        left -= length(ranges);
        // At most three ranges an architecture: the distances fit.
        let skip = u8::try_from(length(ranges) - 1).unwrap_or(u8::MAX);
        program.push(Instruction::test(JUMP_IF_EQUAL, 0, skip, *audit));
        program.push(Instruction::plain(LOAD_WORD, NUMBER));
        for range in ranges {
            program.push(Instruction::test(JUMP_IF_NOT_LESS, 0, 2, *range.start()));
            program.push(Instruction::test(JUMP_IF_GREATER, 1, 0, *range.end()));
            program.push(Instruction::plain(RETURN, RETURN_ENOSYS));
        }
        // The next block would take the number for an architecture.
        program.push(Instruction::plain(JUMP, u32::try_from(left).unwrap_or(0)));
    }
    program.into_iter().map(Instruction::to_bytes).collect()
}
