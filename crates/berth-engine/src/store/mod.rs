//! The folders and files of all containers: where they are, how they are written and found.
//!
//! Owns `ROOT/containers`, `ROOT/names` and `STATE/containers`. Knows nothing of processes:
//! whether a container lives is asked elsewhere. Readers never lock.

mod error;
mod file;
mod lock;
mod mark;
mod names;
mod random;
mod resolve;
mod sweep;
mod words;

use std::path::{Path, PathBuf};

use berth_base::state::{
    ExitFile, HealthFile, MonitorConfig, RunFile, SessionFile, SettingsFile, StatusFile, Wiring,
};
use berth_base::{ContainerId, ContainerName};
use berth_persist::{At, Op, Point, Replace, perform};

pub(crate) use berth_persist::Durability;
pub(crate) use error::StoreError;
pub(crate) use lock::{ContainerLock, FileLock};
pub(crate) use mark::Marked;
pub(crate) use names::NamesLock;
pub(crate) use random::{random_bytes, random_id, random_number};

use crate::network::NetworksFile;
use crate::{CreateFile, quota};

/// The two folders of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
    state: PathBuf,
}

impl Store {
    pub(crate) const fn new(root: PathBuf, state: PathBuf) -> Self {
        Self { root, state }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// `ROOT/containers`.
    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// `ROOT/containers/ID`.
    pub(crate) fn persistent_dir(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    /// `STATE/containers`.
    pub(crate) fn volatile_containers(&self) -> PathBuf {
        self.state.join("containers")
    }

    /// `STATE/containers/ID`.
    pub(crate) fn volatile_dir(&self, id: &ContainerId) -> PathBuf {
        self.volatile_containers().join(id.as_str())
    }

    /// `ROOT/cache`: what can be computed again.
    pub(crate) fn cache_dir(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Makes the folders, 0700, so that they outlive a loss of power. The first use-case of a boot
    /// that writes calls it.
    pub(crate) fn ensure(&self) -> Result<(), StoreError> {
        for dir in [
            self.containers(),
            self.root.join("names"),
            self.cache_dir(),
            self.volatile_containers(),
        ] {
            make_dirs("store.folder.make", &dir)?;
        }
        file::sync_dir("store.folder.sync", &self.root)?;
        if let Some(parent) = self.root.parent() {
            // Not ours, and perhaps not ours to open.
            drop(file::sync_dir("store.folder.sync", parent));
        }
        Ok(())
    }

    /// Whether the container exists.
    pub(crate) fn exists(&self, id: &ContainerId) -> bool {
        self.persistent_dir(id).is_dir()
    }

    /// A file without which there is no container is not there: the container was removed meanwhile,
    /// or somebody took the file away, and what runs is still to be removed.
    pub(crate) fn absent(&self, id: &ContainerId, file: &str) -> StoreError {
        match self.exists(id) {
            true => {
                let why = std::io::Error::new(std::io::ErrorKind::NotFound, "it is missing");
                StoreError::damaged(&self.persistent_dir(id).join(file), why)
            }
            false => StoreError::NoContainer(id.short().to_owned()),
        }
    }

    /// `exits/N.json`.
    pub(crate) fn exit_path(&self, id: &ContainerId, run: u32) -> PathBuf {
        self.persistent_dir(id)
            .join("exits")
            .join(format!("{run}.json"))
    }

    pub(crate) fn read_create(&self, id: &ContainerId) -> Result<Option<CreateFile>, StoreError> {
        file::read(&self.persistent_dir(id).join("create.json"))
    }

    /// Whether a loss of power took the very record of a container, which then was one for `--rm`:
    /// that of others is synced before they are seen.
    pub(crate) fn is_torn(&self, id: &ContainerId) -> bool {
        let record = self.persistent_dir(id).join("create.json");
        match std::fs::metadata(record) {
            Ok(found) => found.len() == 0,
            Err(e) => e.kind() == std::io::ErrorKind::NotFound && self.exists(id),
        }
    }

    pub(crate) fn read_settings(
        &self,
        id: &ContainerId,
    ) -> Result<Option<SettingsFile>, StoreError> {
        file::read(&self.persistent_dir(id).join("settings.json"))
    }

    /// Replaces `settings.json`: what it says of the name decides what the container is called.
    pub(crate) fn write_settings(
        &self,
        lock: &ContainerLock,
        settings: &SettingsFile,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let dir = self.persistent_dir(lock.id());
        file::write(
            "container.settings.write",
            &dir,
            "settings.json",
            settings,
            durability,
        )
    }

    /// `None` also where a loss of power emptied it.
    pub(crate) fn read_status(&self, id: &ContainerId) -> Result<Option<StatusFile>, StoreError> {
        file::read_unsynced(&self.persistent_dir(id).join("status.json"))
    }

    pub(crate) fn read_exit(
        &self,
        id: &ContainerId,
        run: u32,
    ) -> Result<Option<ExitFile>, StoreError> {
        file::read_unsynced(&self.exit_path(id, run))
    }

    /// The number of the last run that left an exit record, whole or not; 0 when none did.
    pub(crate) fn last_recorded_run(&self, id: &ContainerId) -> u32 {
        let records = entries(&self.persistent_dir(id).join("exits"));
        let numbers = records
            .iter()
            .filter_map(|(name, _)| name.strip_suffix(".json")?.parse().ok());
        numbers.max().unwrap_or(0)
    }

    /// The interfaces of the last start in this boot.
    pub(crate) fn read_wiring(&self, id: &ContainerId) -> Result<Option<Wiring>, StoreError> {
        file::read(&self.volatile_dir(id).join("wiring.json"))
    }

    /// The networks that a container is on since somebody changed them.
    pub(crate) fn read_networks(
        &self,
        id: &ContainerId,
    ) -> Result<Option<NetworksFile>, StoreError> {
        file::read(&self.persistent_dir(id).join("networks.json"))
    }

    pub(crate) fn write_networks(
        &self,
        lock: &ContainerLock,
        file: &NetworksFile,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let dir = self.persistent_dir(lock.id());
        file::write(
            "container.networks",
            &dir,
            "networks.json",
            file,
            durability,
        )
    }

    pub(crate) fn read_run(&self, id: &ContainerId) -> Result<Option<RunFile>, StoreError> {
        file::read(&self.volatile_dir(id).join("run.json"))
    }

    /// The exec sessions on record; one that cannot be read is none.
    pub(crate) fn read_sessions(&self, id: &ContainerId) -> Vec<SessionFile> {
        let folder = self.volatile_dir(id).join(SessionFile::FOLDER);
        entries(&folder)
            .into_iter()
            .filter(|(name, _)| name.ends_with(".json"))
            .filter_map(|(_, path)| file::read(&path).ok().flatten())
            .collect()
    }

    /// What the probes found in this boot.
    pub(crate) fn read_health(&self, id: &ContainerId) -> Result<Option<HealthFile>, StoreError> {
        file::read(&self.volatile_dir(id).join("health.json"))
    }

    /// `monitor.json` of the last start in this boot.
    pub(crate) fn read_monitor(
        &self,
        id: &ContainerId,
    ) -> Result<Option<MonitorConfig>, StoreError> {
        file::read(&self.volatile_dir(id).join("monitor.json"))
    }

    /// Reads an OCI spec, which has a version scheme of its own.
    pub(crate) fn read_spec(&self, path: &Path) -> Result<oci_spec::runtime::Spec, StoreError> {
        file::read_unversioned(path)
    }

    /// Replaces `status.json`. Survives power loss only where asked: a lost one is derived again.
    pub(crate) fn write_status(
        &self,
        lock: &ContainerLock,
        status: &StatusFile,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let dir = self.persistent_dir(lock.id());
        file::write(
            "container.status.write",
            &dir,
            "status.json",
            status,
            durability,
        )
    }

    /// Writes one file of a container's volatile folder.
    pub(crate) fn write_volatile(
        &self,
        point: Point,
        lock: &ContainerLock,
        name: &str,
        value: &impl serde::Serialize,
    ) -> Result<(), StoreError> {
        let dir = self.volatile_dir(lock.id());
        file::write(point, &dir, name, value, Durability::Process)
    }

    /// Removes one file of a container's volatile folder; one that is gone is fine.
    pub(crate) fn remove_volatile(
        &self,
        lock: &ContainerLock,
        name: &str,
    ) -> Result<(), StoreError> {
        let path = self.volatile_dir(lock.id()).join(name);
        match perform("container.run.clear", Op::Unlink(At::path(&path))) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(StoreError::io("remove", &path, e)),
        }
    }

    /// Writes one file of a container folder that nobody sees yet.
    pub(crate) fn write_hidden(
        &self,
        point: Point,
        dir: &Path,
        name: &str,
        value: &impl serde::Serialize,
        durability: Durability,
    ) -> Result<(), StoreError> {
        file::write(point, dir, name, value, durability)
    }

    /// Writes the exit record of a run that nobody else recorded; the first writer wins.
    pub(crate) fn write_exit_if_absent(
        &self,
        id: &ContainerId,
        exit: &ExitFile,
    ) -> Result<(), StoreError> {
        let dir = self.persistent_dir(id).join("exits");
        make_dirs("container.exit.folder", &dir)?;
        let name = format!("{}.json", exit.run);
        file::write_first("container.exit.write", &dir, &name, exit)
    }

    /// The ids of all containers, in no order. Entries that begin with a dot are half made or
    /// half removed and not listed.
    pub(crate) fn ids(&self) -> Result<Vec<ContainerId>, StoreError> {
        let dir = self.containers();
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(StoreError::io("list", &dir, e)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| StoreError::io("list", &dir, e))?;
            if let Some(id) = entry.file_name().to_str().and_then(|n| n.parse().ok()) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// `create.json` of every container, those that are being made among them. One that vanishes
    /// meanwhile is left out; one that cannot be read is an error, since nobody can tell what it
    /// needs.
    pub(crate) fn all_creates(&self) -> Result<Vec<CreateFile>, StoreError> {
        let mut all = Vec::new();
        for (name, path) in entries(&self.containers()) {
            if !name.starts_with(".removing-") {
                all.extend(file::read::<CreateFile>(&path.join("create.json"))?);
            }
        }
        Ok(all)
    }

    /// The folder in which a container is built before it gets its place.
    pub(crate) fn hidden_dir(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(format!(".tmp-{}", id.as_str()))
    }

    /// Makes and locks the hidden folder in which a container is built.
    pub(crate) fn make_hidden(
        &self,
        _names: &NamesLock,
        id: &ContainerId,
    ) -> Result<std::fs::File, StoreError> {
        let dir = &self.hidden_dir(id);
        // The folder of exit records is made with the first of them.
        make_dirs("container.create.folder", dir)?;
        let file = berth_persist::open_folder(dir).map_err(|e| StoreError::io("open", dir, e))?;
        lock::exclusive(&file).map_err(|e| StoreError::io("lock", dir, e))?;
        Ok(file)
    }

    /// Gives a container built in [`Self::hidden_dir`] its place: from here on it exists.
    pub(crate) fn publish(
        &self,
        _names: &NamesLock,
        id: &ContainerId,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let from = self.hidden_dir(id);
        let to = self.persistent_dir(id);
        rename("container.create.publish", &from, &to)
            .map_err(|e| StoreError::io("rename", &from, e))?;
        if durability != Durability::Power {
            return Ok(());
        }
        let synced = file::sync_dir("container.create.publish-sync", &self.containers());
        synced.inspect_err(|_| {
            // Whoever is told that it failed must not find it. With the names lock held nobody
            // has looked it up by name yet.
            drop(rename("container.create.withdraw", &to, &from));
        })
    }

    /// Takes a container's folders away and releases its name. Can be run twice, also after a
    /// crash between any two of its steps; collects every error.
    ///
    /// The persistent folder goes first: from then on the container does not exist, and nobody
    /// can wait for a lock in the volatile one.
    pub(crate) fn erase(
        &self,
        lock: &ContainerLock,
        name: Option<&ContainerName>,
    ) -> Vec<StoreError> {
        let id = lock.id();
        let hidden = format!(".removing-{}", id.as_str());
        let persistent = self.containers().join(&hidden);
        let volatile = self.volatile_containers().join(&hidden);
        quota::release(&self.persistent_dir(id));
        let mut steps = vec![
            rename_away(
                "container.remove.persistent",
                &self.persistent_dir(id),
                &persistent,
            ),
            rename_away(
                "container.remove.volatile",
                &self.volatile_dir(id),
                &volatile,
            ),
        ];
        if let Some(name) = name {
            steps.push(self.release_name(name, id));
        }
        steps.push(remove_tree("container.remove.tree", &persistent));
        steps.push(remove_tree("container.remove.tree", &volatile));
        steps.into_iter().filter_map(Result::err).collect()
    }
}

/// The entries of a folder, none when it cannot be listed.
fn entries(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect()
}

/// Moves a folder out of sight; one that is gone already is fine. The target may be left over from
/// a removal that crashed.
fn rename_away(point: Point, from: &Path, to: &Path) -> Result<(), StoreError> {
    match rename(point, from, to) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) => {
            remove_tree("container.remove.leftover", to)?;
            rename(point, from, to).map_err(|e| StoreError::io("rename", from, e))
        }
    }
}

fn rename(point: Point, from: &Path, to: &Path) -> std::io::Result<()> {
    let op = Op::Rename {
        from: At::path(from),
        to: At::path(to),
        replace: Replace::Yes,
    };
    perform(point, op)
}

/// Removes a folder with all it holds, following no link; one that is gone already is fine.
pub(crate) fn remove_tree(point: Point, dir: &Path) -> Result<(), StoreError> {
    berth_persist::remove_tree(point, At::path(dir)).map_err(|e| StoreError::io("remove", dir, e))
}

/// Makes a folder and its missing parents, 0700.
fn make_dirs(point: Point, dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    berth_persist::make_dirs(point, dir, 0o700).map_err(|e| StoreError::io("make", dir, e))
}
