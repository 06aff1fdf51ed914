//! Docker: `DATA-ROOT/containers/ID/config.v2.json`, or its socket where that may not be read.
//!
//! Seen with dockerd 20.10. The daemon writes the file when a container starts and when it ends,
//! and again when it finds at its own start what became of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::docker_socket;
use super::record::{Record, Search};
use super::tree::Tree;
use crate::model::{Engine, Evidence, Pod};

/// Where Debian's and Docker's packages keep it.
pub(super) const DATA: &str = "var/lib/docker";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    /// `Id` over the socket.
    #[serde(rename = "ID", alias = "Id")]
    pub(super) id: String,
    name: String,
    state: State,
    #[serde(default)]
    config: Image,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    pid: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// Reads the containers of one data root, and of those that user namespace remapping puts below.
pub(super) fn read(search: &mut Search, data: &str, socket: &str) {
    let folder = format!("{data}/containers");
    let may_ask = !socket.is_empty() && search.tree.nested.is_none();
    if may_ask && !search.tree.has(&folder) && docker_socket::read(search, socket) {
        return;
    }
    read_folder(search, &folder);
    let remapped = |name: &String| {
        let ids = name.split_once('.');
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        ids.is_some_and(|(uid, gid)| number(uid) && number(gid))
    };
    // Not worth a warning: most hosts let nobody but root list it.
    let names = search.tree.list(data).unwrap_or_default();
    for name in names.into_iter().filter(remapped) {
        read_folder(search, &format!("{data}/{name}/containers"));
    }
}

fn read_folder(search: &mut Search, folder: &str) {
    for id in search.list_wanted(folder) {
        let path = format!("{folder}/{id}/config.v2.json");
        let Some((config, file)) = search.read_json::<Config>(&path) else {
            continue;
        };
        if config.id != id {
            search.warn(&path, "names another container");
        } else {
            let evidence = search.evidence(&path);
            let record = record(config, evidence, (file.written_s, file.uid), search.tree);
            search.records.extend(record);
        }
    }
}

/// A container that runs, as somebody described it at a time.
pub(super) fn record(
    config: Config,
    evidence: Evidence,
    (written_s, uid): (i64, u32),
    tree: &Tree,
) -> Option<Record> {
    (config.state.running && config.state.pid != 0).then(|| Record {
        engine: Engine::Docker,
        id: config.id,
        name: config.name.trim_start_matches('/').to_owned(),
        pid: config.state.pid,
        cgroup: None,
        pod: pod(config.config.labels.as_ref()),
        image: Some(config.config.image).filter(|image| !image.is_empty()),
        evidence,
        written_s,
        uid,
        nested: tree.nested.is_some(),
    })
}

/// The pod, as the kubelet labels containers that it starts by Docker (cri-dockerd).
fn pod(labels: Option<&BTreeMap<String, String>>) -> Option<Pod> {
    let labels = labels?;
    Some(Pod {
        name: labels.get("io.kubernetes.pod.name")?.clone(),
        namespace: labels.get("io.kubernetes.pod.namespace").cloned(),
        id: labels.get("io.kubernetes.pod.uid").cloned(),
    })
}
