//! `soak`: a thousand starts one after the other and a thousand in crowds, and nothing left.
//!
//! `--share N` does an Nth of both; CI runs a twentieth. The host is counted before and after
//! (`census`): what is there afterwards and was not before is a leak.

mod census;

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::berth::Berth;
use crate::build;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use census::Census;

/// Starts one after the other.
const SEQUENTIAL: usize = 1000;

/// How many start at once.
const CROWD: usize = 32;

/// How often a crowd starts.
const CROWDS: usize = 32;

/// A command of the engine that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The host's PID 1 may take seconds to reap orphans, and namespaces end in the background.
const SETTLE: Duration = Duration::from_secs(10);

/// Runs `cargo xtask soak`.
pub(crate) fn command(mut args: Args) -> Outcome {
    let share = args.number("--share")?.unwrap_or(1);
    args.finish()?;
    setup::ensure(&[Purpose::Build])?;
    run(share)
}

/// Does one `share`th of the counts.
///
/// # Errors
/// A command fails or hangs, or something is left.
pub(crate) fn run(share: usize) -> Outcome {
    let binaries = build::release()?;
    let [binary, ..] = &binaries[..] else {
        return Err(Failure::new("the release has no binaries"));
    };
    let interrupt = Interrupt::catch()?;
    let (sequential, crowds) = (SEQUENTIAL.div_ceil(share), CROWDS.div_ceil(share));
    let starts = sequential + crowds * CROWD;
    exec::announce(&format!(
        "soak: {sequential} starts in a row, {crowds} crowds of {CROWD}"
    ));
    let scratch = Scratch::make("soak")?;
    let berth = Berth::new(binary, scratch.path());
    // The first start makes what is made once and stays.
    one_start(&berth, 0, "warm-up")?;
    let before = Census::take()?;
    let mut row = Vec::with_capacity(sequential);
    for round in 0..sequential {
        interrupt.check()?;
        row.push(one_start(&berth, round, &format!("row-{round}"))?);
    }
    show("in a row", &mut row);
    let mut crowd = Vec::with_capacity(crowds * CROWD);
    for number in 0..crowds {
        interrupt.check()?;
        crowd.extend(one_crowd(&berth, number)?);
    }
    show("in a crowd", &mut crowd);
    let listed = berth.read(&["ps", "-aq"])?;
    if !listed.is_empty() {
        return Err(Failure::new(format!(
            "containers are still listed: {listed}"
        )));
    }
    settle(&before, starts)
}

/// One container from start to end: every second one in the background, with an exec, ended by
/// force.
fn one_start(berth: &Berth, round: usize, name: &str) -> Outcome<Duration> {
    let begun = Instant::now();
    if round.is_multiple_of(2) {
        within(
            berth,
            &[
                "run", "--rm", "--name", name, "--net", "none", "host", "true",
            ],
        )?;
    } else {
        within(
            berth,
            &[
                "run", "-d", "--name", name, "--net", "none", "host", "sleep", "1000",
            ],
        )?;
        within(berth, &["exec", name, "true"])?;
        within(berth, &["rm", "-f", name])?;
    }
    Ok(begun.elapsed())
}

/// As many at once as a crowd has.
fn one_crowd(berth: &Berth, number: usize) -> Outcome<Vec<Duration>> {
    thread::scope(|scope| {
        let starts: Vec<_> = (0..CROWD)
            .map(|one| scope.spawn(move || one_start(berth, one, &format!("crowd-{number}-{one}"))))
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

/// Runs a command of the engine and ends it when it hangs.
fn within(berth: &Berth, words: &[&str]) -> Outcome {
    let mut command = berth.command(words);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| exec::cannot_start(&command, &error))?;
    let end = Instant::now() + DEADLINE;
    let broken = |error| Failure::new(format!("cannot wait for berth: {error}"));
    while child.try_wait().map_err(broken)?.is_none() {
        if Instant::now() > end {
            child
                .kill()
                .and_then(|()| child.wait().map(drop))
                .map_err(broken)?;
            let seconds = DEADLINE.as_secs();
            return Err(Failure::new(format!(
                "\"berth {}\" hangs: it was not done after {seconds} s",
                words.join(" ")
            )));
        }
        thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().map_err(broken)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let words = words.join(" ");
    Err(Failure::new(format!(
        "\"berth {words}\" ended with {}: {}",
        output.status,
        said.trim()
    )))
}

/// Waits for the host to be as before.
fn settle(before: &Census, starts: usize) -> Outcome {
    let end = Instant::now() + SETTLE;
    loop {
        let left = Census::take()?.beyond(before, starts);
        if left.is_empty() {
            println!("soak: {starts} starts left nothing behind");
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

fn show(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| {
        let at = times.len().saturating_sub(1) * percent / 100;
        times
            .get(at)
            .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    println!(
        "{what}: median {:.1} ms, 90 % within {:.1} ms, longest {:.1} ms",
        at(50),
        at(90),
        at(100)
    );
}
