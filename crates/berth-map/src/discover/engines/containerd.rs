//! containerd: `STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/` with `init.pid` and the OCI
//! configuration `config.json`, which carries what Kubernetes says of a container.
//!
//! Seen with containerd 1.6 and its CRI plugin. Docker's containers are there too, in the
//! namespace `moby`: they are recorded as Docker's.

use super::record::{OciSpec, Record, Search, is_plain};
use crate::model::{Container, Engine, Pod};

/// State folders of containerd itself, of Docker's own containerd, of k3s and microk8s.
pub(super) const STATES: [&str; 4] = [
    "run/containerd",
    "run/docker/containerd/daemon",
    "run/k3s/containerd",
    "var/snap/microk8s/common/run/containerd",
];

/// The folder of the shims of version 2, containerd 1.3 to 2.
const TASKS: &str = "io.containerd.runtime.v2.task";
/// What its folder is called whatever the version.
const ANY_TASKS: &str = "io.containerd.runtime.v";

/// State folder, and `NAMESPACE/ID`, of a task's folder.
pub(super) fn split_task(folder: &str) -> Option<(&str, &str)> {
    let (state, task) = folder.split_once(TASKS)?;
    let (state, task) = (state.strip_suffix('/')?, task.strip_prefix('/')?);
    (task.split('/').filter(|part| is_plain(part)).count() == 2).then_some((state, task))
}

/// Reads the containers of one state folder, or only one of them.
pub(super) fn read(search: &mut Search, state: &str, only: Option<&str>) {
    let tasks = format!("{state}/{TASKS}");
    if let Some((namespace, id)) = only.and_then(|only| only.split_once('/')) {
        return read_one(search, &format!("{tasks}/{namespace}"), namespace, id);
    }
    let namespaces = search.list(&tasks);
    if namespaces.is_empty() {
        warn_of_version(search, state);
    }
    for namespace in namespaces {
        let folder = format!("{tasks}/{namespace}");
        for id in search.list_wanted(&folder) {
            read_one(search, &folder, &namespace, &id);
        }
    }
}

/// Says so where another containerd than those known keeps its tasks.
fn warn_of_version(search: &mut Search, state: &str) {
    let names = search.tree.list(state).unwrap_or_default();
    let newer = |name: &&String| {
        let version = name
            .strip_prefix(ANY_TASKS)
            .and_then(|v| v.split('.').next());
        version
            .and_then(|v| v.parse::<u32>().ok())
            .is_some_and(|v| v > 2)
    };
    if let Some(name) = names.iter().find(newer) {
        search.warn(&format!("{state}/{name}"), "is of an unknown version");
    }
}

fn read_one(search: &mut Search, folder: &str, namespace: &str, id: &str) {
    let path = format!("{folder}/{id}/init.pid");
    let Some((pid, file)) = search.read_pid(&path) else {
        return;
    };
    let spec = search.read_json::<OciSpec>(&format!("{folder}/{id}/config.json"));
    let spec = spec.map(|(spec, _)| spec).unwrap_or_default();
    let pod = pod(&spec);
    let engine = match namespace {
        "moby" | "plugins.moby" => Engine::Docker,
        _ => Engine::Containerd,
    };
    let name = match (&pod, spec.annotation("io.kubernetes.cri.container-name")) {
        _ if engine == Engine::Docker => Container::shorten_id(id).to_owned(),
        (Some(pod), container) => pod_path(pod, container.as_deref()),
        (None, _) => format!("{namespace}/{}", Container::shorten_id(id)),
    };
    let long = Container::shorten_id(id) != id;
    search.records.push(Record {
        engine,
        // A name that a client chose is good within its namespace only.
        id: if long {
            id.to_owned()
        } else {
            format!("{namespace}/{id}")
        },
        name,
        pid,
        cgroup: spec.cgroup(),
        image: spec.annotation("io.kubernetes.cri.image-name"),
        pod,
        evidence: search.evidence(&path),
        written_s: file.written_s,
        uid: file.uid,
        nested: search.tree.nested.is_some(),
    });
}

fn pod(spec: &OciSpec) -> Option<Pod> {
    let name = spec.annotation("io.kubernetes.cri.sandbox-name")?;
    Some(Pod {
        name,
        namespace: spec.annotation("io.kubernetes.cri.sandbox-namespace"),
        id: spec.first_of(&[
            "io.kubernetes.cri.sandbox-uid",
            "io.kubernetes.cri.sandbox-id",
        ]),
    })
}

/// How a pod's container is called: `NAMESPACE/POD/CONTAINER`; the sandbox itself, which holds
/// the pod's namespaces, has no name of its own.
pub(super) fn pod_path(pod: &Pod, container: Option<&str>) -> String {
    let parts = [pod.namespace.as_deref(), Some(pod.name.as_str()), container];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.join("/")
}
