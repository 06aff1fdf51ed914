//! From the mounts that a user, other containers and an image ask for to those that a container has.
//! Does no I/O of its own: whatever must be looked up is asked of [`Lookups`].

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use berth_base::ErrorClass;
use berth_base::state::{ANONYMOUS_LABEL, VolumeFile, VolumeName};

use super::backing::backing;
use super::create::check_options;
use crate::EngineError;
use crate::options::{MountOrigin, MountRequest, VolumeBacking, VolumeMount};
use crate::spec::{SpecError, normalise_target};

/// What the resolution has to look up.
pub(super) trait Lookups {
    /// The mounts of another container, by name, id or prefix.
    fn mounts_of(&self, container: &str) -> Result<Vec<MountRequest>, EngineError>;
    /// The record of a volume.
    fn volume(&self, name: &VolumeName) -> Result<Option<VolumeFile>, EngineError>;
    /// A name that no volume has.
    fn draw(&self) -> Result<VolumeName, EngineError>;
    /// The folder of our own that a volume has.
    fn folder(&self, name: &VolumeName) -> PathBuf;
}

/// Works out the mounts of a container, one for each target: those of `--volumes-from`, over which
/// go the user's own, and what the image wants where nobody has asked for anything.
///
/// Two of the user's own for one target are an error, as with Docker; of two containers that
/// `--volumes-from` names, the later wins.
pub(super) fn resolve(
    requests: &[MountRequest],
    image_volumes: &[String],
    lookups: &impl Lookups,
) -> Result<Vec<MountRequest>, EngineError> {
    let mut from = Vec::new();
    let mut by_target: BTreeMap<String, MountRequest> = BTreeMap::new();
    for request in requests {
        if let MountRequest::From {
            container,
            read_only,
        } = request
        {
            from.push(request.clone());
            for mount in lookups.mounts_of(container)? {
                if let Some((target, mount)) = inherited(mount, *read_only)? {
                    by_target.insert(target, mount);
                }
            }
        }
    }
    let mut own: Vec<(String, MountRequest)> = Vec::new();
    for request in requests {
        let Some(target) = request.target() else {
            continue;
        };
        let target = normalise_target(target)?;
        if own.iter().any(|(taken, _)| *taken == target) {
            return Err(SpecError::DuplicateMount(target).into());
        }
        by_target.remove(&target);
        let request = match request {
            MountRequest::Volume(volume) => MountRequest::Volume(complete(volume, lookups)?),
            other => other.clone(),
        };
        own.push((target, request));
    }
    for path in image_volumes {
        let target = normalise_target(path)?;
        let is_taken = by_target.contains_key(&target) || own.iter().any(|(t, _)| *t == target);
        if !is_taken {
            let volume = VolumeMount {
                target: target.clone(),
                origin: MountOrigin::Image,
                ..VolumeMount::default()
            };
            let volume = complete(&volume, lookups)?;
            own.push((target, MountRequest::Volume(volume)));
        }
    }
    from.extend(by_target.into_values());
    from.extend(own.into_iter().map(|(_, request)| request));
    Ok(from)
}

/// A mount of another container as this one gets it. A tmpfs is each container's own, and what the
/// other has from a third stands among its mounts already.
fn inherited(
    mount: MountRequest,
    only_read: bool,
) -> Result<Option<(String, MountRequest)>, EngineError> {
    let Some(target) = mount.target() else {
        return Ok(None);
    };
    let target = normalise_target(target)?;
    let mount = match mount {
        MountRequest::Bind {
            source,
            target,
            read_only,
            writable_below,
            options,
            ..
        } => MountRequest::Bind {
            source,
            target,
            read_only: read_only || only_read,
            writable_below,
            options,
            create_source: false,
            origin: MountOrigin::Container,
        },
        MountRequest::Volume(volume) => MountRequest::Volume(VolumeMount {
            read_only: volume.read_only || only_read,
            origin: MountOrigin::Container,
            ..volume
        }),
        MountRequest::Tmpfs { .. } | MountRequest::From { .. } => return Ok(None),
    };
    Ok(Some((target, mount)))
}

/// Gives a volume its name, and finds what will be mounted.
fn complete(volume: &VolumeMount, lookups: &impl Lookups) -> Result<VolumeMount, EngineError> {
    let mut volume = volume.clone();
    let name = match &volume.name {
        Some(name) => name.clone(),
        None => {
            volume.anonymous = true;
            volume.labels.insert(ANONYMOUS_LABEL.into(), String::new());
            lookups.draw()?
        }
    };
    if let Some(file) = lookups.volume(&name)? {
        check_options(&file, &volume.driver_options)?;
        volume.driver_options = file.options;
    }
    let found = backing(&volume.driver_options, &lookups.folder(&name))?;
    if let Some(subpath) = &volume.subpath {
        check_subpath(subpath, &name, &found)?;
    }
    volume.backing = Some(found);
    volume.name = Some(name);
    Ok(volume)
}

fn check_subpath(
    subpath: &str,
    name: &VolumeName,
    backing: &VolumeBacking,
) -> Result<(), EngineError> {
    let refuse = |why: &str| {
        let text = format!("invalid volume-subpath {subpath:?} of volume {name}: {why}");
        Err(EngineError::new(ErrorClass::Invalid, text).on(name.as_str()))
    };
    if matches!(backing, VolumeBacking::Memory { .. }) {
        return refuse("the volume is a tmpfs, which begins empty");
    }
    let path = Path::new(subpath);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if subpath.is_empty() || subpath.contains(['\0', ',']) || !path.components().all(plain) {
        return refuse("it is a path below the volume, without .., such as logs/web");
    }
    Ok(())
}
