//! `volume create`, `ls`, `inspect`: the use-cases that take nothing away.

use std::collections::BTreeMap;
use std::time::SystemTime;

use berth_base::Timestamp;
use berth_base::state::{ANONYMOUS_LABEL, STATE_VERSION, VolumeFile, VolumeName};
use berth_persist::Durability;

use super::backing::backing;
use super::store::{Volumes, size_in};
use super::{LOCAL_DRIVER, Volume, VolumeRequest, VolumeUser, error};
use crate::store::{StoreError, random_id};
use crate::{Engine, EngineError, events};

impl Engine {
    /// Makes a volume, or finds the one that has the name already: its labels stay as they are, other
    /// options than it has are refused. Survives a loss of power once this returns.
    pub fn create_volume(&self, request: &VolumeRequest) -> Result<Volume, EngineError> {
        check_driver(request.driver.as_deref())?;
        let volumes = Volumes::of(self);
        let mut labels = request.labels.clone();
        let name = match &request.name {
            Some(name) => name.clone(),
            None => {
                labels.insert(ANONYMOUS_LABEL.into(), String::new());
                self.draw_volume_name()?
            }
        };
        backing(&request.options, &volumes.data(&name))?;
        self.recover_after_boot()?;
        self.store().ensure()?;
        let lock = volumes.lock()?;
        if let Some(file) = volumes.read(&name)? {
            check_options(&file, &request.options)?;
            return Ok(volumes.volume(file));
        }
        let file = new_file(name, labels, request.options.clone());
        volumes.make(&lock, &file, Durability::Power)?;
        self.emit(events::volume(file.name.as_str(), "create"));
        Ok(volumes.volume(file))
    }

    /// All volumes that can be read, by name. Takes no lock.
    pub fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        let volumes = Volumes::of(self);
        let names = volumes.names()?;
        let read = |name| Some(volumes.volume(volumes.read(name).ok()??));
        Ok(names.iter().filter_map(read).collect())
    }

    /// The volumes whose record cannot be read, each with the reason.
    pub fn unreadable_volumes(&self) -> Result<Vec<(VolumeName, EngineError)>, EngineError> {
        let volumes = Volumes::of(self);
        let names = volumes.names()?.into_iter();
        Ok(names
            .filter_map(|name| {
                let error = volumes.read(&name).err()?;
                Some((name, error))
            })
            .collect())
    }

    /// One volume by its name.
    pub fn volume(&self, name: &str) -> Result<Volume, EngineError> {
        let volumes = Volumes::of(self);
        let parsed: VolumeName = name.parse().map_err(|_| error::missing(name))?;
        let file = volumes.read(&parsed)?.ok_or_else(|| error::missing(name))?;
        Ok(volumes.volume(file))
    }

    /// Who uses which volume; one that nobody uses is missing. Takes no lock.
    pub fn volume_users(&self) -> Result<BTreeMap<VolumeName, Vec<VolumeUser>>, EngineError> {
        Ok(self.volume_uses(None)?.into_map())
    }

    /// The bytes of the files in a volume's own folder.
    pub fn volume_size(&self, name: &VolumeName) -> Result<u64, EngineError> {
        size_in(&Volumes::of(self).folder(name))
    }

    pub(super) fn draw_volume_name(&self) -> Result<VolumeName, EngineError> {
        let id = random_id().map_err(|e| StoreError::io("draw a name for", self.store().root(), e));
        // A container's id has the shape of an anonymous volume's name.
        Ok(VolumeName::from_id(&id?))
    }
}

/// There is one driver.
pub(super) fn check_driver(driver: Option<&str>) -> Result<(), EngineError> {
    match driver {
        None | Some(LOCAL_DRIVER | "") => Ok(()),
        Some(other) => Err(error::other_driver(other)),
    }
}

/// Options that are asked for must be those that the volume has.
pub(super) fn check_options(
    file: &VolumeFile,
    asked: &BTreeMap<String, String>,
) -> Result<(), EngineError> {
    if asked.is_empty() || *asked == file.options {
        Ok(())
    } else {
        Err(error::other_options(&file.name))
    }
}

/// The record of a volume that is made now.
pub(super) fn new_file(
    name: VolumeName,
    labels: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
) -> VolumeFile {
    VolumeFile {
        version: STATE_VERSION,
        name,
        created_at: Timestamp::from(SystemTime::now()),
        driver: LOCAL_DRIVER.into(),
        labels,
        options,
    }
}
