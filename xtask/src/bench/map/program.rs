//! Whole programs: how long one takes, and how many system calls.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;

/// Whoever takes longer is ended.
const PATIENCE: Duration = Duration::from_secs(120);

/// Median and least of so many runs, of which output goes nowhere. The inner error says why there
/// are none.
///
/// # Errors
/// Somebody asked us to end.
pub(super) fn time(
    words: &[&str],
    rounds: usize,
    interrupt: &Interrupt,
) -> Outcome<Result<(Duration, Duration), String>> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        match once(words, interrupt)? {
            Ok(time) => times.push(time),
            Err(why) => return Ok(Err(why)),
        }
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied();
    let least = times.first().copied();
    Ok(median.zip(least).ok_or_else(|| "no rounds".to_owned()))
}

fn once(words: &[&str], interrupt: &Interrupt) -> Outcome<Result<Duration, String>> {
    let Some(mut command) = silent(words) else {
        return Ok(Err("no program".to_owned()));
    };
    let begun = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Err(exec::cannot_start(&command, &error).to_string())),
    };
    // A short program is waited for in one call: looking again and again would be its time.
    let ended = loop {
        let waited = begun.elapsed();
        let ended = child
            .try_wait()
            .map_err(|error| Failure::new(format!("cannot wait for {words:?}: {error}")))?;
        if let Some(status) = ended {
            break Some(status);
        }
        let stopped = interrupt.check();
        if waited > PATIENCE || stopped.is_err() {
            // It may have ended by itself meanwhile; waiting tells.
            drop(child.kill());
            drop(child.wait());
            stopped?;
            break None;
        }
        thread::sleep((waited / 200).clamp(Duration::from_micros(20), Duration::from_millis(50)));
    };
    let time = begun.elapsed();
    Ok(match ended {
        Some(status) if status.success() => Ok(time),
        Some(status) => Err(format!("ended with {status}")),
        None => Err(format!("took more than {} s", PATIENCE.as_secs())),
    })
}

/// How many system calls a program makes, its start included; `None` where strace is missing or
/// the program fails.
///
/// # Errors
/// strace cannot be started.
pub(super) fn system_calls(words: &[&str], scratch: &Path) -> Outcome<Option<u64>> {
    if !exec::installed("strace") {
        return Ok(None);
    }
    let report = scratch.join("strace");
    let shown = report.to_string_lossy();
    let mut all = vec!["strace", "-f", "-c", "-U", "calls,name", "-o", &shown];
    all.extend(words);
    let Some(mut command) = silent(&all) else {
        return Ok(None);
    };
    let status = command
        .status()
        .map_err(|error| exec::cannot_start(&command, &error))?;
    if !status.success() {
        return Ok(None);
    }
    let text =
        fs::read_to_string(&report).map_err(|error| Failure::file("read", &report, &error))?;
    Ok(total(&text))
}

/// The number in the last line of the table.
fn total(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.trim_end().ends_with("total"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A program that prints nowhere.
fn silent(words: &[&str]) -> Option<Command> {
    let (program, arguments) = words.split_first()?;
    let mut command = exec::at_root(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_table() {
        let text = "    calls syscall\n--------- -------\n     3012 read\n      300 bpf\n--------- -------\n     3312 total\n";
        assert_eq!(total(text), Some(3312));
        assert_eq!(total(""), None);
    }

    #[test]
    fn a_program_is_timed_and_its_failure_told() {
        let interrupt = Interrupt::catch().unwrap();
        let (median, least) = time(&["sleep", "0.05"], 2, &interrupt).unwrap().unwrap();
        assert!(least >= Duration::from_millis(50) && median >= least);
        let failed = time(&["false"], 1, &interrupt).unwrap();
        assert_eq!(failed, Err("ended with exit status: 1".to_owned()));
    }
}
