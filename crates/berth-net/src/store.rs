//! The networks of one root: `ROOT/networks/NAME/network.json`, made whole and renamed into place.
//!
//! Readers take no lock. Who makes or removes a network holds the lock of them all, for moments.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use berth_persist::{
    At, Durability, Op, Point, Replace, make_dirs, perform, remove_tree, replace, sweep_temporaries,
};
use rustix::fs::{FlockOperation, OFlags, flock};

use crate::file::parse;
use crate::lease::Leases;
use crate::{NetError, NetworkFile, NetworkName};

const RECORD: &str = "network.json";
const MAKING: &str = ".making-";
const REMOVING: &str = ".removing-";

/// Where networks are kept.
#[derive(Clone, Debug)]
pub struct Networks {
    root: PathBuf,
    state: PathBuf,
}

/// A network by its name, with its record or why that cannot be read.
pub type Listed = (NetworkName, Result<NetworkFile, NetError>);

/// The right to make and to remove networks.
#[derive(Debug)]
pub struct NetworksLock(#[expect(dead_code, reason = "held, not read")] File);

impl Networks {
    /// Those below the persistent and the volatile folder of an engine.
    #[must_use]
    pub fn new(root: &Path, state: &Path) -> Self {
        Self {
            root: root.join("networks"),
            state: state.join("networks"),
        }
    }

    /// Whether there is anything of networks, be it remains.
    #[must_use]
    pub fn were_used(&self) -> bool {
        self.root.is_dir() || self.state.is_dir()
    }

    /// Waits for the lock.
    ///
    /// # Errors
    /// The folder cannot be made, or the lock not be had.
    pub fn lock(&self) -> Result<NetworksLock, NetError> {
        make_dirs("network.folder.make", &self.root, 0o700)
            .map_err(|e| NetError::file("make", &self.root, e))?;
        let path = self.root.join(".lock");
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        let locked = rustix::fs::open(&path, flags, 0o600.into()).and_then(|file| {
            flock(&file, FlockOperation::LockExclusive)?;
            Ok(NetworksLock(file.into()))
        });
        locked.map_err(|e| NetError::file("lock", &path, e.into()))
    }

    /// Reads one; `None` where there is none of that name.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn read(&self, name: &NetworkName) -> Result<Option<NetworkFile>, NetError> {
        let path = self.folder(name).join(RECORD);
        match berth_persist::read(&path) {
            Ok(bytes) => parse(&path, &bytes).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(NetError::file("read", &path, e)),
        }
    }

    /// All of them by name, readable or not.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn all(&self) -> Result<Vec<Listed>, NetError> {
        let mut names: Vec<NetworkName> = self
            .entries()?
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        names.sort();
        let read = names.into_iter().filter_map(|name| match self.read(&name) {
            Ok(None) => None,
            Ok(Some(file)) => Some((name, Ok(file))),
            Err(error) => Some((name, Err(error))),
        });
        Ok(read.collect())
    }

    /// Makes one; answers whether the name was free.
    ///
    /// # Errors
    /// Its folder cannot be written.
    pub fn add(&self, _lock: &NetworksLock, file: &NetworkFile) -> Result<bool, NetError> {
        let folder = self.folder(&file.name);
        if folder.exists() {
            return Ok(false);
        }
        let hidden = self.root.join(format!("{MAKING}{}", file.name));
        // With the lock ours, whoever left that is gone.
        self.erase(&hidden)?;
        perform("network.make", Op::MakeDir(At::path(&hidden), 0o700))
            .map_err(|e| NetError::file("make", &hidden, e))?;
        let bytes = serde_json::to_vec(file).map_err(|e| NetError::Corrupt {
            path: hidden.clone(),
            why: e.to_string(),
        })?;
        replace("network.record", &hidden, RECORD, &bytes, Durability::Power)?;
        let publish = Op::Rename {
            from: At::path(&hidden),
            to: At::path(&folder),
            replace: Replace::No,
        };
        perform("network.publish", publish).map_err(|e| NetError::file("make", &folder, e))?;
        self.sync()?;
        Ok(true)
    }

    /// Removes one, with its leases; one that is gone is fine.
    ///
    /// # Errors
    /// Its folders cannot be removed.
    pub fn remove(&self, _lock: &NetworksLock, name: &NetworkName) -> Result<(), NetError> {
        let hidden = self.root.join(format!("{REMOVING}{name}"));
        self.erase(&hidden)?;
        let folder = self.folder(name);
        let hide = Op::Rename {
            from: At::path(&folder),
            to: At::path(&hidden),
            replace: Replace::No,
        };
        match perform("network.retire", hide) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(NetError::file("remove", &folder, e)),
            Ok(()) => sync("network.sync", &self.root)?,
        }
        self.erase(&hidden)?;
        self.erase(&self.volatile_folder(name))
    }

    /// Removes what a crash left half made and half removed, and the volatile folders of networks
    /// that are gone.
    ///
    /// # Errors
    /// A folder cannot be listed or removed.
    pub fn sweep(&self, _lock: &NetworksLock) -> Result<(), NetError> {
        for name in self.entries()? {
            if name.starts_with(MAKING) || name.starts_with(REMOVING) {
                self.erase(&self.root.join(&name))?;
            } else if name.parse::<NetworkName>().is_ok() {
                let folder = self.root.join(&name);
                sweep_temporaries("network.sweep", &folder)
                    .map_err(|e| NetError::file("sweep", &folder, e))?;
            }
        }
        for name in entries(&self.state)? {
            let Ok(name) = name.parse::<NetworkName>() else {
                continue;
            };
            match self.folder(&name).exists() {
                false => self.erase(&self.volatile_folder(&name))?,
                true => self.leases(&name).sweep()?,
            }
        }
        Ok(())
    }

    /// The leases of a network.
    #[must_use]
    pub fn leases(&self, name: &NetworkName) -> Leases {
        Leases::of(&self.state, name.as_str())
    }

    /// What of a network lasts until the next boot, leases included.
    #[must_use]
    pub(crate) fn volatile_folder(&self, name: &NetworkName) -> PathBuf {
        self.state.join(name.as_str())
    }

    fn folder(&self, name: &NetworkName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn erase(&self, path: &Path) -> Result<(), NetError> {
        remove_tree("network.erase", At::path(path)).map_err(|e| NetError::file("remove", path, e))
    }

    /// What is in the folder of all networks is there after a loss of power, and so are that folder
    /// and the engine's, which may be as new.
    fn sync(&self) -> Result<(), NetError> {
        let above = self.root.ancestors().take(3);
        above
            .filter(|folder| !folder.as_os_str().is_empty())
            .try_for_each(|folder| sync("network.sync", folder))
    }

    fn entries(&self) -> Result<Vec<String>, NetError> {
        entries(&self.root)
    }
}

fn sync(point: Point, folder: &Path) -> Result<(), NetError> {
    use std::os::fd::AsFd as _;
    berth_persist::open_folder(folder)
        .and_then(|opened| perform(point, Op::SyncDir(opened.as_fd())))
        .map_err(|e| NetError::file("sync", folder, e))
}

/// The names in a folder; none where there is no folder.
fn entries(folder: &Path) -> Result<Vec<String>, NetError> {
    let list = |e| NetError::file("list", folder, e);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(list(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(list)?.file_name().into_string().ok());
    }
    Ok(names)
}
