//! `bench net`: what an address costs a container, and how fast packets and names are.
//!
//! Everything happens in network namespaces of the bench's own: one that is the host to our engine,
//! one each for dockerd and podman, and some for machines beside them. Nothing is made in the
//! namespace that the bench is called in.

mod crowd;
mod flow;
mod names;
mod space;
mod starts;

use std::fs;
use std::path::{Path, PathBuf};

use super::How;
use super::budgets;
use super::peers;
use super::rootfs;
use crate::berth::Berth;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
pub(super) use space::Space;
pub(super) use starts::IMAGE;

/// Rounds of starts.
const ROUNDS: usize = 20;

/// The parts, in their order: starts against other engines, the 500th container of a network,
/// transfers, names.
const PARTS: [&str; 4] = ["starts", "crowd", "flow", "names"];

/// Runs the measurement, or one part of it; `quick` takes less of everything, to see that every row
/// works. Each transfer and each series of questions takes some seconds.
pub(super) fn run(how: &How, quick: bool, seconds: Option<usize>, part: Option<&str>) -> Outcome {
    if let Some(other) = part.filter(|part| !PARTS.contains(part)) {
        return Err(Failure::usage(format!(
            "bench net has the parts {}, not \"{other}\"",
            PARTS.join(", ")
        )));
    }
    let has = |one: &str| part.is_none_or(|part| part == one);
    setup::ensure(&[Purpose::Nets])?;
    let binaries = super::prepare(how)?;
    let asker = crate::build::example("berth-net", "dns_bench", how.dev)?;
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make("bench")?;
    let stage = rootfs::prepare(&scratch, &binaries)?;
    let host = Space::new()?;
    let berth = Berth::within(host.entrance(), &stage.berth, &stage.folder);
    let scale = Scale {
        rounds: how.rounds.unwrap_or(if quick { 2 } else { ROUNDS }),
        containers: if quick { 20 } else { crowd::CONTAINERS },
        seconds: seconds.unwrap_or(if quick { 1 } else { 3 }),
        markdown: how.markdown,
    };
    let archive = peers::archive(&stage)?;
    berth.read(&["import", "-q", &archive.to_string_lossy(), starts::IMAGE])?;
    if has("starts") {
        let peers = peers::start_bridged(&stage, &host.net())?;
        super::measure(
            starts::contestants(&berth, &peers),
            &peers,
            &interrupt,
            &budgets::net(),
            (scale.rounds, scale.markdown),
        )?;
    }
    if has("crowd") {
        crowd::measure(&berth, &host, &stage.folder, &interrupt, &scale)?;
    }
    if has("flow") {
        flow::measure(&berth, &host, &interrupt, &scale)?;
    }
    if has("names") {
        let folder = bring(&scratch, &asker)?;
        names::measure(&berth, &folder, &interrupt, &scale)?;
    }
    Ok(())
}

/// How much is measured.
struct Scale {
    rounds: usize,
    containers: usize,
    seconds: usize,
    markdown: bool,
}

/// A folder with the program alone, to be bound into a container.
fn bring(scratch: &Scratch, program: &Path) -> Outcome<PathBuf> {
    let folder = scratch.folder("asker")?;
    let copy = folder.join("asker");
    fs::copy(program, &copy).map_err(|error| Failure::file("copy", program, &error))?;
    Ok(folder)
}

/// The middle one of the numbers.
pub(super) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Says what is measured next.
fn announce(what: &str) {
    exec::announce(&format!("bench: {what}"));
}
