//! The test runner, with its closing line kept for the end.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::skips;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::setup::Runner;

/// Runs every test of the workspace; the runner's summary is the last thing printed.
///
/// # Errors
/// A test fails, or was skipped for a reason that nobody expects.
pub(super) fn run(runner: Runner, skip_file: &Path) -> Outcome {
    let mut command = match runner {
        Runner::Nextest => nextest(),
        Runner::CargoTest => cargo_test(),
    };
    command.env(skips::VARIABLE, skip_file);
    exec::announce(&exec::shown(&command));
    let (passed, closing) = stream(&mut command, runner)?;
    let skipped_as_expected = skips::report(skip_file);
    print!("{closing}");
    if !passed {
        return Err(Failure::new("tests failed"));
    }
    skipped_as_expected
}

/// A process for each test: what a test forks or unshares cannot reach another.
fn nextest() -> Command {
    let mut cargo = exec::cargo();
    cargo.args([
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--profile",
        "ci",
    ]);
    cargo
}

/// One test after the other and on the main thread, which is as near as it gets to the above.
fn cargo_test() -> Command {
    let mut cargo = exec::cargo();
    cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    cargo.args(["--", "--test-threads=1"]);
    cargo
}

/// Passes the runner's output on while it comes, but for its closing part, which is returned.
fn stream(command: &mut Command, runner: Runner) -> Outcome<(bool, String)> {
    // nextest reports on standard error, cargo test on standard output.
    match runner {
        Runner::Nextest => command.stderr(Stdio::piped()),
        Runner::CargoTest => command.stdout(Stdio::piped()),
    };
    let mut child = command
        .spawn()
        .map_err(|error| exec::cannot_start(command, &error))?;
    let report: Option<Box<dyn Read>> = match runner {
        Runner::Nextest => child
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read>),
        Runner::CargoTest => child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read>),
    };
    let mut held = Held::default();
    if let Some(report) = report {
        for line in BufReader::new(report).split(b'\n') {
            let line = line.map_err(|error| {
                Failure::new(format!("cannot read what the test runner says: {error}"))
            })?;
            print!("{}", held.take(&String::from_utf8_lossy(&line)));
        }
    }
    let status = child
        .wait()
        .map_err(|error| exec::cannot_start(command, &error))?;
    Ok((status.success(), held.text))
}

/// The lines from the newest summary on.
#[derive(Default)]
struct Held {
    text: String,
}

impl Held {
    /// Takes a line in and gives out what is certain not to be the closing part.
    fn take(&mut self, line: &str) -> String {
        let mut out = String::new();
        if is_summary(line) {
            out = std::mem::take(&mut self.text);
        } else if self.text.is_empty() {
            return format!("{line}\n");
        }
        self.text.push_str(line);
        self.text.push('\n');
        out
    }
}

fn is_summary(line: &str) -> bool {
    line.starts_with("test result:") || (line.contains("Summary") && line.contains(" tests run:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_summary_is_held_back_with_what_follows_it() {
        let mut held = Held::default();
        let mut out = String::new();
        for line in [
            "ok",
            "test result: ok. 1 passed",
            "",
            "running",
            "test result: ok. 2 passed",
        ] {
            out.push_str(&held.take(line));
        }
        assert_eq!(out, "ok\ntest result: ok. 1 passed\n\nrunning\n");
        assert_eq!(held.text, "test result: ok. 2 passed\n");
    }
}
