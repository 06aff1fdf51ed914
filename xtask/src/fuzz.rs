//! `fuzz`: inputs that nobody thought of, at the parsers of what comes from outside.
//!
//! The targets are a workspace of their own (`crates/berth-image/fuzz`), built with the counters of
//! LLVM's fuzzer by the stable compiler. Each keeps what it learnt below `target/fuzz/corpus`, so a
//! run goes on where the last one ended.

mod build;
mod run;
mod targets;

use std::path::PathBuf;
use std::time::Duration;

use crate::args::{Args, nearest};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use run::Place;
use targets::{TARGETS, Target};

/// Runs `cargo xtask fuzz`. With a file after the target's name that input alone is tried.
pub(crate) fn command(mut args: Args) -> Outcome {
    let minutes = args.number("--minutes")?.unwrap_or(1);
    let chosen = args.word().map(|name| find(&name)).transpose()?;
    let input = args.word().map(PathBuf::from);
    args.finish()?;
    setup::ensure(&[Purpose::Build, Purpose::Test])?;
    let minutes = u64::try_from(minutes).unwrap_or(u64::MAX);
    let whole = Duration::from_secs(minutes.saturating_mul(60));
    match (chosen, input) {
        (Some(target), Some(input)) => try_one(target, input),
        (Some(target), None) => all(&[target], whole),
        (None, _) => share(whole),
    }
}

/// Runs every target, all of them together for so long.
///
/// # Errors
/// The build fails, or a target found something.
pub(crate) fn share(whole: Duration) -> Outcome {
    all(&TARGETS.iter().collect::<Vec<_>>(), whole)
}

fn all(chosen: &[&Target], whole: Duration) -> Outcome {
    let built = build::build()?;
    let interrupt = Interrupt::catch()?;
    let scratch = Scratch::make_in(run::MEMORY.as_ref(), "fuzz")?;
    let count = u32::try_from(chosen.len().max(1)).unwrap_or(u32::MAX);
    let each = (whole / count).max(Duration::from_secs(1));
    exec::announce(&format!(
        "fuzz: {} targets, {} seconds each",
        chosen.len(),
        each.as_secs()
    ));
    let mut failures = Vec::new();
    for target in chosen {
        interrupt.check()?;
        let place = Place::make(&built, target, scratch.path())?;
        // What one target finds must not hide what the next would.
        if let Err(failure) = place.explore(each) {
            println!("{failure}");
            failures.push(target.name);
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "fuzzing failed: {}; the inputs are above",
        failures.join(", ")
    )))
}

fn try_one(target: &Target, input: PathBuf) -> Outcome {
    let input =
        std::path::absolute(&input).map_err(|error| Failure::file("find", &input, &error))?;
    let built = build::build()?;
    let scratch = Scratch::make_in(run::MEMORY.as_ref(), "fuzz")?;
    Place::make(&built, target, scratch.path())?.try_one(&input)
}

fn find(name: &str) -> Outcome<&'static Target> {
    let names = || TARGETS.iter().map(|target| target.name);
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .ok_or_else(|| {
            let hint = nearest(name, names()).map_or_else(
                || format!("they are {}", names().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean {near}?"),
            );
            Failure::usage(format!("there is no target \"{name}\"; {hint}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_target_suggests_the_nearest() {
        let message = find("manifets").unwrap_err().to_string();
        assert_eq!(
            message,
            "there is no target \"manifets\"; did you mean manifest?"
        );
    }
}
