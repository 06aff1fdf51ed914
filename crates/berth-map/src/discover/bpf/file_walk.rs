//! The part of the task program that looks through what a task has open. Pure.
//!
//! The kernel's own iterator over open files takes a reference on each and gives it back: 22 ms for
//! 10,000 processes with five descriptors each, most of which are of no interest. Walking the table
//! within the pass over tasks takes about half (bpf_loop, 5.17; before that `file_program` is used).
//!
//! Tables and files stay in memory while the program runs, which it does within RCU, but a file may
//! be closed and its memory be given to another one. So a record is written only if the task still
//! has the same table, and the table the same file, after all of it was read.
//!
//! The function that bpf_loop calls looks at one bit of the table's bitmap at a time. Its registers:
//! 6 the context, 7 the descriptor's number, later the output, 8 the file, 9 its inode.

use berth_base::NamespaceId;
use berth_sys::bpf::{Condition, Instruction, Register, Width};

use super::assembler::{Assembler, Helper, Label};
use super::file_program::{self, FRAME, RECORD, SCRATCH};
use super::file_record::at;
use super::offsets::{Field, Offsets};

use Register::{R0, R1, R2, R3, R6, R7, R8, R9, R10};

/// What the function is given, in bytes from its start; 64 bits where nothing else is said.
mod context {
    /// The same for all files of a task: 32 bits each, in the order of the record.
    pub(super) const TASK_WORDS: i16 = 0;
    /// The output.
    pub(super) const OUTPUT: i16 = 16;
    pub(super) const TASK: i16 = 24;
    /// Its `struct files_struct`.
    pub(super) const FILES: i16 = 32;
    /// Address of the pointers to files.
    pub(super) const POINTERS: i16 = 40;
    /// Address of the next word of the bitmap.
    pub(super) const OPEN: i16 = 48;
    /// What is left of the last word, shifted.
    pub(super) const LEFT: i16 = 56;
    /// The descriptor that its lowest bit stands for.
    pub(super) const NEXT: i16 = 64;
    /// The descriptor that the next word begins with.
    pub(super) const BASE: i16 = 72;
    /// How many descriptors the table has room for.
    pub(super) const SIZE: i16 = 80;
    /// Its length.
    pub(super) const END: i16 = 88;
}

/// Bytes of stack that [`call`] needs.
pub(super) const CONTEXT: i16 = context::END;

/// PROC_PID_INIT_INO of the kernel: the inode number of its first PID namespace.
const FIRST_PID_NAMESPACE: u64 = 0xeffffffc;

/// Whether this kernel can, for a reader in this PID namespace: in the first one a task's id is
/// the one that the reader counts by.
pub(super) fn is_possible(offsets: &Offsets, own: NamespaceId) -> bool {
    own.inode == FIRST_PID_NAMESPACE && offsets.value(Field::Loop).is_some()
}

/// Looks through what the task in register 6 has open, and goes to `end` afterwards or where there
/// is nothing; register 7 is the output. The context lies at `place` on the stack, which other
/// things may have used before. Registers 0 to 5, 8 and 9 are lost.
pub(super) fn call(
    asm: &mut Assembler,
    offsets: &Offsets,
    (place, function, end): (i16, Label, Label),
) -> Option<()> {
    let field = |field| offsets.offset(field);
    let own = asm.label();
    asm.follow(R9, R6, field(Field::TaskFiles)?);
    asm.jump(Instruction::jump_double(Condition::Equal, R9, 0, 0), end);
    asm.follow(R1, R6, field(Field::TaskLeader)?);
    asm.jump(Instruction::jump_register(Condition::Equal, R1, R6, 0), own);
    // A thread that shares its process's is not told apart from it.
    asm.follow(R1, R1, field(Field::TaskFiles)?);
    asm.jump(Instruction::jump_register(Condition::Equal, R1, R9, 0), end);
    asm.place(own);
    let double = |asm: &mut Assembler, to, from| {
        asm.push(Instruction::store(Width::Double, R10, place + to, from));
    };
    double(asm, context::FILES, R9);
    double(asm, context::TASK, R6);
    double(asm, context::OUTPUT, R7);
    asm.follow(R8, R9, field(Field::FilesTable)?);
    for (from, to) in [
        (Field::TableFiles, context::POINTERS),
        (Field::TableOpen, context::OPEN),
    ] {
        asm.follow(R1, R8, field(from)?);
        double(asm, to, R1);
    }
    let size = Instruction::load_word(R1, R8, field(Field::TableSize)?);
    asm.push(size);
    double(asm, context::SIZE, R1);
    // A zero that the verifier does not know to be one: before 6.7 it looks at the function once,
    // with what is on the stack at first, and takes out what is dead code then.
    asm.push(Instruction::subtract(R1, R1));
    for to in [context::LEFT, context::NEXT, context::BASE] {
        double(asm, to, R1);
    }
    file_program::write_task(asm, offsets, 0, place + context::TASK_WORDS - at::TID)?;
    // Once for each bit, once for each word, and once to see the end.
    asm.follow(R1, R10, place + context::SIZE);
    asm.push(Instruction::move_register(R2, R1));
    asm.push(Instruction::shift_right(R2, 6));
    asm.push(Instruction::add(R1, R2));
    asm.push(Instruction::add_constant(R1, 1));
    asm.repeat(function, place);
    Some(())
}

/// The function: one call for each bit of the bitmap, and for each word of it.
pub(super) fn function(asm: &mut Assembler, offsets: &Offsets, label: Label) -> Option<()> {
    let (bit, more, stop, done) = (asm.label(), asm.label(), asm.label(), asm.label());
    asm.place(label);
    asm.push(Instruction::move_register(R6, R2));
    asm.follow(R1, R6, context::LEFT);
    asm.jump(Instruction::jump_double(Condition::NotEqual, R1, 0, 0), bit);
    asm.follow(R7, R6, context::BASE);
    asm.follow(R2, R6, context::SIZE);
    asm.jump(Instruction::jump_register(Condition::Less, R7, R2, 0), more);
    asm.jump(Instruction::jump_always(0), stop);
    asm.place(more);
    next_word(asm);
    asm.jump(Instruction::jump_always(0), done);
    asm.place(bit);
    next_bit(asm, done);
    file(asm, offsets, done)?;
    asm.place(done);
    asm.push(Instruction::move_constant(R0, 0));
    asm.push(Instruction::exit());
    asm.place(stop);
    asm.push(Instruction::move_constant(R0, 1));
    asm.push(Instruction::exit());
    Some(())
}

fn store(asm: &mut Assembler, to: i16, from: Register) {
    asm.push(Instruction::store(Width::Double, R6, to, from));
}

/// Loads the next word of the bitmap; register 7 is the descriptor that it begins with.
fn next_word(asm: &mut Assembler) {
    store(asm, context::NEXT, R7);
    asm.push(Instruction::add_constant(R7, 64));
    store(asm, context::BASE, R7);
    asm.follow(R3, R6, context::OPEN);
    asm.push(Instruction::move_register(R1, R3));
    asm.push(Instruction::add_constant(R1, 8));
    store(asm, context::OPEN, R1);
    asm.probe(Helper::Copy, SCRATCH, 8, (R3, 0));
    asm.follow(R1, R10, SCRATCH);
    store(asm, context::LEFT, R1);
}

/// Takes a bit off what is left of the word in register 1, and leaves where it is not set; register
/// 7 is the descriptor that it stands for.
fn next_bit(asm: &mut Assembler, done: Label) {
    asm.follow(R7, R6, context::NEXT);
    asm.push(Instruction::move_register(R2, R7));
    asm.push(Instruction::add_constant(R2, 1));
    store(asm, context::NEXT, R2);
    asm.push(Instruction::move_register(R2, R1));
    asm.push(Instruction::shift_right(R2, 1));
    store(asm, context::LEFT, R2);
    asm.push(Instruction::and_constant(R1, 1));
    let is_closed = Instruction::jump_double(Condition::Equal, R1, 0, 0);
    asm.jump(is_closed, done);
}

/// Writes a record when the descriptor in register 7 is one of a namespace or a socket.
fn file(asm: &mut Assembler, offsets: &Offsets, done: Label) -> Option<()> {
    let out = asm.label();
    load_file(asm);
    asm.follow(R8, R10, SCRATCH);
    let is_null = Instruction::jump_double(Condition::Equal, R8, 0, 0);
    asm.jump(is_null, done);
    asm.cast(offsets, R8, Field::File)?;
    file_program::zero(asm);
    asm.push(Instruction::store(Width::Word, R10, RECORD + at::FD, R7));
    file_program::write_target(asm, offsets, (out, done))?;
    asm.place(out);
    // Is it still what the task has open?
    asm.follow(R1, R6, context::TASK);
    let files = offsets.offset(Field::TaskFiles)?;
    asm.probe(Helper::Copy, SCRATCH, 8, (R1, files));
    asm.follow(R1, R10, SCRATCH);
    asm.follow(R2, R6, context::FILES);
    let other = Instruction::jump_register(Condition::NotEqual, R1, R2, 0);
    asm.jump(other, done);
    load_file(asm);
    asm.follow(R1, R10, SCRATCH);
    let other = Instruction::jump_register(Condition::NotEqual, R1, R8, 0);
    asm.jump(other, done);
    for to in [at::TID, at::OWN_NET, at::IS_THREAD] {
        let from = (R6, context::TASK_WORDS + to - at::TID);
        asm.copy(Width::Word, from, RECORD + to, R2);
    }
    asm.follow(R7, R6, context::OUTPUT);
    asm.push(Instruction::move_constant(R3, i32::from(at::END)));
    asm.write(R7, RECORD);
    Some(())
}

/// Copies the pointer to the file with the descriptor in register 7.
fn load_file(asm: &mut Assembler) {
    asm.push(Instruction::move_register(R3, R7));
    asm.push(Instruction::shift_left(R3, 3));
    asm.follow(R1, R6, context::POINTERS);
    asm.push(Instruction::add(R3, R1));
    asm.probe(Helper::Copy, SCRATCH, 8, (R3, 0));
}

/// Both frames together may take 512 bytes, each rounded up to 32.
const _: () = assert!(FRAME <= 64);

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::TcpListener;

    use berth_base::NamespaceKind;

    use super::super::file_record::OpenFile;
    use super::super::files::read_files;
    use super::super::tasks::testing::{Prepared, prepare, read_open};
    use super::*;

    /// What this process and its threads have open, by both ways, with offsets that the running
    /// kernel or an older one has.
    fn both(prepared: &Prepared, offsets: &Offsets) -> [Vec<OpenFile>; 2] {
        let tids: Vec<u32> = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        [
            read_open(prepared, offsets).unwrap(),
            read_files(offsets, 0).unwrap(),
        ]
        .map(|mut all| {
            all.retain(|file| tids.contains(&file.pid.get()));
            all.sort_by_key(|file| (file.pid, file.fd));
            all
        })
    }

    #[test]
    fn the_walk_finds_what_the_iterator_over_files_finds() {
        let Some(prepared) = prepare() else {
            return;
        };
        if !is_possible(&prepared.offsets, prepared.own) {
            berth_testkit::skip("no bpf_loop, or not the first PID namespace");
            return;
        }
        let open = |kind: NamespaceKind| File::open(format!("/proc/self/ns/{}", kind.as_str()));
        let spaces: Vec<File> = NamespaceKind::ALL.map(|k| open(k).unwrap()).into();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        // Far into the table, with holes before: words of the bitmap that are empty, and full ones.
        let full: Vec<File> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
        let far = rustix::io::fcntl_dupfd_cloexec(&spaces[0], 900).unwrap();
        drop(full);
        // Threads that share the table are not told apart from their process.
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv().unwrap_err());
        let no_cast = prepared.offsets.with(Field::Cast, None);
        let untyped = prepared.offsets.with(Field::NamespaceType, None);
        for offsets in [&prepared.offsets, &no_cast, &untyped] {
            if offsets.value(Field::NamespaceType).is_none()
                && offsets.value(Field::OperationsType).is_none()
            {
                continue;
            }
            let [walked, iterated] = both(&prepared, offsets);
            assert_eq!(walked, iterated);
            let own = walked.iter().filter(|f| f.pid.get() == std::process::id());
            assert!(
                own.clone().count() >= NamespaceKind::ALL.len() + 2,
                "{walked:#?}"
            );
            assert!(own.clone().any(|f| f.fd >= 900), "{walked:#?}");
            assert!(!walked.iter().any(|f| f.is_thread), "{walked:#?}");
        }
        drop((stop, socket, far));
        thread.join().unwrap();
    }
}
