//! What a client asks of a monitor to start an exec session, and the memory file in which a request
//! comes that is longer than a packet.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use berth_base::protocol::{Failure, MAX_EXEC_FILE};
use berth_base::{ErrorClass, SessionId};
use oci_spec::runtime::Process;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use rustix::io::{Errno, pread};
use serde::{Deserialize, Serialize};

use crate::failure;

/// What makes the content of a memory file last, whoever else has it open (fcntl(2), F_ADD_SEALS).
const LASTING: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// The JSON payload of [`berth_base::protocol::EXEC`], or what is in the file of
/// [`berth_base::protocol::EXEC_FILE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecRequest {
    /// What to run: arguments, environment, ids, capabilities, as in the spec.
    pub process: Process,
    /// Nobody reads its output.
    pub detach: bool,
    /// The client sends standard input.
    pub stdin: bool,
    /// Load the container's seccomp filter.
    pub seccomp: bool,
    /// Terminal size: rows, columns; 0 when unknown.
    pub size: (u16, u16),
    /// Whose it is, in the words of who asked; the ids of the process where nobody did.
    #[serde(default)]
    pub user: Option<String>,
    /// Its processes end when the client does. A monitor of protocol version 1 knows nothing of it.
    #[serde(default)]
    pub ends_with_client: bool,
    /// What the session is to be called; a monitor makes an id where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SessionId>,
}

/// Puts a request into a sealed memory file.
pub fn seal(request: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Where sysctl vm.memfd_noexec is 2, no other is made; before Linux 6.3 nobody knows the flag.
    let made = match memfd_create(c"berth-exec", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(c"berth-exec", flags),
        made => made,
    };
    let mut file = File::from(made?);
    file.write_all(request)?;
    fcntl_add_seals(&file, LASTING | SealFlags::SEAL)?;
    Ok(file.into())
}

/// Reads a request out of the file that a client sent.
///
/// Who we are: the monitor, which must neither wait nor die for a client. Only memory files and
/// hugetlbfs have seals at all (EINVAL elsewhere), so no file system of somebody's making is asked;
/// what is sealed keeps its size; and it is read, not mapped.
///
/// # Errors
/// There is no file, it is not sealed, it is empty or too long, or memory is short.
pub(crate) fn unseal(file: Option<OwnedFd>) -> Result<Vec<u8>, Failure> {
    let refused =
        |class, why: &str| failure::engine(class, format!("cannot read the exec request: {why}"));
    let Some(file) = file else {
        let why = "no file came with it; has the monitor too many open?";
        return Err(refused(ErrorClass::Unavailable, why));
    };
    let seals = fcntl_get_seals(&file);
    if !seals.is_ok_and(|seals| seals.contains(LASTING)) {
        let why = "it is in no sealed memory file";
        return Err(refused(ErrorClass::Invalid, why));
    }
    let size = fstat(&file).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
    if size == 0 || size > MAX_EXEC_FILE {
        let why = format!("it has {size} bytes, and may have 1 to {MAX_EXEC_FILE}");
        return Err(refused(ErrorClass::Invalid, &why));
    }
    read_all(file.as_fd(), size).map_err(|errno| {
        let why = failure::describe(errno);
        refused(ErrorClass::Unavailable, &why)
    })
}

/// Reads a file from its beginning, wherever its shared offset stands.
fn read_all(file: impl AsFd, size: u64) -> Result<Vec<u8>, Errno> {
    let size = usize::try_from(size).map_err(|_| Errno::NOMEM)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::NOMEM)?;
    bytes.resize(size, 0);
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match pread(&file, rest, at as u64) {
            Ok(0) => return Err(Errno::IO),
            Ok(read) => at += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{SeekFrom, ftruncate, seek};

    fn memory(seals: SealFlags, size: u64) -> OwnedFd {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create(c"test", flags).unwrap();
        ftruncate(&file, size).unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        file
    }

    fn refusal(file: Option<OwnedFd>) -> String {
        unseal(file).unwrap_err().message
    }

    #[test]
    fn what_was_sealed_is_read_from_its_beginning() {
        let request = b"{}".repeat(100_000);
        let file = seal(&request).unwrap();
        seek(&file, SeekFrom::Start(77)).unwrap();
        assert_eq!(unseal(Some(file)).unwrap(), request);
    }

    #[test]
    fn a_file_that_could_change_is_refused() {
        let not_sealed = "cannot read the exec request: it is in no sealed memory file";
        for seals in [
            SealFlags::empty(),
            SealFlags::GROW | SealFlags::WRITE,
            SealFlags::SHRINK | SealFlags::WRITE,
            SealFlags::SHRINK | SealFlags::GROW,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE,
        ] {
            assert_eq!(refusal(Some(memory(seals, 100))), not_sealed, "{seals:?}");
        }
        let plain = tempfile::tempfile().unwrap();
        plain.set_len(100).unwrap();
        assert_eq!(refusal(Some(plain.into())), not_sealed);
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert_eq!(refusal(Some(read)), not_sealed, "nor is anybody waited for");
    }

    #[test]
    fn its_size_is_bounded() {
        // Holes all of it: nothing is read before the size is known to be good.
        assert!(refusal(Some(memory(LASTING, 1 << 50))).contains("may have 1 to 41943040"));
        assert!(refusal(Some(memory(LASTING, MAX_EXEC_FILE + 1))).contains("41943041 bytes"));
        assert!(refusal(Some(memory(LASTING, 0))).contains("it has 0 bytes"));
        assert!(refusal(None).contains("no file came with it"));
        let most = unseal(Some(memory(LASTING, MAX_EXEC_FILE))).unwrap();
        assert_eq!(most.len() as u64, MAX_EXEC_FILE);
    }
}
