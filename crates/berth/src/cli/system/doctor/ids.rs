//! Sub-ids and the programs that map them, systemd, the rights of the caller.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Patient;
use super::finding::{Finding, State};

const AREA: &str = "Users";
/// As many ids as an image may expect.
const ENOUGH: u64 = 65_536;

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    if !patient.is_root {
        all.extend(["newuidmap", "newgidmap"].map(mapper));
    }
    all.extend(["/etc/subuid", "/etc/subgid"].map(|file| ranges(patient, file)));
    all.push(systemd());
    all
}

/// The first program of a name in PATH.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| {
            // by path: a program of the host
            fs::metadata(program).is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
        })
}

/// It maps ids for users, being setuid or having a file capability.
fn mapper(name: &'static str) -> Finding {
    let remedy = "install the package uidmap (Debian) or shadow-utils";
    let costs = "a container has one id: images with several users fail";
    let Some(program) = in_path(name) else {
        return Finding::ok(AREA, name, "not installed").but(State::Warning, costs, remedy);
    };
    // by path: a program of the host
    let mode = fs::metadata(&program).map_or(0, |found| found.permissions().mode());
    let mut value = [0; 32];
    let has_capability = rustix::fs::getxattr(&program, "security.capability", &mut value).is_ok();
    let shown = program.display().to_string();
    Finding::ok(AREA, name, shown.clone()).unless(
        mode & 0o4000 != 0 || has_capability,
        State::Warning,
        costs,
        &format!("chmod u+s {shown}"),
    )
}

/// A user's own ranges; root's are for `--userns private`.
fn ranges(patient: &Patient<'_>, file: &'static str) -> Finding {
    let uid = rustix::process::geteuid().as_raw();
    let name = user_name(uid);
    // by path: a file of the host
    let text = fs::read_to_string(file).unwrap_or_default();
    let owners = [name.clone().unwrap_or_default(), uid.to_string()];
    let total = sum(&text, &owners);
    let shown = name.unwrap_or_else(|| uid.to_string());
    let finding = Finding::ok(AREA, file, format!("{total} ids for {shown}"));
    let flag = match file {
        "/etc/subuid" => "--add-subuids",
        _ => "--add-subgids",
    };
    let remedy = format!("usermod {flag} 100000-165535 {shown}");
    match patient.is_root {
        // Root takes what nobody has.
        true => finding,
        false => finding.unless(
            total >= ENOUGH,
            State::Warning,
            "a container has one id: images with several users fail",
            &remedy,
        ),
    }
}

/// Adds up `NAME:START:COUNT` (subuid(5)).
fn sum(text: &str, owners: &[String]) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let (owner, _, count) = (fields.next()?, fields.next()?, fields.next()?);
            let is_ours = !owner.is_empty() && owners.iter().any(|one| one == owner);
            is_ours.then(|| count.trim().parse::<u64>().ok())?
        })
        .sum()
}

fn user_name(uid: u32) -> Option<String> {
    // by path: a file of the host
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Started by systemd, this is the only folder that tells (sd_booted(3)).
fn systemd() -> Finding {
    let runs = Path::new("/run/systemd/system").is_dir();
    let found = if runs { "runs" } else { "does not run" };
    Finding::ok(AREA, "systemd", found).unless(
        runs,
        State::Warning,
        "containers with a restart policy do not come back after a boot by themselves",
        "run \"berth system restore\" when the host has booted",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_ids_add_up() {
        let text = "ann:100000:65536\nbob:165536:65536\n1000:300000:10\nbroken\nann:x:y\n";
        let owners = |name: &str| [name.to_owned(), "1000".to_owned()];
        assert_eq!(sum(text, &owners("ann")), 65_546);
        assert_eq!(sum(text, &owners("")), 10);
    }
}
