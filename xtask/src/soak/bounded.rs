//! Commands that may not take forever.

use std::fs;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::exec;
use crate::failure::{Failure, Outcome};

/// A command that takes longer hangs: hundreds of times what the slowest takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a command; one that hangs is ended, and named with what the kernel says it waits for.
///
/// # Errors
/// It cannot be started, does not exit with 0, or hangs.
pub(super) fn within(command: &mut Command) -> Outcome {
    bounded(command, DEADLINE)
}

fn bounded(command: &mut Command, deadline: Duration) -> Outcome {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| exec::cannot_start(command, &error))?;
    let status = end_of(&mut child, command, deadline)?;
    if status.success() {
        return Ok(());
    }
    let shown = exec::shown(command);
    let said = last_words(&mut child);
    Err(Failure::new(format!(
        "\"{shown}\" ended with {status}: {said}"
    )))
}

/// Runs a command and keeps what it prints, in memory: whoever it leaves behind with its streams
/// open holds up nobody.
///
/// # Errors
/// It cannot be started, or hangs.
pub(crate) fn output(command: &mut Command, deadline: Duration) -> Outcome<Output> {
    let broken = |error| Failure::new(format!("cannot keep what a command prints: {error}"));
    let stream = || -> std::io::Result<_> {
        let fd = memfd_create("output", MemfdFlags::CLOEXEC)?;
        let file = fs::File::from(fd);
        Ok((file.try_clone()?, file))
    };
    let (mut out, theirs) = stream().map_err(broken)?;
    let (mut err, theirs_too) = stream().map_err(broken)?;
    let streams = command.stdin(Stdio::null()).stdout(theirs);
    let mut child = streams
        .stderr(theirs_too)
        .spawn()
        .map_err(|error| exec::cannot_start(command, &error))?;
    let status = end_of(&mut child, command, deadline)?;
    let read = |file: &mut fs::File| -> std::io::Result<_> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Ok(Output {
        status,
        stdout: read(&mut out).map_err(broken)?,
        stderr: read(&mut err).map_err(broken)?,
    })
}

/// Waits for the end of a command; one that hangs is ended.
fn end_of(child: &mut Child, command: &Command, deadline: Duration) -> Outcome<ExitStatus> {
    let shown = exec::shown(command);
    let broken = |error| Failure::new(format!("cannot wait for \"{shown}\": {error}"));
    if !ends_within(child, deadline)? {
        let waits = waits_of(child.id());
        child
            .kill()
            .and_then(|()| child.wait().map(drop))
            .map_err(broken)?;
        return Err(Failure::new(format!(
            "\"{shown}\" hangs: it was not done after {} s{waits}",
            deadline.as_secs_f64()
        )));
    }
    child.wait().map_err(broken)
}

/// Waits by pidfd, since asking again and again would slow the others of a crowd down.
fn ends_within(child: &Child, deadline: Duration) -> Outcome<bool> {
    let broken = |error| Failure::new(format!("cannot watch PID {}: {error}", child.id()));
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| Failure::new("a child has no PID"))?;
    let watch = pidfd_open(pid, PidfdFlags::empty()).map_err(broken)?;
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left)
            .map_err(|error| Failure::new(format!("a deadline is too far away: {error}")))?;
        let mut fds = [PollFd::new(&watch, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(broken(error)),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}

/// What a program that failed has written. Nothing is read from one that left a process with its
/// standard error open before that one's end, so failures only.
fn last_words(child: &mut Child) -> String {
    let mut said = Vec::new();
    let Some(errors) = child.stderr.take() else {
        return String::new();
    };
    if let Err(error) = errors.take(64 * 1024).read_to_end(&mut said) {
        return format!("its messages cannot be read: {error}");
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// A line for the process and each of its children: name, state, and where in the kernel it waits.
fn waits_of(pid: u32) -> String {
    let read = |pid: &str, file: &str| {
        fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|error| error.to_string())
    };
    let first = pid.to_string();
    let children = read(&first, &format!("task/{first}/children"));
    let line = |pid: &str| {
        let status = read(pid, "status");
        let field = |name| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map_or("?", str::trim)
        };
        let (name, state, at) = (field("Name:"), field("State:"), read(pid, "wchan"));
        format!("\n  PID {pid} {name}, state {state}, waits in {at}")
    };
    [first.as_str()]
        .into_iter()
        .chain(children.split_whitespace())
        .map(line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_ended_and_named() {
        let mut command = Command::new("sleep");
        let begun = Instant::now();
        let failure = bounded(command.arg("1000"), Duration::from_millis(100)).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(30));
        let text = failure.to_string();
        assert!(text.contains("\"sleep 1000\" hangs"), "{text}");
        assert!(text.contains(" sleep, state S"), "{text}");
    }

    #[test]
    fn a_command_that_fails_has_its_last_words() {
        let shell = |text: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", text]);
            within(&mut command)
        };
        shell("exit 0").unwrap();
        let text = shell("echo why >&2; exit 3").unwrap_err().to_string();
        assert!(text.ends_with("ended with exit status: 3: why"), "{text}");
    }
}
