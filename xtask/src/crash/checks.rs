//! What must hold after a crash and its recovery.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::host;
use super::operations::{Needs, Operation, Program};
use super::world::{Faults, World, said};
use crate::failure::{Failure, Outcome};
use crate::soak::census::cgroup_points;

/// The host's PID 1 may take seconds to reap an orphan.
const SETTLE: Duration = Duration::from_secs(5);

/// Recovers, and checks everything; at the end the world is empty.
///
/// # Errors
/// What does not hold.
pub(super) fn after_crash(world: &World<'_>, operation: &Operation, had_power: bool) -> Outcome {
    let program = operation.program;
    world.must(program, operation.recovery())?;
    nothing_half_done(world)?;
    let on_networks = operation.needs == Needs::Network;
    if on_networks {
        host::nothing_dangles(world)?;
    }
    // The monitor of a container for --rm may be removing it while we look.
    if operation.setup.is_some() {
        soon(|| nothing_lost(world, operation))?;
    }
    soon(|| happened_or_not(world, operation))?;
    let running = operation.running.iter().filter(|_| had_power);
    for words in running.chain(operation.verify) {
        world.must(program, words)?;
    }
    if program == Program::Berth {
        remove_all(world)?;
    }
    if on_networks {
        host::nothing_left(world)?;
        host::no_network_left(world)?;
        host::end_resolver(world)?;
    }
    world.must(Program::Store, &["check"])?;
    nothing_half_done(world)?;
    nothing_locked(&world.folder)?;
    match program {
        Program::Berth => nothing_left(world),
        Program::Store => Ok(()),
    }
}

/// Tries for some seconds.
pub(super) fn soon(mut check: impl FnMut() -> Outcome) -> Outcome {
    let end = Instant::now() + SETTLE;
    loop {
        match check() {
            Err(_) if Instant::now() < end => thread::sleep(Duration::from_millis(100)),
            other => return other,
        }
    }
}

/// The operation can be done again, or was done already.
fn happened_or_not(world: &World<'_>, operation: &Operation) -> Outcome {
    let again = world.run(operation.program, operation.again, Faults::default())?;
    if again.status.success() {
        return Ok(());
    }
    if operation.done.is_empty() {
        return Err(Failure::new(format!(
            "doing it again, {:?}, fails: {}",
            operation.again,
            said(&again)
        )));
    }
    let (words, is_success) = match operation.done {
        ["!", words @ ..] => (words, false),
        words => (words, true),
    };
    let done = world.run(operation.program, words, Faults::default())?;
    if done.status.success() == is_success {
        return Ok(());
    }
    Err(Failure::new(format!(
        "it neither happened nor can it be done again: {}; {words:?} ended with {}: {}",
        said(&again),
        done.status,
        said(&done)
    )))
}

/// What was there before is there, and whole.
fn nothing_lost(world: &World<'_>, operation: &Operation) -> Outcome {
    if operation.program == Program::Berth {
        no_container_lost(world, operation.keeps)?;
    }
    let listed = world.must(Program::Store, &["check"])?;
    for image in operation.keeps_images {
        if !listed.lines().any(|line| line.starts_with(image)) {
            return Err(Failure::new(format!("image {image} is lost: {listed}")));
        }
    }
    for image in operation.runs {
        let words = ["run", "--rm", "--net", "none", image, "true"];
        world.must(Program::Berth, &words)?;
    }
    Ok(())
}

/// These are listed and can be inspected, and whatever there is has its name and is listed.
///
/// # Errors
/// One is lost.
pub(super) fn no_container_lost(world: &World<'_>, keeps: &[&str]) -> Outcome {
    let words = ["ps", "-a", "--format", "{{.Names}}"];
    let listed = world.must(Program::Berth, &words)?;
    for name in keeps.iter().map(|name| world.named(name)) {
        if !listed.lines().any(|line| line == name) {
            return Err(Failure::new(format!("container {name} is lost: {listed}")));
        }
    }
    if !keeps.is_empty() {
        let words = [&["inspect"], keeps].concat();
        world.must(Program::Berth, &words)?;
    }
    // Each is in its folder and has its name, or is gone altogether.
    let folders = names_in(&world.root().join("containers")).len();
    let names = names_in(&world.root().join("names")).len();
    if folders == names && listed.lines().count() == folders {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{folders} folders of containers, {names} names, and listed are:\n{listed}"
    )))
}

/// No temporary file or folder, no lease of the dead, no part but those that a download resumes.
///
/// # Errors
/// There is one, for some seconds: a monitor that lives may be writing one while we look.
pub(super) fn nothing_half_done(world: &World<'_>) -> Outcome {
    soon(|| nothing_half_done_now(world))
}

fn nothing_half_done_now(world: &World<'_>) -> Outcome {
    let mut left = Vec::new();
    for folder in [world.root(), world.state()] {
        half_done(&folder, &mut left);
    }
    match left.first() {
        None => Ok(()),
        Some(path) => Err(Failure::new(format!(
            "{} things are half done, such as {}",
            left.len(),
            path.display()
        ))),
    }
}

fn half_done(folder: &Path, left: &mut Vec<PathBuf>) {
    for name in names_in(folder) {
        let path = folder.join(&name);
        let is_part = folder.ends_with("image-work/ingest") && !name.starts_with("sha");
        let is_lease = folder.ends_with("image-work/leases");
        // The lock of the volumes.
        if name == ".lock" {
            continue;
        }
        if name.starts_with('.') || name.ends_with(".tmp") || is_part || is_lease {
            left.push(path);
        } else if path.is_dir() && !path.is_symlink() && !folder.ends_with("layers") {
            // What is in a layer is its image's.
            half_done(&path, left);
        } else if path.is_dir() {
            let inside = names_in(&path);
            let known = |name: &&String| *name != "fs" && *name != "layer.json";
            left.extend(inside.iter().filter(known).map(|name| path.join(name)));
        }
    }
}

/// The entries of a folder; none where there is no folder.
pub(super) fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// What is listed as running or paused has a process in its cgroup, and nothing else has; all else
/// is over or never ran.
///
/// # Errors
/// One is in a wrong state, after some seconds.
pub(super) fn states_are_true(world: &World<'_>) -> Outcome {
    soon(|| {
        let states = states(world)?;
        let strange = |state: &&str| !matches!(*state, "running" | "paused" | "exited" | "created");
        if let Some(state) = states.values().map(String::as_str).find(strange) {
            return Err(Failure::new(format!("a container stays {state}")));
        }
        let runs = |state: &str| matches!(state, "running" | "paused");
        let listed = states.iter().filter(|(_, state)| runs(state));
        let listed: BTreeSet<&String> = listed.map(|(id, _)| id).collect();
        let living = living(world);
        if listed == living.iter().collect() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the containers {listed:?} are said to run, and those with processes are {living:?}"
        )))
    })
}

/// Each container with its state.
fn states(world: &World<'_>) -> Outcome<BTreeMap<String, String>> {
    let words = ["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"];
    let listed = world.must(Program::Berth, &words)?;
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs
        .map(|(id, state)| (id.to_owned(), state.to_owned()))
        .collect())
}

/// The containers with a process in their cgroup.
fn living(world: &World<'_>) -> BTreeSet<String> {
    let before = format!("/{}/berth/", world.token);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let alive = entries.filter(|entry| entry.path().join("exe").exists());
    let groups = alive.filter_map(|entry| fs::read_to_string(entry.path().join("cgroup")).ok());
    let id = |groups: String| {
        let (_, below) = groups.split_once(&before)?;
        let id = below.split(['/', '\n']).next().unwrap_or(below);
        Some(id.to_owned())
    };
    groups.filter_map(id).collect()
}

/// What runs can be entered, what is paused goes on, what is over can be started, and each has its
/// logs.
///
/// # Errors
/// One cannot be used, for some seconds: it may end, or be started by its policy, while we look.
pub(super) fn each_can_be_used(world: &World<'_>) -> Outcome {
    for id in states(world)?.into_keys() {
        let words: [&[&str]; 4] = [&["logs"], &["unpause"], &["exec"], &["start"]];
        let [logs, unpause, exec, start] = words.map(|verb| [verb, &[id.as_str()]].concat());
        let exec = [&exec[..], &["true"]].concat();
        let must = |words: &[&str]| world.must(Program::Berth, words).map(drop);
        must(&logs)?;
        soon(|| match states(world)?.get(&id).map(String::as_str) {
            Some("running") => must(&exec),
            Some("paused") => must(&unpause).and_then(|()| must(&exec)),
            _ => must(&start),
        })?;
    }
    Ok(())
}

/// Removes every container.
///
/// # Errors
/// One cannot be removed.
pub(super) fn remove_all(world: &World<'_>) -> Outcome {
    let ids = world.must(Program::Berth, &["ps", "-aq", "--no-trunc"])?;
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if ids.is_empty() {
        return Ok(());
    }
    let words = [&["rm", "-f"], &ids[..]].concat();
    world.must(Program::Berth, &words).map(drop)
}

/// No file of the store is locked by anybody.
fn nothing_locked(folder: &Path) -> Outcome {
    for name in names_in(folder) {
        let path = folder.join(&name);
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() || name.contains("lock") {
            let Ok(file) = fs::File::open(&path) else {
                continue;
            };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Err(Failure::new(format!("{} is locked", path.display())));
            }
        }
        if path.is_dir() {
            nothing_locked(&path)?;
        }
    }
    Ok(())
}

/// No container's folder or name, process, cgroup or mount, once all are removed.
///
/// # Errors
/// What is left, after some seconds.
pub(super) fn nothing_left(world: &World<'_>) -> Outcome {
    for folder in [
        world.root().join("containers"),
        world.root().join("names"),
        world.state().join("containers"),
    ] {
        if let Some(name) = names_in(&folder).first() {
            return Err(Failure::new(format!(
                "{} is left, though all containers are removed",
                folder.join(name).display()
            )));
        }
    }
    let end = Instant::now() + SETTLE;
    loop {
        let left = outside(world)?;
        let Some(first) = left.first() else {
            return Ok(());
        };
        if Instant::now() > end {
            return Err(Failure::new(format!("{first} is left")));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What is ours beyond the folders.
fn outside(world: &World<'_>) -> Outcome<Vec<String>> {
    let mut left = Vec::new();
    for point in cgroup_points()? {
        let parent = point.join(&world.token).join("berth");
        let below = fs::read_dir(&parent).into_iter().flatten().flatten();
        let folders = below.filter(|entry| entry.path().is_dir());
        left.extend(folders.map(|entry| format!("the cgroup {}", entry.path().display())));
    }
    let needle = format!("{}-", world.token);
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = |file: &str| {
            let text = fs::read(path.join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            text.contains(&needle) || text.contains(&format!("/{}/", world.token))
        };
        if (ours("cmdline") || ours("cgroup")) && path.join("exe").exists() {
            left.push(format!("the process {}", path.display()));
        }
    }
    left.extend(mounts(world));
    Ok(left)
}

/// Mounts below the world's folder, in our mount namespace and in the host's; its root may be one.
fn mounts(world: &World<'_>) -> Vec<String> {
    let folder = world.folder.display().to_string();
    ["/proc/self/mountinfo", "/proc/1/mountinfo"]
        .iter()
        .flat_map(|table| {
            let text = fs::read_to_string(table).unwrap_or_default();
            let own = format!(" {folder}/r ");
            let found = text
                .lines()
                .filter(|line| line.contains(&folder) && !line.contains(&own));
            found
                .map(|line| format!("the mount {line}"))
                .collect::<Vec<_>>()
        })
        .collect()
}
