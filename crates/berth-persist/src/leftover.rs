//! Temporary files of writers that are no more.

use std::io;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

use crate::{At, Op, Point, perform};

/// Removes the temporary files in `dir` whose writers have ended, and answers how many there were.
///
/// They are those of [`replace`](crate::replace) and [`write_new`](crate::write_new),
/// `.NAME.PID.N`, and the runtime's, `NAME.PID.tmp`. A folder that is gone has none. A PID that
/// belongs to another process by now keeps its file until a later sweep: it is in nobody's way.
pub fn sweep_temporaries(point: Point, dir: &Path) -> io::Result<usize> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(e),
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(writer) = name.to_str().and_then(writer_of) else {
            continue;
        };
        if is_alive(writer) || !entry.file_type()?.is_file() {
            continue;
        }
        match perform(point, Op::Unlink(At::path(&entry.path()))) {
            Ok(()) => removed += 1,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(removed)
}

/// The PID in the name of a temporary file.
fn writer_of(name: &str) -> Option<i32> {
    let pid = match name.strip_suffix(".tmp") {
        Some(of_runtime) => of_runtime.rsplit_once('.')?.1,
        None => {
            let (rest, count) = name.strip_prefix('.')?.rsplit_once('.')?;
            count.parse::<u64>().ok()?;
            rest.rsplit_once('.')?.1
        }
    };
    pid.parse().ok()
}

/// Whether a process has this PID and can still write: only ESRCH says no, and a zombie, which may
/// wait for its parent for long.
fn is_alive(pid: i32) -> bool {
    let Some(id) = Pid::from_raw(pid) else {
        return false;
    };
    test_kill_process(id) != Err(rustix::io::Errno::SRCH) && !is_zombie(pid)
}

/// Whether it has ended and its parent has not asked how (proc_pid_stat(5), the third field).
fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it is in parentheses and may hold any.
    let end = stat.iter().rposition(|byte| *byte == b')');
    let state = end.and_then(|end| stat.get(end + 2));
    matches!(state, Some(b'Z' | b'X'))
}

#[cfg(test)]
mod tests {
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn files_of_a_zombie_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let file = dir.path().join(format!(".status.json.{}.0", child.id()));
        std::fs::write(&file, "").unwrap();
        // Its end without its status: it stays a zombie.
        let id = rustix::process::Pid::from_child(&child);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(id), options).unwrap();
        assert_eq!(sweep_temporaries("test.sweep", dir.path()).unwrap(), 1);
        assert!(!file.exists());
        child.wait().unwrap();
    }

    #[test]
    fn files_of_the_dead_go_and_all_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (dead, alive) = (child.id(), std::process::id());
        let names = [
            (format!(".status.json.{dead}.0"), false),
            (format!("run.json.{dead}.tmp"), false),
            (format!(".status.json.{alive}.0"), true),
            (format!("run.json.{alive}.tmp"), true),
            ("status.json".to_owned(), true),
            (".hidden".to_owned(), true),
            ("1.json".to_owned(), true),
        ];
        for (name, _) in &names {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(sweep_temporaries("test.sweep", dir.path()).unwrap(), 2);
        for (name, stays) in &names {
            assert_eq!(dir.path().join(name).exists(), *stays, "{name}");
        }
        let none = dir.path().join("none");
        assert_eq!(sweep_temporaries("test.sweep", &none).unwrap(), 0);
    }
}
