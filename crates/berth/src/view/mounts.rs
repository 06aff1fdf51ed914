//! The mounts of a container, in Docker's words.

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_engine::{
    Container, LOCAL_DRIVER, MountOrigin, MountRequest, VolumeBacking, VolumeMount,
};
use serde_json::{Value, json};

/// `Mounts` of `inspect`.
pub(super) fn mounts(container: &Container) -> Vec<Value> {
    let mounts = &container.create.options.mounts;
    mounts
        .iter()
        .filter_map(|mount| match mount {
            MountRequest::Bind {
                source,
                target,
                read_only,
                options,
                ..
            } => Some(json!({
                "Type": "bind",
                "Source": source,
                "Destination": target,
                "Mode": options.join(","),
                "RW": !read_only,
                "Propagation": propagation(options).unwrap_or("rprivate"),
            })),
            MountRequest::Volume(volume) => Some(json!({
                "Type": "volume",
                "Name": volume.name,
                "Source": source_of(container, volume),
                "Destination": volume.target,
                "Driver": LOCAL_DRIVER,
                "Mode": volume.options.join(","),
                "RW": !volume.read_only,
                "Propagation": propagation(&volume.options).unwrap_or_default(),
            })),
            MountRequest::Tmpfs { target, options } => Some(json!({
                "Type": "tmpfs",
                "Source": "",
                "Destination": target,
                "Mode": options.join(","),
                "RW": !options.iter().any(|option| option == "ro"),
                "Propagation": "",
            })),
            MountRequest::From { .. } => None,
        })
        .collect()
}

/// The folder of a volume, below the engine's root, with the part of it that is mounted.
fn source_of(container: &Container, volume: &VolumeMount) -> PathBuf {
    let path = match (&volume.backing, &volume.name) {
        (Some(VolumeBacking::Folder { path, .. }), _) => path.clone(),
        (_, Some(name)) => {
            let root = container.persistent_dir.ancestors().nth(2);
            let volumes = root.unwrap_or(&container.persistent_dir).join("volumes");
            volumes.join(name.as_str()).join("_data")
        }
        (_, None) => PathBuf::new(),
    };
    match &volume.subpath {
        Some(subpath) => path.join(subpath),
        None => path,
    }
}

fn propagation(options: &[String]) -> Option<&str> {
    let words = [
        "private", "rprivate", "shared", "rshared", "slave", "rslave",
    ];
    let mut options = options.iter().map(String::as_str);
    options.find(|option| words.contains(option))
}

/// `HostConfig.Binds`: what the user asked for, as `-v` would say it.
pub(super) fn binds(container: &Container) -> Vec<String> {
    let mounts = container.create.options.mounts.iter();
    mounts
        .filter_map(|mount| match mount {
            MountRequest::Bind {
                source,
                target,
                read_only,
                options,
                origin: MountOrigin::User,
                ..
            } => Some(line(
                &source.display().to_string(),
                target,
                read_only.then_some("ro"),
                options,
            )),
            MountRequest::Volume(volume) if volume.origin == MountOrigin::User => {
                let name = volume.name.as_ref().filter(|_| !volume.anonymous)?;
                let words = [("ro", volume.read_only), ("nocopy", volume.no_copy)];
                let words = words.into_iter().filter(|(_, said)| *said);
                Some(line(
                    name.as_str(),
                    &volume.target,
                    words.map(|(word, _)| word),
                    &volume.options,
                ))
            }
            _ => None,
        })
        .collect()
}

fn line<'a>(
    source: &str,
    target: &str,
    words: impl IntoIterator<Item = &'a str>,
    options: &'a [String],
) -> String {
    let mut all: Vec<&str> = words.into_iter().collect();
    all.extend(options.iter().map(String::as_str));
    match all.is_empty() {
        true => format!("{source}:{target}"),
        false => format!("{source}:{target}:{}", all.join(",")),
    }
}

/// `HostConfig.VolumesFrom`.
pub(super) fn volumes_from(container: &Container) -> Vec<String> {
    let mounts = container.create.options.mounts.iter();
    mounts
        .filter_map(|mount| match mount {
            MountRequest::From {
                container,
                read_only,
            } => Some(match read_only {
                true => format!("{container}:ro"),
                false => container.clone(),
            }),
            _ => None,
        })
        .collect()
}

/// `Config.Volumes`: the targets of anonymous volumes.
pub(super) fn anonymous(container: &Container) -> BTreeMap<String, Value> {
    let mounts = container.create.options.mounts.iter();
    mounts
        .filter_map(|mount| match mount {
            MountRequest::Volume(volume)
                if volume.anonymous && volume.origin != MountOrigin::Container =>
            {
                Some((volume.target.clone(), json!({})))
            }
            _ => None,
        })
        .collect()
}

/// `HostConfig.Tmpfs`.
pub(super) fn tmpfs(container: &Container) -> BTreeMap<&str, String> {
    let mounts = container.create.options.mounts.iter();
    mounts
        .filter_map(|mount| match mount {
            MountRequest::Tmpfs { target, options } => Some((target.as_str(), options.join(","))),
            _ => None,
        })
        .collect()
}

/// What is mounted, as listings show it: names of volumes, the host's side of binds.
pub(crate) fn sources(container: &Container) -> Vec<String> {
    let mounts = container.create.options.mounts.iter();
    mounts
        .filter_map(|mount| match mount {
            MountRequest::Bind { source, .. } => Some(source.display().to_string()),
            MountRequest::Volume(volume) => volume.name.as_ref().map(ToString::to_string),
            MountRequest::Tmpfs { .. } | MountRequest::From { .. } => None,
        })
        .collect()
}

/// How many volumes a container has.
pub(super) fn volume_count(container: &Container) -> usize {
    let mounts = container.create.options.mounts.iter();
    mounts
        .filter(|mount| matches!(mount, MountRequest::Volume(_)))
        .count()
}
