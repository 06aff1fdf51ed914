//! The soak of `berth`: containers of the built-in image.

use super::bounded::within;
use super::census::Census;
use super::{Binaries, CROWD, Counts, settle, starts};
use crate::berth::Berth;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;

const COUNTS: Counts = Counts {
    row: 1000,
    crowds: 1024 / CROWD,
};

/// The parent of the engine's cgroups.
const CGROUP: &str = "berth";

/// Starts one `share`th of the counts.
///
/// # Errors
/// A command fails or hangs, or something is left.
pub(super) fn run(binaries: &Binaries<'_>, share: usize, interrupt: &Interrupt) -> Outcome {
    let scratch = Scratch::make("soak")?;
    let berth = Berth::new(binaries.berth, scratch.path());
    // The first start makes what is made once and stays.
    one_start(&berth, 0, "warm-up")?;
    let before = Census::take(CGROUP)?;
    let counts = COUNTS.shared(share);
    starts("engine", &counts, interrupt, |number, name| {
        one_start(&berth, number, name)
    })?;
    let listed = berth.read(&["ps", "-aq"])?;
    if !listed.is_empty() {
        return Err(Failure::new(format!(
            "containers are still listed: {listed}"
        )));
    }
    settle("engine", &before, counts.starts())
}

/// One container from start to end: every second one in the background, with an exec, ended by
/// force.
fn one_start(berth: &Berth, number: usize, name: &str) -> Outcome {
    let run = |words: &[&str]| within(&mut berth.command(words));
    if number.is_multiple_of(2) {
        return run(&[
            "run", "--rm", "--name", name, "--net", "none", "host", "true",
        ]);
    }
    run(&[
        "run", "-d", "--name", name, "--net", "none", "host", "sleep", "1000",
    ])?;
    run(&["exec", name, "true"])?;
    run(&["rm", "-f", name])
}
