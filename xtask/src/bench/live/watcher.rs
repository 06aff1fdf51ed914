//! The program that watches, as the bench talks to it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use crate::exec;
use crate::failure::{Failure, Outcome};

/// What it says of a stretch of time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) passed: Duration,
    cost: Duration,
    /// Births that were told of.
    pub(super) births: u64,
    pub(super) median: Duration,
    pub(super) p99: Duration,
    pub(super) frames: u64,
    /// By the kernel.
    pub(super) lost: u64,
    /// By the view.
    pub(super) missed: u64,
    memory_kib: u32,
}

impl Sample {
    /// From a line of its output.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = line.split_whitespace().map(|n| n.parse().ok()).collect();
        let [
            passed,
            cost,
            _,
            births,
            median,
            p99,
            frames,
            lost,
            missed,
            kib,
        ] = numbers?[..]
        else {
            return None;
        };
        Some(Self {
            passed: Duration::from_nanos(passed),
            cost: Duration::from_nanos(cost),
            births,
            median: Duration::from_nanos(median),
            p99: Duration::from_nanos(p99),
            frames,
            lost,
            missed,
            memory_kib: u32::try_from(kib).ok()?,
        })
    }

    /// Processor time of one core.
    pub(super) fn percent(&self) -> f64 {
        100.0 * self.cost.as_secs_f64() / self.passed.as_secs_f64()
    }

    pub(super) fn memory_mib(&self) -> f64 {
        f64::from(self.memory_kib) / 1024.0
    }
}

/// The program. It ends with its input, so when this is dropped.
pub(super) struct Watcher {
    child: Child,
    out: BufReader<ChildStdout>,
    /// Where its events come from.
    pub(super) source: String,
}

impl Watcher {
    /// Starts it, and waits until it watches.
    pub(super) fn start(program: &Path, state: &Path) -> Outcome<Self> {
        let mut command = exec::at_root(program);
        command
            .arg(state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let child = command.spawn();
        let mut child = child.map_err(|error| exec::cannot_start(&command, &error))?;
        let Some(out) = child.stdout.take() else {
            return Err(Failure::new("the watching program has no output"));
        };
        let mut watcher = Self {
            child,
            out: BufReader::new(out),
            source: String::new(),
        };
        let line = watcher.line()?;
        match line.trim_end().strip_prefix("ready ") {
            Some(source) => watcher.source = source.to_lowercase(),
            None => return Err(Failure::new("the watching program does not watch")),
        }
        Ok(watcher)
    }

    /// What there was since the last time, with the births of children of this process.
    pub(super) fn ask(&mut self, parent: Option<u32>) -> Outcome<Sample> {
        let word = parent.map_or_else(String::new, |pid| pid.to_string());
        if let Some(input) = &mut self.child.stdin {
            let written = writeln!(input, "{word}");
            written.map_err(|_| Failure::new("the watching program has ended"))?;
        }
        let line = self.line()?;
        Sample::parse(&line)
            .ok_or_else(|| Failure::new(format!("the watching program said \"{}\"", line.trim())))
    }

    /// Ends it.
    pub(super) fn stop(mut self) -> Outcome {
        drop(self.child.stdin.take());
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!(
                "the watching program ended with {status}"
            ))),
            Err(error) => Err(Failure::new(format!(
                "the watching program cannot be waited for: {error}"
            ))),
        }
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        let read = self.out.read_line(&mut line);
        read.map_err(|error| Failure::new(format!("the watching program says nothing: {error}")))?;
        Ok(line)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Whoever wants to know how it ended has called `stop`.
        self.child.wait().ok();
    }
}
