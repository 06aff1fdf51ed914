//! `deb`: Debian's package, and its trial: installed, used, removed and purged.

mod stage;
mod trial;

use std::path::{Path, PathBuf};
use std::process::Command;

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
    let package = pack(&binaries, dev)?;
    println!("{}", package.display());
    if try_it { trial::run(&package) } else { Ok(()) }
}

/// Packs these binaries and tries the package.
///
/// # Errors
/// It cannot be packed, or does not do what it should.
pub(crate) fn check(binaries: &[PathBuf]) -> Outcome {
    trial::run(&pack(binaries, false)?)
}

/// Writes the manual pages of these binaries into a folder.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn manual(berth: &Path, folder: &Path) -> Outcome {
    stage::manual(berth, folder)
}

/// Makes the package in `target/debian/`; quickly where nobody is to have it.
fn pack(binaries: &[PathBuf], quickly: bool) -> Outcome<PathBuf> {
    setup::cargo_deb()?;
    let target = workspace::target_dir()?;
    // cargo-deb finds what it packs below the folder of the profile, wherever that is.
    let profile = target.join(workspace::TRIPLE).join("release");
    let folder = profile.join("package");
    stage::fill(&folder, binaries)?;
    let bin = folder.join("bin");
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
    // As the policy of Debian has programs: what is of use to a debugger alone is not in them.
    for name in build::BINARIES {
        let mut strip = Command::new("strip");
        strip.args(["--strip-unneeded", "--remove-section=.comment"]);
        exec::read(strip.arg(bin.join(name)))?;
    }
    if quickly {
        cargo.arg("--fast");
    }
    if let Some(maintainer) = stage::maintainer() {
        cargo.args(["--maintainer", &maintainer]);
    }
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
