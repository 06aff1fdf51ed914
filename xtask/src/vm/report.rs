//! What a guest's tests said: a subset of the Test Anything Protocol.
//!
//! `ok profile name`, `not ok profile name`, `ok profile name # skip reason|reason`, `# remark`, and
//! the plan `1..N` after each row of the table, so that a guest that dies on the way is no success.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::failure::{Failure, Outcome};

/// How much of the kernel's own log is shown when something failed.
const CONSOLE_LINES: usize = 60;

/// How many failed tests the closing message names; all are in the output above it.
const SHOWN_NAMES: usize = 10;

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
    reasons: Vec<String>,
    plans: Vec<usize>,
    late: Option<Duration>,
}

impl Report {
    /// Takes in one line.
    pub(super) fn take(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("not ok ") {
            self.failed.push(name.to_owned());
        } else if let Some(name) = line.strip_prefix("ok ") {
            match name.split_once(" # skip ") {
                Some((name, reasons)) => self.skip(name, reasons),
                None => self.passed += 1,
            }
        } else if let Some(count) = line.strip_prefix("1..") {
            self.plans.extend(count.trim().parse::<usize>());
        }
    }

    fn skip(&mut self, name: &str, reasons: &str) {
        let profile = name.split(' ').next().unwrap_or_default();
        let reasons = reasons.split('|').map(str::trim);
        self.reasons
            .extend(reasons.map(|reason| format!("vm {profile}: {reason}")));
        self.skipped += 1;
    }

    /// Notes that the guest was ended by us.
    pub(super) fn out_of_time(&mut self, deadline: Duration) {
        self.late = Some(deadline);
    }

    /// How many tests ended.
    pub(super) fn count(&self) -> usize {
        self.passed + self.failed.len() + self.skipped
    }

    /// Prints the sum, and on failure the end of the kernel's log.
    ///
    /// # Errors
    /// A test failed or the guest did not come to the end of its rows.
    pub(super) fn conclude(&self, run: &Run<'_>) -> Outcome {
        println!(
            "vm {}: {} passed, {} failed, {} skipped in {:.1} s",
            run.guest,
            self.passed,
            self.failed.len(),
            self.skipped,
            run.took.as_secs_f64()
        );
        let Some(problem) = self.problem(run.rows) else {
            return Ok(());
        };
        let console = run.console;
        let log = fs::read(console).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        println!("--- the end of {}:", console.display());
        for line in &lines[lines.len().saturating_sub(CONSOLE_LINES)..] {
            println!("{line}");
        }
        println!("---");
        Err(Failure::new(format!("guest {}: {problem}", run.guest)))
    }

    /// The reasons of skipped tests, each with the profile: `vm PROFILE: reason`.
    pub(super) fn into_reasons(self) -> Vec<String> {
        self.reasons
    }

    fn problem(&self, rows: usize) -> Option<String> {
        let seen = self.count();
        if let Some(deadline) = self.late {
            let seconds = deadline.as_secs();
            return Some(format!(
                "not done after {seconds} s; {seen} tests had ended"
            ));
        }
        if !self.failed.is_empty() {
            return Some(format!("failed: {}", some_of(&self.failed)));
        }
        let (ended, planned) = (self.plans.len(), self.plans.iter().sum::<usize>());
        if ended != rows {
            return Some(format!(
                "ended after {ended} of {rows} rows of the table, {seen} tests"
            ));
        }
        (planned != seen).then(|| format!("{planned} tests planned, {seen} reported"))
    }
}

/// A guest's run, for the words about it.
pub(super) struct Run<'a> {
    /// The guest's name.
    pub(super) guest: &'static str,
    /// How many rows of the table it had.
    pub(super) rows: usize,
    /// From power on to power off.
    pub(super) took: Duration,
    /// The kernel's log.
    pub(super) console: &'a Path,
}

/// The first names of a list that may be long.
fn some_of(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN_NAMES).map(String::as_str).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::default();
        lines.iter().for_each(|line| report.take(line));
        report
    }

    #[test]
    fn success_needs_every_row_and_every_planned_result() {
        let problem = |lines: &[&str], rows| report(lines).problem(rows);
        let whole = ["ok plain a", "# x", "ok plain b # skip none", "1..2"];
        assert_eq!(problem(&whole, 1), None);
        assert!(problem(&whole, 2).unwrap().contains("1 of 2 rows"));
        let failed = problem(&["ok p a", "not ok p b", "1..2"], 1).unwrap();
        assert_eq!(failed, "failed: p b");
        assert!(problem(&["ok p a"], 1).unwrap().contains("0 of 1 rows"));
        let lost = problem(&["ok p a", "1..2"], 1).unwrap();
        assert_eq!(lost, "2 tests planned, 1 reported");
    }

    #[test]
    fn a_long_list_of_failures_is_cut() {
        let lines: Vec<String> = (0..12).map(|at| format!("not ok p t{at}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let problem = report(&lines).problem(0).unwrap();
        assert!(problem.ends_with("p t8, p t9 and 2 more"), "{problem}");
    }

    #[test]
    fn the_reasons_of_skips_name_the_profile() {
        let report = report(&["ok rootless a # skip needs root|no ipvlan", "1..1"]);
        assert_eq!(report.count(), 1);
        assert_eq!(
            report.into_reasons(),
            ["vm rootless: needs root", "vm rootless: no ipvlan"]
        );
    }
}
