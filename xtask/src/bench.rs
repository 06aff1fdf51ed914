//! `bench`: measurements, for a person to read. Nothing here asserts.
//!
//! All contestants run in turn within each round, so that whatever else the machine does hits them
//! alike, and each result is a median.

mod budgets;
mod contestants;
mod engine;
mod hang;
mod image;
mod live;
mod map;
mod memory;
mod net;
pub(crate) mod peers;
pub(crate) mod rootfs;
mod stopwatch;
mod table;

pub(crate) use stopwatch::serve as stopwatch;

use std::path::PathBuf;
use std::time::Duration;

use crate::args::{Args, nearest};
use crate::berth::Berth;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use crate::workspace;
use budgets::Budget;
use contestants::Contestant;
use peers::{Peers, Watches};
use stopwatch::Miss;

const ROUNDS: usize = 50;

/// A round of `bench oci` has four times the contestants, most of them crowds.
const OCI_ROUNDS: usize = 20;

/// Rounds before those that count: caches fill, lazily made things get made.
const WARM_UP_ROUNDS: usize = 3;

/// Runs `cargo xtask bench`. `--dev` measures the binaries of the dev profile, to see that every
/// contestant works.
pub(crate) fn command(mut args: Args) -> Outcome {
    let how = How {
        markdown: args.flag("--markdown"),
        dev: args.flag("--dev"),
        rounds: args.number("--rounds")?,
    };
    let quick = args.flag("--quick");
    let (seconds, minutes) = (args.number("--seconds")?, args.number("--minutes")?);
    let what = args.word();
    let part = match what.as_deref() {
        Some("net" | "engine") => args.word(),
        _ => None,
    };
    args.finish()?;
    match what.as_deref() {
        Some("start") => start(&how),
        Some("oci") => oci(&how),
        Some("memory") => memory::run(how.markdown),
        Some("map") => map::run(&how),
        Some("live") => live::run(&how, seconds, minutes),
        Some("image") => image::run(&how, quick),
        Some("engine") => engine::run(&how, quick, part.as_deref()),
        Some("net") => net::run(&how, quick, seconds, part.as_deref()),
        Some(other) => {
            let known = [
                "start", "oci", "memory", "map", "live", "image", "net", "engine",
            ];
            let hint = nearest(other, known.into_iter())
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Err(Failure::usage(format!(
                "bench knows start, oci, memory, map, live, image, net and engine, not \"{other}\"{hint}"
            )))
        }
        None => Err(Failure::usage(
            "bench needs a word: start, oci, memory, map, live, image, net or engine",
        )),
    }
}

/// What the command line says about a measurement.
struct How {
    markdown: bool,
    dev: bool,
    rounds: Option<usize>,
}

/// One contestant's times, or why it has none.
struct Lane {
    contestant: Contestant,
    times: Vec<Duration>,
    failed: Option<Miss>,
}

/// Times how long a container takes to start and end, against the floor and other engines.
fn start(how: &How) -> Outcome {
    let binaries = prepare(how)?;
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("bench")?;
    let stage = rootfs::prepare(&scratch, &binaries)?;
    let peers = peers::start(&stage)?;
    let berth = Berth::new(&stage.berth, &stage.folder);
    let contestants = contestants::start(&stage, &berth, &peers);
    let rounds = how.rounds.unwrap_or(ROUNDS);
    measure(
        contestants,
        &peers,
        &interrupt,
        &budgets::START,
        (rounds, how.markdown),
    )
}

/// Times what OCI runtimes are asked for, one and many at once.
fn oci(how: &How) -> Outcome {
    let binaries = prepare(how)?;
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("bench")?;
    let stage = rootfs::prepare(&scratch, &binaries)?;
    let peers = peers::none(&stage);
    let rounds = how.rounds.unwrap_or(OCI_ROUNDS);
    let contestants = contestants::oci(&stage);
    measure(
        contestants,
        &peers,
        &interrupt,
        &budgets::oci(),
        (rounds, how.markdown),
    )
}

/// Compiles one of the C programs of the folder bench.
fn compile(scratch: &Scratch, name: &str) -> Outcome<PathBuf> {
    let program = scratch.path().join(name);
    exec::run(
        exec::at_root("cc")
            .args(["-O2", "-static", "-o"])
            .arg(&program)
            .arg(workspace::root().join(format!("bench/{name}.c"))),
    )?;
    Ok(program)
}

/// Makes sure of what a measurement needs; returns our binaries.
fn prepare(how: &How) -> Outcome<Vec<PathBuf>> {
    setup::ensure(&[Purpose::Build, Purpose::Bench])?;
    if !setup::is_root()? {
        return Err(Failure::new(
            "bench needs root: the floor program and runc do",
        ));
    }
    if how.dev {
        println!("binaries of the dev profile: the numbers say nothing");
        return crate::build::debug();
    }
    crate::build::release()
}

fn measure(
    contestants: Vec<Contestant>,
    peers: &Peers,
    interrupt: &Interrupt,
    budgets: &[Budget],
    (rounds, markdown): (usize, bool),
) -> Outcome {
    let mut watches = peers.watches()?;
    let mut lanes: Vec<Lane> = contestants
        .into_iter()
        .map(|contestant| Lane {
            contestant,
            times: Vec::new(),
            failed: None,
        })
        .collect();
    exec::announce(&format!(
        "bench: {} contestants, {rounds} rounds",
        lanes.len()
    ));
    let done = all_rounds(&mut lanes, &mut watches, rounds, interrupt);
    for lane in &lanes {
        watches.clean_up(&lane.contestant)?;
    }
    done?;
    print!("{}", table::render(&lanes, budgets, rounds, markdown));
    Ok(())
}

/// What the one before leaves to the kernel's work queues (network namespaces above all) and to
/// its daemon must not be charged to the next.
const SETTLE: Duration = Duration::from_millis(150);

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
