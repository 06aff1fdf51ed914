//! The program that the kernel runs for each open file of each task, where it cannot walk their
//! tables (`file_walk`): it writes one record for a namespace or a socket. And what both have in
//! common. Pure.
//!
//! Registers: 6 the task, 7 the output, 8 the file, 9 its inode.

use berth_sys::bpf::{Condition, Instruction, Register, Width};

use super::assembler::{Assembler, Helper, Label};
use super::file_record::at;
use super::offsets::{Field, Offsets};

use Register::{R0, R1, R2, R3, R6, R7, R8, R9, R10};

/// NSFS_MAGIC and SOCKFS_MAGIC of linux/magic.h.
const NSFS: i32 = 0x6e73_6673;
const SOCKFS: i32 = 0x534f_434b;

/// Bytes of stack: the record and sixteen below it.
pub(super) const FRAME: i16 = at::END + 16;
/// Where the record begins on the stack.
pub(super) const RECORD: i16 = -at::END;
/// Sixteen bytes below it.
pub(super) const SCRATCH: i16 = -FRAME;

/// Assembles the program for a reader at a level of PID namespaces; `None` when this kernel lacks
/// something.
pub(super) fn assemble(offsets: &Offsets, base: usize) -> Option<Vec<Instruction>> {
    let mut asm = Assembler::default();
    let (out, end) = (asm.label(), asm.label());
    // struct bpf_iter__task_file: meta, task, fd, file. The last call, for the end, has no file.
    for (register, place) in [(R6, 8), (R8, 24)] {
        asm.follow(register, R1, place);
        let is_null = Instruction::jump_double(Condition::Equal, register, 0, 0);
        asm.jump(is_null, end);
    }
    zero(&mut asm);
    asm.copy(Width::Word, (R1, 16), RECORD + at::FD, R2);
    asm.follow(R7, R1, 0);
    // struct bpf_iter_meta: seq.
    asm.follow(R7, R7, 0);
    asm.cast(offsets, R6, Field::Task)?;
    asm.cast(offsets, R8, Field::File)?;
    write_target(&mut asm, offsets, (out, end))?;
    asm.place(out);
    write_task(&mut asm, offsets, base, RECORD)?;
    asm.push(Instruction::move_constant(R3, i32::from(at::END)));
    asm.write(R7, RECORD);
    asm.place(end);
    asm.push(Instruction::move_constant(R0, 0));
    asm.push(Instruction::exit());
    asm.finish()
}

/// An empty record, with its length.
pub(super) fn zero(asm: &mut Assembler) {
    for place in (RECORD..0).step_by(8) {
        asm.push(Instruction::store_constant(Width::Double, R10, place, 0));
    }
    let length = RECORD + at::LENGTH;
    let end = i32::from(at::END);
    asm.push(Instruction::store_constant(Width::Word, R10, length, end));
}

/// What the file in register 8 is; its inode is in register 9 afterwards. Goes to `end` when it is
/// neither a namespace nor a socket, else to `out`.
pub(super) fn write_target(
    asm: &mut Assembler,
    offsets: &Offsets,
    (out, end): (Label, Label),
) -> Option<()> {
    let field = |field| offsets.offset(field);
    let socket = asm.label();
    follow(asm, offsets, R9, (R8, field(Field::FileInode)?));
    follow(asm, offsets, R1, (R9, field(Field::InodeSuper)?));
    follow(asm, offsets, R1, (R1, field(Field::SuperMagic)?));
    asm.jump(
        Instruction::jump_double(Condition::Equal, R1, SOCKFS, 0),
        socket,
    );
    asm.jump(
        Instruction::jump_double(Condition::NotEqual, R1, NSFS, 0),
        end,
    );
    write_number(asm, offsets)?;
    write_kind(asm, offsets)?;
    // A kind that could not be read would make it a socket.
    asm.push(Instruction::load_word(R2, R10, RECORD + at::KIND));
    asm.jump(Instruction::jump(Condition::Equal, R2, 0, 0), end);
    asm.jump(Instruction::jump_always(0), out);
    asm.place(socket);
    write_number(asm, offsets)?;
    write_net(asm, offsets)?;
    asm.jump(Instruction::jump_always(0), out);
    Some(())
}

/// `to = *(from + offset)` for a pointer from a file on: typed where there is the cast. In the
/// walk a file is a mere number without it. Registers 0 to 5 are lost.
fn follow(asm: &mut Assembler, offsets: &Offsets, to: Register, (from, offset): (Register, i16)) {
    if offsets.value(Field::Cast).is_some() {
        asm.follow(to, from, offset);
    } else {
        asm.probe(Helper::Copy, SCRATCH, 8, (from, offset));
        asm.follow(to, R10, SCRATCH);
    }
}

/// The inode number.
fn write_number(asm: &mut Assembler, offsets: &Offsets) -> Option<()> {
    follow(asm, offsets, R2, (R9, offsets.offset(Field::InodeNumber)?));
    let to = RECORD + at::INODE;
    asm.push(Instruction::store(Width::Double, R10, to, R2));
    Some(())
}

/// The kind of a namespace: its inode leads to its `struct ns_common`.
fn write_kind(asm: &mut Assembler, offsets: &Offsets) -> Option<()> {
    let kind = RECORD + at::KIND;
    follow(asm, offsets, R1, (R9, offsets.offset(Field::InodePrivate)?));
    if let Some(place) = offsets.offset(Field::NamespaceType) {
        asm.probe(Helper::Copy, kind, 4, (R1, place));
        return Some(());
    }
    let operations = offsets.offset(Field::NamespaceOperations)?;
    asm.probe(Helper::Copy, SCRATCH, 8, (R1, operations));
    asm.follow(R1, R10, SCRATCH);
    let place = offsets.offset(Field::OperationsType)?;
    asm.probe(Helper::Copy, kind, 4, (R1, place));
    Some(())
}

/// The network namespace of a socket: the file leads to its `struct socket`.
fn write_net(asm: &mut Assembler, offsets: &Offsets) -> Option<()> {
    follow(asm, offsets, R1, (R8, offsets.offset(Field::FilePrivate)?));
    for field in [Field::SocketSock, Field::SockNet] {
        asm.probe(Helper::Copy, SCRATCH, 8, (R1, offsets.offset(field)?));
        asm.follow(R1, R10, SCRATCH);
    }
    let inode = offsets.offset(Field::NetInode)?;
    asm.probe(Helper::Copy, RECORD + at::NET, 4, (R1, inode));
    Some(())
}

/// Who the task in register 6 is, and in which network namespace it lives: parts of the record that
/// begins at `record`. Registers 0 to 5 and 8 are lost.
pub(super) fn write_task(
    asm: &mut Assembler,
    offsets: &Offsets,
    base: usize,
    record: i16,
) -> Option<()> {
    let field = |field| offsets.offset(field);
    asm.follow(R1, R6, field(Field::TaskNsproxy)?);
    asm.follow(R1, R1, field(Field::ProxyNet)?);
    let inode = (R1, field(Field::NetInode)?);
    asm.copy(Width::Word, inode, record + at::OWN_NET, R2);
    // The difference of the ids: 0 for the first thread alone.
    asm.push(Instruction::load_word(R1, R6, field(Field::TaskPid)?));
    asm.push(Instruction::load_word(R2, R6, field(Field::TaskTgid)?));
    asm.push(Instruction::subtract(R1, R2));
    let to = record + at::IS_THREAD;
    asm.push(Instruction::store(Width::Word, R10, to, R1));
    if base == 0 {
        let pid = (R6, field(Field::TaskPid)?);
        asm.copy(Width::Word, pid, record + at::TID, R2);
        return Some(());
    }
    let size = field(Field::UpidSize)?;
    let place = size
        .checked_mul(i16::try_from(base).ok()?)?
        .checked_add(field(Field::PidNumbers)?)?
        .checked_add(field(Field::UpidNumber)?)?;
    asm.follow(R8, R6, field(Field::TaskThreadPid)?);
    asm.probe(Helper::Copy, record + at::TID, 4, (R8, place));
    Some(())
}
