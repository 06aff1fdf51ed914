//! The folders below `--root`: one per container, and what lies in them.
//!
//! | Name | What |
//! |---|---|
//! | `ID/state.json` | [`StateFile`], replaced by rename |
//! | `ID/config.json` | the bundle's configuration as it was at create |
//! | `ID/start.sock` | where init listens until it is started |
//! | `ID/lock` | held (flock) by whoever creates it |
//! | `.seccomp/` | compiled filters |
//!
//! Readers never lock. A folder without `state.json` belongs to a create that is under way, or
//! that died at once.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::id::OciId;
use super::state::{STATE_FILE_VERSION, StateFile};
use super::{Outcome, cannot, fail};
use crate::state;

/// Everything below one `--root`.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
}

/// The folder of one container.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// Held by whoever creates a container. A waiting init has inherited the open file, so the lock is
/// let go of explicitly; when the creator is killed, init ends and lets go of it.
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        if flock(&self.0, FlockOperation::Unlock).is_err() {
            // A flock that is held cannot fail to be let go of.
        }
    }
}

impl Store {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where a container of this id is, whether it exists or not.
    pub(crate) fn folder(&self, id: &OciId) -> Folder {
        Folder {
            path: self.root.join(id.as_str()),
        }
    }

    /// Where compiled seccomp filters are kept.
    pub(crate) fn filters(&self) -> PathBuf {
        self.root.join(".seccomp")
    }

    /// Makes the folder of a new container and locks it.
    pub(crate) fn claim(&self, id: &OciId) -> Outcome<(Folder, Lock)> {
        let what = |path: &Path| format!("make the folder {}", path.display());
        let mut builder = DirBuilder::new();
        builder.mode(0o711).recursive(true);
        builder
            .create(&self.root)
            .map_err(|e| cannot(&what(&self.root), e))?;
        let folder = self.folder(id);
        // The lock comes first under a hidden name: a folder that is seen is a folder that is
        // locked, so nobody takes it for one whose creator died.
        let hidden = self
            .root
            .join(format!(".new-{}-{}", id.as_str(), std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&hidden);
        match made {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.map_err(|e| cannot(&what(&hidden), e))?,
        }
        let result = Folder {
            path: hidden.clone(),
        }
        .lock()
        .and_then(|lock| {
            let lock = lock.ok_or_else(|| already(id))?;
            let mut renamed = rename_new(&hidden, &folder.path);
            if renamed == Err(Errno::EXIST) && folder.is_abandoned()? {
                folder.remove()?;
                renamed = rename_new(&hidden, &folder.path);
            }
            renamed.map_err(|errno| match errno {
                Errno::EXIST => already(id),
                other => cannot(&what(&folder.path), other),
            })?;
            Ok(lock)
        });
        match result {
            Ok(lock) => Ok((folder, lock)),
            Err(failure) => {
                fs::remove_dir_all(&hidden)
                    .map_err(|e| cannot(&format!("remove {}", hidden.display()), e))?;
                Err(failure)
            }
        }
    }

    /// Removes what creators left that were killed before their container had its name.
    pub(crate) fn sweep(&self, id: &OciId) -> Outcome {
        let prefix = format!(".new-{}-", id.as_str());
        let Ok(entries) = fs::read_dir(&self.root) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            let is_ours = rest.is_some_and(|pid| pid.bytes().all(|b| b.is_ascii_digit()));
            let folder = Folder { path: entry.path() };
            if is_ours && !folder.is_locked() {
                folder.remove()?;
            }
        }
        Ok(())
    }

    /// The ids of all containers, sorted. A root that does not exist holds none.
    pub(crate) fn ids(&self) -> Outcome<Vec<OciId>> {
        let entries = match fs::read_dir(&self.root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| cannot(&format!("list {}", self.root.display()), e))?,
        };
        let mut ids: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| OciId::parse(entry.file_name().to_str()?).ok())
            .collect();
        ids.sort();
        Ok(ids)
    }
}

/// Renames a folder to a name that must be free.
fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

fn already(id: &OciId) -> berth_base::protocol::Failure {
    fail(
        ErrorClass::Conflict,
        format!("container with id exists: {id}; delete it first, or choose another id"),
    )
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// The configuration as it was at create.
    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// Where init listens until it is started.
    pub(crate) fn start_socket(&self) -> PathBuf {
        self.path.join("start.sock")
    }

    /// Takes the lock; `None` while somebody else holds it.
    pub(crate) fn lock(&self) -> Outcome<Option<Lock>> {
        let path = self.path.join("lock");
        let file = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| cannot(&format!("open {}", path.display()), e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(cannot(&format!("lock {}", path.display()), errno)),
        }
    }

    /// Whether somebody holds the lock. Changes nothing.
    pub(crate) fn is_locked(&self) -> bool {
        let Ok(file) = File::open(self.path.join("lock")) else {
            return false;
        };
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    }

    /// Whether a creator died before it had written anything, or a deleter after it had removed
    /// nearly everything.
    pub(crate) fn is_abandoned(&self) -> Outcome<bool> {
        Ok(self.exists() && !self.is_locked() && self.read()?.is_none())
    }

    /// Reads `state.json`; `None` when there is none.
    pub(crate) fn read(&self) -> Outcome<Option<StateFile>> {
        let path = self.path.join("state.json");
        let text = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| cannot(&format!("read {}", path.display()), e))?,
        };
        let state: StateFile = serde_json::from_slice(&text).map_err(|e| {
            fail(
                ErrorClass::Internal,
                format!("cannot parse {}: {e}", path.display()),
            )
        })?;
        if state.version > STATE_FILE_VERSION {
            return Err(fail(
                ErrorClass::Unsupported,
                format!(
                    "{} is of version {}, this build reads up to {STATE_FILE_VERSION}",
                    path.display(),
                    state.version
                ),
            ));
        }
        Ok(Some(state))
    }

    /// Replaces `state.json`.
    pub(crate) fn write(&self, state: &StateFile) -> Outcome {
        let path = self.path.join("state.json");
        state::replace(&path, state).map_err(|e| cannot(&format!("write {}", path.display()), e))
    }

    /// Removes the folder, `state.json` first: from then on the container does not exist. One
    /// that is gone is no error.
    pub(crate) fn remove(&self) -> Outcome {
        let gone = |result: io::Result<()>| match result {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(cannot(&format!("remove {}", self.path.display()), e))
            }
            _ => Ok(()),
        };
        gone(fs::remove_file(self.path.join("state.json")))?;
        gone(fs::remove_dir_all(&self.path))
    }
}
