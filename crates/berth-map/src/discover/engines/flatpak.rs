//! Flatpak: `/run/user/UID/.flatpak/INSTANCE/`, with `bwrapinfo.json` (the sandbox's first
//! process) and `info`, which is `/.flatpak-info` inside.

use serde::Deserialize;

use super::record::{Record, Search};
use crate::model::Engine;

/// The folder of running instances below a user's runtime folder.
const INSTANCES: &str = ".flatpak";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BwrapInfo {
    child_pid: u32,
}

/// Reads the instances of one user, by the user's runtime folder.
pub(super) fn read(search: &mut Search, runtime_dir: &str) {
    let folder = format!("{runtime_dir}/{INSTANCES}");
    for instance in search.list_wanted(&folder) {
        let path = format!("{folder}/{instance}/bwrapinfo.json");
        // The folder is there before the sandbox, and after it.
        let Some((info, file)) = search.read_json::<BwrapInfo>(&path) else {
            continue;
        };
        let about = search.read(&format!("{folder}/{instance}/info"));
        let about = about.map(|file| String::from_utf8_lossy(&file.bytes).into_owned());
        let about = about.unwrap_or_default();
        let name = find_key(&about, "Application", "name");
        search.records.push(Record {
            engine: Engine::Flatpak,
            name: name.unwrap_or_else(|| instance.clone()),
            pid: info.child_pid,
            cgroup: None,
            image: find_key(&about, "Application", "runtime"),
            pod: None,
            evidence: search.evidence(&path),
            written_s: file.written_s,
            uid: file.uid,
            nested: search.tree.nested.is_some(),
            id: instance,
        });
    }
}

/// The value of a key in a group of a key file (flatpak-metadata(5)).
fn find_key(text: &str, group: &str, key: &str) -> Option<String> {
    let heading = format!("[{group}]");
    let lines = text
        .lines()
        .skip_while(|line| line.trim() != heading)
        .skip(1);
    let mut lines = lines.take_while(|line| !line.starts_with('['));
    let found = lines.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    });
    found.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_count_in_their_group_only() {
        let text =
            "[Context]\nname=no\n[Application]\nname=org.example.App\nruntime=\n[X]\nname=y\n";
        let app = |key| find_key(text, "Application", key);
        assert_eq!(app("name").as_deref(), Some("org.example.App"));
        assert_eq!(app("runtime"), None);
        assert_eq!(find_key(text, "Instance", "name"), None);
    }
}
