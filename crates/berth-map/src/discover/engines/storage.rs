//! containers/storage, in which podman and CRI-O keep their containers side by side.
//!
//! `RUNROOT/DRIVER-containers/ID/userdata/pidfile` has the first process,
//! `GRAPHROOT/DRIVER-containers/ID/userdata/config.json` the OCI configuration (CRI-O puts it
//! below RUNROOT too), and `GRAPHROOT/DRIVER-containers/containers.json` names and images. Which
//! of the two engines it was is an annotation. Seen with podman 4.3.

use serde::Deserialize;

use super::record::{OciSpec, Search};
use super::tree::FileRead;
use super::{crio, podman};

/// The two folders of one storage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Storage {
    /// What outlives a reboot.
    pub(super) graph: String,
    /// What does not.
    pub(super) run: String,
}

/// Those of root.
pub(super) const GRAPH: &str = "var/lib/containers/storage";
pub(super) const RUN: &str = "run/containers/storage";

/// One container's files.
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) pid: u32,
    pub(super) spec: OciSpec,
    pub(super) entry: Entry,
    /// The PID file, and its path.
    pub(super) file: FileRead,
    pub(super) path: String,
}

/// What `containers.json` says of one container.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Entry {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    metadata: String,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "image-name", default)]
    image: String,
}

impl Entry {
    /// Its first name.
    pub(super) fn name(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }

    /// The image it was made from.
    pub(super) fn image(&self) -> Option<String> {
        let metadata: Metadata = serde_json::from_str(&self.metadata).ok()?;
        Some(metadata.image).filter(|image| !image.is_empty())
    }
}

/// Reads the containers of one storage.
pub(super) fn read(search: &mut Search, storage: &Storage) {
    let names = search.list(&storage.run);
    for folder in names.iter().filter(|name| name.ends_with("-containers")) {
        let run = format!("{}/{folder}", storage.run);
        let graph = format!("{}/{folder}", storage.graph);
        let ids = search.list_wanted(&run);
        if ids.is_empty() {
            continue;
        }
        let entries = read_entries(search, &graph);
        for id in ids {
            let entry = entries.iter().find(|entry| entry.id == id).cloned();
            let Some(stored) = read_one(search, [&graph, &run], id, entry) else {
                continue;
            };
            let manager = stored.spec.annotation("io.container.manager");
            let record = match manager.as_deref() {
                Some("cri-o") => crio::record(search, stored),
                _ => podman::record(search, storage, &graph, stored),
            };
            search.records.push(record);
        }
    }
}

/// The lists of containers; `--rm` ones are in a list of their own since containers/storage 1.42.
fn read_entries(search: &mut Search, graph: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for list in ["containers.json", "volatile-containers.json"] {
        let read = search.read_json::<Vec<Entry>>(&format!("{graph}/{list}"));
        entries.extend(read.into_iter().flat_map(|(list, _)| list));
    }
    entries
}

fn read_one(
    search: &mut Search,
    folders: [&str; 2],
    id: String,
    entry: Option<Entry>,
) -> Option<Stored> {
    let [_, run] = folders;
    let path = format!("{run}/{id}/userdata/pidfile");
    let (pid, file) = search.read_pid(&path)?;
    let spec = folders.into_iter().find_map(|folder| {
        search.read_json::<OciSpec>(&format!("{folder}/{id}/userdata/config.json"))
    });
    let spec = spec.map(|(spec, _)| spec).unwrap_or_default();
    Some(Stored {
        id,
        pid,
        spec,
        entry: entry.unwrap_or_default(),
        file,
        path,
    })
}
