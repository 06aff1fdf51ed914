//! The BPF source: all tasks, or all open files, in a few reads.
//!
//! A program is assembled against the offsets that the kernel's own type information gives, loaded
//! and run once over everything (BPF iterators, 5.8). It sees the PID namespace of the caller,
//! needs CAP_BPF and CAP_PERFMON in the initial user namespace, and reads what procfs shows and
//! more: the namespaces of every process, without the permission checks of its links.
//!
//! | Module | Does |
//! |---|---|
//! | `btf`, `offsets`, `cache` | where the kernel keeps what is read |
//! | `assembler`, `task_program`, `file_program` | the programs |
//! | `iterate` | loads and runs them |
//! | `task_record`, `gather`, `settle`, `tasks` | from what they write to processes |
//! | `file_record`, `files` | and to descriptors of namespaces and sockets |
//! | `beside` | hands what came with the processes to the sources of details |

mod assembler;
mod beside;
mod btf;
mod cache;
mod file_program;
mod file_record;
mod files;
mod gather;
mod iterate;
mod kernel;
mod offsets;
mod settle;
mod task_program;
mod task_record;
mod tasks;
mod unavailable;

pub(super) use assembler::{Assembler, Helper, Label};
pub(super) use beside::Beside;
pub(super) use kernel::offsets;
pub(super) use offsets::{Field, Offsets};
pub(super) use tasks::{own_pid_namespace, read_tasks};
pub(super) use unavailable::Unavailable;

/// The kernel's type information.
const BTF_FILE: &str = "/sys/kernel/btf/vmlinux";
