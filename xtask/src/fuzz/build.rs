//! Building the targets with the fuzzer's counters.

use std::fs;
use std::path::PathBuf;

use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::workspace::{self, TRIPLE};

/// Counters for each edge, and both sides of each comparison: what LLVM's fuzzer steers by. The
/// stable compiler runs LLVM's pass, it only has no name of its own for it.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The targets, built.
pub(super) struct Built {
    /// Where the programs are.
    pub(super) programs: PathBuf,
    /// What a run leaves: what was learnt, what was found, what was said.
    pub(super) target_dir: PathBuf,
}

/// Builds all targets.
///
/// # Errors
/// The build fails, for one because libfuzzer-sys cannot be fetched.
pub(super) fn build() -> Outcome<Built> {
    let folder = workspace::root().join("crates/berth-image/fuzz");
    // The versions that are tested are those that are shipped; cargo adds what is missing.
    let (from, to) = (
        workspace::root().join("Cargo.lock"),
        folder.join("Cargo.lock"),
    );
    if is_newer(&from, &to) {
        fs::copy(&from, &to).map_err(|error| Failure::file("copy", &from, &error))?;
    }
    let target_dir = workspace::target_dir()?.join("fuzz");
    // Of .cargo/config.toml the flags for static linking must not count: the variable replaces them.
    exec::run(
        exec::cargo()
            .args(["build", "--bins", "--target", TRIPLE])
            .current_dir(&folder)
            .env("CARGO_TARGET_DIR", &target_dir)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", FLAGS.join(" ")),
    )?;
    Ok(Built {
        programs: target_dir.join(TRIPLE).join("debug"),
        target_dir,
    })
}

fn is_newer(a: &std::path::Path, b: &std::path::Path) -> bool {
    let time = |path| fs::metadata(path).and_then(|metadata| metadata.modified());
    match (time(a), time(b)) {
        (Ok(a), Ok(b)) => a > b,
        _ => true,
    }
}
