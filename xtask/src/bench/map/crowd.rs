//! A world of sleepers, and the room that the kernel must have for it.

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use super::read;
use crate::exec;
use crate::failure::{Failure, Outcome};

const PID_MAX: &str = "/proc/sys/kernel/pid_max";

/// KiB that one sleeper takes, most of it in the kernel: measured 87.
const SLEEPER_KIB: usize = 128;
/// KiB that are left to everybody else.
const SPARE_KIB: usize = 1024 * 1024;
/// PIDs that are left to everybody else.
const SPARE_PIDS: usize = 4_000;

/// So many processes in so many PID namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) struct Size {
    pub(in crate::bench) processes: usize,
    pub(in crate::bench) namespaces: usize,
}

impl Size {
    pub(in crate::bench) const fn new(processes: usize, namespaces: usize) -> Self {
        Self {
            processes,
            namespaces,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processes,
            namespaces,
        } = self;
        write!(f, "{processes} processes in {namespaces} PID namespaces")
    }
}

/// The sleepers; they end when this is dropped.
pub(in crate::bench) struct Crowd {
    child: Child,
    _room: PidRoom,
}

impl Crowd {
    /// Starts them and waits until all are there. The inner error says why there is no room.
    ///
    /// # Errors
    /// The program fails.
    pub(in crate::bench) fn gather(program: &Path, size: Size) -> Outcome<Result<Self, String>> {
        let available = available_kib()?;
        let wanted = size.processes * SLEEPER_KIB + SPARE_KIB;
        if available < wanted {
            return Ok(Err(format!(
                "it takes {} MiB of memory, of which {} are free",
                wanted / 1024,
                available / 1024
            )));
        }
        let room = match PidRoom::make(size.processes + SPARE_PIDS)? {
            Ok(room) => room,
            Err(why) => return Ok(Err(why)),
        };
        let mut command = exec::at_root(program);
        command
            // Ctrl-C is for us, who end it.
            .process_group(0)
            .args([size.processes.to_string(), size.namespaces.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        let mut said = String::new();
        if let Some(out) = child.stdout.take()
            && let Err(error) = BufReader::new(out).read_line(&mut said)
        {
            said = error.to_string();
        }
        let crowd = Self { child, _room: room };
        match said.trim_end() {
            "ready" => Ok(Ok(crowd)),
            _ => Err(Failure::new(format!(
                "the crowd of {size} did not gather; see the message above"
            ))),
        }
    }

    /// Ends them all.
    ///
    /// # Errors
    /// They did not end as they should.
    pub(in crate::bench) fn dismiss(mut self) -> Outcome {
        drop(self.child.stdin.take());
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!("the crowd ended with {status}"))),
            Err(error) => Err(Failure::new(format!("cannot wait for the crowd: {error}"))),
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // At the end of its input it ends the sleepers, and then itself.
        drop(self.child.stdin.take());
        if let Err(error) = self.child.wait() {
            eprintln!("xtask: the crowd cannot be waited for: {error}");
        }
    }
}

/// `kernel.pid_max`, raised while this lives.
struct PidRoom {
    before: Option<String>,
}

impl PidRoom {
    /// Makes room for so many PIDs beyond those in use. The inner error says why there is none.
    fn make(wanted: usize) -> Outcome<Result<Self, String>> {
        let before = read(PID_MAX)?;
        let limit: usize = before.trim().parse().unwrap_or(0);
        let wanted = wanted + processes_now()?;
        if wanted <= limit {
            return Ok(Ok(Self { before: None }));
        }
        match fs::write(PID_MAX, wanted.to_string()) {
            Ok(()) => Ok(Ok(Self {
                before: Some(before),
            })),
            Err(error) => Ok(Err(format!(
                "{PID_MAX} is {limit} and cannot be raised to {wanted}: {error}"
            ))),
        }
    }
}

impl Drop for PidRoom {
    fn drop(&mut self) {
        if let Some(before) = &self.before
            && let Err(error) = fs::write(PID_MAX, before)
        {
            eprintln!(
                "xtask: cannot put {PID_MAX} back to {}: {error}",
                before.trim()
            );
        }
    }
}

/// How many processes there are.
fn processes_now() -> Outcome<usize> {
    let folder = Path::new("/proc");
    let entries = fs::read_dir(folder).map_err(|error| Failure::file("list", folder, &error))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .count())
}

/// Memory that can be taken without swapping.
fn available_kib() -> Outcome<usize> {
    let text = read("/proc/meminfo")?;
    text.lines()
        .find_map(|line| {
            let rest = line.strip_prefix("MemAvailable:")?;
            rest.split_whitespace().next()?.parse().ok()
        })
        .ok_or_else(|| Failure::new("/proc/meminfo has no line MemAvailable"))
}
