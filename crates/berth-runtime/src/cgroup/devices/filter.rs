//! Device rules as a BPF program for v2 (BPF_PROG_TYPE_CGROUP_DEVICE, 4.15).
//!
//! The kernel calls it with `struct bpf_cgroup_dev_ctx` (access << 16 | kind, major, minor) and
//! allows the access when it returns 1. The rules are tried from the last to the first. Register 5
//! holds the accesses not yet decided: a matching allow rule strikes out those it covers and is
//! done when none is left, a matching deny rule that covers one of them denies.

use berth_sys::bpf::{Condition, Instruction, Register};

use super::rule::{ALL, Rule};

const KIND: Register = Register::R2;
const MAJOR: Register = Register::R3;
const MINOR: Register = Register::R4;
const UNDECIDED: Register = Register::R5;
const SCRATCH: Register = Register::R6;

/// The program for a list of rules.
pub(super) fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut code = vec![
        Instruction::load_word(KIND, Register::R1, 0),
        Instruction::move_register(UNDECIDED, KIND),
        Instruction::and_constant(KIND, 0xffff),
        Instruction::shift_right(UNDECIDED, 16),
        Instruction::load_word(MAJOR, Register::R1, 4),
        Instruction::load_word(MINOR, Register::R1, 8),
    ];
    for rule in rules.iter().rev() {
        let act = act(rule);
        code.extend(unless_matching_skip(rule, act.len()));
        code.extend(act);
        if rule.is_total() && rule.access == ALL {
            // It decides everything: earlier rules cannot be reached, and the verifier refuses
            // code that cannot.
            return code;
        }
    }
    code.extend(answer(false));
    code
}

fn answer(allow: bool) -> [Instruction; 2] {
    [
        Instruction::move_constant(Register::R0, i32::from(allow)),
        Instruction::exit(),
    ]
}

/// What a matching rule does.
fn act(rule: &Rule) -> Vec<Instruction> {
    let access = i32::from(rule.access);
    let mut code = Vec::with_capacity(5);
    if rule.is_total() && rule.access == ALL {
        code.extend(answer(rule.allow));
    } else if rule.allow {
        // The undecided ones it does not cover go on.
        code.push(Instruction::and_constant(UNDECIDED, !access));
        code.push(Instruction::jump(Condition::NotEqual, UNDECIDED, 0, 2));
        code.extend(answer(true));
    } else {
        code.push(Instruction::move_register(SCRATCH, UNDECIDED));
        code.push(Instruction::and_constant(SCRATCH, access));
        code.push(Instruction::jump(Condition::Equal, SCRATCH, 0, 2));
        code.extend(answer(false));
    }
    code
}

/// Jumps over the action where the device is another.
fn unless_matching_skip(rule: &Rule, action: usize) -> Vec<Instruction> {
    let tests: Vec<(Register, u32)> = [
        rule.kind.map(|kind| (KIND, kind as u32)),
        rule.major.map(|major| (MAJOR, major)),
        rule.minor.map(|minor| (MINOR, minor)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let count = tests.len();
    tests
        .into_iter()
        .enumerate()
        .map(|(index, (register, value))| {
            // At most three tests and five instructions of action.
            let over = i16::try_from(count - 1 - index + action).unwrap_or(i16::MAX);
            Instruction::jump(Condition::NotEqual, register, value.cast_signed(), over)
        })
        .collect()
}
