//! Programs with labels instead of distances. Pure.

use berth_sys::bpf::{Instruction, Register, Width};

use super::offsets::{Field, Offsets};

/// A helper that copies bytes, by number (bpf-helpers(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in super::super) enum Helper {
    /// bpf_probe_read_kernel (5.5): so many bytes.
    Copy = 113,
    /// bpf_probe_read_kernel_str (5.5): up to the first zero.
    CopyText = 115,
}

/// bpf_seq_write (5.8).
const SEQ_WRITE: i32 = 127;

/// A place in a program that jumps lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Label(usize);

/// A program while it is written.
#[derive(Default)]
pub(in super::super) struct Assembler {
    code: Vec<Instruction>,
    /// Where each label stands, once it is placed.
    labels: Vec<Option<usize>>,
    /// Jumps that wait for the distance to their label.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// Appends an instruction.
    pub(in super::super) fn push(&mut self, instruction: Instruction) {
        self.code.push(instruction);
    }

    /// A label that is to be placed later.
    pub(in super::super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Puts a label in front of the next instruction.
    pub(in super::super) fn place(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = Some(self.code.len());
        }
    }

    /// Appends a jump to a label.
    pub(in super::super) fn jump(&mut self, jump: Instruction, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.code.push(jump);
    }

    /// `to = *(from + offset)` for a pointer.
    pub(in super::super) fn follow(&mut self, to: Register, from: Register, offset: i16) {
        self.push(Instruction::load(Width::Double, to, from, offset));
    }

    /// Copies a field to the stack, through a register that is lost.
    pub(in super::super) fn copy(
        &mut self,
        width: Width,
        (from, offset): (Register, i16),
        to: i16,
        through: Register,
    ) {
        self.push(Instruction::load(width, through, from, offset));
        self.push(Instruction::store(width, Register::R10, to, through));
    }

    /// Copies bytes from wherever a register and an offset lead to the stack; zeros when there is
    /// nothing. Registers 0 to 5 are lost.
    pub(in super::super) fn probe(
        &mut self,
        helper: Helper,
        to: i16,
        length: i16,
        (from, offset): (Register, i16),
    ) {
        self.push(Instruction::move_register(Register::R3, from));
        if offset != 0 {
            let offset = i32::from(offset);
            self.push(Instruction::add_constant(Register::R3, offset));
        }
        self.push(Instruction::move_register(Register::R1, Register::R10));
        self.push(Instruction::add_constant(Register::R1, i32::from(to)));
        let length = i32::from(length);
        self.push(Instruction::move_constant(Register::R2, length));
        self.push(Instruction::call(helper as i32));
    }

    /// Writes bytes of the stack to the output; register 3 holds their number.
    pub(super) fn write(&mut self, output: Register, from: i16) {
        self.push(Instruction::move_register(Register::R1, output));
        self.push(Instruction::move_register(Register::R2, Register::R10));
        self.push(Instruction::add_constant(Register::R2, i32::from(from)));
        self.push(Instruction::call(SEQ_WRITE));
    }

    /// Makes a pointer one that may be followed but is trusted no further. Registers 0 to 5 are
    /// lost.
    ///
    /// For each pointer that is read through a trusted one, kernels since 6.2 search all of their
    /// type information up to four times, 0.2 ms each: 15 ms for a program, 0.7 with the cast.
    /// Those before 6.2 lack it and need none.
    pub(super) fn cast(
        &mut self,
        offsets: &Offsets,
        register: Register,
        structure: Field,
    ) -> Option<()> {
        if let Some(cast) = offsets.id(Field::Cast) {
            let id = offsets.id(structure)?;
            self.push(Instruction::move_register(Register::R1, register));
            self.push(Instruction::move_constant(Register::R2, id));
            self.push(Instruction::call_kernel(cast));
            self.push(Instruction::move_register(register, Register::R0));
        }
        Some(())
    }

    /// The program; `None` when a label was never placed or lies too far away.
    pub(in super::super) fn finish(mut self) -> Option<Vec<Instruction>> {
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
