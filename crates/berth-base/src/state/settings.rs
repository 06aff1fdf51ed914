//! `settings.json`: what may change during a container's life.

use serde::{Deserialize, Serialize};

use super::RestartPolicy;
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
}
