//! `settings.json`: what may change during a container's life.

use serde::{Deserialize, Serialize};

use super::{CgroupValue, Resources, RestartPolicy};
use crate::ContainerName;

/// The changeable part of a container, written under its lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsFile {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// Its name, unique among all containers of one root.
    pub name: ContainerName,
    /// When it is started again by itself.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Limits that were changed since it was created, by `update`.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// The limits of a running container are being changed: what its cgroup said before. Whoever
    /// finds this with the container's lock in hand puts that back: the change was not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updating: Option<Updating>,
}

/// A change of limits that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updating {
    /// Which run it is about: the cgroup of another has its limits from the start.
    pub run: u32,
    /// What the files that are written said before.
    pub before: Vec<CgroupValue>,
}

impl SettingsFile {
    /// Those of a new container.
    pub fn new(name: ContainerName, restart: RestartPolicy) -> Self {
        Self {
            version: super::STATE_VERSION,
            name,
            restart,
            resources: Resources::default(),
            updating: None,
        }
    }
}
