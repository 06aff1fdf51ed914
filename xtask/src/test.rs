//! `test`: what CI runs, in the order in which mistakes are cheapest to find.

mod runner;
pub(crate) mod skips;

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::build::{self, Release};
use crate::exec;
use crate::failure::Outcome;
use crate::setup::{self, Purpose};
use crate::{crash, deb, fuzz, man, script, soak, spec, tidy, verbs, vm};

/// CI runs a twentieth of the soak.
const SOAK_SHARE: usize = 20;

/// And a twentieth of the crashes.
const CRASH_SHARE: usize = 20;

/// For all fuzz targets together: their build takes longer than that where it is the first.
const FUZZ_TIME: Duration = Duration::from_secs(30);

/// Runs `cargo xtask test`. `--quick` leaves out what needs the release: VM tier and soak.
pub(crate) fn command(mut args: Args) -> Outcome {
    let quick = args.flag("--quick");
    args.finish()?;
    setup::ensure(&[Purpose::Build, Purpose::Test, Purpose::Vm])?;
    let runner = setup::nextest()?;
    exec::run(exec::cargo().args(["fmt", "--all", "--check"]))?;
    exec::announce("tidy");
    tidy::check()?;
    exec::announce("spec");
    spec::check()?;
    let release = match quick {
        true => None,
        false => Some(Release::begin()?),
    };
    timed("clippy", clippy)?;
    licences()?;
    let debug = timed("build", build::debug)?;
    timed("build of the tests", || runner::build(runner))?;
    let skip_file = skips::start()?;
    if let Some(release) = release {
        let binaries = timed("rest of the release build", || release.finish())?;
        let vm = || vm::run(&vm::Selection::share(), &binaries);
        skips::add(&skip_file, &timed("vm", vm)?)?;
        timed("soak", || soak::run(SOAK_SHARE))?;
        exec::announce("deb");
        timed("deb", || deb::check(&binaries))?;
    }
    exec::announce("verbs");
    verbs::check(&debug[0], false)?;
    exec::announce("man");
    timed("man", || man::check(&debug[0]))?;
    exec::announce("script");
    timed("script", || script::check(&debug[0]))?;
    timed("crash", || crash::share(CRASH_SHARE))?;
    timed("fuzz", || fuzz::share(FUZZ_TIME))?;
    timed("tests", || runner::run(runner, &skip_file))
}

/// Does a stage and says how long it took: CI has an hour and a half.
fn timed<T>(stage: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let begun = Instant::now();
    let done = work()?;
    println!("==> {stage}: {} s", begun.elapsed().as_secs());
    Ok(done)
}

fn clippy() -> Outcome {
    exec::run(exec::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny=warnings",
    ]))
}

/// Licences, banned crates and sources of all dependencies, where cargo-deny is installed.
fn licences() -> Outcome {
    if !exec::installed("cargo-deny") {
        println!(
            "cargo-deny is not installed, so licences and sources of the dependencies go \
             unchecked; install it with \"cargo install --locked cargo-deny\""
        );
        return Ok(());
    }
    exec::run(exec::cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]))
}
