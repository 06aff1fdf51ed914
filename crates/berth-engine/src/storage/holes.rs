//! Writing a file whose long runs of zeros become holes: the archive of a sparse file, which is as long
//! as the file, takes no more of the disk than it does.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write};

use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};

/// What is looked at as one; several blocks of every file system.
const RUN_BYTES: usize = 64 << 10;
static ZEROS: [u8; RUN_BYTES] = [0; RUN_BYTES];

/// Writes at the end of a file.
pub(super) struct HoleWriter<'a> {
    file: &'a File,
    /// It is one that takes holes, and there is nothing behind what is written.
    makes_holes: bool,
    /// The file is shorter than what was written.
    ends_in_hole: bool,
}

impl<'a> HoleWriter<'a> {
    /// Anything that is written to may be given; only regular files get holes.
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file,
            makes_holes: is_at_its_end(file).unwrap_or(false),
            ends_in_hole: false,
        }
    }
}

/// Whether a file has nothing behind its offset, and is not one that is only appended to, where
/// lseek(2) changes nothing.
fn is_at_its_end(mut file: &File) -> io::Result<bool> {
    let stat = fstat(file)?;
    let appends = fcntl_getfl(file)?.contains(OFlags::APPEND);
    let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    Ok(is_regular && !appends && i64::try_from(file.stream_position()?) == Ok(stat.st_size))
}

impl Write for HoleWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let run = bytes.get(..RUN_BYTES).unwrap_or(bytes);
        if !self.makes_holes {
            return self.file.write(bytes);
        }
        if run == ZEROS {
            self.file.seek(SeekFrom::Current(RUN_BYTES as i64))?;
            self.ends_in_hole = true;
            return Ok(RUN_BYTES);
        }
        let written = self.file.write(run)?;
        self.ends_in_hole &= written == 0;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.ends_in_hole {
            let end = self.file.stream_position()?;
            self.file.set_len(end)?;
            self.ends_in_hole = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;

    fn written(mut file: &File, parts: &[&[u8]]) {
        let mut writer = HoleWriter::new(file);
        for part in parts {
            writer.write_all(part).unwrap();
        }
        writer.flush().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
    }

    #[test]
    fn what_is_read_is_what_was_written_and_zeros_take_no_room() {
        let mut file = tempfile::tempfile().unwrap();
        let zeros = vec![0; 8 << 20];
        let parts: [&[u8]; 4] = [b"begin", &zeros, b"end", &zeros];
        written(&file, &parts);
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert!(read == parts.concat());
        assert!(file.metadata().unwrap().blocks() < 1000);
    }

    #[test]
    fn what_has_something_behind_it_or_is_no_file_is_written_in_full() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; 200_000]).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let zeros = vec![0; 150_000];
        written(&file, &[&zeros]);
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert!(read[..150_000] == zeros[..] && read[150_000..].iter().all(|b| *b == b'x'));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appended");
        std::fs::write(&path, b"before").unwrap();
        let appending = File::options().append(true).open(&path).unwrap();
        let mut writer = HoleWriter::new(&appending);
        writer.write_all(&zeros).unwrap();
        writer.flush().unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), 150_006);
    }
}
