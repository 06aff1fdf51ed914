//! What is known about the running kernel: may we, and where are its fields.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use rustix::thread::CapabilitySet;

use super::offsets::{NoOffsets, Offsets};
use super::{BTF_FILE, Unavailable, cache};

/// No type information is longer.
const MAX_BTF: u64 = 256 * 1024 * 1024;

/// The offsets of the running kernel, when the caller may use them: those kept in the state
/// folder, or looked up and kept there.
pub(in super::super) fn offsets(state_dir: Option<&Path>) -> Result<Offsets, Unavailable> {
    check_privilege()?;
    let build = fs::read("/sys/kernel/notes").ok();
    let build = build.and_then(|notes| build_id(&notes));
    let place = state_dir.zip(build.as_deref());
    if let Some((folder, build)) = place
        && let Some(offsets) = cache::load(folder, build)
    {
        return Ok(offsets);
    }
    let offsets = look_up()?;
    if let Some((folder, build)) = place {
        // It only saves time: a folder that is missing or read-only is no error.
        cache::store(folder, build, &offsets).ok();
    }
    Ok(offsets)
}

/// Whether the caller could load programs at all, before anything is read for them.
fn check_privilege() -> Result<(), Unavailable> {
    let held = rustix::thread::capabilities(None)
        .map_err(|_| Unavailable::Privilege)?
        .effective;
    let enough = CapabilitySet::BPF | CapabilitySet::PERFMON;
    match held.contains(enough) || held.contains(CapabilitySet::SYS_ADMIN) {
        true => Ok(()),
        false => Err(Unavailable::Privilege),
    }
}

/// Looks the offsets up in the kernel's type information.
fn look_up() -> Result<Offsets, Unavailable> {
    let layout = |why: NoOffsets| Unavailable::Layout {
        why: match why {
            NoOffsets::Damaged(bad) => bad.0.to_owned(),
            NoOffsets::Missing(field) => format!("there is no {field}"),
        },
    };
    let no_btf = |source| Unavailable::NoBtf { source };
    let mut file = File::open(BTF_FILE).map_err(no_btf)?;
    let length = file.metadata().map_err(no_btf)?.len();
    if let Ok(length) = usize::try_from(length)
        && let Ok(mapped) = berth_sys::map_kernel_btf(&file, length)
    {
        return Offsets::look_up(&mapped).map_err(layout);
    }
    let mut data = Vec::new();
    file.by_ref()
        .take(MAX_BTF)
        .read_to_end(&mut data)
        .map_err(no_btf)?;
    Offsets::look_up(&data).map_err(layout)
}

/// The build id among ELF notes (elf(5)), in hexadecimal.
fn build_id(notes: &[u8]) -> Option<String> {
    /// NT_GNU_BUILD_ID of elf.h.
    const BUILD_ID: u32 = 3;
    let mut rest = notes;
    loop {
        let (head, behind) = rest.split_at_checked(12)?;
        let number = |at: usize| Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let padded = |length: u32| usize::try_from(length).ok()?.checked_next_multiple_of(4);
        let (name_length, length) = (number(0)?, number(4)?);
        let (name, behind) = behind.split_at_checked(padded(name_length)?)?;
        let (content, next) = behind.split_at_checked(padded(length)?)?;
        if name == b"GNU\0" && number(8)? == BUILD_ID {
            let id = content.get(..usize::try_from(length).ok()?)?;
            return Some(id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for number in [name.len(), content.len()] {
            note.extend(u32::try_from(number).unwrap().to_ne_bytes());
        }
        note.extend(kind.to_ne_bytes());
        for part in [name, content] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let mut notes = note(b"Xen\0", 3, b"abc");
        notes.extend(note(b"GNU\0", 0x100, &[1]));
        notes.extend(note(b"GNU\0", 3, &[0xab, 0x01, 0xff]));
        assert_eq!(build_id(&notes).as_deref(), Some("ab01ff"));
        for end in 0..notes.len() - 4 {
            assert_eq!(build_id(&notes[..end]), None);
        }
    }
}
