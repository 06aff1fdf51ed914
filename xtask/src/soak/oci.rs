//! The soak of `berth-runtime`: `run` of its default spec with `true`, from bundles of busybox.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::bounded::within;
use super::census::{self, Census};
use super::{Binaries, CROWD, Counts, settle, starts};
use crate::bench::rootfs::{self, CONFIG};
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::scratch::Scratch;
use crate::setup;

const COUNTS: Counts = Counts {
    row: 10_000,
    crowds: 1000,
};

/// Starts one `share`th of the counts.
///
/// # Errors
/// A command fails or hangs, or something is left.
pub(super) fn run(binaries: &Binaries<'_>, share: usize, interrupt: &Interrupt) -> Outcome {
    if !setup::is_root()? {
        return Err(Failure::new(
            "soak oci needs root: it makes cgroups of its own",
        ));
    }
    let scratch = Scratch::make("soak-oci")?;
    let runtime = Runtime::make(binaries.runtime, &scratch)?;
    // The first start makes what is made once and stays: the cgroup of all others.
    runtime.run(0, "warm-up")?;
    let before = Census::take(&runtime.cgroup)?;
    let counts = COUNTS.shared(share);
    starts("oci", &counts, interrupt, |number, name| {
        // In a row, one bundle serves all; in a crowd each has its own, hence its own cgroup.
        runtime.run(number % CROWD, name)
    })?;
    runtime.check_state()?;
    settle("oci", &before, counts.starts())
}

/// The program with state, bundles and cgroups of its own. Whatever container is left when this is
/// dropped is removed by force.
struct Runtime {
    program: PathBuf,
    state: PathBuf,
    bundles: PathBuf,
    /// The parent of all its cgroups.
    cgroup: String,
}

impl Runtime {
    fn make(program: &Path, scratch: &Scratch) -> Outcome<Self> {
        let runtime = Self {
            program: program.to_path_buf(),
            state: scratch.folder("state")?,
            bundles: scratch.folder("bundles")?,
            cgroup: format!("berth-soak-{}", std::process::id()),
        };
        let root = scratch.folder("rootfs")?;
        rootfs::lay_out(&root)?;
        exec::read(
            runtime
                .command(&["spec"])
                .arg("--bundle")
                .arg(&runtime.bundles),
        )?;
        let path = runtime.bundles.join(CONFIG);
        let text =
            fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
        let mut spec: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("berth-runtime spec wrote no JSON: {error}")))?;
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["/bin/true"]);
        spec["root"]["path"] = json!(root);
        for number in 0..CROWD {
            let name = number.to_string();
            rootfs::write_bundle(&mut spec, &runtime.bundles, &runtime.cgroup, &name)?;
        }
        Ok(runtime)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.state).args(words);
        command
    }

    fn run(&self, bundle: usize, id: &str) -> Outcome {
        let bundle = self.bundles.join(bundle.to_string());
        within(self.command(&["run", "--bundle"]).arg(bundle).arg(id))
    }

    /// No container has a folder left. Whatever else the state folder holds was made once.
    fn check_state(&self) -> Outcome {
        let listed = exec::read(&mut self.command(&["list", "--quiet"]))?;
        if !listed.trim().is_empty() {
            return Err(Failure::new(format!(
                "containers are still listed: {}",
                listed.trim()
            )));
        }
        let entries = fs::read_dir(&self.state)
            .map_err(|error| Failure::file("list", &self.state, &error))?;
        let left: Vec<_> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        match left.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "the state folder still holds {}",
                left.join(" ")
            ))),
        }
    }

    /// Removes every container by force, and the cgroup in which they were.
    fn remove_all(&self) -> Outcome {
        let ids = exec::read(&mut self.command(&["list", "--quiet"]))?;
        for id in ids.split_whitespace() {
            within(&mut self.command(&["delete", "--force", id]))?;
        }
        let mut failures = Vec::new();
        for point in census::cgroup_points()? {
            let path = point.join(&self.cgroup);
            if !path.exists() {
                continue;
            }
            // Refused while another is below it (cgroups(7)).
            if let Err(error) = fs::remove_dir(&path) {
                failures.push(Failure::file("remove", &path, &error).to_string());
            }
        }
        match failures.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(failures.join("; "))),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Err(failure) = self.remove_all() {
            eprintln!("xtask: containers or cgroups may be left: {failure}");
        }
    }
}
