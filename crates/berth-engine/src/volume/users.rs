//! Which containers use a volume, read from their records.

use std::collections::BTreeMap;
use std::fmt;

use berth_base::state::VolumeName;
use berth_base::{ContainerId, ContainerName};
use rustix::fs::{FlockOperation, flock};

use crate::options::MountRequest;
use crate::{CreateFile, Engine, EngineError};

/// A container that uses a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeUser {
    /// Its id.
    pub id: ContainerId,
    /// Its name; absent while it is being made, and where it cannot be read.
    pub name: Option<ContainerName>,
}

impl VolumeUser {
    /// The word that names it on a command line.
    pub fn word(&self) -> &str {
        match &self.name {
            Some(name) => name.as_str(),
            None => self.id.short(),
        }
    }
}

impl fmt::Display for VolumeUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.id.short()),
            None => f.write_str(self.id.short()),
        }
    }
}

/// Who uses what, at one moment.
#[derive(Debug, Default)]
pub(super) struct Uses {
    by_volume: BTreeMap<VolumeName, Vec<VolumeUser>>,
    /// Containers of which nobody knows.
    pub(super) unreadable: Vec<VolumeUser>,
}

impl Uses {
    pub(super) fn of(&self, name: &VolumeName) -> &[VolumeUser] {
        self.by_volume.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn into_map(self) -> BTreeMap<VolumeName, Vec<VolumeUser>> {
        self.by_volume
    }

    fn add(&mut self, create: &CreateFile, user: &VolumeUser) {
        for name in volumes_of(&create.options.mounts) {
            let users = self.by_volume.entry(name.clone()).or_default();
            if !users.contains(user) {
                users.push(user.clone());
            }
        }
    }
}

/// The volumes among a container's mounts.
pub(super) fn volumes_of(mounts: &[MountRequest]) -> impl Iterator<Item = &VolumeName> {
    mounts.iter().filter_map(|mount| match mount {
        MountRequest::Volume(volume) => volume.name.as_ref(),
        _ => None,
    })
}

impl Engine {
    /// Reads who uses which volume, save one container. Under the lock of the volumes the answer
    /// holds until that is released: a container is recorded before its volumes are made.
    pub(super) fn volume_uses(&self, except: Option<&ContainerId>) -> Result<Uses, EngineError> {
        let store = self.store();
        let mut uses = Uses::default();
        // Those that are being made first: one that gets its place meanwhile is met again below.
        for id in self.ids_being_made() {
            if let Some(create) = self.read_hidden_create(&id)
                && except != Some(&id)
            {
                uses.add(&create, &VolumeUser { id, name: None });
            }
        }
        for id in store.ids()? {
            if except == Some(&id) {
                continue;
            }
            let name = store
                .read_settings(&id)
                .ok()
                .flatten()
                .map(|file| file.name);
            let create = store.read_create(&id);
            let user = VolumeUser { id, name };
            match create {
                Ok(Some(create)) => uses.add(&create, &user),
                // Removed meanwhile, or its record is gone.
                Ok(None) if !store.exists(&user.id) => {}
                Ok(None) | Err(_) => uses.unreadable.push(user),
            }
        }
        Ok(uses)
    }

    /// The containers that are being made: hidden, and locked by a living process.
    fn ids_being_made(&self) -> Vec<ContainerId> {
        let locked = |id: &ContainerId| {
            berth_persist::open_folder(&self.store().hidden_dir(id))
                .is_ok_and(|folder| flock(&folder, FlockOperation::NonBlockingLockShared).is_err())
        };
        let mut ids = self.hidden_ids();
        ids.retain(locked);
        ids
    }

    /// The containers that were being made when their maker died.
    pub(super) fn half_made_ids(&self) -> Vec<ContainerId> {
        let living = self.ids_being_made();
        let mut ids = self.hidden_ids();
        ids.retain(|id| !living.contains(id));
        ids
    }

    fn hidden_ids(&self) -> Vec<ContainerId> {
        let entries = std::fs::read_dir(self.store().containers());
        entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                name.to_str()?.strip_prefix(".tmp-")?.parse().ok()
            })
            .collect()
    }

    /// The record of a container that nobody sees yet; it is written whole, or not there.
    pub(super) fn read_hidden_create(&self, id: &ContainerId) -> Option<CreateFile> {
        let path = self.store().hidden_dir(id).join("create.json");
        serde_json::from_slice(&berth_persist::read(&path).ok()?).ok()
    }
}
