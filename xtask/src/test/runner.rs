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

/// Builds every test of the workspace and runs none.
///
/// # Errors
/// The build fails.
pub(super) fn build(runner: Runner) -> Outcome {
    let mut command = match runner {
        Runner::Nextest => nextest(),
        Runner::CargoTest => {
            let mut cargo = exec::cargo();
            cargo.args(["test", "--workspace", "--locked"]);
            cargo
        }
    };
    exec::run(command.arg("--no-run"))
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
    let mut closing = Closing::default();
    if let Some(report) = report {
        for line in BufReader::new(report).split(b'\n') {
            let line = line.map_err(|error| {
                Failure::new(format!("cannot read what the test runner says: {error}"))
            })?;
            print!("{}", closing.take(&String::from_utf8_lossy(&line)));
        }
    }
    let status = child
        .wait()
        .map_err(|error| exec::cannot_start(command, &error))?;
    Ok((status.success(), closing.text()))
}

/// The last words of a run: nextest's summary with what follows it, or the sum of what `cargo
/// test` says of each binary.
#[derive(Default)]
struct Closing {
    held: String,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Closing {
    /// Takes a line in and gives out what does not belong to the end.
    fn take(&mut self, line: &str) -> String {
        let line = format!("{line}\n");
        if let Some(result) = line.strip_prefix("test result:") {
            self.passed += count(result, " passed");
            self.failed += count(result, " failed");
            self.skipped += count(result, " ignored");
        } else if !self.held.is_empty() || is_summary(&line) {
            self.held.push_str(&line);
            return String::new();
        }
        line
    }

    fn text(self) -> String {
        if self.held.is_empty() {
            let Self {
                passed,
                failed,
                skipped,
                ..
            } = self;
            format!("{passed} passed, {failed} failed, {skipped} skipped\n")
        } else {
            self.held
        }
    }
}

fn is_summary(line: &str) -> bool {
    line.contains("Summary") && (line.contains(" tests run:") || line.contains(" test run:"))
}

/// The number before a word, as in "ok. 81 passed; 0 failed".
fn count(result: &str, word: &str) -> usize {
    let before = result.split(word).next().unwrap_or_default();
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(lines: &[&str]) -> (String, String) {
        let mut closing = Closing::default();
        let out = lines.iter().map(|line| closing.take(line)).collect();
        (out, closing.text())
    }

    #[test]
    fn the_summary_of_nextest_is_held_back_with_what_follows_it() {
        let (out, closing) = through(&[
            "PASS a",
            "  Summary [1s] 2 tests run: 1 passed, 1 failed",
            "  FAIL b",
        ]);
        assert_eq!(out, "PASS a\n");
        assert_eq!(
            closing,
            "  Summary [1s] 2 tests run: 1 passed, 1 failed\n  FAIL b\n"
        );
    }

    #[test]
    fn the_results_of_cargo_test_are_added_up() {
        let result = "test result: ok. 81 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out";
        let (out, closing) = through(&[result, "", "test result: FAILED. 3 passed; 1 failed"]);
        assert_eq!(out.lines().count(), 3);
        assert_eq!(closing, "84 passed, 1 failed, 2 skipped\n");
    }
}
