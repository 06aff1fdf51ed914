//! `build`: the release binaries, linked to where one looks for them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
    exec::run(&mut cargo_build(&["--release"]))?;
    linked()
}

/// A build of the release beside other work: most of its time is the linker's, on one processor.
pub(crate) struct Release {
    /// Prints into `log`.
    cargo: Child,
    log: PathBuf,
}

impl Release {
    /// Starts the build.
    ///
    /// # Errors
    /// Cargo cannot be started, or what it prints cannot be kept.
    pub(crate) fn begin() -> Outcome<Self> {
        let target = workspace::target_dir()?;
        fs::create_dir_all(&target).map_err(|error| Failure::file("create", &target, &error))?;
        let log = target.join("xtask-release.log");
        let file = File::create(&log).map_err(|error| Failure::file("create", &log, &error))?;
        let mut command = cargo_build(&["--release"]);
        exec::announce(&format!("{}, beside what follows", exec::shown(&command)));
        let cargo = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|error| exec::cannot_start(&command, &error))?;
        Ok(Self { cargo, log })
    }

    /// Waits for its end, prints what it said, and returns what [`release`] does.
    ///
    /// # Errors
    /// As [`release`].
    pub(crate) fn finish(mut self) -> Outcome<Vec<PathBuf>> {
        let status = self.cargo.wait();
        let status = status.map_err(|error| Failure::new(format!("cannot wait: {error}")))?;
        exec::announce("the release build said");
        match fs::read_to_string(&self.log) {
            Ok(said) => print!("{said}"),
            Err(error) => println!("{}: {error}", self.log.display()),
        }
        match status.success() {
            true => linked(),
            false => Err(Failure::new(format!(
                "the release build ended with {status}"
            ))),
        }
    }
}

impl Drop for Release {
    /// Nobody wants it any more where what went on beside it has failed. Ended already, it is not
    /// there to be killed.
    fn drop(&mut self) {
        if self.cargo.kill().is_ok() {
            self.cargo.wait().ok();
        }
    }
}

/// Links the release binaries into `target/release/`; returns the links.
fn linked() -> Outcome<Vec<PathBuf>> {
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
    exec::run(&mut cargo_build(&[]))?;
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

fn cargo_build(more: &[&str]) -> Command {
    let mut cargo = exec::cargo();
    cargo.args(["build", "--locked"]);
    for package in BINARIES {
        cargo.args(["--package", package]);
    }
    cargo.args(more);
    cargo
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
