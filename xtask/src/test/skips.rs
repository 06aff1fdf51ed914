//! Skipped tests: a skip that nobody expects is a failure.
//!
//! A test that cannot run here appends a line `SKIP: reason` to the file that `BERTH_TEST_SKIPS`
//! names (and prints it). After the run the reasons are compared with `xtask/expected-skips.txt`.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// The variable that tells tests where to write their skips.
pub(super) const VARIABLE: &str = "BERTH_TEST_SKIPS";

/// An empty file for the skips of one run.
///
/// # Errors
/// It cannot be made.
pub(super) fn start() -> Outcome<PathBuf> {
    let folder = workspace::target_dir()?;
    fs::create_dir_all(&folder).map_err(|error| Failure::file("create", &folder, &error))?;
    let path = folder.join("test-skips.txt");
    fs::write(&path, "").map_err(|error| Failure::file("empty", &path, &error))?;
    Ok(path)
}

/// Adds reasons that reached us another way than through the file.
///
/// # Errors
/// The file cannot be written.
pub(super) fn add(path: &Path, reasons: &[String]) -> Outcome {
    let lines: String = reasons
        .iter()
        .map(|reason| format!("SKIP: {reason}\n"))
        .collect();
    OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(lines.as_bytes()))
        .map_err(|error| Failure::file("write", path, &error))
}

/// Prints each reason in the file with its count.
///
/// # Errors
/// A reason is not among the expected ones.
pub(super) fn report(path: &Path) -> Outcome {
    judge(&read(path)?)
}

/// The same for reasons that never were in a file.
///
/// # Errors
/// As [`report`].
pub(crate) fn check(reasons: &[String]) -> Outcome {
    judge(&reasons.join("\n"))
}

fn judge(skips: &str) -> Outcome {
    let list = read(&workspace::root().join("xtask/expected-skips.txt"))?;
    let reasons = reasons(skips);
    let unexpected = unexpected(&reasons, &list);
    for (reason, count) in &reasons {
        println!("SKIP: {reason} ({count} tests)");
    }
    if unexpected.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "tests were skipped for reasons that xtask/expected-skips.txt does not list: {}",
        unexpected.join("; ")
    )))
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))
}

/// How many tests gave each reason.
fn reasons(skips: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in skips.lines().map(str::trim).filter(|line| !line.is_empty()) {
        *counts
            .entry(line.strip_prefix("SKIP:").unwrap_or(line).trim())
            .or_insert(0) += 1;
    }
    counts
}

/// The reasons that no line of the list allows. A line that ends in `*` allows what begins so.
fn unexpected<'a>(reasons: &BTreeMap<&'a str, usize>, list: &str) -> Vec<&'a str> {
    let allowed: Vec<&str> = list
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect();
    let fits = |reason: &str| {
        allowed.iter().any(|line| match line.strip_suffix('*') {
            Some(start) => reason.starts_with(start),
            None => reason == *line,
        })
    };
    reasons
        .keys()
        .copied()
        .filter(|reason| !fits(reason))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_reasons_pass() {
        let skips = "SKIP: no ipvlan here\n\nSKIP: no ipvlan here\nSKIP: kernel 5.14 lacks it\n";
        let reasons = reasons(skips);
        assert_eq!(reasons["no ipvlan here"], 2);
        assert!(unexpected(&reasons, "# why\nno ipvlan here\nkernel 5.*\n").is_empty());
        assert_eq!(unexpected(&reasons, "kernel 6*\nno ipvlan\n").len(), 2);
    }
}
