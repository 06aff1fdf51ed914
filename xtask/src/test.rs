//! `test`: what CI runs, in the order in which mistakes are cheapest to find.

mod runner;
pub(crate) mod skips;

use std::time::Duration;

use crate::args::Args;
use crate::exec;
use crate::failure::Outcome;
use crate::setup::{self, Purpose};
use crate::{build, crash, deb, fuzz, man, script, soak, spec, tidy, verbs, vm};

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
    exec::run(exec::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "--deny=warnings",
    ]))?;
    exec::announce("tidy");
    tidy::check()?;
    exec::announce("spec");
    spec::check()?;
    licences()?;
    let skip_file = skips::start()?;
    if !quick {
        let binaries = build::release()?;
        skips::add(&skip_file, &vm::run(&vm::Selection::share(), &binaries)?)?;
        soak::run(SOAK_SHARE)?;
        exec::announce("deb");
        deb::check(&binaries)?;
    }
    let debug = build::debug()?;
    exec::announce("verbs");
    verbs::check(&debug[0], false)?;
    exec::announce("man");
    man::check(&debug[0])?;
    exec::announce("script");
    script::check(&debug[0])?;
    crash::share(CRASH_SHARE)?;
    fuzz::share(FUZZ_TIME)?;
    runner::run(runner, &skip_file)
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
