//! What a worker is told, and what it answers.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use berth_base::ProcessIdentity;
use serde::{Deserialize, Serialize};

/// A copy, sent to the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CopyJob {
    pub(super) direction: Direction,
    pub(super) place: Place,
    /// The path in the container as typed.
    pub(super) inside: Bytes,
    /// The same path below `place`, where that is not the container's root.
    pub(super) below: Option<Bytes>,
    /// What the paths are called in messages: `web:/etc`.
    pub(super) shown: String,
    /// The caller's path, absolute; without one the data is a tar stream.
    pub(super) host: Option<Bytes>,
    pub(super) keep_ids: bool,
    pub(super) follow_link: bool,
    pub(super) rootless: bool,
    /// Who waits for it, and holds the container's lock.
    pub(super) caller: u32,
    /// Why nothing may be written there.
    pub(super) read_only: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Direction {
    /// Into the container.
    In,
    /// Out of it.
    Out,
}

/// Where the container's files are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Place {
    /// Below the root of a running container's mount namespace.
    Process(ProcessIdentity),
    /// In layers, which are not mounted.
    Layers {
        /// The topmost first.
        lowers: Vec<PathBuf>,
        upper: PathBuf,
        work: PathBuf,
    },
    /// In a folder of the host: a root, or what is mounted into a stopped container.
    Folder(PathBuf),
    /// It is this file of the host, mounted into a stopped container.
    File(PathBuf),
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyReport {
    /// Bytes of files; of the archive where it is one.
    pub bytes: u64,
    /// Entries of all kinds.
    pub entries: u64,
    /// What was left out, a line each.
    pub notes: Vec<String>,
}

/// A path of any bytes, where JSON has text alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.0.clone()))
    }
}
