//! `build`: the release binaries, linked to where one looks for them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::workspace::{self, TRIPLE};

/// The binaries of a release; the first finds the second beside itself.
pub(crate) const BINARIES: [&str; 2] = ["berth", "berth-runtime"];

/// Runs `cargo xtask build`.
pub(crate) fn command(args: Args) -> Outcome {
    args.finish()?;
    for path in release()? {
        println!("{}", path.display());
    }
    Ok(())
}

/// Builds both release binaries and links them into `target/release/`; returns their paths.
///
/// # Errors
/// The build or the linking fails.
pub(crate) fn release() -> Outcome<Vec<PathBuf>> {
    cargo_build(&["--release"])?;
    let target = workspace::target_dir()?;
    let to = target.join("release");
    fs::create_dir_all(&to).map_err(|error| Failure::file("create", &to, &error))?;
    let from = target.join(TRIPLE).join("release");
    BINARIES
        .iter()
        .map(|name| link(&from.join(name), &to.join(name)))
        .collect()
}

/// Builds both binaries as the tests use them, with the dev profile; returns their paths.
///
/// # Errors
/// The build fails.
pub(crate) fn debug() -> Outcome<Vec<PathBuf>> {
    cargo_build(&[])?;
    let from = workspace::target_dir()?.join(TRIPLE).join("debug");
    Ok(BINARIES.iter().map(|name| from.join(name)).collect())
}

/// Builds `berth` alone with the dev profile; returns its path.
///
/// # Errors
/// The build fails.
pub(crate) fn debug_engine() -> Outcome<PathBuf> {
    exec::run(exec::cargo().args(["build", "--locked", "--package", BINARIES[0]]))?;
    let from = workspace::target_dir()?.join(TRIPLE).join("debug");
    Ok(from.join(BINARIES[0]))
}

/// Builds an example of a package, of the release unless `dev`; returns its path.
///
/// # Errors
/// The build fails.
pub(crate) fn example(package: &str, name: &str, dev: bool) -> Outcome<PathBuf> {
    let mut cargo = exec::cargo();
    cargo.args(["build", "--locked", "--package", package, "--example", name]);
    cargo.args((!dev).then_some("--release"));
    exec::run(&mut cargo)?;
    let profile = if dev { "debug" } else { "release" };
    let built = workspace::target_dir()?.join(TRIPLE).join(profile);
    Ok(built.join("examples").join(name))
}

fn cargo_build(more: &[&str]) -> Outcome {
    let mut cargo = exec::cargo();
    cargo.args(["build", "--locked"]);
    for package in BINARIES {
        cargo.args(["--package", package]);
    }
    exec::run(cargo.args(more))
}

/// Makes `to` the same file as `from`, or a copy of it where links cannot be made.
fn link(from: &Path, to: &Path) -> Outcome<PathBuf> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::file("replace", to, &error));
        }
        _ => {}
    }
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).map_err(|error| Failure::file("copy", from, &error))?;
    }
    Ok(to.to_path_buf())
}
