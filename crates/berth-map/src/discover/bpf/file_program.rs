//! The program that the kernel runs for each open file of each task: it writes one record for a
//! namespace or a socket. Pure.
//!
//! Registers: 6 the task, later its PID or the socket, 7 the output, 8 the file, 9 its inode.

use berth_sys::bpf::{Condition, Instruction, Register, Width};

use super::assembler::{Assembler, Helper};
use super::file_record::at;
use super::offsets::{Field, Offsets};

use Register::{R0, R1, R2, R3, R6, R7, R8, R9, R10};

/// NSFS_MAGIC and SOCKFS_MAGIC of linux/magic.h.
const NSFS: i32 = 0x6e73_6673;
const SOCKFS: i32 = 0x534f_434b;

/// Where the record begins on the stack.
const RECORD: i16 = -at::END;
/// Sixteen bytes below it.
const SCRATCH: i16 = RECORD - 16;

/// Assembles the program for a reader at a level of PID namespaces; `None` when this kernel lacks
/// something.
pub(super) fn assemble(offsets: &Offsets, base: usize) -> Option<Vec<Instruction>> {
    let mut asm = Assembler::default();
    let (socket, out, end) = (asm.label(), asm.label(), asm.label());
    let field = |field| offsets.offset(field);
    // struct bpf_iter__task_file: meta, task, fd, file. The last call, for the end, has no file.
    for (register, place) in [(R6, 8), (R8, 24)] {
        asm.follow(register, R1, place);
        let is_null = Instruction::jump_double(Condition::Equal, register, 0, 0);
        asm.jump(is_null, end);
    }
    for place in (RECORD..0).step_by(8) {
        asm.push(Instruction::store_constant(Width::Double, R10, place, 0));
    }
    asm.copy(Width::Word, (R1, 16), RECORD + at::FD, R2);
    asm.follow(R7, R1, 0);
    // struct bpf_iter_meta: seq.
    asm.follow(R7, R7, 0);
    asm.cast(offsets, R6, Field::Task)?;
    asm.cast(offsets, R8, Field::File)?;
    asm.follow(R9, R8, field(Field::FileInode)?);
    asm.follow(R1, R9, field(Field::InodeSuper)?);
    asm.follow(R1, R1, field(Field::SuperMagic)?);
    asm.jump(
        Instruction::jump_double(Condition::Equal, R1, SOCKFS, 0),
        socket,
    );
    asm.jump(
        Instruction::jump_double(Condition::NotEqual, R1, NSFS, 0),
        end,
    );
    write_kind(&mut asm, offsets)?;
    // A kind that could not be read would make it a socket.
    asm.push(Instruction::load_word(R2, R10, RECORD + at::KIND));
    asm.jump(Instruction::jump(Condition::Equal, R2, 0, 0), end);
    asm.jump(Instruction::jump_always(0), out);
    asm.place(socket);
    write_net(&mut asm, offsets)?;
    asm.place(out);
    let number = (R9, field(Field::InodeNumber)?);
    asm.copy(Width::Double, number, RECORD + at::INODE, R2);
    write_task(&mut asm, offsets, base)?;
    asm.push(Instruction::move_constant(R3, i32::from(at::END)));
    asm.write(R7, RECORD);
    asm.place(end);
    asm.push(Instruction::move_constant(R0, 0));
    asm.push(Instruction::exit());
    asm.finish()
}

/// The kind of a namespace: its inode leads to its `struct ns_common`.
fn write_kind(asm: &mut Assembler, offsets: &Offsets) -> Option<()> {
    let kind = RECORD + at::KIND;
    asm.follow(R1, R9, offsets.offset(Field::InodePrivate)?);
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
    asm.follow(R1, R8, offsets.offset(Field::FilePrivate)?);
    for field in [Field::SocketSock, Field::SockNet] {
        asm.probe(Helper::Copy, SCRATCH, 8, (R1, offsets.offset(field)?));
        asm.follow(R1, R10, SCRATCH);
    }
    let inode = offsets.offset(Field::NetInode)?;
    asm.probe(Helper::Copy, RECORD + at::NET, 4, (R1, inode));
    Some(())
}

/// Who has it open, and in which network namespace that one lives.
fn write_task(asm: &mut Assembler, offsets: &Offsets, base: usize) -> Option<()> {
    let field = |field| offsets.offset(field);
    asm.follow(R1, R6, field(Field::TaskNsproxy)?);
    asm.follow(R1, R1, field(Field::ProxyNet)?);
    let inode = (R1, field(Field::NetInode)?);
    asm.copy(Width::Word, inode, RECORD + at::OWN_NET, R2);
    // The difference of the ids: 0 for the first thread alone.
    asm.push(Instruction::load_word(R1, R6, field(Field::TaskPid)?));
    asm.push(Instruction::load_word(R2, R6, field(Field::TaskTgid)?));
    asm.push(Instruction::subtract(R1, R2));
    let to = RECORD + at::IS_THREAD;
    asm.push(Instruction::store(Width::Word, R10, to, R1));
    if base == 0 {
        let pid = (R6, field(Field::TaskPid)?);
        asm.copy(Width::Word, pid, RECORD + at::TID, R2);
        return Some(());
    }
    let size = field(Field::UpidSize)?;
    let place = size
        .checked_mul(i16::try_from(base).ok()?)?
        .checked_add(field(Field::PidNumbers)?)?
        .checked_add(field(Field::UpidNumber)?)?;
    asm.follow(R6, R6, field(Field::TaskThreadPid)?);
    asm.probe(Helper::Copy, RECORD + at::TID, 4, (R6, place));
    Some(())
}
