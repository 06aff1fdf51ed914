//! What a program decides, by architecture and number.

use std::collections::{BTreeSet, HashMap};

use crate::seccomp::instruction::{
    AND, ARCHITECTURE, Instruction, JUMP, JUMP_IF_EQUAL, JUMP_IF_GREATER, JUMP_IF_NOT_LESS,
    JUMP_IF_SET, LOAD_WORD, NUMBER, RETURN,
};

/// Index of a decision in its table.
pub(super) type Id = usize;

/// What is left of a program when architecture and number are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Decision {
    /// SECCOMP_RET_*.
    Return(u32),
    /// Look at an argument.
    Test(Test),
}

/// A comparison of a part of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Test {
    pub(super) word: Word,
    /// One of the conditional jumps.
    pub(super) code: u16,
    pub(super) constant: u32,
    pub(super) yes: Id,
    pub(super) no: Id,
}

/// 32 bits of `struct seccomp_data`, of which only those in the mask count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Word {
    pub(super) offset: u32,
    pub(super) mask: u32,
}

/// As many comparisons of arguments may follow upon each other; beyond, recursion would need much
/// of a stack.
const DEEPEST: usize = 512;

/// All that a program decides.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Each decision once, after those that it leads to.
    pub(super) decisions: Vec<Decision>,
    /// For each AUDIT_ARCH_* that the program knows: where a range of numbers begins, and what is
    /// decided from there to the next. The first begins at 0, and neighbours differ.
    pub(super) architectures: Vec<(u32, Vec<(u32, Id)>)>,
    /// What is decided elsewhere.
    pub(super) elsewhere: Id,
}

/// Tables a program; `None` where it does something that a filter of libseccomp does not.
pub(super) fn table(program: &[Instruction]) -> Option<Table> {
    let Named {
        architectures,
        numbers,
    } = named(program)?;
    let mut table = Table::default();
    let mut known = HashMap::new();
    let mut ranges_of = |architecture| {
        let mut ranges: Vec<(u32, Id)> = Vec::new();
        for &number in &numbers {
            let mut walk = Walk {
                program,
                architecture,
                number,
                decisions: &mut table.decisions,
                known: &mut known,
                met: HashMap::new(),
                depth: 0,
            };
            let id = walk.decide(0, Accumulator::Known(0))?;
            if ranges.last().is_none_or(|(_, last)| *last != id) {
                ranges.push((number, id));
            }
        }
        Some(ranges)
    };
    let other = (0..=u32::MAX).find(|audit| !architectures.contains(audit))?;
    let elsewhere = ranges_of(other)?;
    let [(0, elsewhere)] = elsewhere[..] else {
        return None;
    };
    let by_architecture = architectures
        .into_iter()
        .map(|audit| Some((audit, ranges_of(audit)?)))
        .collect::<Option<_>>()?;
    table.architectures = by_architecture;
    table.elsewhere = elsewhere;
    Some(table)
}

/// What a program compares architectures and numbers with.
struct Named {
    /// In the order of the program.
    architectures: Vec<u32>,
    /// The first number of each interval that no comparison divides; 0 among them.
    numbers: BTreeSet<u32>,
}

/// What is in the accumulator on every way to an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Architecture,
    Number,
    Argument,
    /// One or another of these, or nothing that was loaded.
    Unclear,
}

/// Goes through a program once; jumps lead forward only.
fn named(program: &[Instruction]) -> Option<Named> {
    let mut named = Named {
        architectures: Vec::new(),
        numbers: BTreeSet::from([0]),
    };
    let mut holds: Vec<Option<Holds>> = vec![None; program.len()];
    *holds.first_mut()? = Some(Holds::Unclear);
    for (at, instruction) in program.iter().enumerate() {
        let Some(held) = holds[at] else {
            continue;
        };
        let constant = instruction.constant;
        let (mut next, mut held_next) = ([Some(at + 1), None], held);
        match (instruction.code, held) {
            (LOAD_WORD, _) => {
                held_next = match constant {
                    NUMBER => Holds::Number,
                    ARCHITECTURE => Holds::Architecture,
                    _ => Holds::Argument,
                }
            }
            (AND, Holds::Argument) => {}
            (JUMP, _) => next = [at.checked_add(distance(constant)? + 1), None],
            (RETURN, _) => next = [None; 2],
            (JUMP_IF_EQUAL | JUMP_IF_GREATER | JUMP_IF_NOT_LESS | JUMP_IF_SET, _) => {
                named.compare(instruction.code, held, constant)?;
                let over = |skipped: u8| Some(at + 1 + usize::from(skipped));
                next = [over(instruction.if_true), over(instruction.if_false)];
            }
            _ => return None,
        }
        for next in next.into_iter().flatten() {
            let there = holds.get_mut(next)?;
            *there = match *there {
                None => Some(held_next),
                Some(known) if known == held_next => Some(known),
                Some(_) => Some(Holds::Unclear),
            };
        }
    }
    Some(named)
}

impl Named {
    /// Notes a comparison; `None` for one that divides what it compares in no intervals.
    fn compare(&mut self, code: u16, held: Holds, constant: u32) -> Option<()> {
        match (held, code) {
            (Holds::Argument, _) => {}
            (Holds::Architecture, JUMP_IF_EQUAL) => {
                if !self.architectures.contains(&constant) {
                    self.architectures.push(constant);
                }
            }
            (Holds::Number, JUMP_IF_EQUAL) => {
                self.numbers.insert(constant);
                self.numbers.extend(constant.checked_add(1));
            }
            (Holds::Number, JUMP_IF_GREATER) => self.numbers.extend(constant.checked_add(1)),
            (Holds::Number, JUMP_IF_NOT_LESS) => {
                self.numbers.insert(constant);
            }
            _ => return None,
        }
        Some(())
    }
}

/// A program run for one architecture and one number.
struct Walk<'a> {
    program: &'a [Instruction],
    architecture: u32,
    number: u32,
    decisions: &'a mut Vec<Decision>,
    known: &'a mut HashMap<Decision, Id>,
    /// What was decided from where.
    met: HashMap<(usize, Accumulator), Id>,
    /// How many comparisons of arguments came before.
    depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Accumulator {
    Known(u32),
    Word(Word),
}

impl Walk<'_> {
    /// What the program decides from an instruction on.
    fn decide(&mut self, from: usize, held: Accumulator) -> Option<Id> {
        if let Some(&id) = self.met.get(&(from, held)) {
            return Some(id);
        }
        let (mut at, mut now) = (from, held);
        let decision = loop {
            let Instruction {
                code,
                if_true,
                if_false,
                constant,
            } = *self.program.get(at)?;
            at += 1;
            let (yes, no) = (at + usize::from(if_true), at + usize::from(if_false));
            match (code, now) {
                (LOAD_WORD, _) => now = self.load(constant),
                (JUMP, _) => at = at.checked_add(distance(constant)?)?,
                (RETURN, _) => break Decision::Return(constant),
                (AND, Accumulator::Known(value)) => now = Accumulator::Known(value & constant),
                (AND, Accumulator::Word(Word { offset, mask })) => {
                    let mask = mask & constant;
                    now = Accumulator::Word(Word { offset, mask });
                }
                (_, Accumulator::Known(value)) => {
                    at = if holds(code, value, constant)? {
                        yes
                    } else {
                        no
                    };
                }
                (_, Accumulator::Word(word)) => {
                    self.depth += 1;
                    if self.depth > DEEPEST {
                        return None;
                    }
                    let (yes, no) = (self.decide(yes, now)?, self.decide(no, now)?);
                    self.depth -= 1;
                    if yes == no {
                        self.met.insert((from, held), yes);
                        return Some(yes);
                    }
                    break Decision::Test(Test {
                        word,
                        code,
                        constant,
                        yes,
                        no,
                    });
                }
            }
        };
        let id = *self.known.entry(decision).or_insert_with(|| {
            self.decisions.push(decision);
            self.decisions.len() - 1
        });
        self.met.insert((from, held), id);
        Some(id)
    }

    fn load(&self, offset: u32) -> Accumulator {
        match offset {
            NUMBER => Accumulator::Known(self.number),
            ARCHITECTURE => Accumulator::Known(self.architecture),
            offset => Accumulator::Word(Word {
                offset,
                mask: u32::MAX,
            }),
        }
    }
}

/// Whether a conditional jump is taken.
fn holds(code: u16, value: u32, constant: u32) -> Option<bool> {
    match code {
        JUMP_IF_EQUAL => Some(value == constant),
        JUMP_IF_GREATER => Some(value > constant),
        JUMP_IF_NOT_LESS => Some(value >= constant),
        JUMP_IF_SET => Some(value & constant != 0),
        _ => None,
    }
}

fn distance(constant: u32) -> Option<usize> {
    usize::try_from(constant).ok()
}
