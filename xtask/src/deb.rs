//! `deb`: Debian's package, and its trial: installed, used, removed and purged.

mod stage;
mod trial;

use std::path::{Path, PathBuf};

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::scratch::Scratch;
use crate::{build, setup, workspace};

/// Runs `cargo xtask deb`. `--dev` packs the binaries of the dev profile; `--trial` tries the package.
pub(crate) fn command(mut args: Args) -> Outcome {
    let dev = args.flag("--dev");
    let try_it = args.flag("--trial");
    args.finish()?;
    let binaries = if dev {
        build::debug()?
    } else {
        build::release()?
    };
    let package = pack(&binaries)?;
    println!("{}", package.display());
    if try_it { trial::run(&package) } else { Ok(()) }
}

/// Packs these binaries and tries the package.
///
/// # Errors
/// It cannot be packed, or does not do what it should.
pub(crate) fn check(binaries: &[PathBuf]) -> Outcome {
    trial::run(&pack(binaries)?)
}

/// Writes the manual pages of these binaries into a folder.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn manual(berth: &Path, folder: &Path) -> Outcome {
    stage::manual(berth, folder)
}

/// Makes the package in `target/debian/`.
fn pack(binaries: &[PathBuf]) -> Outcome<PathBuf> {
    setup::cargo_deb()?;
    let target = workspace::target_dir()?;
    // cargo-deb finds what it packs below the folder of the profile, wherever that is.
    let profile = target.join(workspace::TRIPLE).join("release");
    stage::fill(&profile.join("package"), binaries)?;
    let scratch = Scratch::make("deb")?;
    let mut cargo = exec::cargo();
    cargo.args([
        "deb",
        "--no-build",
        "--no-strip",
        "--no-dbgsym",
        "--offline",
    ]);
    cargo.args(["--package", "berth", "--target", workspace::TRIPLE]);
    cargo.arg("--output").arg(scratch.path());
    exec::run(&mut cargo)?;
    let made = std::fs::read_dir(scratch.path())
        .map_err(|error| Failure::file("list", scratch.path(), &error))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .ok_or_else(|| Failure::new("cargo-deb has made no package"))?;
    let folder = target.join("debian");
    std::fs::create_dir_all(&folder).map_err(|e| Failure::file("create", &folder, &e))?;
    let package = folder.join(made.file_name().unwrap_or_default());
    std::fs::copy(&made, &package).map_err(|e| Failure::file("write", &package, &e))?;
    Ok(package)
}
