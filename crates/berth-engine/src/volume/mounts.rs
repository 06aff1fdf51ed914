//! What a `create` does about mounts: resolve them, make their volumes, fill those that are empty.

use std::path::PathBuf;

use berth_base::ErrorClass;
use berth_base::state::{RootSource, VolumeFile, VolumeName};
use berth_persist::Durability;

use super::create::new_file;
use super::error;
use super::fill::{self, CopyUp};
use super::remove::erase_all;
use super::resolve::{Lookups, resolve};
use super::store::{Volumes, VolumesLock};
use crate::events::volume;
use crate::options::{MountOrigin, MountRequest, VolumeBacking, VolumeMount};
use crate::{CreateFile, CreateOptions, Engine, EngineError};

/// The anonymous volumes of containers that never came to be.
#[derive(Debug, Default)]
pub(crate) struct HalfMade(pub(super) Vec<VolumeName>);

/// The volumes of a container that is being made. What it has made goes again when this is dropped,
/// unless [`Self::keep`] was called.
#[derive(Debug)]
pub(crate) struct MadeVolumes<'a> {
    engine: &'a Engine,
    create: &'a CreateFile,
    made: Vec<VolumeName>,
}

impl MadeVolumes<'_> {
    pub(super) const fn engine(&self) -> &Engine {
        self.engine
    }
}

impl Engine {
    /// Completes the mounts among the options: names for anonymous volumes, what `--volumes-from`
    /// comes to, what the image wants. Writes nothing.
    pub(crate) fn resolve_mounts(
        &self,
        options: &CreateOptions,
        image_volumes: &[String],
    ) -> Result<CreateOptions, EngineError> {
        let mut options = options.clone();
        if options.mounts.is_empty() && image_volumes.is_empty() {
            return Ok(options);
        }
        options.mounts = resolve(&options.mounts, image_volumes, self)?;
        for mount in &options.mounts {
            if let MountRequest::Volume(volume) = mount {
                check_folder(volume, &Volumes::of(self))?;
            }
        }
        Ok(options)
    }

    /// Makes the volumes of a container whose `create.json` stands in its hidden folder: from there
    /// on nobody removes them.
    pub(crate) fn make_volumes<'a>(
        &'a self,
        create: &'a CreateFile,
    ) -> Result<MadeVolumes<'a>, EngineError> {
        let mut made = MadeVolumes {
            engine: self,
            create,
            made: Vec::new(),
        };
        let wanted = volumes_of(create);
        if wanted.is_empty() {
            return Ok(made);
        }
        let volumes = Volumes::of(self);
        let lock = volumes.lock()?;
        for volume in wanted {
            made.ensure(&volumes, &lock, volume)?;
        }
        drop(lock);
        if create.root == RootSource::Host {
            // It fills none; what somebody died filling is emptied all the same.
            drop(made.copy_ups()?);
        }
        Ok(made)
    }
}

impl MadeVolumes<'_> {
    /// Finds a volume as it was when the mounts were resolved, or makes it.
    fn ensure(
        &mut self,
        volumes: &Volumes,
        lock: &VolumesLock,
        volume: &VolumeMount,
    ) -> Result<(), EngineError> {
        let Some(name) = &volume.name else {
            return Ok(());
        };
        if let Some(file) = volumes.read(name)? {
            return match file.options == volume.driver_options {
                true => Ok(()),
                // Made by somebody else since the mounts were resolved.
                false => Err(error::other_options(name)),
            };
        }
        if volume.origin == MountOrigin::Container {
            let text = format!(
                "volume {name} of --volumes-from was removed meanwhile; leave that container out, or make the volume again with \"berth volume create {name}\""
            );
            return Err(EngineError::new(ErrorClass::NotFound, text).on(name.as_str()));
        }
        let file = new_file(
            name.clone(),
            volume.labels.clone(),
            volume.driver_options.clone(),
        );
        volumes.make(lock, &file, self.durability(volume))?;
        self.made.push(name.clone());
        Ok(())
    }

    /// What goes with a `--rm` container need not survive a loss of power.
    fn durability(&self, volume: &VolumeMount) -> Durability {
        match volume.anonymous && self.create.options.auto_remove {
            true => Durability::Process,
            false => Durability::Power,
        }
    }

    /// Waits until nobody fills these volumes, and answers the empty ones that are to be filled from
    /// the image, each locked until it is done.
    ///
    /// For each whose target the image has, the engine calls [`CopyUp::begin`], copies what is there,
    /// with owner, mode, extended attributes and links, and those of the folder itself, into
    /// [`CopyUp::data`], and calls [`CopyUp::finish`].
    pub(crate) fn copy_ups(&self) -> Result<Vec<CopyUp>, EngineError> {
        let mut wanted = volumes_of(self.create);
        // In one order for everybody, since each is locked; the first target of a volume fills it.
        wanted.sort_by(|a, b| a.name.cmp(&b.name));
        wanted.dedup_by(|a, b| a.name == b.name);
        let mut list = Vec::new();
        for volume in wanted {
            let durability = self.durability(volume);
            list.extend(self.engine.copy_up(&self.create.id, volume, durability)?);
        }
        for volume in volumes_of(self.create) {
            fill::check_subpath(volume)?;
        }
        Ok(list)
    }

    /// The container exists: its volumes stay.
    pub(crate) fn keep(mut self) {
        let made = std::mem::take(&mut self.made);
        let events = made.iter().map(|name| volume(name.as_str(), "create"));
        self.engine.emit_all(events.collect());
    }
}

impl Drop for MadeVolumes<'_> {
    fn drop(&mut self) {
        let except = Some(&self.create.id);
        if let Ok(retired) = self.engine.retire_unused(&self.made, except) {
            // The request has failed for a reason of its own; the next recovery meets what is left.
            erase_all(&retired).for_each(drop);
        }
    }
}

fn volumes_of(create: &CreateFile) -> Vec<&VolumeMount> {
    let mounts = create.options.mounts.iter();
    mounts
        .filter_map(|mount| match mount {
            MountRequest::Volume(volume) => Some(volume),
            _ => None,
        })
        .collect()
}

impl Lookups for Engine {
    fn mounts_of(&self, container: &str) -> Result<Vec<MountRequest>, EngineError> {
        let create = self
            .resolve(container)
            .and_then(|id| self.read_create(&id))
            .map_err(|e| {
                let text = format!("cannot take volumes from {container:?}: {e}");
                EngineError::new(e.class, text).on(container)
            })?;
        Ok(create.options.mounts)
    }

    fn volume(&self, name: &VolumeName) -> Result<Option<VolumeFile>, EngineError> {
        Volumes::of(self).read(name)
    }

    fn draw(&self) -> Result<VolumeName, EngineError> {
        self.draw_volume_name()
    }

    fn folder(&self, name: &VolumeName) -> PathBuf {
        Volumes::of(self).data(name)
    }
}

/// Makes the sources of bind mounts that are not there, where they are to be made: those of `-v`, as
/// with Docker, and of `bind-create-src`. Says so: a slip in a path would go unnoticed else.
pub(crate) fn make_sources(options: &CreateOptions) -> Result<Vec<String>, EngineError> {
    let mut warnings = Vec::new();
    for mount in &options.mounts {
        let MountRequest::Bind {
            source,
            create_source: true,
            ..
        } = mount
        else {
            continue;
        };
        // by path: the source of a bind mount, which the caller names
        if source.exists() {
            continue;
        }
        // by path: the source of a bind mount, which the caller names
        std::fs::create_dir_all(source).map_err(|e| error::io("make", source, e))?;
        warnings.push(format!(
            "made the folder {} on the host; it was not there",
            source.display()
        ));
    }
    Ok(warnings)
}

/// The folder that a bind volume names must be there: nothing is made on the host by a typo.
fn check_folder(volume: &VolumeMount, volumes: &Volumes) -> Result<(), EngineError> {
    let (Some(VolumeBacking::Folder { path, .. }), Some(name)) = (&volume.backing, &volume.name)
    else {
        return Ok(());
    };
    // by path: a folder of ours, or one that whoever made the volume named
    if *path == volumes.data(name) || path.is_dir() {
        return Ok(());
    }
    let text = format!(
        "the folder {0} of volume {name} does not exist; create it with \"mkdir -p {0}\"",
        path.display()
    );
    Err(EngineError::new(ErrorClass::NotFound, text).on(name.as_str()))
}
