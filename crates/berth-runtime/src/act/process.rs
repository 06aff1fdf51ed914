//! What a process of the spec asks for beside ids and capabilities.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{
    FileType, Gid, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Uid, fchown, fstat, fstatfs,
    makedev, openat2,
};
use rustix::io::Errno;

use super::Context;
use super::path::StackPath;
use crate::plan::{SecurityModule, Step};

pub(super) fn perform(step: &Step, cx: &Context<'_>) -> Result<(), Errno> {
    match step {
        Step::Personality { persona } => berth_sys::set_personality(*persona),
        Step::Scheduler(attributes) => berth_sys::set_scheduler(attributes),
        Step::IoPriority { value } => berth_sys::set_io_priority(*value),
        Step::Affinity { mask } => berth_sys::set_affinity(mask),
        Step::MemoryPolicy { mode, nodes } => berth_sys::set_memory_policy(*mode, nodes),
        Step::ExecLabel { proc, module, text } => exec_label(cx.get(*proc)?, *module, text),
        Step::OwnAllStreams { uid, gid } => own_streams(*uid, *gid),
        _ => Err(Errno::NOSYS),
    }
}

/// Gives the standard streams to the program's user, so that it can reopen them by /dev/stdout:
/// files of any kind, but the null device, which is everybody's. What lies on a read-only file
/// system, or belongs to somebody whom we do not map, stays as it is.
fn own_streams(uid: u32, gid: u32) -> Result<(), Errno> {
    let streams = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    for stream in streams {
        let stat = match fstat(stream) {
            // The caller has closed it.
            Err(Errno::BADF) => continue,
            other => other?,
        };
        let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
        if stat.st_uid == uid || (is_device && stat.st_rdev == makedev(1, 3)) {
            continue;
        }
        match fchown(stream, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes the label of the next program through the host's procfs, which was opened before
/// anything of the container could be in its place (CVE-2019-16884).
fn exec_label(proc: BorrowedFd<'_>, module: SecurityModule, text: &CStr) -> Result<(), Errno> {
    if fstatfs(proc)?.f_type != PROC_SUPER_MAGIC {
        return Err(Errno::NODEV);
    }
    let mut words = StackPath::new();
    let file = match module {
        SecurityModule::SeLinux => open_attribute(proc, c"thread-self/attr/exec")?,
        SecurityModule::AppArmor => {
            words.push(b"exec ")?;
            match open_attribute(proc, c"thread-self/attr/apparmor/exec") {
                // Before Linux 5.8 modules shared one folder.
                Err(Errno::NOENT) => open_attribute(proc, c"thread-self/attr/exec")?,
                other => other?,
            }
        }
    };
    words.push(text.to_bytes())?;
    rustix::io::write(&file, words.as_c_str()?.to_bytes()).map(drop)
}

/// `thread-self` is a plain link within the procfs; nothing may be mounted on the way.
fn open_attribute(proc: BorrowedFd<'_>, path: &CStr) -> Result<std::os::fd::OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    openat2(proc, path, flags, Mode::empty(), resolve)
}
