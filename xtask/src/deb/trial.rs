//! The package on a copy of this machine: an overlay above its root, in namespaces that end with it.

use std::path::Path;
use std::process::Command;

use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::scratch::Scratch;
use crate::setup;

/// Makes the copy and tries the package there; see the script.
const SCRIPT: &str = include_str!("trial.sh");

/// What lintian says of it, where that is installed.
fn lint(package: &Path) -> Outcome {
    if !exec::installed("lintian") {
        println!("deb: not linted, since lintian is not installed");
        return Ok(());
    }
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]);
    let output = exec::capture(lintian.arg(package))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "lintian has something to say: {}",
            String::from_utf8_lossy(&output.stdout).trim()
        ))),
    }
}

/// Installs the package, uses it, removes and purges it.
///
/// # Errors
/// A step does not end as it should; what was said is in the message.
pub(super) fn run(package: &Path) -> Outcome {
    lint(package)?;
    if !setup::is_root()? || !exec::installed("dpkg") {
        println!("deb: not tried, which takes root and dpkg");
        return Ok(());
    }
    let scratch = Scratch::make("deb-trial")?;
    let script = scratch.path().join("trial.sh");
    std::fs::write(&script, SCRIPT).map_err(|e| Failure::file("write", &script, &e))?;
    exec::announce("the package: installed, used, removed, purged");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child"]);
    command
        .args(["--propagation", "private", "sh"])
        .arg(&script);
    let output = exec::capture(command.arg(scratch.path()).arg(package))?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the trial of the package ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
