//! A table as a program: the architecture, then the number by halves, then the arguments.
//!
//! Jumps lead forward, so a program is written from its end: what is jumped to comes first. A
//! conditional jump reaches 255 instructions; what lies farther is led to by a plain jump in
//! between, or written again where it is a single instruction.

use super::decide::{Decision, Id, Table, Test};
use crate::seccomp::instruction::{
    AND, ARCHITECTURE, Instruction, JUMP, JUMP_IF_EQUAL, JUMP_IF_NOT_LESS, LOAD_WORD, NUMBER,
    RETURN,
};

/// Where an instruction is, counted from the end of the program.
type Place = usize;

/// As far as a conditional jump reaches, less the few instructions that may come in between.
const REACH: usize = 240;

/// The program of a table; `None` where something cannot be reached.
pub(super) fn program(table: &Table) -> Option<Vec<Instruction>> {
    let mut writer = Writer {
        table,
        reversed: Vec::new(),
        places: vec![None; table.decisions.len()],
    };
    writer.write()?;
    writer.reversed.reverse();
    Some(writer.reversed)
}

struct Writer<'a> {
    table: &'a Table,
    reversed: Vec<Instruction>,
    /// Where each decision was written last.
    places: Vec<Option<Place>>,
}

/// What a search comes to.
#[derive(Clone, Copy)]
enum Target {
    Decision(Id),
    Search(Place),
}

impl Writer<'_> {
    fn write(&mut self) -> Option<()> {
        let table = self.table;
        let elsewhere = Target::Decision(table.elsewhere);
        let mut blocks = Vec::new();
        for (audit, ranges) in table.architectures.iter().rev() {
            let found = self.search(ranges)?;
            if let Target::Search(_) = found {
                self.fall_into(found)?;
                let place = self.push(Instruction::plain(LOAD_WORD, NUMBER));
                blocks.push((*audit, Target::Search(place)));
            } else {
                blocks.push((*audit, found));
            }
        }
        // The comparisons stand in a row, and nothing comes between them.
        self.reach(elsewhere)?;
        let mut places = Vec::new();
        for (audit, block) in blocks {
            places.push((audit, self.reach(block)?));
        }
        self.fall_into(elsewhere)?;
        for (audit, place) in places {
            self.jump(JUMP_IF_EQUAL, audit, place, self.reversed.len() - 1)?;
        }
        self.push(Instruction::plain(LOAD_WORD, ARCHITECTURE));
        Some(())
    }

    /// A search among ranges, for a number in the accumulator.
    fn search(&mut self, ranges: &[(u32, Id)]) -> Option<Target> {
        let (lower, upper) = match ranges {
            [(_, decision)] => return Some(Target::Decision(*decision)),
            _ => match single(ranges) {
                // One comparison instead of two.
                Some((number, decision)) if ranges.len() == 3 => {
                    let others = Target::Decision(ranges[0].1);
                    return self.branch(JUMP_IF_EQUAL, number, Target::Decision(decision), others);
                }
                _ => ranges.split_at(middle(ranges)),
            },
        };
        let (not_less, less) = (self.search(upper)?, self.search(lower)?);
        self.branch(JUMP_IF_NOT_LESS, upper.first()?.0, not_less, less)
    }

    fn branch(&mut self, code: u16, constant: u32, yes: Target, no: Target) -> Option<Target> {
        // What the second needs may put the first out of reach; asked again, it is near.
        self.reach(yes)?;
        self.reach(no)?;
        let (yes, no) = (self.reach(yes)?, self.reach(no)?);
        self.jump(code, constant, yes, no).map(Target::Search)
    }

    /// A place that leads to a target, near the instruction that comes next.
    fn reach(&mut self, target: Target) -> Option<Place> {
        let id = match target {
            Target::Search(place) => return self.near(place),
            Target::Decision(id) => id,
        };
        let place = match (self.table.decisions[id], self.places[id]) {
            (Decision::Return(_), Some(place)) if self.is_near(place) => place,
            (Decision::Return(value), _) => self.push(Instruction::plain(RETURN, value)),
            (Decision::Test(_), Some(place)) => self.near(place)?,
            (Decision::Test(test), None) => self.test(test)?,
        };
        self.places[id] = Some(place);
        Some(place)
    }

    fn test(&mut self, test: Test) -> Option<Place> {
        let (yes, no) = (Target::Decision(test.yes), Target::Decision(test.no));
        self.branch(test.code, test.constant, yes, no)?;
        if test.word.mask != u32::MAX {
            self.push(Instruction::plain(AND, test.word.mask));
        }
        Some(self.push(Instruction::plain(LOAD_WORD, test.word.offset)))
    }

    fn is_near(&self, place: Place) -> bool {
        self.reversed.len() - place <= REACH
    }

    fn near(&mut self, place: Place) -> Option<Place> {
        match self.is_near(place) {
            true => Some(place),
            false => self.jump_to(place),
        }
    }

    /// Sees that whatever is written next is followed by the target.
    fn fall_into(&mut self, target: Target) -> Option<()> {
        let place = self.reach(target)?;
        if place + 1 != self.reversed.len() {
            self.jump_to(place)?;
        }
        Some(())
    }

    fn jump_to(&mut self, place: Place) -> Option<Place> {
        let skipped = u32::try_from(self.reversed.len() - 1 - place).ok()?;
        Some(self.push(Instruction::plain(JUMP, skipped)))
    }

    /// A conditional jump to two places.
    fn jump(&mut self, code: u16, constant: u32, yes: Place, no: Place) -> Option<Place> {
        let last = self.reversed.len() - 1;
        let (yes, no) = (
            u8::try_from(last - yes).ok()?,
            u8::try_from(last - no).ok()?,
        );
        Some(self.push(Instruction::test(code, yes, no, constant)))
    }

    fn push(&mut self, instruction: Instruction) -> Place {
        self.reversed.push(instruction);
        self.reversed.len() - 1
    }
}

/// The number at which three ranges differ from one decision, and what is decided of it.
fn single(ranges: &[(u32, Id)]) -> Option<(u32, Id)> {
    match ranges {
        [(_, before), (number, decision), (next, after), ..] => (before == after
            && number.checked_add(1) == Some(*next))
        .then_some((*number, *decision)),
        _ => None,
    }
}

/// Where ranges are divided: in the middle, or beside it where that would part a single number
/// from its neighbours.
fn middle(ranges: &[(u32, Id)]) -> usize {
    let middle = ranges.len() / 2;
    // The division at `at` is between the ranges `at - 1` and `at`.
    let parts = |at: usize| {
        let starts = [at.checked_sub(2), at.checked_sub(1)];
        starts
            .into_iter()
            .flatten()
            .any(|first| ranges.get(first..).and_then(single).is_some())
    };
    [middle, middle + 1, middle - 1]
        .into_iter()
        .find(|&at| (1..ranges.len()).contains(&at) && !parts(at))
        .unwrap_or(middle)
}
