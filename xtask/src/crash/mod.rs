//! `crash`: every operation of the stores killed, failed and robbed of power at every point, and
//! recovered.
//!
//! A first run of an operation lists the points that it passes (berth-persist writes them down in
//! builds with debug assertions). Then it is run again and again on copies of the same store: killed
//! before and after each, with the operation failing in several ways, and with all that was not
//! synced lost. After each crash the store is recovered, and nothing may be lost, half done or left
//! behind ([`checks`]). All of it happens in a mount namespace and on a tmpfs of our own, in a
//! network namespace that has loopback alone.
//!
//! `crash networks` does all operations on networks, `crash churn` their crash loop alone, of
//! `--rounds N`, `crash life` and `crash churn-life` those of the life of containers; `crash NAME` does one operation; `crash NAME CRASH POINT NTH` one crash, as a failure prints it;
//! `--share N` an Nth of all crashes; `--rounds N` at least so many of each kill.

mod cases;
mod checks;
mod churn;
mod disk;
mod fixtures;
mod host;
mod operations;
mod power;
mod table;
mod trace;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use crate::args::Args;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use crate::soak::census::cgroup_points;
use crate::{build, exec};
use cases::{Case, Crash};
use churn::Loop;
use operations::{Needs, Operation};
use table::Table;
use trace::Place;
use world::{Programs, World};

/// Each point is killed at least so often in a full run, and all together so often.
const HITS_LEAST: usize = 20;
const KILLS_LEAST: usize = 1000;

/// The words for all operations on networks, and for those of the life of containers.
const NETWORKS: &str = "networks";
const LIFE: &str = "life";

/// Says that we are in namespaces of our own.
const INSIDE: &str = "BERTH_XTASK_CRASH_INSIDE";

/// What is asked for.
struct Wanted {
    operations: Vec<&'static Operation>,
    /// One crash alone.
    one: Option<(Crash, Option<Place>)>,
    disks: bool,
    /// Crash loops, and how many rounds of each.
    churns: Vec<(&'static Loop, usize)>,
    rounds: usize,
    share: usize,
}

/// Runs `cargo xtask crash`.
pub(crate) fn command(args: Args) -> Outcome {
    let mut wanted = parse(args)?;
    setup::ensure(&[Purpose::Build, Purpose::Test])?;
    if std::env::var_os(INSIDE).is_none() {
        let words: Vec<String> = std::env::args().skip(1).collect();
        return in_own_namespaces(&words);
    }
    fixtures::possible(&mut wanted.operations);
    run(&wanted)
}

/// Does one `share`th of all crashes, where we are root.
///
/// # Errors
/// A check fails.
pub(crate) fn share(share: usize) -> Outcome {
    if !rustix::process::geteuid().is_root() {
        println!("the crashes need root, so that none are tried");
        return Ok(());
    }
    in_own_namespaces(&["crash".to_owned(), "--share".to_owned(), share.to_string()])
}

fn parse(mut args: Args) -> Outcome<Wanted> {
    let rounds = args.number("--rounds")?;
    let share = args.number("--share")?.unwrap_or(1);
    let words: Vec<String> = std::iter::from_fn(|| args.word()).collect();
    args.finish()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let all = || operations::all().collect();
    let (operations, one, disks) = match *words.as_slice() {
        [] => (all(), None, true),
        [disk::NAME] => (Vec::new(), None, true),
        [name] if loop_of(name).is_some() => (Vec::new(), None, false),
        [NETWORKS] => (operations::networks().collect(), None, false),
        [LIFE] => (operations::life().collect(), None, false),
        [name] => (vec![cases::find(name)?], None, false),
        [name, crash] => {
            let one = (Crash::parse(crash)?, None);
            (vec![cases::find(name)?], Some(one), false)
        }
        [name, crash, point, nth] => {
            let place = Place {
                point: point.to_owned(),
                nth: nth
                    .parse()
                    .map_err(|_| Failure::usage(format!("\"{nth}\" is no number")))?,
            };
            let one = (Crash::parse(crash)?, Some(place));
            (vec![cases::find(name)?], Some(one), false)
        }
        _ => return Err(Failure::usage("crash takes NAME, or NAME CRASH POINT NTH")),
    };
    let some = || churn::ROUNDS.div_ceil(share * share);
    let churns = match *words.as_slice() {
        [] => churn::LOOPS.map(|which| (which, some())).to_vec(),
        [NETWORKS] => vec![(churn::LOOPS[0], some())],
        [LIFE] => vec![(churn::LOOPS[1], some())],
        [name] => {
            let asked = rounds.unwrap_or(churn::ROUNDS).div_ceil(share);
            loop_of(name)
                .map(|which| (which, asked))
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    };
    Ok(Wanted {
        operations,
        one,
        disks,
        churns,
        rounds: rounds.unwrap_or(1),
        share,
    })
}

/// The crash loop of this name.
fn loop_of(name: &str) -> Option<&'static Loop> {
    churn::LOOPS.into_iter().find(|which| which.name == name)
}

/// Runs ourselves again where no mount reaches the host, and no connection.
fn in_own_namespaces(words: &[String]) -> Outcome {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            "crash mounts file systems of its own; run it as root",
        ));
    }
    let ourselves = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find xtask itself: {error}")))?;
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation", "private", "--"])
        .arg(ourselves)
        .args(words)
        .env(INSIDE, "1");
    exec::run(&mut command)
}

fn run(wanted: &Wanted) -> Outcome {
    let interrupt = Interrupt::catch()?;
    let [berth, _] = &build::debug()?[..] else {
        return Err(Failure::new(
            "the build has other binaries than crash knows",
        ));
    };
    let store = build::example("berth-image", "store", true)?;
    let scratch = Scratch::make("crash")?;
    let _disk = disk::Mounted::tmpfs(scratch.path(), "")?;
    let programs = Programs {
        berth: berth.clone(),
        store,
        fixtures: scratch.folder("fixtures")?,
    };
    let begun = Instant::now();
    let _registry = fixtures::make(&world(&programs, scratch.path(), 0), &wanted.operations)?;
    let crashed = crash_all(wanted, &programs, scratch.path(), &interrupt);
    let disks = match (&crashed, wanted.disks) {
        (Ok(_), true) => disk::run(&world(&programs, scratch.path(), 0)),
        _ => Ok(()),
    };
    let churned = match &crashed {
        Err(_) => Ok(()),
        Ok(_) => churn_all(wanted, &programs, scratch.path(), &interrupt),
    };
    remove_cgroups()?;
    let table = crashed?;
    table.lines().iter().for_each(|line| println!("{line}"));
    println!(
        "crash: {} kills in {:.0} s",
        table.kills(),
        begun.elapsed().as_secs_f64()
    );
    disks?;
    churned?;
    let is_full = wanted.share == 1 && is_everything(&wanted.operations);
    if !is_full {
        return Ok(());
    }
    let scarce = table.below(HITS_LEAST);
    if !scarce.is_empty() || table.kills() < KILLS_LEAST {
        return Err(Failure::new(format!(
            "{} kills, and fewer than {HITS_LEAST} at {scarce:?}; give --rounds",
            table.kills()
        )));
    }
    Ok(())
}

/// Does the rounds of all loops that are wanted.
fn churn_all(
    wanted: &Wanted,
    programs: &Programs,
    folder: &Path,
    interrupt: &Interrupt,
) -> Outcome {
    wanted.churns.iter().try_for_each(|(which, rounds)| {
        let worlds: Vec<_> = (0..workers())
            .map(|worker| world(programs, folder, worker))
            .collect();
        churn::run(which, &worlds, *rounds, interrupt)
    })
}

/// Whether these are more than one, all that this machine has what they need for.
fn is_everything(wanted: &[&Operation]) -> bool {
    let always = operations::all().filter(|operation| operation.needs == Needs::Nothing);
    wanted.len() >= always.count()
}

/// How many crash at once.
fn workers() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn world<'a>(programs: &'a Programs, folder: &Path, worker: usize) -> World<'a> {
    let token = format!("crash{}w{worker}", std::process::id());
    World {
        programs,
        folder: folder.join(format!("w{worker}/world")),
        token,
    }
}

/// Crashes all that is wanted.
///
/// # Errors
/// A check failed; each is printed when it does.
fn crash_all(
    wanted: &Wanted,
    programs: &Programs,
    folder: &Path,
    interrupt: &Interrupt,
) -> Outcome<Table> {
    let table = Mutex::new(Table::default());
    let failures = AtomicUsize::new(0);
    let found = find_cases(wanted, programs, folder, interrupt)?;
    for (operation, cases) in chosen(found, wanted) {
        exec::announce(&format!("crash {}: {} times", operation.name, cases.len()));
        let next = AtomicUsize::new(0);
        let work = |number: usize| -> Outcome {
            let world = world(programs, folder, number);
            let worker = Worker::new(&world, operation)?;
            while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                interrupt.check()?;
                let hit = cases::crash(&worker.template, &world, case);
                if let Err(failure) = &hit {
                    failures.fetch_add(1, Ordering::Relaxed);
                    println!("FAILED cargo xtask crash {case}\n  {failure}");
                    worker.clean_up();
                }
                if let Ok(mut table) = table.lock() {
                    table.note(case, hit.ok());
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let running: Vec<_> = (0..workers())
                .map(|number| scope.spawn(move || work(number)))
                .collect();
            running.into_iter().try_for_each(joined)
        })?;
    }
    let table = table.into_inner().map_err(|_| panicked())?;
    match failures.into_inner() {
        0 => Ok(table),
        failed => {
            table.lines().iter().for_each(|line| println!("{line}"));
            Err(Failure::new(format!("{failed} crashes failed")))
        }
    }
}

/// What a thread came to.
fn joined<T>(running: ScopedJoinHandle<'_, Outcome<T>>) -> Outcome<T> {
    running.join().unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Failure {
    Failure::new("a thread of crash panicked")
}

/// An operation and its cases.
type Cases = (&'static Operation, Vec<Case>);

/// Runs every wanted operation whole, and finds its cases.
///
/// # Errors
/// One fails, or leaves something behind.
fn find_cases(
    wanted: &Wanted,
    programs: &Programs,
    folder: &Path,
    interrupt: &Interrupt,
) -> Outcome<Vec<Cases>> {
    let world = world(programs, folder, 0);
    let mut found = Vec::new();
    for operation in &wanted.operations {
        interrupt.check()?;
        let cases = match &wanted.one {
            Some((crash, place)) => vec![Case {
                operation,
                crash: *crash,
                place: place.clone(),
            }],
            None => explore(&world, operation)?,
        };
        found.push((*operation, cases));
    }
    Ok(found)
}

/// Runs an operation whole, in a thread that may get a host of its own for it.
fn explore(world: &World<'_>, operation: &'static Operation) -> Outcome<Vec<Case>> {
    let explored = thread::scope(|scope| {
        let exploring = scope.spawn(|| {
            let worker = Worker::new(world, operation)?;
            let explored = cases::explore(&worker.template, world, operation);
            explored.inspect_err(|_| worker.clean_up())
        });
        joined(exploring)
    });
    explored
        .map_err(|failure| Failure::new(format!("{} without a crash: {failure}", operation.name)))
}

/// How often each case is done. A round is all of them once; kills are repeated until their point
/// has [`HITS_LEAST`] in all operations together, and all of them [`KILLS_LEAST`]. Of the whole,
/// each `share`th.
fn chosen(found: Vec<Cases>, wanted: &Wanted) -> Vec<Cases> {
    let mut at_point: BTreeMap<String, usize> = BTreeMap::new();
    let cases = found.iter().flat_map(|(_, cases)| cases);
    for case in cases.filter(|case| case.crash.kills()) {
        if let Some(place) = &case.place {
            *at_point.entry(place.point.clone()).or_insert(0) += 1;
        }
    }
    let rounds_of = |case: &Case, rounds: usize| {
        let kills = case.place.as_ref().and_then(|p| at_point.get(&p.point));
        match kills {
            // One more than it takes: a process may not come by this time.
            Some(kills) if case.crash.kills() => (HITS_LEAST.div_ceil(*kills) + 1).max(rounds),
            _ => wanted.rounds,
        }
    };
    let kills_in = |rounds: usize| -> usize {
        let cases = found.iter().flat_map(|(_, cases)| cases);
        let kills = cases.filter(|case| case.crash.kills());
        kills.map(|case| rounds_of(case, rounds)).sum()
    };
    let operations: Vec<_> = found.iter().map(|(operation, _)| *operation).collect();
    let is_full = is_everything(&operations);
    let enough = |rounds: &usize| !is_full || kills_in(*rounds) > KILLS_LEAST + KILLS_LEAST / 20;
    let rounds = (wanted.rounds..wanted.rounds + KILLS_LEAST).find(enough);
    let rounds = rounds.unwrap_or(wanted.rounds);
    let mut number = 0;
    let mut all = Vec::new();
    for (operation, cases) in &found {
        let repeated = cases
            .iter()
            .flat_map(|case| std::iter::repeat_n(case, rounds_of(case, rounds)));
        let shared = repeated.filter(|_| {
            number += 1;
            number % wanted.share == 0
        });
        let shared: Vec<Case> = shared.cloned().collect();
        all.push((*operation, shared));
    }
    all
}

/// One worker's template.
struct Worker<'a> {
    template: World<'a>,
    world: &'a World<'a>,
}

impl<'a> Worker<'a> {
    fn new(world: &'a World<'a>, operation: &Operation) -> Outcome<Self> {
        let template = world.beside("template");
        cases::prepare(&template, operation)?;
        Ok(Self { template, world })
    }

    /// After a check that failed: the next one must not find its remains.
    fn clean_up(&self) {
        for world in [self.world, &self.world.beside("left")] {
            if let Err(failure) = checks::remove_all(world) {
                println!("  what is left: {failure}");
            }
        }
    }
}

/// Removes the parents of our cgroups.
fn remove_cgroups() -> Outcome {
    for point in cgroup_points()? {
        for number in 0..workers() {
            let parent = point.join(format!("crash{}w{number}", std::process::id()));
            for folder in [parent.join("berth"), parent] {
                if let Err(error) = std::fs::remove_dir(&folder)
                    && error.kind() != std::io::ErrorKind::NotFound
                {
                    println!("{}", Failure::file("remove", &folder, &error));
                }
            }
        }
    }
    Ok(())
}
