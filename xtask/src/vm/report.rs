//! What the guest tests said: a subset of the Test Anything Protocol.
//!
//! `ok N name`, `not ok N name`, `ok N name # skip reason`, `# remark`, and the plan `1..N` as the
//! last line, so that a guest that dies on the way is no success.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::failure::{Failure, Outcome};

/// How much of the kernel's own log is shown when something failed.
const CONSOLE_LINES: usize = 60;

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    planned: Option<usize>,
    late: Option<Duration>,
}

impl Report {
    /// Takes in one line.
    pub(super) fn take(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("not ok ") {
            self.failed.push(name.to_owned());
        } else if let Some(name) = line.strip_prefix("ok ") {
            match name.split_once("# skip ") {
                Some((_, reason)) => self.skipped.push(reason.trim().to_owned()),
                None => self.passed += 1,
            }
        } else if let Some(count) = line.strip_prefix("1..") {
            self.planned = count.trim().parse().ok();
        }
    }

    /// Notes that the guest was ended by us.
    pub(super) fn out_of_time(&mut self, deadline: Duration) {
        self.late = Some(deadline);
    }

    /// Prints the sum, and on failure the end of the kernel's log.
    ///
    /// # Errors
    /// A test failed or the guest did not come to its end.
    pub(super) fn conclude(&self, took: Duration, console: &Path) -> Outcome {
        println!(
            "vm: {} passed, {} failed, {} skipped in {:.1} s",
            self.passed,
            self.failed.len(),
            self.skipped.len(),
            took.as_secs_f64()
        );
        let Some(problem) = self.problem() else {
            return Ok(());
        };
        let log = fs::read(console).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        println!("--- the end of {}:", console.display());
        for line in &lines[lines.len().saturating_sub(CONSOLE_LINES)..] {
            println!("{line}");
        }
        println!("---");
        Err(Failure::new(problem))
    }

    /// The reasons of skipped tests.
    pub(super) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    fn problem(&self) -> Option<String> {
        let seen = self.passed + self.failed.len() + self.skipped.len();
        if let Some(deadline) = self.late {
            let seconds = deadline.as_secs();
            return Some(format!(
                "the guest was not done after {seconds} s; {seen} tests had ended"
            ));
        }
        if !self.failed.is_empty() {
            return Some(format!("in the guest failed: {}", self.failed.join(", ")));
        }
        match self.planned {
            None => Some(format!(
                "the guest ended without its plan, after {seen} tests"
            )),
            Some(0) => Some("the guest ran no test; is the name right?".to_owned()),
            Some(count) if count != seen => Some(format!(
                "the guest planned {count} tests and reported {seen}"
            )),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(lines: &[&str]) -> Option<String> {
        let mut report = Report::default();
        lines.iter().for_each(|line| report.take(line));
        report.problem()
    }

    #[test]
    fn success_needs_every_planned_result() {
        assert_eq!(
            problem(&["ok 1 a", "# x", "ok 2 b # skip no bridge", "1..2"]),
            None
        );
        assert!(
            problem(&["ok 1 a", "not ok 2 b", "1..2"])
                .unwrap()
                .contains("2 b")
        );
        assert!(problem(&["ok 1 a"]).unwrap().contains("without its plan"));
        assert!(problem(&["ok 1 a", "1..2"]).unwrap().contains("planned 2"));
        assert!(problem(&["1..0"]).unwrap().contains("ran no test"));
    }
}
