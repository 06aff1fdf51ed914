//! Containers of the map document.

use serde::Serialize;

use crate::json::key;
use crate::model::{Container, ContainerIndex, StaleContainer, StaleReason, World};

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainerDocument {
    /// What other lists refer to it by.
    pub key: String,
    /// The word of [`crate::model::Engine`].
    pub engine: &'static str,
    /// Its id in its engine.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Host PID of its first process.
    pub init: Option<u32>,
    /// The PID namespace in which its PIDs count.
    pub pid_namespace: Option<String>,
    /// The level of that namespace.
    pub pid_level: Option<usize>,
    /// Whether that namespace was made for it.
    pub own_pid_namespace: bool,
    /// The kinds of namespace in which its first process lives with the host.
    pub shares_with_host: Vec<&'static str>,
    /// The container it runs inside of.
    pub parent: Option<String>,
    /// The image it was made from.
    pub image: Option<String>,
    /// The pod it belongs to.
    pub pod: Option<PodDocument>,
    /// `certain`, `likely` or `guess`.
    pub confidence: &'static str,
    /// How the map knows, the weightiest first.
    pub evidence: Vec<EvidenceDocument>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PodDocument {
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: Option<String>,
    /// Its uid or id.
    pub id: Option<String>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvidenceDocument {
    /// `run-file state-file socket cgroup-path program namespaces`.
    pub kind: &'static str,
    /// Where: a path, a cgroup, a program's name.
    pub detail: String,
}

/// One container that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndedDocument {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The host PID its first process had.
    pub init: u32,
    /// `ended`, `pid-reused` or `other-boot`.
    pub reason: &'static str,
}

pub(super) fn describe_container(
    world: &World,
    index: ContainerIndex,
    container: &Container,
) -> ContainerDocument {
    let init = container.init.and_then(|pid| world.process(pid));
    let host = &world.host().namespaces;
    let shared = init.map(|p| p.namespaces.shared_with(host));
    let shared = shared.unwrap_or_default();
    ContainerDocument {
        key: key(world, index),
        engine: container.engine.as_str(),
        id: container.id.clone(),
        name: container.name.clone(),
        init: container.init.map(berth_base::HostPid::get),
        pid_namespace: container.pid_namespace.map(|id| id.inode.to_string()),
        pid_level: container.pid_level,
        own_pid_namespace: container.own_pid_namespace,
        shares_with_host: shared.into_iter().map(|kind| kind.as_str()).collect(),
        parent: container.parent.map(|outer| key(world, outer)),
        image: container.image.clone(),
        pod: container.pod.as_ref().map(|pod| PodDocument {
            name: pod.name.clone(),
            namespace: pod.namespace.clone(),
            id: pod.id.clone(),
        }),
        confidence: container.confidence().as_str(),
        evidence: container
            .evidence
            .iter()
            .map(|evidence| EvidenceDocument {
                kind: evidence.kind.as_str(),
                detail: evidence.detail.clone(),
            })
            .collect(),
    }
}

impl From<&StaleContainer> for EndedDocument {
    fn from(stale: &StaleContainer) -> Self {
        Self {
            id: stale.id.clone(),
            name: stale.name.clone(),
            init: stale.init.get(),
            reason: match stale.reason {
                StaleReason::Ended => "ended",
                StaleReason::PidReused => "pid-reused",
                StaleReason::OtherBoot => "other-boot",
            },
        }
    }
}
