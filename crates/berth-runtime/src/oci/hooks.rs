//! Hooks on the host side: prestart, createRuntime, poststart, poststop; and the preparation of
//! those that init runs.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};

use berth_base::ErrorClass;
use berth_base::protocol::Failure;
use berth_sys::ArgVector;
use oci_spec::runtime::{Hook, Hooks, Spec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::state::{HookState, StateFile, Status};
use super::{Outcome, cannot, fail};
use crate::act::hooks::PreparedHook;

/// A point of the lifecycle at which hooks run on the host side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    Prestart,
    CreateRuntime,
    Poststart,
    Poststop,
}

impl Point {
    /// The field of the spec.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    fn of(self, hooks: &Hooks) -> &Option<Vec<Hook>> {
        match self {
            Self::Prestart => hooks.prestart(),
            Self::CreateRuntime => hooks.create_runtime(),
            Self::Poststart => hooks.poststart(),
            Self::Poststop => hooks.poststop(),
        }
    }
}

/// Runs the hooks of a point in order; stops at the first failure.
pub(crate) fn run(spec: &Spec, point: Point, state: &StateFile, status: Status) -> Outcome {
    for (index, hook) in listed(spec, point) {
        one(hook, state, status).map_err(|why| failed(point.field(), index, hook, &why))?;
    }
    Ok(())
}

/// Runs all hooks of a point, whatever becomes of each, and returns what failed: the rule for
/// poststop, whose failures are warnings.
pub(crate) fn run_all(
    spec: &Spec,
    point: Point,
    state: &StateFile,
    status: Status,
) -> Vec<Failure> {
    let attempt = |(index, hook)| {
        one(hook, state, status)
            .err()
            .map(|why| failed(point.field(), index, hook, &why))
    };
    listed(spec, point).filter_map(attempt).collect()
}

fn listed(spec: &Spec, point: Point) -> impl Iterator<Item = (usize, &Hook)> {
    let hooks = spec.hooks().as_ref().map(|hooks| point.of(hooks));
    hooks
        .into_iter()
        .flat_map(|list| list.iter().flatten())
        .enumerate()
}

/// The failure of a hook, by its place in the spec.
pub(crate) fn failed(field: &str, index: usize, hook: &Hook, why: &str) -> Failure {
    fail(
        ErrorClass::Conflict,
        format!(
            "hooks.{field}[{index}]: the hook {} failed: {why}",
            hook.path().display()
        ),
    )
}

/// Whether a failure is that of a hook.
pub(crate) fn is_hook_failure(failure: &Failure) -> bool {
    failure.message.starts_with("hooks.")
}

fn one(hook: &Hook, state: &StateFile, status: Status) -> Result<(), String> {
    let said = |e: std::io::Error| e.to_string();
    let stdin = serde_json::to_vec(&HookState::new(state, status)).map_err(|e| e.to_string())?;
    let stdin = memory_file("hook-state", &stdin).map_err(said)?;
    let output = memory_file("hook-output", b"").map_err(said)?;
    let args = hook.args().clone().unwrap_or_default();
    // by path: a hook of the spec, which the caller wrote, on the host
    let mut command = Command::new(hook.path());
    if let Some(name) = args.first() {
        command.arg0(name);
    }
    command
        .args(args.iter().skip(1))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(output.try_clone().map_err(said)?))
        .stderr(Stdio::from(output.try_clone().map_err(said)?));
    for variable in hook.env().iter().flatten() {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        command.env(name, value);
    }
    let mut child = command.spawn().map_err(said)?;
    let limit = hook.timeout().filter(|seconds| *seconds > 0);
    let ended = ends_within(child.id(), limit).map_err(|e| e.to_string())?;
    if !ended {
        child.kill().map_err(said)?;
    }
    let status = child.wait().map_err(said)?;
    if ended && status.success() {
        return Ok(());
    }
    let why = if ended {
        in_words(status)
    } else {
        format!("it took longer than {} s", limit.unwrap_or(0))
    };
    Err(with_output(why, output))
}

/// Waits for a child of ours to end; false when the time is over.
fn ends_within(pid: u32, seconds: Option<i64>) -> Result<bool, Errno> {
    let limit = seconds.map(|tv_sec| Timespec { tv_sec, tv_nsec: 0 });
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pidfd = pidfd_open(pid.ok_or(Errno::SRCH)?, PidfdFlags::empty())?;
    loop {
        let mut polled = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        match poll(&mut polled, limit.as_ref()) {
            Err(Errno::INTR) => {}
            other => return other.map(|ready| ready > 0),
        }
    }
}

fn memory_file(name: &str, content: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("signal {signal} ended it"),
        (None, None) => "it ended".to_owned(),
    }
}

/// Adds the last 512 bytes of what a hook said, made safe for a terminal and one line.
fn with_output(why: String, mut output: File) -> String {
    const TAIL: u64 = 512;
    let length = output.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut bytes = Vec::new();
    let read = output
        .seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .and_then(|_| output.read_to_end(&mut bytes));
    match read {
        Ok(1..) => with_text(&why, &bytes),
        _ => why,
    }
}

/// Adds what a hook said to why it failed.
pub(crate) fn with_text(why: &str, said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    match text.trim() {
        "" => why.to_owned(),
        text => format!("{why}; it said: {}", berth_base::escape_untrusted(text)),
    }
}

/// Makes ready the hooks that init runs.
pub(crate) fn for_init(hooks: &Option<Vec<Hook>>) -> Outcome<Vec<PreparedHook>> {
    let text = |s: &str| CString::new(s).map_err(|e| cannot("prepare a hook", e));
    let list = |strings: &[String]| {
        strings
            .iter()
            .map(|s| text(s))
            .collect::<Outcome<Vec<_>>>()
            .map(ArgVector::new)
    };
    hooks
        .iter()
        .flatten()
        .map(|hook| {
            let path = hook.path().to_string_lossy();
            let args = match hook.args().as_deref() {
                None | Some([]) => vec![path.clone().into_owned()],
                Some(args) => args.to_vec(),
            };
            Ok(PreparedHook {
                path: text(&path)?,
                argv: list(&args)?,
                env: list(hook.env().as_deref().unwrap_or_default())?,
                timeout: hook.timeout().filter(|seconds| *seconds > 0),
            })
        })
        .collect()
}
