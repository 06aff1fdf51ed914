//! `soak`: tens of thousands of starts, one after the other and in crowds, and nothing left.
//!
//! Two soaks: `oci` runs bundles with `berth-runtime`, `engine` containers with `berth`. Without a
//! word both run. `--share N` does an Nth of each; CI runs a twentieth. The host is counted before
//! and after (`census`): what is there afterwards and was not before is a leak. A command that
//! hangs is named and ends the soak (`bounded`).

pub(crate) mod bounded;
pub(crate) mod census;
mod engine;
mod oci;
mod report;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::{Args, nearest};
use crate::build;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::setup::{self, Purpose};
use census::Census;
use report::Times;

/// How many start at once.
const CROWD: usize = 32;

/// The host's PID 1 may take seconds to reap orphans, and namespaces end in the background.
const SETTLE: Duration = Duration::from_secs(10);

/// Runs `cargo xtask soak`. `--dev` takes the binaries of the dev profile.
pub(crate) fn command(mut args: Args) -> Outcome {
    let share = args.number("--share")?.unwrap_or(1);
    let dev = args.flag("--dev");
    let what = args.word();
    args.finish()?;
    let soaks: &[Soak] = match what.as_deref() {
        None => &ALL,
        Some("oci") => &[oci::run],
        Some("engine") => &[engine::run],
        Some(other) => {
            let hint = nearest(other, ["oci", "engine"].into_iter())
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(Failure::usage(format!(
                "soak knows oci and engine, not \"{other}\"{hint}"
            )));
        }
    };
    setup::ensure(&[Purpose::Build, Purpose::Soak])?;
    let binaries = if dev {
        build::debug()?
    } else {
        build::release()?
    };
    all(soaks, &binaries, share)
}

/// A soak: the release binaries, the share, and whether somebody asked us to end.
type Soak = fn(&Binaries<'_>, usize, &Interrupt) -> Outcome;

const ALL: [Soak; 2] = [oci::run, engine::run];

/// What is soaked.
struct Binaries<'a> {
    berth: &'a PathBuf,
    runtime: &'a PathBuf,
}

/// Does one `share`th of the counts of every soak, with release binaries.
///
/// # Errors
/// A command fails or hangs, or something is left.
pub(crate) fn run(share: usize) -> Outcome {
    all(&ALL, &build::release()?, share)
}

fn all(soaks: &[Soak], binaries: &[PathBuf], share: usize) -> Outcome {
    let [berth, runtime] = binaries else {
        return Err(Failure::new("the build has other binaries than soak knows"));
    };
    let binaries = Binaries { berth, runtime };
    let interrupt = Interrupt::catch()?;
    soaks
        .iter()
        .try_for_each(|soak| soak(&binaries, share, &interrupt))
}

/// What a soak starts: in a row and in crowds.
struct Counts {
    row: usize,
    crowds: usize,
}

impl Counts {
    /// One `share`th of the counts.
    const fn shared(self, share: usize) -> Self {
        Self {
            row: self.row.div_ceil(share),
            crowds: self.crowds.div_ceil(share),
        }
    }

    const fn starts(&self) -> usize {
        self.row + self.crowds * CROWD
    }
}

/// Starts in a row, then in crowds, by `start` with the number of the start in its row or crowd and
/// a name. Prints times.
///
/// # Errors
/// A start fails or hangs, or somebody asked us to end.
fn starts(
    soak: &str,
    counts: &Counts,
    interrupt: &Interrupt,
    start: impl Fn(usize, &str) -> Outcome + Sync,
) -> Outcome {
    exec::announce(&format!(
        "soak {soak}: {} starts in a row, {} crowds of {CROWD}",
        counts.row, counts.crowds
    ));
    let timed = |number: usize, name: String| -> Outcome<(Duration, String)> {
        let begun = Instant::now();
        start(number, &name)?;
        Ok((begun.elapsed(), name))
    };
    let begun = Instant::now();
    let mut row = Times::new("in a row", counts.row);
    for round in 0..counts.row {
        interrupt.check()?;
        row.add(timed(round, format!("row-{round}"))?);
    }
    row.show(begun.elapsed());
    let begun = Instant::now();
    let mut crowd = Times::new("in crowds", counts.crowds * CROWD);
    for number in 0..counts.crowds {
        interrupt.check()?;
        for one in one_crowd(number, &timed)? {
            crowd.add(one);
        }
    }
    crowd.show(begun.elapsed());
    Ok(())
}

/// As many at once as a crowd has.
fn one_crowd(
    number: usize,
    timed: &(impl Fn(usize, String) -> Outcome<(Duration, String)> + Sync),
) -> Outcome<Vec<(Duration, String)>> {
    thread::scope(|scope| {
        let starts: Vec<_> = (0..CROWD)
            .map(|one| scope.spawn(move || timed(one, format!("crowd-{number}-{one}"))))
            .collect();
        starts
            .into_iter()
            .map(|start| {
                start
                    .join()
                    .unwrap_or_else(|_| Err(Failure::new("a thread of soak panicked")))
            })
            .collect()
    })
}

/// Waits for the host to be as before.
///
/// # Errors
/// It is not, in time: each thing that is left is printed.
fn settle(soak: &str, before: &Census, starts: usize) -> Outcome {
    let end = Instant::now() + SETTLE;
    loop {
        let now = before.again()?;
        let left = now.beyond(before, starts);
        if left.is_empty() {
            println!(
                "soak {soak}: {starts} starts, none failed or hung, left nothing behind: {}",
                now.compared(before)
            );
            return Ok(());
        }
        if Instant::now() > end {
            left.iter().for_each(|line| println!("left behind: {line}"));
            return Err(Failure::new(format!(
                "{starts} starts left {} things",
                left.len()
            )));
        }
        thread::sleep(Duration::from_millis(200));
    }
}
