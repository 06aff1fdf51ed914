//! Folders that processes in the background write to.

use std::io::ErrorKind;
use std::path::Path;

use crate::soon;

/// More files than that a process in the background does not make.
const TRIES: u32 = 1000;

/// Removes a folder in which processes that nobody waits for may still be making files: such a file
/// keeps the folder that it appears in, once that was listed. What cannot be removed stays.
pub fn remove_folder(folder: &Path) {
    for _ in 0..TRIES {
        match std::fs::remove_dir_all(folder) {
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => {}
            Ok(()) | Err(_) => return,
        }
    }
}

/// Waits until no process settles the layers of a store: whoever has unpacked one starts such a
/// process, which lives on.
pub fn nobody_settles(root: &Path) {
    soon("the end of who settles layers", || {
        (settlers(root) == 0).then_some(())
    });
}

fn settlers(root: &Path) -> usize {
    let root = root.to_string_lossy();
    let root = root.trim_end_matches('/');
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(root) && line.contains("internal\0settle"))
        .count()
}
