//! Podman: a storage of containers/storage, and the name of a pod from libpod's database.

use super::record::{OciSpec, Record, Search};
use super::storage::{Storage, Stored};
use crate::model::{Container, Engine, Pod};

/// libpod's database, by version: BoltDB up to 4, SQLite since 4.8 on new systems.
const DATABASES: [&str; 2] = ["libpod/bolt_state.db", "db.sql"];

/// The annotation that names the pod's infra container, in every container of a pod.
const SANDBOX: &str = "io.kubernetes.cri-o.SandboxID";

/// No database that is searched is longer.
const MAX_DATABASE_BYTES: u64 = 32 * 1024 * 1024;
/// No pod's name that is believed is longer.
const MAX_NAME_BYTES: usize = 256;

/// What podman's files say of one container.
pub(super) fn record(
    search: &mut Search,
    storage: &Storage,
    containers: &str,
    stored: Stored,
) -> Record {
    let pod = find_pod(search, storage, containers, &stored);
    let short = Container::shorten_id(&stored.id);
    Record {
        engine: Engine::Podman,
        name: stored.entry.name().unwrap_or(short).to_owned(),
        pid: stored.pid,
        cgroup: stored.spec.cgroup(),
        image: stored.entry.image(),
        pod,
        evidence: search.evidence(&stored.path),
        written_s: stored.file.written_s,
        uid: stored.file.uid,
        nested: search.tree.nested.is_some(),
        id: stored.id,
    }
}

/// The pod of a container. Its id is in the cgroup path of its infra container, whose name begins
/// with it; its name is in the database alone.
fn find_pod(
    search: &mut Search,
    storage: &Storage,
    containers: &str,
    stored: &Stored,
) -> Option<Pod> {
    let is_infra = stored
        .entry
        .name()
        .is_some_and(|name| name.ends_with("-infra"));
    let cgroup = match stored.spec.annotation(SANDBOX) {
        Some(infra) if infra != stored.id => {
            let path = format!("{containers}/{infra}/userdata/config.json");
            let spec = search.read_json::<OciSpec>(&path).map(|(spec, _)| spec);
            spec.and_then(|spec| spec.cgroup())
        }
        Some(_) => stored.spec.cgroup(),
        None if is_infra => stored.spec.cgroup(),
        None => return None,
    };
    let id = pod_id(&cgroup?)?;
    let name = DATABASES.iter().find_map(|database| {
        let path = format!("{}/{database}", storage.graph);
        let file = search.tree.read_up_to(&path, MAX_DATABASE_BYTES).ok()??;
        find_name(&file.bytes, &id)
    });
    Some(Pod {
        name: name.unwrap_or_else(|| Container::shorten_id(&id).to_owned()),
        namespace: None,
        id: Some(id),
    })
}

/// The pod's id in a container's cgroup: `/parent/POD/libpod-ID`, or for systemd
/// `machine-libpod_pod_POD.slice:libpod:ID`.
fn pod_id(cgroup: &str) -> Option<String> {
    let mut parts = cgroup.split(['/', ':']).filter_map(|part| {
        let bare = part.strip_suffix(".slice").unwrap_or(part);
        let bare = bare.rsplit_once("libpod_pod_").map_or(bare, |(_, id)| id);
        let hex = bare.len() == 64 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| bare.to_owned())
    });
    parts.next()
}

/// The name that a pod's configuration gives it. Both databases keep that as JSON in one piece,
/// which begins with id and name; so its beginning is looked for, in no format but its own.
fn find_name(database: &[u8], pod: &str) -> Option<String> {
    let beginning = format!("{{\"id\":\"{pod}\",\"name\":");
    let beginning = beginning.as_bytes();
    let at = database
        .windows(beginning.len())
        .position(|w| w == beginning)?;
    let rest = database.get(at + beginning.len()..)?;
    let rest = rest.get(..rest.len().min(MAX_NAME_BYTES))?;
    let mut texts = serde_json::Deserializer::from_slice(rest).into_iter::<String>();
    texts.next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "14f24431a2868f68f058a94a7afe385d8ec9a101903c1d1f176a071eacbba510";

    #[test]
    fn the_pod_is_in_the_cgroup() {
        let one = "1b88c959bdb983d773613715771056680409ec3814cace416648e4b4591f8f87";
        for cgroup in [
            format!("/libpod_parent/{POD}/libpod-{one}"),
            format!("machine-libpod_pod_{POD}.slice:libpod:{one}"),
        ] {
            assert_eq!(pod_id(&cgroup).as_deref(), Some(POD), "{cgroup}");
        }
        assert_eq!(pod_id("/user.slice"), None);
    }

    #[test]
    fn a_name_is_read_out_of_the_middle_of_a_database() {
        let page = format!("\0\x03config{{\"id\":\"{POD}\",\"name\":\"qu\\\"ay\",\"labels\":{{}}");
        assert_eq!(find_name(page.as_bytes(), POD).as_deref(), Some("qu\"ay"));
        let other = POD.replace('1', "2");
        assert_eq!(find_name(page.as_bytes(), &other), None);
        let cut = format!("{{\"id\":\"{POD}\",\"name\":\"qu");
        assert_eq!(find_name(cut.as_bytes(), POD), None);
    }
}
