//! Faults on demand, in builds with debug assertions.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `BERTH_FAULT` | `ACTION POINT NTH`: at the NTH time (from 1) that this process passes POINT, ACTION: `kill-before` and `kill-after` the operation (SIGKILL), or `fail=ERRNO` instead of it |
//! | `BERTH_FAULT_NOTE` | a file that is made when that happens, be it in a child that nobody waits for |
//! | `BERTH_FAULT_TRACE` | a file to which each operation is appended, one line of JSON each |
//!
//! A line of the trace is written once the operation is over, and says whether it succeeded:
//! `{"pid":1,"point":"...","op":"rename","path":"/abs","to":"/abs","done":true}`. For an fsync of a
//! file, `to` is a copy of what it held, beside the trace. That is enough to undo whatever was not
//! synced. Children inherit the variables; each counts for itself.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::{At, Op, Point};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    KillBefore,
    KillAfter,
    Fail(i32),
}

#[derive(Debug)]
struct Fault {
    action: Action,
    point: String,
    nth: u64,
}

struct Plan {
    fault: Option<Fault>,
    trace: Option<File>,
    /// How often each point was passed.
    passed: Mutex<HashMap<Point, u64>>,
}

static PLAN: OnceLock<Plan> = OnceLock::new();

fn plan() -> &'static Plan {
    PLAN.get_or_init(|| Plan {
        fault: std::env::var("BERTH_FAULT")
            .ok()
            .and_then(|text| parse(&text)),
        trace: std::env::var_os("BERTH_FAULT_TRACE")
            .and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok()),
        passed: Mutex::new(HashMap::new()),
    })
}

fn parse(text: &str) -> Option<Fault> {
    let mut words = text.split(' ');
    let action = match words.next()? {
        "kill-before" => Action::KillBefore,
        "kill-after" => Action::KillAfter,
        other => Action::Fail(other.strip_prefix("fail=")?.parse().ok()?),
    };
    Some(Fault {
        action,
        point: words.next()?.to_owned(),
        nth: words.next()?.parse().ok()?,
    })
}

/// Called before an operation: dies, or answers the error that it is to fail with.
pub(crate) fn before(point: Point) -> io::Result<()> {
    let plan = plan();
    if plan.fault.is_none() && plan.trace.is_none() {
        return Ok(());
    }
    let nth = {
        let mut passed = plan.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(point).or_insert(0);
        *count += 1;
        *count
    };
    match &plan.fault {
        Some(fault) if fault.point == point && fault.nth == nth => match fault.action {
            Action::KillBefore => die(),
            Action::Fail(errno) => {
                note();
                Err(io::Error::from_raw_os_error(errno))
            }
            Action::KillAfter => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Called after an operation.
pub(crate) fn after(point: Point, op: &Op<'_>, done: bool) {
    let plan = plan();
    trace(plan, point, op, done);
    let Some(fault) = &plan.fault else { return };
    if !done || fault.action != Action::KillAfter || fault.point != point {
        return;
    }
    let passed = plan.passed.lock().unwrap_or_else(PoisonError::into_inner);
    if passed.get(point) == Some(&fault.nth) {
        die();
    }
}

/// Tells whoever asked for the fault that it has come about.
fn note() {
    if let Some(path) = std::env::var_os("BERTH_FAULT_NOTE") {
        drop(File::create(path));
    }
}

fn die() -> ! {
    note();
    let ourselves = rustix::process::getpid();
    let _sent = rustix::process::kill_process(ourselves, rustix::process::Signal::KILL);
    // The signal is on its way.
    loop {
        std::thread::park();
    }
}

/// Appends the operation, in one write: lines of several processes do not mix.
fn trace(plan: &Plan, point: Point, op: &Op<'_>, done: bool) {
    let Some(mut file) = plan.trace.as_ref() else {
        return;
    };
    let pid = std::process::id();
    let (word, from, to) = match op {
        Op::Rename { from, to, replace } => {
            let word = match replace {
                crate::Replace::Exchange => "exchange",
                _ => "rename",
            };
            (word, absolute(*from), Some(absolute(*to)))
        }
        Op::Link { from, to } => ("link", absolute(*from), Some(absolute(*to))),
        Op::Unlink(at) => ("unlink", absolute(*at), None),
        Op::RemoveDir(at) => ("rmdir", absolute(*at), None),
        Op::MakeDir(at, _) => ("mkdir", absolute(*at), None),
        Op::SyncFile(fd) => ("fsync-file", of(*fd), keep(*fd)),
        Op::SyncDir(fd) => ("fsync-dir", of(*fd), None),
        Op::SyncFilesystem(fd) => ("syncfs", of(*fd), None),
    };
    let quote = |path: &PathBuf| format!("{:?}", path.to_string_lossy());
    let to = to
        .as_ref()
        .map_or_else(String::new, |to| format!(",\"to\":{}", quote(to)));
    let line = format!(
        "{{\"pid\":{pid},\"point\":\"{point}\",\"op\":\"{word}\",\"path\":{}{to},\"done\":{done}}}\n",
        quote(&from)
    );
    // A trace that cannot be written ends the experiment, not the program.
    drop(file.write_all(line.as_bytes()));
}

fn absolute(at: At<'_>) -> PathBuf {
    if at.name.is_absolute() {
        at.name.to_owned()
    } else if at.dir.as_raw_fd() < 0 {
        std::env::current_dir().unwrap_or_default().join(at.name)
    } else {
        of(at.dir).join(at.name)
    }
}

/// Copies what a file holds at this moment; the copy's path.
fn keep(fd: BorrowedFd<'_>) -> Option<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut copy = std::env::var_os("BERTH_FAULT_TRACE")?;
    copy.push(format!(".{}.{count}", std::process::id()));
    // by path: procfs, of our own descriptor, which may be open for writing alone
    let from = format!("/proc/self/fd/{}", fd.as_raw_fd());
    std::fs::copy(from, &copy).ok()?;
    Some(PathBuf::from(copy))
}

fn of(fd: BorrowedFd<'_>) -> PathBuf {
    // by path: procfs, of our own descriptor
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_parse() {
        let fault = parse("fail=28 image.blob.publish 2").unwrap();
        assert_eq!(fault.action, Action::Fail(28));
        assert_eq!((fault.point.as_str(), fault.nth), ("image.blob.publish", 2));
        assert!(parse("kill image 1").is_none());
    }
}
