//! A process whose first thread ends before the others, which no safe Rust can make: a program of
//! 79 bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::lives::all;
use super::*;

/// Clones a thread and ends with exit(2); the thread sleeps for 50 ms and ends everything with
/// exit_group(2) and 9.
const CODE: &[&[u8]] = &[
    // eax = 56: clone(VM | FS | FILES | SIGHAND | THREAD | SYSVSEM, 0, 0, 0, 0); nobody uses the
    // stack.
    b"\xb8\x38\x00\x00\x00\xbf\x00\x0f\x05\x00\x31\xf6\x31\xd2\x45\x31\xd2\x45\x31\xc0\x0f\x05",
    // The thread goes on nine bytes behind this jump.
    b"\x85\xc0\x74\x09",
    // eax = 60: exit(0).
    b"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05",
    // eax = 35: nanosleep(the last sixteen bytes, 0).
    b"\xb8\x23\x00\x00\x00\x48\x8d\x3d\x10\x00\x00\x00\x31\xf6\x0f\x05",
    // eax = 231: exit_group(9).
    b"\xb8\xe7\x00\x00\x00\xbf\x09\x00\x00\x00\x0f\x05",
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x80\xf0\xfa\x02\x00\x00\x00\x00",
];

/// An executable of nothing but this code (elf(5)).
fn executable(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + u64::try_from(code.len()).unwrap();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // ET_EXEC, EM_X86_64, version; entry; program headers; no sections.
    file.extend(b"\x02\x00\x3e\x00\x01\x00\x00\x00");
    for number in [BASE + HEADERS, 64, 0] {
        file.extend(number.to_le_bytes());
    }
    file.extend(b"\x00\x00\x00\x00\x40\x00\x38\x00\x01\x00\x40\x00\x00\x00\x00\x00");
    // PT_LOAD, readable and executable: all of the file.
    file.extend(b"\x01\x00\x00\x00\x05\x00\x00\x00");
    for number in [0, BASE, BASE, size, size, 0x1000] {
        file.extend(number.to_le_bytes());
    }
    file.extend(code);
    file
}

fn write(path: &Path) {
    fs::write(path, executable(&CODE.concat())).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_last_thread_ends_a_process_not_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("headless");
    write(&program);
    for mut watch in all() {
        let mut child = Command::new(&program).spawn().unwrap();
        let pid = pid_of(&child);
        watch.until_end(pid);
        assert_eq!(child.wait().unwrap().code(), Some(9));
        let is_own = |event: &&Event| event.pid == pid;
        let own: Vec<_> = watch.events.iter().filter(is_own).collect();
        let [_, executed, ended] = own[..] else {
            panic!("{:?}: {own:#?}", watch.reader.source());
        };
        assert_eq!(ended.kind, EventKind::Exited(Exit::Code(9)));
        assert!(executed.at.until(ended.at) >= Duration::from_millis(50));
    }
}
