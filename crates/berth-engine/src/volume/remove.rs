//! `volume rm` and `prune`, the anonymous volumes of a container that goes, and what crashed.

use berth_base::state::{VolumeFile, VolumeName};
use berth_persist::Durability;

use super::store::{Retired, Volumes, size_in};
use super::{HalfMade, error};
use crate::options::MountRequest;
use crate::{Container, Engine, EngineError, events};

/// Which unused volumes go.
pub struct VolumePrune<'a> {
    /// Also those that have a name of their own.
    pub all: bool,
    /// Whether a volume fits the user's filters.
    pub fits: &'a dyn Fn(&VolumeFile) -> bool,
}

/// What a prune did.
#[derive(Debug, Default)]
pub struct PrunedVolumes {
    /// The volumes that are gone.
    pub removed: Vec<VolumeName>,
    /// The bytes of their files.
    pub reclaimed_bytes: u64,
    /// What could not be deleted; those volumes are out of sight, and deleted by a recovery.
    pub errors: Vec<EngineError>,
}

impl Engine {
    /// Removes a volume that no container has, running or not.
    pub fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let volumes = Volumes::of(self);
        let parsed: VolumeName = name.parse().map_err(|_| error::missing(name))?;
        if !volumes.has(&parsed) {
            return Err(error::missing(name));
        }
        let retired = {
            let lock = volumes.lock()?;
            let uses = self.volume_uses(None)?;
            let users = uses.of(&parsed);
            if !users.is_empty() {
                return Err(error::in_use(&parsed, users));
            }
            if let Some(user) = uses.unreadable.first() {
                return Err(error::unknown_use(&format!("volume {parsed}"), user));
            }
            volumes.retire(&lock, &parsed, Durability::Power)?
        };
        self.emit(events::volume(name, "destroy"));
        retired.erase()
    }

    /// Removes the volumes that no container has.
    pub fn prune_volumes(&self, prune: &VolumePrune<'_>) -> Result<PrunedVolumes, EngineError> {
        let volumes = Volumes::of(self);
        let mut pruned = PrunedVolumes::default();
        if !volumes.any() {
            return Ok(pruned);
        }
        let mut retired = Vec::new();
        {
            let lock = volumes.lock()?;
            let uses = self.volume_uses(None)?;
            if let Some(user) = uses.unreadable.first() {
                return Err(error::unknown_use("unused volumes", user));
            }
            for name in volumes.names()? {
                // One that cannot be read is not known to be anonymous, or to fit.
                let Ok(Some(file)) = volumes.read(&name) else {
                    continue;
                };
                let goes = uses.of(&name).is_empty()
                    && (prune.all || file.is_anonymous())
                    && (prune.fits)(&file);
                if goes {
                    match volumes.retire(&lock, &name, Durability::Power) {
                        Ok(volume) => retired.push(volume),
                        Err(error) => pruned.errors.push(error),
                    }
                }
            }
        }
        for volume in retired {
            self.emit(events::volume(volume.name.as_str(), "destroy"));
            pruned.reclaimed_bytes += size_in(&volume.folder).unwrap_or(0);
            pruned.errors.extend(volume.erase().err());
            pruned.removed.push(volume.name.clone());
        }
        Ok(pruned)
    }

    /// Takes the anonymous volumes of a container that is being removed out of sight, save those that
    /// another one has. Named ones stay, whatever is asked.
    pub(crate) fn retire_anonymous_volumes(
        &self,
        container: &Container,
    ) -> Result<Vec<Retired>, EngineError> {
        let names = anonymous_of(&container.create.options.mounts);
        self.retire_unused(&names, Some(&container.id))
    }

    /// Takes volumes out of sight that nobody has but perhaps `except`. Where it is not known who
    /// has them, they stay.
    pub(super) fn retire_unused(
        &self,
        names: &[VolumeName],
        except: Option<&berth_base::ContainerId>,
    ) -> Result<Vec<Retired>, EngineError> {
        let volumes = Volumes::of(self);
        if names.is_empty() || !volumes.any() {
            return Ok(Vec::new());
        }
        let lock = volumes.lock()?;
        let uses = self.volume_uses(except)?;
        let mut retired = Vec::new();
        for name in names {
            let unused = uses.of(name).is_empty() && uses.unreadable.is_empty();
            if unused && volumes.has(name) {
                retired.push(volumes.retire(&lock, name, Durability::Process)?);
            }
        }
        Ok(retired)
    }

    /// What containers that were being made when their maker died have of volumes. To be asked
    /// before their folders are swept.
    pub(crate) fn half_made_volumes(&self) -> HalfMade {
        let ids = self.half_made_ids();
        let records = ids.iter().filter_map(|id| self.read_hidden_create(id));
        HalfMade(
            records
                .flat_map(|create| anonymous_of(&create.options.mounts))
                .collect(),
        )
    }

    /// Puts the volumes in order once the containers are: half-made and half-removed ones go, as do
    /// the anonymous ones of containers that never came to be.
    pub(crate) fn recover_volumes(&self, half_made: &HalfMade) -> Vec<EngineError> {
        let volumes = Volumes::of(self);
        if !volumes.any() {
            return Vec::new();
        }
        let mut errors = Vec::new();
        match self.retire_unused(&half_made.0, None) {
            Ok(retired) => errors.extend(retired.iter().filter_map(|one| one.erase().err())),
            Err(error) => errors.push(error),
        }
        match volumes.lock() {
            Ok(lock) => errors.extend(volumes.sweep(&lock)),
            Err(error) => errors.push(error),
        }
        errors.extend(self.recover_fills());
        errors
    }
}

/// Deletes what was taken out of sight; answers what could not be.
pub(crate) fn erase_all(retired: &[Retired]) -> impl Iterator<Item = EngineError> {
    retired.iter().filter_map(|volume| volume.erase().err())
}

fn anonymous_of(mounts: &[MountRequest]) -> Vec<VolumeName> {
    let names = mounts.iter().filter_map(|mount| match mount {
        MountRequest::Volume(volume) if volume.anonymous => volume.name.clone(),
        _ => None,
    });
    names.collect()
}
