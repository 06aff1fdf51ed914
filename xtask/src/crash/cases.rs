//! The crashes of an operation, and one of them from beginning to end.

use std::fmt;
use std::fs;

use super::operations::{self, BERTH_TEMPLATE, Needs, Operation, Program, STORE_TEMPLATE};
use super::power::{self, Loss};
use super::trace::{self, Place};
use super::world::{Faults, World, said, was_killed};
use super::{checks, host};
use crate::args::nearest;
use crate::failure::{Failure, Outcome};

/// What happens at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    KillBefore,
    KillAfter,
    /// The operation fails with this errno.
    Fail(i32),
    /// Killed after it, and then the power goes.
    Power(Loss),
}

/// ENOSPC, EIO, EROFS.
pub(super) const ERRNOS: [i32; 3] = [28, 5, 30];

impl Crash {
    /// What `BERTH_FAULT` says.
    fn action(self) -> String {
        match self {
            Self::KillBefore => "kill-before".to_owned(),
            Self::KillAfter | Self::Power(_) => "kill-after".to_owned(),
            Self::Fail(errno) => format!("fail={errno}"),
        }
    }

    pub(super) const fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter)
    }

    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn parse(word: &str) -> Outcome<Self> {
        let fails = word.strip_prefix("fail=").and_then(|n| n.parse().ok());
        match (word, fails) {
            ("kill-before", _) => Ok(Self::KillBefore),
            ("kill-after", _) => Ok(Self::KillAfter),
            ("power-dropped", _) => Ok(Self::Power(Loss::Dropped)),
            ("power-hollow", _) => Ok(Self::Power(Loss::Hollow)),
            (_, Some(errno)) => Ok(Self::Fail(errno)),
            _ => Err(Failure::usage(format!(
                "\"{word}\" is no crash; they are kill-before, kill-after, fail=ERRNO, \
                 power-dropped and power-hollow"
            ))),
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Power(Loss::Dropped) => f.write_str("power-dropped"),
            Self::Power(Loss::Hollow) => f.write_str("power-hollow"),
            other => f.write_str(&other.action()),
        }
    }
}

/// One crash of one operation. Without a place the operation ends well, and then the power goes.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) operation: &'static Operation,
    pub(super) crash: Crash,
    pub(super) place: Option<Place>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation.name, self.crash)?;
        match &self.place {
            Some(Place { point, nth }) => write!(f, " {point} {nth}"),
            None => Ok(()),
        }
    }
}

/// Finds an operation by name.
///
/// # Errors
/// There is none of this name.
pub(super) fn find(name: &str) -> Outcome<&'static Operation> {
    let names = || operations::all().map(|operation| operation.name);
    operations::all()
        .find(|operation| operation.name == name)
        .ok_or_else(|| {
            let hint = nearest(name, names()).map_or_else(
                || format!("they are {}", names().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean {near}?"),
            );
            Failure::usage(format!("there is no operation \"{name}\"; {hint}"))
        })
}

/// Makes the folder of which each crash gets a copy.
///
/// # Errors
/// A step fails.
pub(super) fn prepare(template: &World<'_>, operation: &Operation) -> Outcome {
    new_host(operation)?;
    template.clear()?;
    let Some(setup) = operation.setup else {
        return Ok(());
    };
    let common = match operation.program {
        Program::Berth => BERTH_TEMPLATE,
        Program::Store => STORE_TEMPLATE,
    };
    template.steps(operation.program, common, false)?;
    template.steps(operation.program, setup, false)
}

/// Runs an operation whole and finds the places to crash it at. The checks after it are those after
/// a crash.
///
/// # Errors
/// It fails, or a check does.
pub(super) fn explore(
    template: &World<'_>,
    world: &World<'_>,
    operation: &'static Operation,
) -> Outcome<Vec<Case>> {
    new_host(operation)?;
    world.copy_of(template)?;
    world.steps(operation.program, operation.before, false)?;
    let traced = Faults {
        fault: None,
        trace: true,
        is_beyond: operation.is_beyond(),
    };
    let output = world.run(operation.program, operation.run, traced)?;
    if output.status.code() != Some(operation.code) {
        return Err(Failure::new(format!(
            "{} ended with {}: {}",
            operation.name,
            output.status,
            said(&output)
        )));
    }
    await_monitors(world, operation)?;
    let places = trace::places(&trace::read(&world.trace())?);
    checks::after_crash(world, operation, true)?;
    let mut cases = Vec::new();
    for (place, done) in places {
        let mut add = |crash| {
            cases.push(Case {
                operation,
                crash,
                place: Some(place.clone()),
            });
        };
        add(Crash::KillBefore);
        ERRNOS.map(Crash::Fail).into_iter().for_each(&mut add);
        // Nothing has happened where it did not succeed.
        if done {
            add(Crash::KillAfter);
        }
        // What the operation itself did is not written down.
        if done && !operation.is_beyond() {
            add(Crash::Power(Loss::Dropped));
            add(Crash::Power(Loss::Hollow));
        }
    }
    for loss in [Loss::Dropped, Loss::Hollow] {
        if operation.is_beyond() {
            continue;
        }
        cases.push(Case {
            operation,
            crash: Crash::Power(loss),
            place: None,
        });
    }
    Ok(cases)
}

/// Waits until what the monitors of an operation execute has come to its end, or to the crash.
fn await_monitors(world: &World<'_>, operation: &Operation) -> Outcome {
    if !operation.is_beyond() {
        return Ok(());
    }
    checks::soon(|| {
        if world.note().exists() {
            return Ok(());
        }
        world.must(operation.program, operation.until).map(drop)
    })
}

/// A host of its own for whoever changes its network.
fn new_host(operation: &Operation) -> Outcome {
    match operation.needs {
        Needs::Network => host::enter_new(),
        _ => Ok(()),
    }
}

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// The crash came about.
    Hit,
    /// The process did not come by there this time.
    Missed,
}

/// Crashes once, recovers, checks.
///
/// # Errors
/// A check fails.
pub(super) fn crash(template: &World<'_>, world: &World<'_>, case: &Case) -> Outcome<Hit> {
    let operation = case.operation;
    new_host(operation)?;
    world.copy_of(template)?;
    let before = world.beside("before");
    let is_power = matches!(case.crash, Crash::Power(_));
    if is_power {
        before.copy_of(world)?;
    }
    world.steps(operation.program, operation.before, is_power)?;
    // Of the steps before.
    drop(fs::remove_file(world.note()));
    let fault = case
        .place
        .as_ref()
        .map(|Place { point, nth }| format!("{} {point} {nth}", case.crash.action()));
    let faults = Faults {
        fault: fault.as_deref(),
        trace: is_power,
        is_beyond: operation.is_beyond(),
    };
    let output = world.run(operation.program, operation.run, faults)?;
    await_monitors(world, operation)?;
    if matches!(case.crash, Crash::Fail(_)) {
        if was_killed(&output) {
            return Err(Failure::new("it died of SIGKILL"));
        }
        spoke_clearly(&output)?;
    }
    let hit = match &case.place {
        Some(_) => world.note().exists(),
        None => output.status.code() == Some(operation.code),
    };
    let hit = if hit { Hit::Hit } else { Hit::Missed };
    match case.crash {
        Crash::Power(loss) => after_power(world, &before, case, loss)?,
        _ => checks::after_crash(world, operation, true)?,
    }
    Ok(hit)
}

/// Takes the power away from a world, ends its processes, and checks what is left, in its place:
/// containers made from images know the paths of their layers.
fn after_power(world: &World<'_>, before: &World<'_>, case: &Case, loss: Loss) -> Outcome {
    let operation = case.operation;
    let left = world.beside("left");
    left.clear()?;
    let journal = trace::read(&world.trace())?;
    power::lose(
        (&before.root(), &world.root()),
        &journal,
        loss,
        &left.root(),
    )?;
    if operation.program == Program::Berth {
        world.must(Program::Berth, &["system", "restore"])?;
        checks::remove_all(world)?;
        checks::nothing_left(world)?;
    }
    // As after a boot.
    new_host(operation)?;
    world.clear()?;
    fs::rename(left.root(), world.root())
        .map_err(|error| Failure::file("rename", &left.root(), &error))?;
    if case.place.is_none() && !operation.survives.is_empty() {
        world.must(operation.program, operation.recovery())?;
        world.must(operation.program, operation.survives)?;
    }
    checks::after_crash(world, operation, false)
}

/// An operation that failed says so in words, and is no defect.
fn spoke_clearly(output: &std::process::Output) -> Outcome {
    let text = said(output);
    let panicked = output.status.code() == Some(101) || text.contains("panicked");
    let silent = !output.status.success() && text.is_empty();
    if panicked || silent || output.status.code().is_none() {
        return Err(Failure::new(format!(
            "it ended with {} and said: {text}",
            output.status
        )));
    }
    Ok(())
}
