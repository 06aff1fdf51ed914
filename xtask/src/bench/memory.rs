//! `bench memory`: what an idle container costs beside its own processes.
//!
//! The keeper and the monitor of each of 32 containers, by their proportional and private sets
//! (proc_pid_smaps_rollup, kernel 4.14): the parent of PID 1, and the parent of that one.

use std::fs;
use std::path::Path;

use super::table;
use crate::berth::Berth;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};

const CONTAINERS: usize = 32;

/// KiB of a keeper and its monitor together.
const PSS_KIB_MAX: usize = 400;
const PRIVATE_KIB_MAX: usize = 250;

/// Starts idle containers and weighs who watches them.
pub(super) fn run(markdown: bool) -> Outcome {
    setup::ensure(&[Purpose::Build])?;
    let binaries = crate::build::release()?;
    let [binary, ..] = &binaries[..] else {
        return Err(Failure::new("the release has no binaries"));
    };
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("memory")?;
    let berth = Berth::new(binary, scratch.path());
    let mut pairs = Vec::with_capacity(CONTAINERS);
    for number in 0..CONTAINERS {
        interrupt.check()?;
        let name = format!("idle-{number}");
        berth.read(&[
            "run", "-d", "--net", "none", "--name", &name, "host", "sleep", "9999",
        ])?;
        let first = berth.read(&["pid", &format!("{name}:1")])?;
        let monitor = parent_of(&first)?;
        pairs.push([parent_of(&monitor)?, monitor]);
    }
    let mut pss = Vec::with_capacity(CONTAINERS);
    let mut private = Vec::with_capacity(CONTAINERS);
    for pair in &pairs {
        let mut sums = (0, 0);
        for pid in pair {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = read(&path)?;
            sums.0 += kib(&text, "Pss:");
            sums.1 += kib(&text, "Private_Clean:") + kib(&text, "Private_Dirty:");
        }
        pss.push(sums.0);
        private.push(sums.1);
    }
    let head = [
        "of a keeper and its monitor",
        "median KiB",
        "most",
        "at most",
    ];
    let rows = [
        ("PSS", pss, PSS_KIB_MAX),
        ("private", private, PRIVATE_KIB_MAX),
    ];
    println!("\n{CONTAINERS} idle containers\n");
    print!("{}", table::grid(&head, &rows.map(row), markdown));
    Ok(())
}

fn row((what, mut values, limit): (&str, Vec<usize>, usize)) -> Vec<String> {
    values.sort_unstable();
    let at = |index: usize| {
        values
            .get(index)
            .map_or_else(|| "-".to_owned(), usize::to_string)
    };
    vec![
        what.to_owned(),
        at(values.len() / 2),
        at(values.len().saturating_sub(1)),
        limit.to_string(),
    ]
}

fn parent_of(pid: &str) -> Outcome<String> {
    let path = format!("/proc/{pid}/status");
    let text = read(&path)?;
    text.lines()
        .find_map(|line| Some(line.strip_prefix("PPid:")?.trim().to_owned()))
        .ok_or_else(|| Failure::new(format!("{path} has no line PPid")))
}

pub(super) fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| Failure::file("read", Path::new(path), &error))
}

/// The number in a line like `Pss:   120 kB`.
pub(super) fn kib(text: &str, key: &str) -> usize {
    text.lines()
        .find_map(|line| {
            line.strip_prefix(key)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_rollup() {
        let text = "00-ff ---p 00:00 0 [rollup]\nRss:  900 kB\nPss:   120 kB\nPss_Dirty: 7 kB\n";
        assert_eq!(kib(text, "Pss:"), 120);
        assert_eq!(kib(text, "Private_Clean:"), 0);
    }
}
