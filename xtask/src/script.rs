//! `script`: two hundred ordinary docker commands, done by docker and by berth, and what they print.
//!
//! The commands are `xtask/data/script.sh`. Each engine has namespaces, stores and a working folder of its
//! own. Standard output and exit codes are compared once what differs from run to run is taken out; what
//! still differs stands in docs/docker-differences.md.

mod normal;
mod page;
mod world;

use std::fs;
use std::path::Path;

use crate::args::Args;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::scratch::Scratch;
use crate::setup::{self, Purpose};
use crate::{build, workspace};

use world::{Said, World};

/// Runs `cargo xtask script`. `--write` takes reasons off the page that are none any more.
pub(crate) fn command(mut args: Args) -> Outcome {
    let write = args.flag("--write");
    let verbose = args.flag("--verbose");
    args.finish()?;
    setup::ensure(&[Purpose::Build, Purpose::Test])?;
    let berth = &build::debug()?[0];
    let mode = match write {
        true => Mode::Write,
        false => Mode::Check,
    };
    run(berth, mode, verbose)
}

/// Runs the script as part of the tests.
///
/// # Errors
/// As [`command`].
pub(crate) fn check(berth: &Path) -> Outcome {
    run(berth, Mode::Check, false)
}

/// What is done about reasons that are none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Check,
    Write,
}

/// A line, and what each engine said to it.
struct Line {
    text: String,
    docker: Said,
    berth: Said,
}

fn run(berth: &Path, mode: Mode, verbose: bool) -> Outcome {
    let script = workspace::root().join("xtask/data/script.sh");
    let script = fs::read_to_string(&script).map_err(|e| Failure::file("read", &script, &e))?;
    if !setup::is_root()? {
        return Err(Failure::new(
            "the script starts a docker daemon and takes root",
        ));
    }
    if !exec::installed("dockerd") {
        println!("script: dockerd is not installed, so nothing is compared");
        return Ok(());
    }
    let lines = run_both(berth, &script)?;
    let differing: Vec<&Line> = lines.iter().filter(|l| l.docker != l.berth).collect();
    let path = workspace::root().join("docs/docker-differences.md");
    let text = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, &e))?;
    let names: Vec<&str> = differing.iter().map(|line| line.text.as_str()).collect();
    let judged = page::judge(&text, &names)?;
    for line in &differing {
        let is_new = judged.unexplained.contains(&line.text.as_str());
        if verbose || is_new {
            println!(
                "{}\n  docker: {}\n  berth:  {}",
                line.text, line.docker, line.berth
            );
        }
    }
    if mode == Mode::Write {
        fs::write(&path, &judged.kept).map_err(|e| Failure::file("write", &path, &e))?;
    } else if !judged.stale.is_empty() {
        return Err(Failure::new(format!(
            "docs/docker-differences.md gives reasons for lines that do not differ any more: {}; \
             \"cargo xtask script --write\" takes them out",
            judged.stale.join("; ")
        )));
    }
    if !judged.unexplained.is_empty() {
        return Err(Failure::new(format!(
            "{} lines differ from docker without a reason in docs/docker-differences.md",
            judged.unexplained.len()
        )));
    }
    println!(
        "script: {} command lines, {} alike, {} differ for a reason",
        lines.len(),
        lines.len() - differing.len(),
        differing.len()
    );
    Ok(())
}

fn run_both(berth: &Path, script: &str) -> Outcome<Vec<Line>> {
    let scratch = Scratch::make("script")?;
    let world = World::start(&scratch, berth)?;
    let mut lines = Vec::new();
    for text in script
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        lines.push(Line {
            text: text.to_owned(),
            docker: world.docker(text)?,
            berth: world.berth(text)?,
        });
    }
    Ok(lines)
}
