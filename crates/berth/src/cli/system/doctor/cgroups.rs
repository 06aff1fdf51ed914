//! Which controllers there are, and whether the caller may use them.

use std::fs;
use std::path::Path;

use berth_runtime::cgroup::Hierarchies;

use super::Patient;
use super::finding::{Finding, State};

const AREA: &str = "Cgroups";

/// Controllers by their names in v2 and v1, and what is lost without.
const CONTROLLERS: [(&str, &str, &str); 5] = [
    ("memory", "memory", "no --memory, and stats show no memory"),
    (
        "pids",
        "pids",
        "no --pids-limit: a fork bomb reaches the host",
    ),
    ("cpu", "cpu", "no --cpus and --cpu-shares"),
    ("cpuset", "cpuset", "no --cpuset-cpus and --cpuset-mems"),
    (
        "io",
        "blkio",
        "no limits of block devices, and stats show no block I/O",
    ),
];

/// Remedies of a user: a controller of v1, one that systemd hands down, and where that does not run.
const ON_V1: &str = "have the administrator boot with systemd.unified_cgroup_hierarchy=1, or with cgroup_no_v1=all: it is one of cgroup v1, of which users get nothing";
const CONTROLLERS_OF_USERS: &str = "have the administrator run \"systemctl edit user@.service\", with [Service] Delegate=cpu cpuset io memory pids, then log in again";
const BY_HAND: &str = "have the administrator make a cgroup of v2, give it the controllers, chown it, its cgroup.procs and cgroup.subtree_control to you, and start your shell in a cgroup below it";

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    // by path: procfs
    let text = |file| fs::read_to_string(file).unwrap_or_default();
    let found = Hierarchies::discover(&text("/proc/self/mountinfo"), &text("/proc/self/cgroup"));
    let kind = match (&found.v2, found.v1.is_empty()) {
        (Some(_), true) => "v2",
        (Some(_), false) => "v1 and v2 (hybrid)",
        (None, false) => "v1",
        (None, true) => {
            let nothing = Finding::ok(AREA, "hierarchies", "none is mounted");
            let remedy = "mount -t cgroup2 none /sys/fs/cgroup";
            let costs =
                "no limits, and no proof that a container of a shared PID namespace is empty";
            return vec![nothing.but(State::Missing, costs, remedy)];
        }
    };
    let mut all = vec![Finding::ok(AREA, "hierarchies", kind)];
    if !patient.is_root {
        all.push(delegation(&found));
    }
    let of_v2 = v2_controllers(patient, &found);
    for (v2, v1, costs) in CONTROLLERS {
        let place = if found.v1_of(v1).is_some() && patient.is_root {
            "v1"
        } else if of_v2.split(' ').any(|name| name == v2) {
            "v2"
        } else {
            ""
        };
        let remedy = match (patient.is_root, found.v1_of(v1).is_some()) {
            (true, _) => format!("boot a kernel with this controller, without cgroup_disable={v1}"),
            (false, true) => ON_V1.to_owned(),
            (false, false) if has_systemd() => CONTROLLERS_OF_USERS.to_owned(),
            (false, false) => BY_HAND.to_owned(),
        };
        let place = if place.is_empty() { "not there" } else { place };
        all.push(Finding::ok(AREA, v2, place).unless(
            place != "not there",
            State::Warning,
            costs,
            &remedy,
        ));
    }
    all
}

/// What v2 offers where containers' cgroups are made.
fn v2_controllers(patient: &Patient<'_>, found: &Hierarchies) -> String {
    let Some(v2) = &found.v2 else {
        return String::new();
    };
    let folder = match patient.is_root {
        true => Some(v2.mount.clone()),
        false => v2.own_directory(),
    };
    // by path: a cgroup
    let read = |folder: &Path| fs::read_to_string(folder.join("cgroup.controllers"));
    let text = folder.and_then(|folder| read(&folder).ok());
    text.unwrap_or_default().trim_end().to_owned()
}

/// Whether a user may make cgroups below the own one.
fn delegation(found: &Hierarchies) -> Finding {
    let own = found.v2.as_ref().and_then(|v2| v2.own_directory());
    let may = own.as_ref().is_some_and(|folder| {
        rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
            && rustix::fs::access(folder.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).is_ok()
    });
    let shown = own.map_or_else(|| "no v2".to_owned(), |own| own.display().to_string());
    Finding::ok(AREA, "delegation", shown).unless(
        may,
        State::Warning,
        "no limits and no pause without root",
        match has_systemd() {
            true => "run \"systemd-run --user --scope -p Delegate=yes berth ...\"",
            false => BY_HAND,
        },
    )
}

/// Whether systemd manages this host (sd_booted(3)).
fn has_systemd() -> bool {
    // by path: a folder of the host
    Path::new("/run/systemd/system").is_dir()
}
