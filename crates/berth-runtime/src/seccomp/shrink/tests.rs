use std::collections::BTreeSet;

use oci_spec::runtime::LinuxSeccomp;
use proptest::prelude::*;

use super::decide::{Decision, Table, Test, Word};
use super::*;
use crate::seccomp::compile::unshrunk;
use crate::seccomp::default_profile;
use crate::seccomp::differential_tests::{self, VALUES};
use crate::seccomp::instruction::{
    AND, JUMP, JUMP_IF_EQUAL, JUMP_IF_SET, LOAD_WORD, NUMBER, RETURN,
};
use crate::seccomp::machine::{Call, X86, X86_64, value_of};

/// A 64-bit architecture that no profile here names.
const AARCH64: u32 = 0xc000_00b7;

/// Every number at which either program could change its mind, on every architecture.
fn calls(programs: [&[[u8; 8]]; 2]) -> Vec<Call> {
    let named = programs.into_iter().flatten().copied();
    let constants = named.map(|bytes| Instruction::from_bytes(bytes).constant);
    let numbers: BTreeSet<u32> = constants
        .flat_map(|k| [k.wrapping_sub(1), k, k.wrapping_add(1)])
        .chain([0, u32::MAX])
        .collect();
    let on = |arch| {
        numbers
            .iter()
            .map(move |&number| Call::new(number).on(arch))
    };
    [X86_64, X86, AARCH64, 0].into_iter().flat_map(on).collect()
}

/// The first call of which they disagree.
fn difference(long: &[[u8; 8]], short: &[[u8; 8]], args: &[[u64; 6]]) -> Option<String> {
    let calls = calls([long, short]);
    let with = |call: Call| args.iter().map(move |&args| Call { args, ..call });
    calls
        .into_iter()
        .flat_map(with)
        .find(|&call| value_of(long, call) != value_of(short, call))
        .map(|call| format!("{call:?}"))
}

fn of(profile: &LinuxSeccomp) -> (Vec<[u8; 8]>, Vec<[u8; 8]>) {
    let long = unshrunk(profile).unwrap();
    let short = shrink(long.clone());
    (long, short)
}

#[test]
fn the_default_profile_loses_instructions_and_nothing_else() {
    let args = VALUES.map(|value| [value; 6]);
    for capabilities in [&[][..], &["CAP_SYS_ADMIN", "CAP_BPF", "CAP_SYS_PTRACE"]] {
        let (long, short) = of(&default_profile(capabilities, "6.1.0"));
        let (from, to) = (long.len(), short.len());
        assert!(to * 3 < from, "{from} instructions became {to}");
        assert_eq!(difference(&long, &short, &args), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_shorter_program_answers_as_the_longer_one(
        profile in differential_tests::profile(),
        args in proptest::collection::vec(
            proptest::array::uniform6(proptest::sample::select(&VALUES[..])),
            8,
        ),
    ) {
        let (long, short) = of(&profile.spec());
        prop_assert!(short.len() <= long.len());
        prop_assert_eq!(difference(&long, &short, &args), None);
    }

    /// Far more ranges than a conditional jump reaches over, with comparisons of arguments among
    /// them.
    #[test]
    fn a_table_of_any_size_is_found_again(table in table(), words in proptest::array::uniform6(0u64..4)) {
        let written = assemble::program(&table).unwrap();
        let program: Vec<_> = written.into_iter().map(Instruction::to_bytes).collect();
        for (audit, ranges) in &table.architectures {
            for (at, &(number, id)) in ranges.iter().enumerate() {
                let last = ranges.get(at + 1).map_or(u32::MAX, |(next, _)| next - 1);
                for number in [number, last] {
                    let call = Call { args: words, ..Call::new(number).on(*audit) };
                    prop_assert_eq!(value_of(&program, call), decided(&table, id, words));
                }
            }
        }
        let call = Call { args: words, ..Call::new(7).on(AARCH64) };
        prop_assert_eq!(value_of(&program, call), decided(&table, table.elsewhere, words));
    }
}

/// Two architectures with up to 600 ranges each, and decisions that lead to earlier ones.
fn table() -> impl Strategy<Value = Table> {
    let step = (1u32..4, any::<proptest::sample::Index>());
    let ranges = || proptest::collection::vec(step.clone(), 1..600);
    let test = (0u32..6, 0u32..4, any::<[proptest::sample::Index; 2]>());
    (
        proptest::collection::vec(test, 0..40),
        ranges(),
        ranges(),
        0usize..4,
    )
        .prop_map(|(tests, first, second, elsewhere)| {
            let mut decisions: Vec<_> = (0..4).map(Decision::Return).collect();
            for (argument, constant, [yes, no]) in tests {
                let (yes, no) = (yes.index(decisions.len()), no.index(decisions.len()));
                let word = Word {
                    offset: 16 + 8 * argument,
                    mask: u32::MAX - constant % 2,
                };
                let code = JUMP_IF_EQUAL;
                decisions.push(Decision::Test(Test {
                    word,
                    code,
                    constant,
                    yes,
                    no,
                }));
            }
            let of = |steps: Vec<(u32, proptest::sample::Index)>| {
                let mut ranges: Vec<(u32, usize)> = Vec::new();
                let mut number = 0;
                for (length, which) in steps {
                    let id = which.index(decisions.len());
                    if ranges.last().is_none_or(|(_, last)| *last != id) {
                        ranges.push((number, id));
                        number += length;
                    }
                }
                ranges
            };
            let architectures = vec![(X86_64, of(first)), (X86, of(second))];
            Table {
                decisions,
                architectures,
                elsewhere,
            }
        })
}

fn decided(table: &Table, id: usize, args: [u64; 6]) -> u32 {
    match table.decisions[id] {
        Decision::Return(value) => value,
        Decision::Test(test) => {
            let argument = usize::try_from((test.word.offset - 16) / 8).unwrap();
            let word = u32::try_from(args[argument] & 0xffff_ffff).unwrap();
            let holds = word & test.word.mask == test.constant;
            decided(table, if holds { test.yes } else { test.no }, args)
        }
    }
}

#[test]
fn what_is_not_understood_is_left_alone() {
    let plain = |code, constant| Instruction::plain(code, constant).to_bytes();
    let load = plain(LOAD_WORD, NUMBER);
    let equal = |yes, number| Instruction::test(JUMP_IF_EQUAL, yes, 0, number).to_bytes();
    // Number 5 is refused in three instructions where one would do.
    let long = vec![load, equal(1, 5), equal(0, 6), plain(RETURN, 1)];
    assert_eq!(shrink(long.clone()).len(), 2, "the base of this test");
    for odd in [
        plain(0x04, 1),                                     // addition
        Instruction::test(JUMP_IF_SET, 0, 0, 1).to_bytes(), // of a number
        plain(AND, 1),                                      // of a number
        plain(JUMP, 100),                                   // out of the program
    ] {
        let mut program = long.clone();
        program.insert(1, odd);
        assert_eq!(shrink(program.clone()), program, "{odd:?}");
    }
}
