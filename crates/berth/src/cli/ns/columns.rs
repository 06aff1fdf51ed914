//! The columns of `berth ns`: lsns's, and ours.

use std::collections::HashMap;

use berth_base::{NamespaceId, NamespaceKind, escape_untrusted};
use berth_map::ProcRoot;
use berth_map::model::{Process, World};
use berth_map::ns_table::NsRow;

use crate::cli::failure::Failure;
use crate::cli::parse::nearest::nearest;
use crate::view::columns::{Align, Heading};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Ns,
    Type,
    Path,
    Nprocs,
    Pid,
    Ppid,
    Command,
    Uid,
    User,
    NetNsId,
    Nsfs,
    Pns,
    Ons,
    Level,
    Threads,
    Holders,
    Container,
    OwnerUid,
}

/// All columns with their headings: lsns's first, in its order.
const ALL: [(Column, Heading); 18] = [
    (Column::Ns, ("NS", Align::Right)),
    (Column::Type, ("TYPE", Align::Left)),
    (Column::Path, ("PATH", Align::Left)),
    (Column::Nprocs, ("NPROCS", Align::Right)),
    (Column::Pid, ("PID", Align::Right)),
    (Column::Ppid, ("PPID", Align::Right)),
    (Column::Command, ("COMMAND", Align::Left)),
    (Column::Uid, ("UID", Align::Right)),
    (Column::User, ("USER", Align::Left)),
    (Column::NetNsId, ("NETNSID", Align::Right)),
    (Column::Nsfs, ("NSFS", Align::Left)),
    (Column::Pns, ("PNS", Align::Right)),
    (Column::Ons, ("ONS", Align::Right)),
    (Column::Level, ("LEVEL", Align::Right)),
    (Column::Threads, ("THREADS", Align::Right)),
    (Column::Holders, ("HOLDERS", Align::Right)),
    (Column::Container, ("CONTAINER", Align::Left)),
    (Column::OwnerUid, ("OWNERUID", Align::Right)),
];

/// What is shown without -o.
const TABLE: [Column; 9] = [
    Column::Ns,
    Column::Type,
    Column::Pns,
    Column::Ons,
    Column::Nprocs,
    Column::Holders,
    Column::Container,
    Column::Pid,
    Column::Command,
];

/// What is shown without -o where only network namespaces are.
const NETWORKS: [Column; 10] = [
    Column::Ns,
    Column::Type,
    Column::Ons,
    Column::Nprocs,
    Column::Holders,
    Column::NetNsId,
    Column::Nsfs,
    Column::Container,
    Column::Pid,
    Column::Command,
];

/// What is shown without -o of namespaces of these kinds; none means all.
pub(super) fn usual(kinds: &[NamespaceKind]) -> &'static [Column] {
    let are_networks = !kinds.is_empty() && kinds.iter().all(|k| *k == NamespaceKind::Net);
    if are_networks { &NETWORKS } else { &TABLE }
}

/// What is shown of the processes of one namespace.
pub(super) const PROCESSES: [Column; 5] = [
    Column::Pid,
    Column::Ppid,
    Column::User,
    Column::Container,
    Column::Command,
];

impl Column {
    /// The heading and its side.
    pub(super) fn heading(self) -> Heading {
        let found = ALL.iter().find(|(column, _)| *column == self);
        found.map_or(("", Align::Left), |(_, heading)| *heading)
    }
}

/// All columns.
pub(super) fn all() -> Vec<Column> {
    ALL.iter().map(|(column, _)| *column).collect()
}

/// Reads the list of -o: names separated by commas, in any case; a + before it adds to the usual
/// ones.
pub(super) fn parse(list: &str, usual: &[Column]) -> Result<Vec<Column>, Failure> {
    let (mut columns, names) = match list.strip_prefix('+') {
        Some(names) => (usual.to_vec(), names),
        None => (Vec::new(), list),
    };
    for name in names.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        let upper = name.to_ascii_uppercase();
        let found = ALL.iter().find(|(_, heading)| heading.0 == upper);
        let Some((column, _)) = found else {
            let known = ALL.iter().map(|(_, heading)| heading.0);
            let next = match nearest(&upper, known.clone()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
            };
            return Err(Failure::usage(format!(
                "there is no column {name:?} for --output; {next}"
            ))
            .on("--output"));
        };
        columns.push(*column);
    }
    if columns.is_empty() {
        return Err(Failure::usage("--output names no column").on("--output"));
    }
    Ok(columns)
}

/// What cells are made from.
pub(super) struct Cells<'a> {
    pub(super) world: &'a World,
    pub(super) proc: &'a ProcRoot,
    is_raw: bool,
    users: HashMap<u32, String>,
}

impl<'a> Cells<'a> {
    /// Reads the names of users, of which there may be none. Cells of the raw form are escaped so
    /// that a script gets back every byte.
    pub(super) fn new(world: &'a World, proc: &'a ProcRoot, is_raw: bool) -> Self {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self {
            world,
            proc,
            is_raw,
            users: users(&passwd),
        }
    }

    /// The cell of a namespace in a column. What is not known is empty.
    pub(super) fn of_namespace(&self, row: &NsRow, column: Column) -> String {
        let namespace = &row.namespace;
        // lsns writes 0 for what there is none of.
        let number = |id: Option<NamespaceId>| id.map_or(0, |id| id.inode).to_string();
        match column {
            Column::Ns => namespace.id.inode.to_string(),
            Column::Type => namespace.id.kind.as_str().to_owned(),
            Column::Path => self.escape(row.path.as_deref().unwrap_or("")),
            Column::Nprocs => namespace.processes.to_string(),
            Column::Nsfs => self.escape(&row.mount_points.join(",")),
            Column::Pns => number(namespace.parent),
            Column::Ons => number(namespace.owner),
            Column::Level => namespace.level.map_or(String::new(), |l| l.to_string()),
            Column::Threads => row.threads.to_string(),
            Column::Holders => row.holders.to_string(),
            Column::OwnerUid => namespace.owner_uid.map_or(String::new(), |u| u.to_string()),
            Column::Container => self.container(row.container),
            Column::NetNsId => {
                let numbers = &self.world.details().network_numbers;
                let number = numbers.get(&namespace.id);
                number.map_or(String::new(), |number| {
                    number.map_or_else(|| "unassigned".to_owned(), |n| n.to_string())
                })
            }
            Column::Pid | Column::Ppid | Column::Command | Column::Uid | Column::User => {
                let process = row.lowest.and_then(|pid| self.world.process(pid));
                process.map_or(String::new(), |p| self.of_process(p, column))
            }
        }
    }

    /// The cell of a process that lives in a namespace in a column.
    pub(super) fn of_resident(&self, process: &Process, row: &NsRow, column: Column) -> String {
        match column {
            Column::Pid
            | Column::Ppid
            | Column::Uid
            | Column::User
            | Column::Command
            | Column::Container => self.of_process(process, column),
            _ => self.of_namespace(row, column),
        }
    }

    /// The cell of a process in a column.
    fn of_process(&self, process: &Process, column: Column) -> String {
        match column {
            Column::Pid => process.pid.to_string(),
            Column::Ppid => process.parent.map_or(0, |p| p.get()).to_string(),
            Column::Uid => process.uid.to_string(),
            Column::User => {
                let name = self.users.get(&process.uid);
                name.map_or_else(
                    || process.uid.to_string(),
                    |n| escape_untrusted(n).into_owned(),
                )
            }
            Column::Command => self
                .command(process)
                .unwrap_or_else(|| self.escape(&process.comm)),
            Column::Container => self.container(self.world.owner(process.pid)),
            _ => String::new(),
        }
    }

    fn command(&self, process: &Process) -> Option<String> {
        if !self.is_raw {
            return self.proc.read_command(process.pid);
        }
        let mut text = self.proc.read_arguments(process.pid)?;
        for byte in text.iter_mut().filter(|byte| **byte == 0) {
            *byte = b' ';
        }
        Some(escape_raw(&text))
    }

    /// Text that others chose.
    fn escape(&self, text: &str) -> String {
        match self.is_raw {
            true => escape_raw(text.as_bytes()),
            false => escape_untrusted(text).into_owned(),
        }
    }

    fn container(&self, index: Option<berth_map::ContainerIndex>) -> String {
        index.map_or(String::new(), |index| self.world.container_label(index))
    }
}

/// Bytes as lsns writes them with --raw: those that are not printable ASCII, and the backslash,
/// read `\xNN`. Spaces are left to the layout.
fn escape_raw(text: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'\\' | 0..=0x1f | 0x7f.. => drop(write!(escaped, "\\x{byte:02x}")),
            byte => escaped.push(char::from(*byte)),
        }
    }
    escaped
}

/// The names of passwd(5) by uid; the first of several counts.
fn users(passwd: &str) -> HashMap<u32, String> {
    let mut users = HashMap::new();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next(), fields.nth(1));
        if let (Some(name), Some(uid)) = (name, uid.and_then(|uid| uid.parse().ok())) {
            users.entry(uid).or_insert_with(|| name.to_owned());
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_lsns_names_them() {
        let columns = parse("ns,Type,PNS", &TABLE).unwrap();
        assert_eq!(columns, [Column::Ns, Column::Type, Column::Pns]);
        let more = parse("+path", &TABLE).unwrap();
        assert_eq!(more.len(), TABLE.len() + 1);
        let error = parse("NPROC", &TABLE).unwrap_err();
        assert!(error.message.contains("did you mean NPROCS?"), "{error}");
        assert!(parse(",", &TABLE).is_err());
    }

    #[test]
    fn raw_cells_are_escaped_as_lsns_does() {
        let text = "a\\nb\nc\t\x1b[2J \u{e9}\x7f".as_bytes();
        assert_eq!(escape_raw(text), r"a\x5cnb\x0ac\x09\x1b[2J \xc3\xa9\x7f");
    }

    #[test]
    fn users_are_those_of_passwd() {
        let users = users("root:x:0:0::/:/bin/sh\nbad\ntoor:x:0:0::/:/bin/sh\nweb:x:33:33::/:\n");
        assert_eq!(users.get(&0).map(String::as_str), Some("root"));
        assert_eq!(users.get(&33).map(String::as_str), Some("web"));
        assert_eq!(users.len(), 2);
    }
}
