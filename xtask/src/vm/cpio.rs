//! The archive format of an initramfs: "newc" (kernel: Documentation/driver-api/early-userspace/
//! buffer-format.rst). Every number is eight hexadecimal digits, every part padded to four bytes.

use crate::failure::{Failure, Outcome};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive being written.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder.
    ///
    /// # Errors
    /// The archive has grown beyond what its numbers can say.
    pub(super) fn folder(&mut self, name: &str) -> Outcome {
        self.entry(name, FOLDER, &[])
    }

    /// Adds an executable file.
    ///
    /// # Errors
    /// As [`Archive::folder`].
    pub(super) fn program(&mut self, name: &str, content: &[u8]) -> Outcome {
        self.entry(name, PROGRAM, content)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As [`Archive::folder`].
    pub(super) fn link(&mut self, name: &str, target: &str) -> Outcome {
        self.entry(name, LINK, target.as_bytes())
    }

    /// The finished archive.
    ///
    /// # Errors
    /// As [`Archive::folder`].
    pub(super) fn finish(mut self) -> Outcome<Vec<u8>> {
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) -> Outcome {
        let too_long = || Failure::new(format!("{name} is too long for an initramfs"));
        let size = u32::try_from(content.len()).map_err(|_| too_long())?;
        let name_size = u32::try_from(name.len() + 1).map_err(|_| too_long())?;
        self.entries += 1;
        let (user, group, links, time, device, check) = (0, 0, 1, 0, 0, 0);
        let numbers = [
            self.entries,
            mode,
            user,
            group,
            links,
            time,
            size,
            device,
            device,
            device,
            device,
            name_size,
            check,
        ];
        self.bytes.extend_from_slice(b"070701");
        for number in numbers {
            self.bytes
                .extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_aligned_and_counted() {
        let mut archive = Archive::default();
        archive.folder("bin").unwrap();
        archive.program("bin/x", b"12345").unwrap();
        archive.link("bin/y", "x").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("070701").count(), 4);
        assert!(text.starts_with("07070100000001000041ed"), "{text}");
        let nul = "\u{0}";
        let program = format!("bin/x{nul}12345{nul}{nul}{nul}070701");
        assert!(text.contains(&program), "{text}");
        assert!(
            text.trim_end_matches('\0').ends_with("TRAILER!!!"),
            "{text}"
        );
    }
}
