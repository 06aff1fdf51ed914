//! Programs with labels instead of distances. Pure.

use berth_sys::bpf::{Instruction, Register, Width};

/// A place in a program that jumps lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program while it is written.
#[derive(Default)]
pub(super) struct Assembler {
    code: Vec<Instruction>,
    /// Where each label stands, once it is placed.
    labels: Vec<Option<usize>>,
    /// Jumps that wait for the distance to their label.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// Appends an instruction.
    pub(super) fn push(&mut self, instruction: Instruction) {
        self.code.push(instruction);
    }

    /// A label that is to be placed later.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Puts a label in front of the next instruction.
    pub(super) fn place(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = Some(self.code.len());
        }
    }

    /// Appends a jump to a label.
    pub(super) fn jump(&mut self, jump: Instruction, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.code.push(jump);
    }

    /// `to = *(from + offset)` for a pointer.
    pub(super) fn follow(&mut self, to: Register, from: Register, offset: i16) {
        self.push(Instruction::load(Width::Double, to, from, offset));
    }

    /// Copies a field to the stack, through a register that is lost.
    pub(super) fn copy(
        &mut self,
        width: Width,
        (from, offset): (Register, i16),
        to: i16,
        through: Register,
    ) {
        self.push(Instruction::load(width, through, from, offset));
        self.push(Instruction::store(width, Register::R10, to, through));
    }

    /// The program; `None` when a label was never placed or lies too far away.
    pub(super) fn finish(mut self) -> Option<Vec<Instruction>> {
        for (at, label) in self.jumps {
            let target = (*self.labels.get(label.0)?)?;
            // Distances count from the instruction behind the jump.
            let over = i64::try_from(target).ok()? - i64::try_from(at).ok()? - 1;
            self.code.get_mut(at)?.offset = i16::try_from(over).ok()?;
        }
        Some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_lead_to_their_labels_in_both_directions() {
        let mut assembler = Assembler::default();
        let (back, ahead) = (assembler.label(), assembler.label());
        assembler.place(back);
        assembler.jump(Instruction::jump_always(0), ahead);
        assembler.push(Instruction::exit());
        assembler.place(ahead);
        assembler.jump(Instruction::jump_always(0), back);
        let code = assembler.finish().unwrap();
        assert_eq!(code[0].offset, 1);
        assert_eq!(code[2].offset, -3);
    }

    #[test]
    fn a_label_without_a_place_is_refused() {
        let mut assembler = Assembler::default();
        let nowhere = assembler.label();
        assembler.jump(Instruction::jump_always(0), nowhere);
        assert_eq!(assembler.finish(), None);
    }
}
