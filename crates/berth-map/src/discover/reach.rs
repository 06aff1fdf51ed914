//! How far a procfs reaches: whether it hides processes, and whose PIDs it shows.

use berth_base::{HostPid, NamespaceId};
use rustix::fs::PROC_SUPER_MAGIC;
use rustix::io::Errno;

use super::ProcRoot;
use super::parse::parse_status;
use super::proc_root::read_file;
use super::threads::find;
use crate::model::Process;

/// The inode number of the PID namespace that the host booted with (PROC_PID_INIT_INO, the same
/// on every host since 3.8; PID_NS_INIT_INO of linux/nsfs.h, 6.18).
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// What keeps a procfs from showing the whole host, one line each.
pub(super) fn limits(
    proc: &ProcRoot,
    namespace: Option<NamespaceId>,
    processes: &[Process],
) -> Vec<String> {
    let mut lines = Vec::new();
    // A fake tree of a test has no limits of the kernel's making.
    let is_real = |stat: rustix::fs::StatFs| stat.f_type == PROC_SUPER_MAGIC;
    if !rustix::fs::fstatfs(proc).is_ok_and(is_real) {
        return lines;
    }
    let path = proc.path().display();
    let has_first = HostPid::new(1).is_some_and(|pid| find(processes, pid).is_some());
    if !has_first && rustix::process::geteuid().is_root() {
        lines.push(format!(
            "{path} does not show PID 1: processes are hidden (hidepid, proc(5)), or the PID namespace has ended"
        ));
    } else if !has_first {
        lines.push(format!(
            "{path} hides the processes of other users (hidepid, proc(5)): they are missing; try again as root"
        ));
    }
    match own_levels(proc) {
        Ok(0 | 1) => {}
        Ok(2) => lines.push(format!(
            "{path} belongs to the PID namespace above our own: PIDs are counted there"
        )),
        Ok(levels) => lines.push(format!(
            "{path} belongs to a PID namespace {} levels above our own: PIDs are counted there",
            levels - 1
        )),
        Err(Errno::NOENT) => lines.push(format!(
            "{path} belongs to another PID namespace, in which we have no PID: PIDs are counted there, and what is told to a process about itself is missing"
        )),
        Err(_) => {}
    }
    if let Some(id) = namespace
        && id.inode != FIRST_PID_NAMESPACE
    {
        lines.push(format!(
            "the map begins at {id}, to which {path} belongs: processes outside of it cannot be seen"
        ));
    }
    lines
}

/// At how many levels, from that of the procfs down, we have a PID.
fn own_levels(proc: &ProcRoot) -> Result<usize, Errno> {
    let mut buffer = Vec::new();
    read_file(proc, c"self/status", &mut buffer)?;
    Ok(parse_status(&buffer).map_or(0, |status| status.pids.len()))
}
