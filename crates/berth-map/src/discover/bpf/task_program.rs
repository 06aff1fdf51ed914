//! The program that the kernel runs for each task: it writes one record. Pure.
//!
//! It follows typed pointers, whose loads the verifier checks against the kernel's type
//! information and which read zero where there is nothing, behind a null pointer too. The task is held by the iterator, its
//! credentials, parent, PIDs and cgroups by RCU, in which the program runs; its namespaces by
//! nothing, so that they are compared before and after.
//!
//! Registers: 6 the task, 7 the output, 8 its `struct pid`, later its `struct kthread`, 9 its
//! `struct nsproxy`.

use berth_base::NamespaceKind;
use berth_sys::bpf::{Condition, Instruction, Register, Width};

use super::assembler::{Assembler, Helper, Label};
use super::file_walk;
use super::offsets::{Field, Offsets};
use super::task_record::{MAX_LEVEL, PF_KTHREAD, PF_WQ_WORKER, at, slot};
use crate::model::WantedThreads;

use Register::{R0, R1, R2, R3, R6, R7, R8, R9, R10};

/// Bytes of the longest record: all levels.
const LONGEST: i16 = at::LEVELS + 8 * (MAX_LEVEL + 1);
/// Where the record begins on the stack.
const RECORD: i16 = -LONGEST;
/// Sixteen bytes below it.
const SCRATCH: i16 = RECORD - 16;

const _: () = assert!(file_walk::CONTEXT <= LONGEST);

/// A namespace in `struct nsproxy`: which, where the pointer is, where its inode and owner are.
const PROXIED: [(NamespaceKind, Field, Field, Field); 6] = [
    (
        NamespaceKind::Cgroup,
        Field::ProxyCgroup,
        Field::CgroupInode,
        Field::CgroupOwner,
    ),
    (
        NamespaceKind::Ipc,
        Field::ProxyIpc,
        Field::IpcInode,
        Field::IpcOwner,
    ),
    (
        NamespaceKind::Mnt,
        Field::ProxyMnt,
        Field::MntInode,
        Field::MntOwner,
    ),
    (
        NamespaceKind::Net,
        Field::ProxyNet,
        Field::NetInode,
        Field::NetOwner,
    ),
    (
        NamespaceKind::Time,
        Field::ProxyTime,
        Field::TimeInode,
        Field::TimeOwner,
    ),
    (
        NamespaceKind::Uts,
        Field::ProxyUts,
        Field::UtsInode,
        Field::UtsOwner,
    ),
];

/// The program.
pub(super) struct Code {
    pub(super) instructions: Vec<Instruction>,
    /// Where functions beyond the first begin.
    pub(super) callbacks: Vec<u32>,
}

/// Whether the program looks through what tasks have open as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// No.
    No,
    /// Yes (see [`file_walk::is_possible`]).
    Yes,
}

/// Assembles the program; `None` when an offset is missing, which the look-up excludes.
pub(super) fn assemble(offsets: &Offsets, threads: WantedThreads, files: Files) -> Option<Code> {
    let mut writer = Writer {
        asm: Assembler::default(),
        offsets,
    };
    writer.whole(threads, files)?;
    Some(Code {
        callbacks: writer.asm.functions()?,
        instructions: writer.asm.finish()?,
    })
}

struct Writer<'o> {
    asm: Assembler,
    offsets: &'o Offsets,
}

impl Writer<'_> {
    fn at(&self, field: Field) -> Option<i16> {
        self.offsets.offset(field)
    }

    fn whole(&mut self, threads: WantedThreads, files: Files) -> Option<()> {
        let (end, written) = (self.asm.label(), self.asm.label());
        // struct bpf_iter__task: meta, task. The last call, for the end, has no task.
        self.asm.follow(R6, R1, 8);
        let no_task = Instruction::jump_double(Condition::Equal, R6, 0, 0);
        self.asm.jump(no_task, end);
        self.asm.follow(R7, R1, 0);
        // struct bpf_iter_meta: seq.
        self.asm.follow(R7, R7, 0);
        self.asm.cast(self.offsets, R6, Field::Task)?;
        self.choose(threads, written)?;
        for place in (RECORD..0).step_by(8) {
            let zero = Instruction::store_constant(Width::Double, R10, place, 0);
            self.asm.push(zero);
        }
        self.task()?;
        self.credentials()?;
        self.cgroups()?;
        self.proxied()?;
        self.levels()?;
        self.write()?;
        self.asm.place(written);
        let walk = self.asm.label();
        if files == Files::Yes {
            // The record is written: its place is free.
            let at = (RECORD, walk, end);
            file_walk::call(&mut self.asm, self.offsets, at)?;
        }
        self.asm.place(end);
        self.asm.push(Instruction::move_constant(R0, 0));
        self.asm.push(Instruction::exit());
        if files == Files::Yes {
            file_walk::function(&mut self.asm, self.offsets, walk)?;
        }
        Some(())
    }

    /// Leaves for tasks that are not wanted.
    fn choose(&mut self, threads: WantedThreads, end: Label) -> Option<()> {
        if threads == WantedThreads::All {
            return Some(());
        }
        let wanted = self.asm.label();
        let (pid, tgid) = (self.at(Field::TaskPid)?, self.at(Field::TaskTgid)?);
        self.asm.push(Instruction::load_word(R1, R6, pid));
        self.asm.push(Instruction::load_word(R2, R6, tgid));
        let is_first = Instruction::jump_register(Condition::Equal, R1, R2, 0);
        self.asm.jump(is_first, wanted);
        if threads == WantedThreads::None {
            self.asm.jump(Instruction::jump_always(0), end);
        } else {
            let (leader, proxy) = (self.at(Field::TaskLeader)?, self.at(Field::TaskNsproxy)?);
            self.asm.follow(R1, R6, leader);
            self.asm.follow(R1, R1, proxy);
            self.asm.follow(R2, R6, proxy);
            let at_home = Instruction::jump_register(Condition::Equal, R1, R2, 0);
            self.asm.jump(at_home, end);
        }
        self.asm.place(wanted);
        Some(())
    }

    /// Copies a field to the record.
    fn copy(&mut self, width: Width, from: Register, field: Field, to: i16) -> Option<()> {
        let offset = self.at(field)?;
        self.asm.copy(width, (from, offset), RECORD + to, R2);
        Some(())
    }

    /// What lies in `struct task_struct` itself.
    fn task(&mut self) -> Option<()> {
        for (field, to) in [
            (Field::TaskFlags, at::FLAGS),
            (Field::TaskPid, at::PID),
            (Field::TaskTgid, at::TGID),
            (Field::TaskState, at::STATE),
            (Field::TaskExitState, at::EXIT_STATE),
        ] {
            self.copy(Width::Word, R6, field, to)?;
        }
        self.copy(Width::Double, R6, Field::TaskStart, at::START)?;
        let comm = self.at(Field::TaskComm)?;
        for half in [0, 8] {
            let to = RECORD + at::COMM + half;
            // By words: what lies at odd offsets cannot be read in eights.
            for four in [0, 4] {
                let from = (R6, comm + half + four);
                self.asm.copy(Width::Word, from, to + four, R2);
            }
        }
        let parent = self.at(Field::TaskParent)?;
        self.asm.follow(R1, R6, parent);
        self.copy(Width::Word, R1, Field::TaskTgid, at::PARENT)?;
        Some(())
    }

    /// Uid and user namespace.
    fn credentials(&mut self) -> Option<()> {
        let user = slot(NamespaceKind::User);
        let (cred, namespace) = (self.at(Field::TaskCred)?, self.at(Field::CredUser)?);
        self.asm.follow(R1, R6, cred);
        self.copy(Width::Word, R1, Field::CredEuid, at::EUID)?;
        self.asm.follow(R1, R1, namespace);
        self.copy(Width::Word, R1, Field::UserInode, at::NAMESPACES + user)?;
        self.copy(Width::Word, R1, Field::UserMaker, at::USER_MAKER)?;
        let parent = self.at(Field::UserParent)?;
        self.asm.follow(R1, R1, parent);
        self.copy(Width::Word, R1, Field::UserInode, at::OWNERS + user)?;
        Some(())
    }

    fn cgroups(&mut self) -> Option<()> {
        let set = self.at(Field::TaskCgroups)?;
        self.asm.follow(R1, R6, set);
        let to = RECORD + at::CGROUPS;
        self.asm
            .push(Instruction::store(Width::Double, R10, to, R1));
        for field in [Field::SetUnified, Field::CgroupNode] {
            let offset = self.at(field)?;
            self.asm.follow(R1, R1, offset);
        }
        self.copy(Width::Double, R1, Field::NodeId, at::CGROUP_ID)?;
        Some(())
    }

    /// The namespaces of `struct nsproxy`. A zombie has none.
    fn proxied(&mut self) -> Option<()> {
        let proxy = self.at(Field::TaskNsproxy)?;
        self.asm.follow(R9, R6, proxy);
        for (kind, pointer, inode, owner) in PROXIED {
            let (namespaces, owners) = (at::NAMESPACES + slot(kind), at::OWNERS + slot(kind));
            // Time namespaces are younger than the rest.
            if self.at(pointer).is_some() {
                self.namespace(pointer, inode, owner, (namespaces, Some(owners)))?;
            }
        }
        self.namespace(
            Field::ProxyPidForChildren,
            Field::PidInode,
            Field::PidOwner,
            (at::PID_FOR_CHILDREN, None),
        )?;
        if self.at(Field::ProxyTimeForChildren).is_some() {
            let to = (at::TIME_FOR_CHILDREN, None);
            let pointer = Field::ProxyTimeForChildren;
            self.namespace(pointer, Field::TimeInode, Field::TimeOwner, to)?;
        }
        // The namespaces may have been left, and freed, meanwhile.
        let same = self.asm.label();
        self.asm.follow(R1, R6, proxy);
        let unchanged = Instruction::jump_register(Condition::Equal, R1, R9, 0);
        self.asm.jump(unchanged, same);
        let raced = RECORD + at::RACED;
        self.asm
            .push(Instruction::store_constant(Width::Word, R10, raced, 1));
        self.asm.place(same);
        Some(())
    }

    /// One namespace of `struct nsproxy`, and who owns it.
    fn namespace(
        &mut self,
        pointer: Field,
        inode: Field,
        owner: Field,
        (to, owner_to): (i16, Option<i16>),
    ) -> Option<()> {
        let pointer = self.at(pointer)?;
        self.asm.follow(R1, R9, pointer);
        self.copy(Width::Word, R1, inode, to)?;
        if let Some(owner_to) = owner_to {
            let owner = self.at(owner)?;
            self.asm.follow(R1, R1, owner);
            self.copy(Width::Word, R1, Field::UserInode, owner_to)?;
        }
        Some(())
    }

    /// PID and PID namespace at every level; a task that was reaped has none.
    fn levels(&mut self) -> Option<()> {
        let done = self.asm.label();
        let thread_pid = self.at(Field::TaskThreadPid)?;
        self.asm.follow(R8, R6, thread_pid);
        self.copy(Width::Word, R8, Field::PidLevel, at::LEVEL)?;
        let typed = self.offsets.value(Field::PidNumbersLength) == Some(0);
        let size = self.at(Field::UpidSize)?;
        let numbers = self.at(Field::PidNumbers)?;
        for level in 0..=MAX_LEVEL {
            if level > 0 {
                let reload = Instruction::load_word(R2, R10, RECORD + at::LEVEL);
                self.asm.push(reload);
                let over = Instruction::jump(Condition::Less, R2, i32::from(level), 0);
                self.asm.jump(over, done);
            }
            let from = numbers.checked_add(size.checked_mul(level)?)?;
            let to = at::LEVELS + 8 * level;
            if typed || level == 0 {
                self.typed_level(from, to)?;
            } else {
                self.untyped_level(from, to)?;
            }
        }
        self.asm.place(done);
        Some(())
    }

    /// One level, by typed pointers.
    fn typed_level(&mut self, from: i16, to: i16) -> Option<()> {
        let number = from.checked_add(self.at(Field::UpidNumber)?)?;
        let namespace = from.checked_add(self.at(Field::UpidNamespace)?)?;
        self.asm.copy(Width::Word, (R8, number), RECORD + to, R2);
        self.asm.follow(R1, R8, namespace);
        self.copy(Width::Word, R1, Field::PidInode, to + 4)?;
        // The last level is the one it lives in.
        let own = RECORD + at::NAMESPACES + slot(NamespaceKind::Pid);
        self.asm.push(Instruction::store(Width::Word, R10, own, R2));
        let owner = self.at(Field::PidOwner)?;
        self.asm.follow(R1, R1, owner);
        let owners = at::OWNERS + slot(NamespaceKind::Pid);
        self.copy(Width::Word, R1, Field::UserInode, owners)
    }

    /// One level beyond the end of the array as kernels before 6.5 declare it, by copies.
    fn untyped_level(&mut self, from: i16, to: i16) -> Option<()> {
        self.probe(SCRATCH, self.at(Field::UpidSize)?, R8, from);
        let number = SCRATCH + self.at(Field::UpidNumber)?;
        self.asm.copy(Width::Word, (R10, number), RECORD + to, R2);
        let namespace = SCRATCH + self.at(Field::UpidNamespace)?;
        self.asm.follow(R1, R10, namespace);
        // Register 3 is what the next copy is given; it is lost by it.
        let own = at::NAMESPACES + slot(NamespaceKind::Pid);
        self.probe(RECORD + own, 4, R1, self.at(Field::PidInode)?);
        let from = (R10, RECORD + own);
        self.asm.copy(Width::Word, from, RECORD + to + 4, R2);
        self.asm.follow(R1, R10, namespace);
        self.probe(SCRATCH, 8, R1, self.at(Field::PidOwner)?);
        self.asm.follow(R1, R10, SCRATCH);
        let owners = RECORD + at::OWNERS + slot(NamespaceKind::Pid);
        self.probe(owners, 4, R1, self.at(Field::UserInode)?);
        Some(())
    }

    fn probe(&mut self, to: i16, length: i16, from: Register, offset: i16) {
        self.asm.probe(Helper::Copy, to, length, (from, offset));
    }

    /// Hands the record out, with its length.
    fn write(&mut self) -> Option<()> {
        let (kernel, out, short) = (self.asm.label(), self.asm.label(), self.asm.label());
        let flags = Instruction::load_word(R2, R10, RECORD + at::FLAGS);
        self.asm.push(flags);
        let is_kernel = Instruction::jump(Condition::CommonBit, R2, bits(PF_KTHREAD), 0);
        self.asm.jump(is_kernel, kernel);
        self.asm
            .push(Instruction::load_word(R3, R10, RECORD + at::LEVEL));
        let limit = i32::from(MAX_LEVEL);
        let fits = Instruction::jump_double(Condition::Less, R3, limit, 0);
        self.asm.jump(fits, short);
        self.asm.push(Instruction::move_constant(R3, limit));
        self.asm.place(short);
        self.asm.push(Instruction::shift_left(R3, 3));
        let head = i32::from(at::LEVELS) + 8;
        self.asm.push(Instruction::add_constant(R3, head));
        self.asm.jump(Instruction::jump_always(0), out);
        self.asm.place(kernel);
        self.kernel_name()?;
        let whole = i32::from(at::KERNEL_END);
        self.asm.push(Instruction::move_constant(R3, whole));
        self.asm.place(out);
        let length = RECORD + at::LENGTH;
        self.asm
            .push(Instruction::store(Width::Word, R10, length, R3));
        self.asm.write(R7, RECORD);
        Some(())
    }

    /// The whole name of a kernel thread, where the kernel keeps one (5.17).
    fn kernel_name(&mut self) -> Option<()> {
        let known = |field| self.offsets.offset(field);
        let (Some(kthread), Some(name)) = (known(Field::TaskKthread), known(Field::KthreadName))
        else {
            return Some(());
        };
        let (done, no_name) = (self.asm.label(), self.asm.label());
        self.asm.follow(R8, R6, kthread);
        self.probe(SCRATCH, 8, R8, name);
        self.asm.follow(R1, R10, SCRATCH);
        let is_null = Instruction::jump_double(Condition::Equal, R1, 0, 0);
        self.asm.jump(is_null, no_name);
        let to = RECORD + at::NAME;
        self.asm.probe(Helper::CopyText, to, 64, (R1, 0));
        self.asm.place(no_name);
        // 24 bytes before 6.9, 32 since.
        let description = known(Field::WorkerDescriptionLength).map_or(0, |length| length.min(32));
        let worker = [
            (Field::WorkerDescription, at::DESCRIPTION, description),
            (Field::WorkerWork, at::WORK, 8),
            (Field::WorkerPool, at::POOL, 8),
        ];
        if let Some(data) = self.at(Field::KthreadData) {
            let flags = Instruction::load_word(R2, R10, RECORD + at::FLAGS);
            self.asm.push(flags);
            self.asm
                .push(Instruction::and_constant(R2, bits(PF_WQ_WORKER)));
            let is_other = Instruction::jump(Condition::Equal, R2, 0, 0);
            self.asm.jump(is_other, done);
            self.probe(SCRATCH, 8, R8, data);
            self.asm.follow(R8, R10, SCRATCH);
            for (field, to, length) in worker {
                if let Some(offset) = self.at(field) {
                    self.probe(RECORD + to, length, R8, offset);
                }
            }
        }
        self.asm.place(done);
        Some(())
    }
}

/// A mask as the constant of an instruction.
fn bits(mask: u32) -> i32 {
    i32::from_ne_bytes(mask.to_ne_bytes())
}
