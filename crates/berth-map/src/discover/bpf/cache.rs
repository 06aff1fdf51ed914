//! The offsets of a kernel, kept between runs.
//!
//! Looking them up takes 3 ms, reading them back 0.05. The file lies in the volatile state folder
//! and belongs to one build of the kernel; one that is damaged, of another build or version of
//! this program, or that somebody else could have written, is ignored and replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::offsets::Offsets;

/// Raised when the meaning of a value changes; new and renamed fields show by their names.
const HEAD: &str = "berth-map kernel offsets 1";
/// Below the state folder.
const NAME: &str = "kernel-offsets";
/// No file of ours is longer.
const MAX_FILE: u64 = 64 * 1024;

/// The offsets that were stored for this build of the kernel.
pub(super) fn load(state_dir: &Path, build: &str) -> Option<Offsets> {
    let file = File::open(state_dir.join(NAME)).ok()?;
    let about = file.metadata().ok()?;
    let ours = about.uid() == rustix::process::geteuid().as_raw();
    if !about.is_file() || !ours || about.mode() & 0o022 != 0 {
        return None;
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).ok()?;
    decode(&text, build)
}

/// Stores offsets; a folder that is missing or cannot be written is left alone.
pub(super) fn store(state_dir: &Path, build: &str, offsets: &Offsets) -> io::Result<()> {
    let temporary = state_dir.join(format!("{NAME}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file
        .write_all(encode(offsets, build).as_bytes())
        .and_then(|()| fs::rename(&temporary, state_dir.join(NAME)));
    if written.is_err() {
        // Best effort: it is ours, and the first error is the one to tell.
        drop(fs::remove_file(&temporary));
    }
    written
}

fn encode(offsets: &Offsets, build: &str) -> String {
    let mut text = format!("{HEAD}\nkernel {build}\n");
    for (name, value) in offsets.entries() {
        text.push_str(&format!("{name} {value}\n"));
    }
    let sum = checksum(&text);
    text.push_str(&format!("sum {sum:016x}\n"));
    text
}

fn decode(text: &str, build: &str) -> Option<Offsets> {
    let (body, sum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = text.get(..=body.len())?;
    if sum != format!("sum {:016x}", checksum(body)) {
        return None;
    }
    let mut lines = body.lines();
    let right = lines.next()? == HEAD && lines.next()?.strip_prefix("kernel ")? == build;
    let entries = lines.map_while(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name, value.parse().ok()?))
    });
    right.then(|| Offsets::from_entries(entries)).flatten()
}

/// FNV-1a, against damage, not against malice.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_offsets() -> Offsets {
        let names: Vec<_> = Offsets::names().collect();
        let entries = names.iter().zip(1u32..).map(|(name, value)| (*name, value));
        Offsets::from_entries(entries).unwrap()
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let offsets = some_offsets();
        store(folder.path(), "abc", &offsets).unwrap();
        assert_eq!(load(folder.path(), "abc"), Some(offsets));
        assert_eq!(load(folder.path(), "abd"), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none");
        store(&missing, "abc", &some_offsets()).unwrap_err();
        assert!(!missing.exists());
    }

    #[test]
    fn damage_is_noticed() {
        let text = encode(&some_offsets(), "abc");
        assert!(decode(&text, "abc").is_some());
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            let damaged = String::from_utf8(bytes).unwrap();
            assert_eq!(decode(&damaged, "abc"), None, "{damaged}");
            assert_eq!(decode(&text[..place], "abc"), None);
        }
    }

    #[test]
    fn what_others_could_write_is_ignored() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        store(folder.path(), "abc", &some_offsets()).unwrap();
        let mode = fs::Permissions::from_mode(0o666);
        fs::set_permissions(folder.path().join(NAME), mode).unwrap();
        assert_eq!(load(folder.path(), "abc"), None);
    }
}
