//! `state`, `list`, `plan`: looking without changing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::flags::{Format, Global, ListFlags};
use super::lifecycle::{open, store};
use crate::oci::container::Container;
use crate::oci::id::OciId;
use crate::oci::prepare::{Driver, Wishes, prepare};
use crate::oci::state::{OCI_VERSION, Status};
use crate::oci::{Outcome, cannot};
use crate::plan::{Keyring, RootChange};

/// A container as `state` and `list --format json` print it: runc's fields in runc's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    oci_version: &'static str,
    id: String,
    pid: u32,
    status: &'static str,
    bundle: PathBuf,
    rootfs: PathBuf,
    created: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    owner: String,
}

impl Printed {
    fn of(container: &Container) -> Self {
        let status = container.status();
        let pid = container.state.init.as_ref().map(|init| init.pid.get());
        Self {
            oci_version: OCI_VERSION,
            id: container.state.id.clone(),
            pid: pid.filter(|_| status != Status::Stopped).unwrap_or(0),
            status: status.as_str(),
            bundle: container.state.bundle.clone(),
            rootfs: container.state.rootfs.clone(),
            created: container.state.created.to_string(),
            annotations: container.state.annotations.clone(),
            owner: user_name(container.state.owner),
        }
    }
}

/// Prints JSON as runc indents it.
pub(super) fn print_json(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(|e| cannot("encode JSON", e))?;
    print(&(text + "\n"))
}

/// Prints to standard output; who closes it early does not want the rest.
pub(super) fn print(text: &str) -> Outcome {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(cannot("write to standard output", e))
        }
        _ => Ok(()),
    }
}

pub(super) fn state(global: &Global, id: &str) -> Outcome {
    print_json(&Printed::of(&open(global, id)?))
}

pub(super) fn list(global: &Global, flags: &ListFlags) -> Outcome {
    let store = store(global);
    let containers: Vec<Container> = store
        .ids()?
        .iter()
        // One that vanishes meanwhile is not there.
        .filter_map(|id| Container::open(&store, id).ok())
        .collect();
    if flags.quiet {
        let ids: String = containers.iter().map(|c| format!("{}\n", c.id)).collect();
        return print(&ids);
    }
    let rows: Vec<Printed> = containers.iter().map(Printed::of).collect();
    if flags.format == Format::Json {
        return match rows.as_slice() {
            // As runc does, whose callers know it.
            [] => print("null\n"),
            rows => {
                let text = serde_json::to_string(rows).map_err(|e| cannot("encode JSON", e))?;
                print(&(text + "\n"))
            }
        };
    }
    let mut table = vec![
        ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
            .map(str::to_owned)
            .to_vec(),
    ];
    table.extend(rows.into_iter().map(|row| {
        vec![
            row.id,
            row.pid.to_string(),
            row.status.to_owned(),
            berth_base::escape_untrusted(&row.bundle.to_string_lossy()).into_owned(),
            row.created,
            row.owner,
        ]
    }));
    print(&columns(&table))
}

/// A table as Go's tabwriter sets it: columns at least 12 wide, three spaces between.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let longest = rows.iter().filter_map(|row| row.get(at));
        longest.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(|at| (width(at) + 3).max(12)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The name of a user of the host, `#1000` when it has none.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}

pub(super) fn plan(global: &Global, bundle: &Path) -> Outcome {
    let bundle = bundle
        .canonicalize()
        .map_err(|e| cannot(&format!("find the bundle {}", bundle.display()), e))?;
    let wishes = Wishes {
        id: OciId::parse("plan")?,
        bundle,
        driver: if global.systemd_cgroup {
            Driver::Systemd
        } else {
            Driver::Cgroupfs
        },
        root_change: RootChange::Pivot,
        keyring: Keyring::New,
        env: Vec::new(),
    };
    let prepared = prepare(&store(global), &wishes)?;
    print(&prepared.plan.render())
}
