//! `verbs`: docker's command line against ours, flag by flag.
//!
//! What docker has is asked of its client where one is installed, and kept in `xtask/data/docker.txt`,
//! so that the check works without. What differs stands in docs/docker-differences.md with the reason;
//! anything else that differs is a failure, and so is a reason for what no longer differs.

mod client;
mod compare;
mod list;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::{build, workspace};

use list::Verb;

/// Runs `cargo xtask verbs`. `--write` takes the list from the client, and takes reasons off the page
/// that are none any more.
pub(crate) fn command(mut args: Args) -> Outcome {
    let write = args.flag("--write");
    args.finish()?;
    let berth = build::debug_engine()?;
    if write {
        let verbs = client::read()?;
        save(&list_path(), &list::text(&verbs, &client::version()?))?;
    }
    check(&berth, write)
}

/// Compares the list, and the client where it is the one that the list was taken from, with this
/// binary's command line.
///
/// # Errors
/// Something differs without a reason, or the client says something else than the list.
pub(crate) fn check(berth: &Path, write: bool) -> Outcome {
    let text = load(&list_path())?;
    let verbs = list::parse(&text)?;
    if exec::installed("docker") && client::version()? == list::version(&text) {
        let asked = client::read()?;
        if asked != verbs {
            return Err(Failure::new(
                "xtask/data/docker.txt is not what the docker client says; \
                 run \"cargo xtask verbs --write\"",
            ));
        }
    }
    let ours = compare::ours(&exec::read(
        Command::new(berth).args(["internal", "surface"]),
    )?)?;
    let differences = compare::compare(&verbs, &ours);
    let path = page_path();
    let text = load(&path)?;
    let judged = page::judge(&text, &differences)?;
    if write {
        save(&path, &judged.kept)?;
    } else if !judged.stale.is_empty() {
        return Err(Failure::new(format!(
            "docs/docker-differences.md gives reasons for what does not differ any more: {}; \
             \"cargo xtask verbs --write\" takes them out",
            judged.stale.join(", ")
        )));
    }
    for missing in &judged.unexplained {
        println!("{missing}");
    }
    if !judged.unexplained.is_empty() {
        return Err(Failure::new(format!(
            "{} differences from docker have no reason in docs/docker-differences.md",
            judged.unexplained.len()
        )));
    }
    let flags: usize = verbs.iter().map(|verb| verb.flags.len()).sum();
    println!(
        "verbs: {} commands and {flags} flags of docker, {} differences with their reasons",
        verbs.len(),
        differences.len()
    );
    Ok(())
}

fn list_path() -> PathBuf {
    workspace::root().join("xtask/data/docker.txt")
}

fn page_path() -> PathBuf {
    workspace::root().join("docs/docker-differences.md")
}

fn load(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))
}

fn save(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| Failure::file("write", path, &error))
}
