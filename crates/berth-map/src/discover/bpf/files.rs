//! Descriptors of namespaces and sockets, in a pass of their own.

use super::file_record::{self, OpenFile};
use super::iterate::{Loaded, Program};
use super::offsets::{Field, Offsets};
use super::{Unavailable, file_program};

/// Reads the descriptors of all tasks of the reader's PID namespace, which is at level `base` of
/// the system. Threads that share them with
/// their process are not told apart from it.
pub(super) fn read_files(offsets: &Offsets, base: usize) -> Result<Vec<OpenFile>, Unavailable> {
    let missing = || Unavailable::Layout {
        why: "the kernel lacks a field of files".to_owned(),
    };
    let target = offsets.value(Field::IterTaskFile);
    let code = file_program::assemble(offsets, base).ok_or_else(missing)?;
    let program = Program {
        name: "berth_files",
        what: "open files",
        target: target.ok_or_else(missing)?,
        code: &code,
        callbacks: &[],
    };
    let mut files = Vec::new();
    Loaded::load(&program)?.run(|buffer| {
        while let Some(record) = file_record::take(buffer) {
            files.extend(record);
        }
    })?;
    Ok(files)
}
