//! The document of `berth pid --json`.

use serde::Serialize;

use super::{VERSION, key};
use crate::model::{ContainerIndex, World};
use crate::translate::Resolution;

/// Everything known of one process's PIDs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PidDocument {
    /// [`VERSION`].
    pub version: u32,
    /// What was asked for, as written and escaped, where a caller fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// Its PID on the host.
    pub pid: u32,
    /// Start time in clock ticks since boot; with the PID it identifies the process.
    pub start_ticks: Option<String>,
    /// The short answer, as `berth pid` prints it: `web:7`.
    pub answer: String,
    /// The innermost container that owns it; `null` for the host.
    pub container: Option<ContainerReference>,
    /// Every level, the host's first.
    pub levels: Vec<LevelDocument>,
}

/// One level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelDocument {
    /// Depth of the PID namespace; 0 is the host's.
    pub level: usize,
    /// The id of the PID namespace; `null` when it may not be read.
    pub namespace: Option<String>,
    /// The PID in it.
    pub pid: u32,
    /// The container whose own it is.
    pub container: Option<ContainerReference>,
}

/// Which container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainerReference {
    /// As in the map document.
    pub key: String,
    /// Its engine.
    pub engine: &'static str,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl PidDocument {
    /// Describes a resolution of this world.
    pub fn new(world: &World, resolution: &Resolution) -> Self {
        let refer = |index: Option<ContainerIndex>| refer_to(world, index?);
        let levels = resolution.levels.iter().map(|level| LevelDocument {
            level: level.level,
            namespace: level.namespace.map(|id| id.inode.to_string()),
            pid: level.pid,
            container: refer(level.container),
        });
        let process = world.process(resolution.pid);
        Self {
            version: VERSION,
            asked: None,
            pid: resolution.pid.get(),
            start_ticks: process.map(|p| p.start_ticks.to_string()),
            answer: resolution.answer.to_string(),
            container: refer(resolution.owner),
            levels: levels.collect(),
        }
    }
}

fn refer_to(world: &World, index: ContainerIndex) -> Option<ContainerReference> {
    let container = world.container(index)?;
    Some(ContainerReference {
        key: key(world, index),
        engine: container.engine.as_str(),
        id: container.id.clone(),
        name: container.name.clone(),
    })
}
