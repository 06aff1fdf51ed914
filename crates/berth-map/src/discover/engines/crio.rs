//! CRI-O: containers of containers/storage whose annotations it wrote (`io.kubernetes.cri-o.*`,
//! and the labels of the kubelet, `io.kubernetes.*`).

use super::containerd::pod_path;
use super::record::{OciSpec, Record, Search};
use super::storage::Stored;
use crate::model::{Container, Engine, Pod};

/// What CRI-O's files say of one container.
pub(super) fn record(search: &mut Search, stored: Stored) -> Record {
    let pod = pod(&stored.spec);
    let container = stored.spec.annotation("io.kubernetes.container.name");
    // The sandbox is called POD by the kubelet, whatever the pod's name.
    let container = container.filter(|name| name != "POD");
    let short = Container::shorten_id(&stored.id);
    let name = match &pod {
        Some(pod) => pod_path(pod, container.as_deref()),
        None => stored.entry.name().unwrap_or(short).to_owned(),
    };
    let image = stored
        .spec
        .first_of(&["io.kubernetes.cri-o.ImageName", "io.kubernetes.cri-o.Image"]);
    Record {
        engine: Engine::Crio,
        name,
        pid: stored.pid,
        cgroup: stored.spec.cgroup(),
        image: image.or_else(|| stored.entry.image()),
        pod,
        evidence: search.evidence(&stored.path),
        written_s: stored.file.written_s,
        uid: stored.file.uid,
        nested: search.tree.nested.is_some(),
        id: stored.id,
    }
}

fn pod(spec: &OciSpec) -> Option<Pod> {
    Some(Pod {
        name: spec.first_of(&["io.kubernetes.pod.name", "io.kubernetes.cri-o.KubeName"])?,
        namespace: spec.first_of(&[
            "io.kubernetes.pod.namespace",
            "io.kubernetes.cri-o.Namespace",
        ]),
        id: spec.first_of(&["io.kubernetes.pod.uid", "io.kubernetes.cri-o.SandboxID"]),
    })
}
