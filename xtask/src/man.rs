//! `man`: manual pages, one for each command, and what groff and mandoc say of them.

use std::path::PathBuf;
use std::process::Command;

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::scratch::Scratch;
use crate::{build, deb};

/// Runs `cargo xtask man FOLDER`; without a folder the pages are checked and forgotten.
pub(crate) fn command(mut args: Args) -> Outcome {
    let folder = args.word().map(PathBuf::from);
    args.finish()?;
    let berth = build::debug_engine()?;
    match folder {
        Some(folder) => deb::manual(&berth, &folder),
        None => check(&berth),
    }
}

/// Makes the pages and has them read by groff, and by mandoc where it is installed.
///
/// # Errors
/// One of them warns.
pub(crate) fn check(berth: &std::path::Path) -> Outcome {
    let scratch = Scratch::make("man")?;
    deb::manual(berth, scratch.path())?;
    let mut pages: Vec<PathBuf> = std::fs::read_dir(scratch.path())
        .map_err(|error| Failure::file("list", scratch.path(), &error))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    pages.sort();
    let mut warnings = String::new();
    if exec::installed("groff") {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-ww", "-z"]).args(&pages);
        let said = exec::capture(&mut groff)?;
        warnings.push_str(&String::from_utf8_lossy(&said.stderr));
    }
    if exec::installed("mandoc") {
        let mut mandoc = Command::new("mandoc");
        mandoc.args(["-T", "lint", "-W", "warning"]).args(&pages);
        let said = exec::capture(&mut mandoc)?;
        warnings.push_str(&String::from_utf8_lossy(&said.stdout));
    }
    if !warnings.is_empty() {
        print!("{warnings}");
        return Err(Failure::new("manual pages are not as they should be"));
    }
    println!("man: {} pages, nothing to say", pages.len());
    Ok(())
}
