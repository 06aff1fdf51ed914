//! Where the kernel keeps what is read: offsets of members, by the kernel's own type information.
//!
//! A field that moved between kernels has alternatives; the first that exists counts.

use super::btf::{BadBtf, Btf};

/// How a value is found.
#[derive(Clone, Copy)]
enum Find {
    /// The offset of a member: structure and path, alternatives in order.
    Member(&'static [(&'static str, &'static str)]),
    /// The number of elements of an array member.
    Length(&'static str, &'static str),
    /// The size of a structure.
    Size(&'static str),
    /// The id of a function.
    Function(&'static str),
    /// The id of a structure.
    Structure(&'static str),
}

/// Whether there is no map without it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $need:ident $find:expr;)*) => {
        /// What is looked up.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in super::super) enum Field {
            $($(#[$doc])* $name,)*
        }

        const FIELDS: &[(Field, &str, Need, Find)] = &[
            $((Field::$name, stringify!($name), Need::$need, $find),)*
        ];
    };
}

use Find::{Function, Length, Member, Size, Structure};

/// What system calls are called in the kernel.
#[cfg(target_arch = "x86_64")]
const SETNS: &str = "__x64_sys_setns";
#[cfg(target_arch = "x86_64")]
const UNSHARE: &str = "__x64_sys_unshare";
#[cfg(not(target_arch = "x86_64"))]
const SETNS: &str = "__arm64_sys_setns";
#[cfg(not(target_arch = "x86_64"))]
const UNSHARE: &str = "__arm64_sys_unshare";

fields! {
    /// Ids of the iterators' functions, by which programs attach.
    IterTask: Required Function("bpf_iter_task");
    IterTaskFile: Optional Function("bpf_iter_task_file");
    /// 6.2; see `task_program`.
    Cast: Optional Function("bpf_rdonly_cast");
    Task: Required Structure("task_struct");
    File: Optional Structure("file");

    TaskPid: Required Member(&[("task_struct", "pid")]);
    TaskTgid: Required Member(&[("task_struct", "tgid")]);
    TaskLeader: Required Member(&[("task_struct", "group_leader")]);
    TaskParent: Required Member(&[("task_struct", "real_parent")]);
    TaskCred: Required Member(&[("task_struct", "real_cred")]);
    TaskNsproxy: Required Member(&[("task_struct", "nsproxy")]);
    /// 4.19; an array of links before.
    TaskThreadPid: Required Member(&[("task_struct", "thread_pid")]);
    TaskCgroups: Required Member(&[("task_struct", "cgroups")]);
    TaskFlags: Required Member(&[("task_struct", "flags")]);
    /// Renamed in 5.14.
    TaskState: Required Member(&[("task_struct", "__state"), ("task_struct", "state")]);
    TaskExitState: Required Member(&[("task_struct", "exit_state")]);
    /// Renamed in 5.5.
    TaskStart: Required Member(&[("task_struct", "start_boottime"), ("task_struct", "real_start_time")]);
    TaskComm: Required Member(&[("task_struct", "comm")]);
    /// The `struct kthread` of a kernel thread (5.17).
    TaskKthread: Optional Member(&[("task_struct", "worker_private")]);

    CredEuid: Required Member(&[("cred", "euid")]);
    CredUser: Required Member(&[("cred", "user_ns")]);

    ProxyCgroup: Required Member(&[("nsproxy", "cgroup_ns")]);
    ProxyIpc: Required Member(&[("nsproxy", "ipc_ns")]);
    ProxyMnt: Required Member(&[("nsproxy", "mnt_ns")]);
    ProxyNet: Required Member(&[("nsproxy", "net_ns")]);
    /// Renamed in 3.13.
    ProxyPidForChildren: Required Member(&[("nsproxy", "pid_ns_for_children")]);
    /// 5.6.
    ProxyTime: Optional Member(&[("nsproxy", "time_ns")]);
    ProxyTimeForChildren: Optional Member(&[("nsproxy", "time_ns_for_children")]);
    ProxyUts: Required Member(&[("nsproxy", "uts_ns")]);

    CgroupInode: Required Member(&[("cgroup_namespace", "ns.inum")]);
    IpcInode: Required Member(&[("ipc_namespace", "ns.inum")]);
    MntInode: Required Member(&[("mnt_namespace", "ns.inum")]);
    NetInode: Required Member(&[("net", "ns.inum")]);
    PidInode: Required Member(&[("pid_namespace", "ns.inum")]);
    TimeInode: Optional Member(&[("time_namespace", "ns.inum")]);
    UserInode: Required Member(&[("user_namespace", "ns.inum")]);
    UtsInode: Required Member(&[("uts_namespace", "ns.inum")]);

    CgroupOwner: Required Member(&[("cgroup_namespace", "user_ns")]);
    IpcOwner: Required Member(&[("ipc_namespace", "user_ns")]);
    MntOwner: Required Member(&[("mnt_namespace", "user_ns")]);
    NetOwner: Required Member(&[("net", "user_ns")]);
    PidOwner: Required Member(&[("pid_namespace", "user_ns")]);
    TimeOwner: Optional Member(&[("time_namespace", "user_ns")]);
    UserParent: Required Member(&[("user_namespace", "parent")]);
    UserMaker: Required Member(&[("user_namespace", "owner")]);
    UtsOwner: Required Member(&[("uts_namespace", "user_ns")]);

    PidLevel: Required Member(&[("pid", "level")]);
    PidNumbers: Required Member(&[("pid", "numbers")]);
    /// 0 since 6.5: then the verifier knows what lies behind the first element.
    PidNumbersLength: Required Length("pid", "numbers");
    UpidNumber: Required Member(&[("upid", "nr")]);
    UpidNamespace: Required Member(&[("upid", "ns")]);
    UpidSize: Required Size("upid");

    SetUnified: Required Member(&[("css_set", "dfl_cgrp")]);
    CgroupNode: Required Member(&[("cgroup", "kn")]);
    NodeId: Required Member(&[("kernfs_node", "id")]);

    KthreadName: Optional Member(&[("kthread", "full_name")]);
    KthreadData: Optional Member(&[("kthread", "data")]);
    WorkerDescription: Optional Member(&[("worker", "desc")]);
    WorkerDescriptionLength: Optional Length("worker", "desc");
    WorkerWork: Optional Member(&[("worker", "current_work")]);
    WorkerPool: Optional Member(&[("worker", "pool")]);

    FileInode: Optional Member(&[("file", "f_inode")]);
    FilePrivate: Optional Member(&[("file", "private_data")]);
    InodeSuper: Optional Member(&[("inode", "i_sb")]);
    InodeNumber: Optional Member(&[("inode", "i_ino")]);
    InodePrivate: Optional Member(&[("inode", "i_private")]);
    SuperMagic: Optional Member(&[("super_block", "s_magic")]);
    /// 6.18; through the operations before.
    NamespaceType: Optional Member(&[("ns_common", "ns_type")]);
    NamespaceOperations: Optional Member(&[("ns_common", "ops")]);
    OperationsType: Optional Member(&[("proc_ns_operations", "type")]);
    SocketSock: Optional Member(&[("socket", "sk")]);
    SockNet: Optional Member(&[("sock", "__sk_common.skc_net.net")]);

    /// What `discover::events` reads of a process that ends.
    TaskSignal: Optional Member(&[("task_struct", "signal")]);
    TaskExitCode: Optional Member(&[("task_struct", "exit_code")]);
    SignalLive: Optional Member(&[("signal_struct", "live")]);
    SignalFlags: Optional Member(&[("signal_struct", "flags")]);
    SignalExitCode: Optional Member(&[("signal_struct", "group_exit_code")]);
    /// And of system calls: the functions that do them, and the first argument.
    CallSetns: Optional Function(SETNS);
    CallUnshare: Optional Function(UNSHARE);
    RegistersFirst: Optional Member(&[("pt_regs", "di"), ("pt_regs", "orig_x0")]);
}

const COUNT: usize = FIELDS.len();

/// No value: an optional field that this kernel lacks.
const ABSENT: u32 = u32::MAX;

/// The values, one per field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Offsets([u32; COUNT]);

/// Why there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoOffsets {
    /// The type information cannot be read.
    Damaged(BadBtf),
    /// The kernel lacks a field.
    Missing(&'static str),
}

impl Offsets {
    /// Looks everything up.
    pub(super) fn look_up(btf: &[u8]) -> Result<Self, NoOffsets> {
        let names = FIELDS.iter().flat_map(|(_, _, _, find)| match find {
            Member(places) => places.iter().map(|place| place.0).collect(),
            Length(name, _) | Size(name) | Function(name) | Structure(name) => vec![*name],
        });
        let btf = Btf::parse(btf, names).map_err(NoOffsets::Damaged)?;
        let mut values = [ABSENT; COUNT];
        for ((_, name, need, find), value) in FIELDS.iter().zip(&mut values) {
            let found = find_one(&btf, *find);
            if found.is_none() && *need == Need::Required {
                return Err(NoOffsets::Missing(name));
            }
            *value = found.unwrap_or(ABSENT);
        }
        Ok(Self(values))
    }

    /// Takes the values of an earlier look-up, in the order of [`Self::entries`]; `None` when
    /// names or ranges are not those of this version of the program.
    pub(super) fn from_entries<'t>(
        mut entries: impl Iterator<Item = (&'t str, u32)>,
    ) -> Option<Self> {
        let mut values = [ABSENT; COUNT];
        for ((_, name, need, find), value) in FIELDS.iter().zip(&mut values) {
            let (found, number) = entries.next()?;
            let missing = number == ABSENT && *need == Need::Required;
            let outside = number != ABSENT && !is_valid(*find, number);
            if found != *name || missing || outside {
                return None;
            }
            *value = number;
        }
        entries.next().is_none().then_some(Self(values))
    }

    /// The names of all fields.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FIELDS.iter().map(|field| field.1)
    }

    /// Every name with its value.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        Self::names().zip(self.0.iter().copied())
    }

    /// A value, where the kernel has it.
    pub(in super::super) fn value(&self, field: Field) -> Option<u32> {
        let value = self.0.get(field as usize).copied()?;
        (value != ABSENT).then_some(value)
    }

    /// An id as the constant of an instruction, where the kernel has it.
    pub(in super::super) fn id(&self, field: Field) -> Option<i32> {
        i32::try_from(self.value(field)?).ok()
    }

    /// An offset, where the kernel has it.
    pub(in super::super) fn offset(&self, field: Field) -> Option<i16> {
        i16::try_from(self.value(field)?).ok()
    }
}

#[cfg(test)]
impl Offsets {
    /// The offsets of a kernel in which one value is another, or missing.
    pub(in super::super) fn with(&self, field: Field, value: Option<u32>) -> Self {
        let mut changed = self.clone();
        changed.0[field as usize] = value.unwrap_or(ABSENT);
        changed
    }
}

fn find_one(btf: &Btf, find: Find) -> Option<u32> {
    let value = match find {
        Member(places) => places
            .iter()
            .find_map(|(structure, path)| btf.member(structure, path))
            .map(|member| member.offset),
        Length(structure, path) => btf.array_length(btf.member(structure, path)?),
        Size(structure) => btf.size(structure),
        Function(name) => btf.function(name),
        Structure(name) => btf.structure(name),
    }?;
    is_valid(find, value).then_some(value)
}

/// Whether a value fits where it goes: offsets into the 16 signed bits of an instruction.
fn is_valid(find: Find, value: u32) -> bool {
    match find {
        Function(_) | Structure(_) => value != 0 && i32::try_from(value).is_ok(),
        Member(_) | Size(_) => i16::try_from(value).is_ok(),
        Length(..) => value != ABSENT,
    }
}
