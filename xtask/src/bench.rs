//! `bench`: measurements, for a person to read. Nothing here asserts.
//!
//! All contestants run in turn within each round, so that whatever else the machine does hits them
//! alike, and each result is a median.

mod budgets;
mod contestants;
mod memory;
mod peers;
mod rootfs;
mod stopwatch;
mod table;

pub(crate) use stopwatch::serve as stopwatch;

use std::time::Duration;

use crate::args::{Args, nearest};
use crate::berth::Berth;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use contestants::Contestant;
use peers::Watches;

const ROUNDS: usize = 50;

/// Rounds before those that count: caches fill, lazily made things get made.
const WARM_UP_ROUNDS: usize = 3;

/// Runs `cargo xtask bench`.
pub(crate) fn command(mut args: Args) -> Outcome {
    let markdown = args.flag("--markdown");
    let rounds = args.number("--rounds")?.unwrap_or(ROUNDS);
    let what = args.word();
    args.finish()?;
    match what.as_deref() {
        Some("start") => start(rounds, markdown),
        Some("memory") => memory::run(markdown),
        Some(other) => {
            let hint = nearest(other, ["start", "memory"].into_iter())
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Err(Failure::usage(format!(
                "bench knows start and memory, not \"{other}\"{hint}"
            )))
        }
        None => Err(Failure::usage("bench needs a word: start or memory")),
    }
}

/// One contestant's times, or why it has none.
struct Lane {
    contestant: Contestant,
    times: Vec<Duration>,
    failed: Option<String>,
}

/// Times how long a container takes to start and end, against the floor and other engines.
fn start(rounds: usize, markdown: bool) -> Outcome {
    setup::ensure(&[Purpose::Build, Purpose::Bench])?;
    if !setup::is_root()? {
        return Err(Failure::new(
            "bench start needs root: the floor program and runc do",
        ));
    }
    let binaries = crate::build::release()?;
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("bench")?;
    let stage = rootfs::prepare(&scratch, &binaries)?;
    let peers = peers::start(&stage)?;
    let mut watches = peers.watches()?;
    let berth = Berth::new(&stage.berth, &stage.folder);
    let mut lanes: Vec<Lane> = contestants::all(&stage, &berth, &peers)
        .into_iter()
        .map(|contestant| Lane {
            contestant,
            times: Vec::new(),
            failed: None,
        })
        .collect();
    exec::announce(&format!(
        "bench start: {} contestants, {rounds} rounds",
        lanes.len()
    ));
    let done = all_rounds(&mut lanes, &mut watches, rounds, &interrupt);
    for lane in &lanes {
        watches.clean_up(&lane.contestant)?;
    }
    done?;
    print!("{}", table::render(&lanes, rounds, markdown));
    Ok(())
}

/// What the one before leaves to the kernel's work queues (network namespaces above all) and to
/// its daemon must not be charged to the next.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(150);

fn all_rounds(
    lanes: &mut [Lane],
    watches: &mut Watches,
    rounds: usize,
    interrupt: &Interrupt,
) -> Outcome {
    for lane in lanes.iter_mut() {
        lane.failed = watches.prepare(&lane.contestant)?;
    }
    for round in 0..rounds + WARM_UP_ROUNDS {
        interrupt.check()?;
        for lane in lanes.iter_mut().filter(|lane| lane.failed.is_none()) {
            std::thread::sleep(SETTLE);
            match watches.time(&lane.contestant, round)? {
                Ok(time) if round >= WARM_UP_ROUNDS => lane.times.push(time),
                Ok(_) => {}
                Err(why) => lane.failed = Some(why),
            }
        }
    }
    Ok(())
}
