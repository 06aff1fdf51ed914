//! `linux.intelRdt`: cache and memory bandwidth allocation by the resctrl file system
//! (Documentation/filesystems/resctrl.rst; Intel RDT, AMD QoS).
//!
//! A *group* is a directory there. Its `schemata` say which parts of the caches its tasks may
//! fill; `tasks` lists them. Groups are few (a dozen or so, `num_closids`), so a group that the
//! spec names with `closID` may be shared and outlives the container; one named after the
//! container is its own and is removed with it. Without `intelRdt` nothing here is called, and
//! nothing of resctrl is touched.

mod schemata;
mod stats;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use berth_base::{ErrorClass, HostPid};
use oci_spec::runtime::LinuxIntelRdt;
use serde::{Deserialize, Serialize};

use schemata::Wanted;
pub use stats::{CacheInfo, MonitoredBandwidth, MonitoredCache, RdtStats, ThrottleInfo};

/// What can go wrong with a resctrl group.
#[derive(Debug, thiserror::Error)]
pub enum ResctrlError {
    /// The file system is not mounted.
    #[error(
        "cannot set linux.intelRdt: resctrl is not mounted, or not supported by this machine; try mount -t resctrl resctrl /sys/fs/resctrl"
    )]
    NotMounted,
    /// The machine counts nothing.
    #[error(
        "cannot set linux.intelRdt.enableMonitoring: not supported by this machine; resctrl has no info/L3_MON"
    )]
    NoMonitoring,
    /// A field makes no sense.
    #[error("invalid linux.intelRdt.{field} {value:?}: {why}")]
    Invalid {
        /// The field of the spec.
        field: &'static str,
        /// What it says.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A group of that name exists and allocates something else.
    #[error(
        "cannot use resctrl group {group}: it exists and its schemata are {found:?}, not {wanted:?}; name another closID or leave the schemata out"
    )]
    Mismatch {
        /// The group's directory.
        group: PathBuf,
        /// The line that was asked for.
        wanted: String,
        /// What the group has.
        found: String,
    },
    /// A group without schemata has to exist.
    #[error(
        "cannot use resctrl group {group}: it does not exist; make it, or give l3CacheSchema, memBwSchema or schemata"
    )]
    NoGroup {
        /// The group's directory.
        group: PathBuf,
    },
    /// A file or directory could not be used.
    #[error("cannot {verb} {path}: {source}{}", .status.as_deref().map(|s| format!(" ({s})")).unwrap_or_default())]
    Access {
        /// `make`, `read`, `write` or `remove`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
        /// What info/last_cmd_status says of it.
        status: Option<String>,
    },
}

impl ResctrlError {
    /// The class of this error.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotMounted | Self::NoMonitoring => ErrorClass::Unsupported,
            Self::Invalid { .. } => ErrorClass::Invalid,
            Self::Mismatch { .. } => ErrorClass::Conflict,
            Self::NoGroup { .. } => ErrorClass::NotFound,
            Self::Access { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorClass::Denied
                }
                io::ErrorKind::StorageFull => ErrorClass::Unavailable,
                io::ErrorKind::InvalidInput => ErrorClass::Invalid,
                _ => ErrorClass::Internal,
            },
        }
    }
}

/// The resctrl group of a container; kept in its state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Where resctrl is mounted.
    root: PathBuf,
    /// The group's directory; the root where `closID` is `/`.
    directory: PathBuf,
    /// The monitoring group below it, where the spec asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    monitor: Option<PathBuf>,
    /// Whether the group is the container's alone, and goes with it.
    own: bool,
}

/// Where resctrl is mounted, from the text of `/proc/self/mountinfo`.
pub fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    if !mountinfo.contains(" - resctrl ") {
        return None;
    }
    mountinfo.lines().rev().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        if right.split(' ').next()? != "resctrl" {
            return None;
        }
        // A mount point with blanks is escaped and then not found: nobody mounts it there.
        left.split(' ').nth(4).map(PathBuf::from)
    })
}

impl Group {
    /// Makes or checks the group that the spec asks for and writes its schemata, before any
    /// process enters. What a failure leaves is removed.
    pub fn prepare(
        mount: Option<&Path>,
        rdt: &LinuxIntelRdt,
        id: &str,
    ) -> Result<Self, ResctrlError> {
        let wanted = Wanted::of(rdt)?;
        let clos = rdt.clos_id().as_deref().filter(|name| !name.is_empty());
        if let Some(name) = clos {
            check_name(name)?;
        }
        let root = mount.ok_or(ResctrlError::NotMounted)?.to_owned();
        // enableCMT and enableMBM of older specs ask for nothing: the kernel counts every group.
        if *rdt.enable_monitoring() == Some(true) && !root.join("info/L3_MON").is_dir() {
            return Err(ResctrlError::NoMonitoring);
        }
        let mut group = Self {
            directory: match clos {
                Some("/") => root.clone(),
                Some(name) => root.join(name),
                None => root.join(id),
            },
            monitor: None,
            own: false,
            root,
        };
        let made = group.make(&wanted, clos.is_some())?;
        // One that was there before is somebody else's.
        group.own = made && clos.is_none();
        let filled = group.fill(&wanted, made, rdt, id);
        if filled.is_err() && made {
            // The first error is the one to tell; its path shows what may be left.
            fs::remove_dir(&group.directory).ok();
        }
        filled.map(|()| group)
    }

    /// Makes the directory and says whether it was made.
    fn make(&self, wanted: &Wanted, is_named: bool) -> Result<bool, ResctrlError> {
        if is_named && wanted.is_nothing() {
            return if self.directory.is_dir() {
                Ok(false)
            } else {
                Err(ResctrlError::NoGroup {
                    group: self.directory.clone(),
                })
            };
        }
        match fs::create_dir(&self.directory) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(self.failed("make", &self.directory, error)),
        }
    }

    fn fill(
        &mut self,
        wanted: &Wanted,
        made: bool,
        rdt: &LinuxIntelRdt,
        id: &str,
    ) -> Result<(), ResctrlError> {
        let file = self.directory.join("schemata");
        if !made && !wanted.shared.is_empty() {
            let found =
                fs::read_to_string(&file).map_err(|error| self.failed("read", &file, error))?;
            if let Some(line) = schemata::first_mismatch(&wanted.shared, &found) {
                return Err(ResctrlError::Mismatch {
                    group: self.directory.clone(),
                    wanted: line.to_owned(),
                    found: found.trim().to_owned(),
                });
            }
        } else if made {
            self.write_lines(&file, &wanted.shared)?;
        }
        self.write_lines(&file, &wanted.last)?;
        if *rdt.enable_monitoring() == Some(true) {
            let monitor = self.directory.join("mon_groups").join(id);
            match fs::create_dir(&monitor) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.failed("make", &monitor, error)),
            }
            self.monitor = Some(monitor);
        }
        Ok(())
    }

    fn write_lines(&self, file: &Path, lines: &[String]) -> Result<(), ResctrlError> {
        if lines.is_empty() {
            return Ok(());
        }
        fs::write(file, lines.join("\n") + "\n").map_err(|error| self.failed("write", file, error))
    }

    /// Puts a process into the group; those it forks from then on are in it too.
    pub fn enter(&self, pid: HostPid) -> Result<(), ResctrlError> {
        for directory in [Some(&self.directory), self.monitor.as_ref()]
            .into_iter()
            .flatten()
        {
            let tasks = directory.join("tasks");
            fs::write(&tasks, pid.to_string())
                .map_err(|error| self.failed("write", &tasks, error))?;
        }
        Ok(())
    }

    /// Removes what is the container's own: its group, or its monitoring group. What is gone is
    /// no error.
    pub fn remove(&self) -> Result<(), ResctrlError> {
        let monitor = self.monitor.as_ref();
        let own = self.own.then_some(&self.directory);
        for directory in monitor.into_iter().chain(own) {
            match fs::remove_dir(directory) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.failed("remove", directory, error)),
            }
        }
        Ok(())
    }

    fn failed(&self, verb: &'static str, path: &Path, source: io::Error) -> ResctrlError {
        // The kernel explains a refused schema there.
        let status = fs::read_to_string(self.root.join("info/last_cmd_status")).ok();
        ResctrlError::Access {
            verb,
            path: path.to_owned(),
            source,
            status: status
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty() && text != "ok"),
        }
    }
}

/// `closID` is one name, or `/` for the default group.
fn check_name(name: &str) -> Result<(), ResctrlError> {
    let taken = matches!(name, "." | ".." | "info" | "mon_groups" | "mon_data");
    let plain = !name.contains(['/', '\n', '\0']);
    if name == "/" || (plain && !taken) {
        return Ok(());
    }
    Err(ResctrlError::Invalid {
        field: "closID",
        value: name.to_owned(),
        why: "give the name of one directory of resctrl, or / for the default group",
    })
}

#[cfg(test)]
mod tests;
