//! Writing the id mappings of a new user namespace (user_namespaces(7)).

use std::fs;
use std::io;
use std::process::Command;

use berth_base::protocol::Failure;
use berth_base::{ErrorClass, HostPid};

use crate::failure;
use crate::plan::Mappings;

/// Writes uid_map and gid_map of a process.
///
/// With privilege the files are written directly. Without, a single mapping of the caller's own
/// ids may be written after setgroups is denied; anything more needs newuidmap and newgidmap,
/// which know the caller's ranges from /etc/subuid and /etc/subgid.
pub(crate) fn write(pid: HostPid, mappings: &Mappings) -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() && is_single(mappings) {
        fs::write(format!("/proc/{pid}/setgroups"), "deny")
            .map_err(|e| cannot("deny setgroups", &e))?;
    }
    for (file, helper, list) in [
        ("uid_map", "newuidmap", &mappings.uids),
        ("gid_map", "newgidmap", &mappings.gids),
    ] {
        if rustix::process::geteuid().is_root() || is_single(mappings) {
            let lines: String = list
                .iter()
                .map(|(inside, outside, size)| format!("{inside} {outside} {size}\n"))
                .collect();
            fs::write(format!("/proc/{pid}/{file}"), lines)
                .map_err(|e| cannot(&format!("write {file}"), &e))?;
        } else {
            call_helper(helper, pid, list)?;
        }
    }
    Ok(())
}

/// As [`write`] for lines of (inside, outside, size).
pub fn write_maps(
    pid: HostPid,
    uids: &[(u32, u32, u32)],
    gids: &[(u32, u32, u32)],
) -> Result<(), Failure> {
    let mappings = Mappings {
        uids: uids.to_vec(),
        gids: gids.to_vec(),
    };
    write(pid, &mappings)
}

fn is_single(mappings: &Mappings) -> bool {
    mappings.uids.len() == 1
        && mappings.gids.len() == 1
        && mappings
            .uids
            .iter()
            .chain(&mappings.gids)
            .all(|(_, _, size)| *size == 1)
}

fn call_helper(helper: &str, pid: HostPid, list: &[(u32, u32, u32)]) -> Result<(), Failure> {
    let numbers = list
        .iter()
        .flat_map(|(inside, outside, size)| [inside, outside, size]);
    // by path: newuidmap and newgidmap of the host
    let output = Command::new(helper)
        .arg(pid.to_string())
        .args(numbers.map(u32::to_string))
        .output()
        .map_err(|e| cannot(&format!("run {helper}"), &e))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failure::engine(
        ErrorClass::Denied,
        format!(
            "cannot map ids: {}; check /etc/subuid and /etc/subgid",
            said.trim()
        ),
    ))
}

fn cannot(what: &str, error: &io::Error) -> Failure {
    failure::engine(ErrorClass::Denied, format!("cannot {what}: {error}"))
}
