//! Reading a file that should be one: whatever else stands in its place neither holds up who reads
//! nor fills the memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// More than any state file has. Their largest hold an environment and labels, which execve(2) and
/// patience bound to a few MiB.
const MAX_BYTES: usize = 64 << 20;

/// For opening what should be a regular file: a FIFO without a writer does not keep us waiting
/// (fifo(7)), a terminal does not become ours. Regular files do not mind.
pub const NO_WAIT: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// Opens a regular file to read it; of what stands in its place it says that it is none.
///
/// # Errors
/// Those of open(2), and [`io::ErrorKind::InvalidData`] for what is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_any(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(no_file()),
    }
}

/// Opens a folder to sync, lock or list it; what stands in its place is refused at once.
///
/// # Errors
/// Those of open(2), among them [`io::ErrorKind::NotADirectory`].
pub fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Reads a regular file that is replaced as a whole and never appended to: one read(2) for a small
/// one, whose size nobody asks for and whose end nobody tries. A listing reads thousands.
///
/// # Errors
/// Those of open(2) and read(2), and [`io::ErrorKind::InvalidData`] for what is no regular file or
/// 64 MiB and longer, which no state file is.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    const USUAL: usize = 8 << 10;
    let file = open_any(path)?;
    let mut bytes = Vec::with_capacity(USUAL);
    loop {
        if bytes.capacity() == bytes.len() {
            if bytes.len() >= MAX_BYTES {
                return Err(match file.metadata()?.is_file() {
                    true => invalid("it is longer than 64 MiB, as no state file is"),
                    false => no_file(),
                });
            }
            bytes.reserve(bytes.len());
        }
        let room = bytes.capacity() - bytes.len();
        match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)) {
            // Nothing can be read of a FIFO either.
            Ok(0) if bytes.is_empty() && !file.metadata()?.is_file() => return Err(no_file()),
            Ok(read) if read < room => return Ok(bytes),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::ISDIR | Errno::AGAIN) => return Err(no_file()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// As [`read`], for text.
///
/// # Errors
/// Those of [`read`], and [`io::ErrorKind::InvalidData`] for what is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| invalid("it is not UTF-8"))
}

fn open_any(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(NO_WAIT)
        .open(path);
    opened.map_err(|error| match Errno::from_io_error(&error) {
        // A socket, a device without a driver; a link to itself.
        Some(Errno::NXIO | Errno::NODEV | Errno::LOOP) => no_file(),
        _ => error,
    })
}

fn no_file() -> io::Error {
    invalid("it is no regular file")
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn a_file_is_read_whole_whatever_its_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some");
        for length in [0, 1, 8191, 8192, 8193, 16_384, 100_000] {
            let written: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            std::fs::write(&path, &written).unwrap();
            assert_eq!(read(&path).unwrap(), written);
        }
    }

    /// A reader of a FIFO used to wait for a writer for ever, one of a device until the memory was
    /// full.
    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        std::os::unix::fs::symlink("/dev/null", at("null")).unwrap();
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        for name in ["fifo", "socket", "zero", "null", "loop", "folder"] {
            for error in [read(&at(name)).err(), open(&at(name)).err()] {
                let error = error.unwrap();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}: {error}");
                assert_eq!(error.to_string(), "it is no regular file", "{name}");
            }
        }
        assert!(open_folder(&at("folder")).is_ok());
        let error = open_folder(&at("fifo")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        assert_eq!(
            read(&at("none")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some");
        std::fs::write(&path, b"\xff").unwrap();
        let error = read_to_string(&path).unwrap_err();
        assert_eq!(error.to_string(), "it is not UTF-8");
        File::create(&path).unwrap().set_len(100 << 20).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("longer than 64 MiB"), "{error}");
    }
}
