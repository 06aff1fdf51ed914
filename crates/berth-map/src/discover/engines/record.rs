//! What an engine's files say of one container, before anybody looked whether it is so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;

use berth_base::escape_untrusted;
use serde::Deserialize;

use super::tree::{FileRead, Tree};
use crate::model::{Engine, Evidence, EvidenceKind, Pod};

/// Warnings kept of one engine's files; the rest is counted.
const MAX_WARNINGS: usize = 4;

/// A container as a file of its engine describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) engine: Engine,
    /// As [`crate::model::Container::id`].
    pub(super) id: String,
    pub(super) name: String,
    /// The PID of its first process, as the engine counts.
    pub(super) pid: u32,
    /// Its cgroup as the engine wrote it: a path, or `slice:prefix:name` for systemd.
    pub(super) cgroup: Option<String>,
    pub(super) image: Option<String>,
    pub(super) pod: Option<Pod>,
    /// What the record rests on: the file that gave the PID, or the program that made it.
    pub(super) evidence: Evidence,
    /// When the PID was written down, in seconds since 1970.
    pub(super) written_s: i64,
    /// Who wrote it down.
    pub(super) uid: u32,
    /// Whether that was inside a container.
    pub(super) nested: bool,
}

/// Which containers are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// All.
    All,
    /// Those that cgroups name so.
    Named(&'a BTreeSet<String>),
}

impl Wanted<'_> {
    /// Of the names in a folder, those that are wanted.
    pub(super) fn filter(self, names: Vec<String>) -> Vec<String> {
        match self {
            Self::All => names,
            Self::Named(wanted) => names.into_iter().filter(|n| wanted.contains(n)).collect(),
        }
    }
}

/// Reading of one place: where, what for, what came of it.
pub(super) struct Search<'a> {
    pub(super) tree: &'a Tree,
    pub(super) wanted: Wanted<'a>,
    pub(super) records: Vec<Record>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(tree: &'a Tree, wanted: Wanted<'a>) -> Self {
        Self {
            tree,
            wanted,
            records: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A state file as evidence.
    pub(super) fn evidence(&self, path: &str) -> Evidence {
        Evidence {
            kind: EvidenceKind::StateFile,
            detail: self.tree.name(path),
        }
    }

    /// Reads a file; what cannot be read is a warning.
    pub(super) fn read(&mut self, path: &str) -> Option<FileRead> {
        match self.tree.read(path) {
            Ok(file) => file,
            Err(error) => {
                self.refuse(path, "read", &error);
                None
            }
        }
    }

    /// Reads a JSON file; what is damaged, or of a version that looks otherwise, is a warning.
    pub(super) fn read_json<T: for<'d> Deserialize<'d>>(
        &mut self,
        path: &str,
    ) -> Option<(T, FileRead)> {
        let file = self.read(path)?;
        match serde_json::from_slice(&file.bytes) {
            Ok(value) => Some((value, file)),
            Err(error) => {
                // The message of a data error can quote the file, which may not be the reader's.
                let at = format!("line {}, column {}", error.line(), error.column());
                self.warn(path, format!("is damaged or of an unknown version ({at})"));
                None
            }
        }
    }

    /// Reads a file that holds a PID and nothing else.
    pub(super) fn read_pid(&mut self, path: &str) -> Option<(u32, FileRead)> {
        let file = self.read(path)?;
        let text = String::from_utf8_lossy(&file.bytes);
        match text.trim().parse() {
            Ok(pid) if pid > 0 => Some((pid, file)),
            _ => {
                self.warn(path, "holds no PID");
                None
            }
        }
    }

    /// The names in a folder that are wanted; a folder that may not be listed is a warning.
    pub(super) fn list_wanted(&mut self, path: &str) -> Vec<String> {
        // A few that are named need no listing, which grows with the number of containers.
        if let Wanted::Named(names) = self.wanted {
            let here = |name: &&String| is_plain(name) && self.tree.has(&format!("{path}/{name}"));
            return names.iter().filter(here).cloned().collect();
        }
        let names = self.list(path);
        self.wanted.filter(names)
    }

    /// All names in a folder.
    pub(super) fn list(&mut self, path: &str) -> Vec<String> {
        match self.tree.list(path) {
            Ok(names) => names,
            Err(error) => {
                self.refuse(path, "listed", &error);
                Vec::new()
            }
        }
    }

    /// Notes what the kernel refused.
    fn refuse(&mut self, path: &str, what: &str, error: &io::Error) {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => " (try again as root)",
            _ => "",
        };
        self.warn(path, format!("cannot be {what}: {error}{remedy}"));
    }

    /// Notes what is left out, and why.
    pub(super) fn warn(&mut self, path: &str, why: impl Display) {
        let text = format!(
            "{} {why}; the names in it are left out, cgroups still tell its containers apart",
            self.tree.name(path)
        );
        match self.warnings.len() {
            0..MAX_WARNINGS => self.warnings.push(escape_untrusted(&text).into_owned()),
            MAX_WARNINGS => self
                .warnings
                .push("further state files of that engine could not be read".to_owned()),
            _ => {}
        }
    }
}

/// Whether a name from a cgroup path leads nowhere else when it is put into a path.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

/// What is read of an OCI runtime configuration (runtime-spec, config.md and config-linux.md).
#[derive(Debug, Default, Deserialize)]
pub(super) struct OciSpec {
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default)]
    linux: OciLinux,
}

#[derive(Debug, Default, Deserialize)]
struct OciLinux {
    #[serde(rename = "cgroupsPath", default)]
    cgroups_path: Option<String>,
}

impl OciSpec {
    /// An annotation that is there and not empty.
    pub(super) fn annotation(&self, key: &str) -> Option<String> {
        self.annotations.get(key).filter(|v| !v.is_empty()).cloned()
    }

    /// The first of some annotations that is there.
    pub(super) fn first_of(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.annotation(key))
    }

    /// The recorded cgroup.
    pub(super) fn cgroup(&self) -> Option<String> {
        self.linux.cgroups_path.clone().filter(|p| !p.is_empty())
    }
}
