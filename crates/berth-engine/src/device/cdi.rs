//! The Container Device Interface (github.com/cncf-tags/container-device-interface, SPEC.md): files
//! in which vendors say what a device of theirs needs in a container.
//!
//! Files of JSON, also by the name of YAML; others are told of when a device is not found. What a
//! file asks for and cannot be done is an error, never left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use oci_spec::runtime::Mount;
use serde::Deserialize;

use super::node;
use crate::EngineError;
use crate::spec::Injected;

/// More than any vendor needs.
const MOST_BYTES: u64 = 16 << 20;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    kind: String,
    #[serde(default)]
    devices: Vec<Device>,
    #[serde(default)]
    container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    name: String,
    #[serde(default)]
    container_edits: Edits,
}

/// What is done to a container. Unknown fields are refused: they would not be done.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Edits {
    env: Vec<String>,
    device_nodes: Vec<Node>,
    mounts: Vec<CdiMount>,
    hooks: Vec<serde_json::Value>,
    additional_gids: Vec<u32>,
    intel_rdt: Option<serde_json::Value>,
    net_devices: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Node {
    path: PathBuf,
    host_path: Option<PathBuf>,
    // The numbers are those of the node on the host.
    #[serde(rename = "type")]
    _kind: Option<String>,
    #[serde(rename = "major")]
    _major: Option<i64>,
    #[serde(rename = "minor")]
    _minor: Option<i64>,
    file_mode: Option<u32>,
    permissions: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CdiMount {
    host_path: PathBuf,
    container_path: PathBuf,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    options: Vec<String>,
}

/// What was read of all folders.
#[derive(Debug, Default)]
struct Registry {
    files: Vec<(PathBuf, File)>,
    /// File and device by full name; several of one folder make the name useless.
    devices: BTreeMap<String, Vec<(usize, usize)>>,
    /// Files that could not be read, and why.
    unread: Vec<String>,
}

/// Adds what devices need, each file's own edits once.
pub(super) fn inject(
    names: &[String],
    folders: &[&Path],
    injected: &mut Injected,
) -> Result<(), EngineError> {
    let registry = Registry::read(folders);
    let mut seen = Vec::new();
    for name in names {
        let (file, device) = registry.find(name, folders)?;
        let Some((path, contents)) = registry.files.get(file) else {
            continue;
        };
        if !seen.contains(&file) {
            seen.push(file);
            apply(path, name, &contents.container_edits, injected)?;
        }
        if let Some(device) = contents.devices.get(device) {
            apply(path, name, &device.container_edits, injected)?;
        }
    }
    Ok(())
}

impl Registry {
    /// Reads every folder; a device of a later one replaces that of an earlier.
    fn read(folders: &[&Path]) -> Self {
        let mut registry = Self::default();
        for folder in folders {
            let mut own: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
            // by path: folders of the host's administrator
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                match parse(&path) {
                    None => {}
                    Some(Err(why)) => registry.unread.push(format!("{}: {why}", path.display())),
                    Some(Ok(file)) => {
                        let number = registry.files.len();
                        for (index, device) in file.devices.iter().enumerate() {
                            let name = format!("{}={}", file.kind, device.name);
                            own.entry(name).or_default().push((number, index));
                        }
                        registry.files.push((path, file));
                    }
                }
            }
            registry.devices.extend(own);
        }
        registry
    }

    fn find(&self, name: &str, folders: &[&Path]) -> Result<(usize, usize), EngineError> {
        let (class, why) = match self.devices.get(name).map(Vec::as_slice) {
            Some([only]) => return Ok(*only),
            Some(several) => {
                let files = several.iter().filter_map(|(file, _)| self.files.get(*file));
                let files: Vec<String> =
                    files.map(|(path, _)| path.display().to_string()).collect();
                let why = format!("{} all define it; leave it in one", files.join(" and "));
                (ErrorClass::Conflict, why)
            }
            None => (ErrorClass::NotFound, self.why_unknown(folders)),
        };
        let text = format!("cannot use the device {name}: {why}");
        Err(EngineError::new(class, text).on(name))
    }

    fn why_unknown(&self, folders: &[&Path]) -> String {
        let folders: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        let folders = folders.join(" and ");
        let known: Vec<&str> = self.devices.keys().map(String::as_str).collect();
        let mut why = match known.as_slice() {
            [] => format!("no file in {folders} defines a device"),
            [first @ .., _] if first.len() >= 10 => {
                format!(
                    "the {} devices that {folders} define have other names",
                    known.len()
                )
            }
            _ => format!("{folders} define {}", known.join(", ")),
        };
        if let [first, ..] = self.unread.as_slice() {
            why += &format!("; {first}");
        } else if known.is_empty() {
            why += "; its vendor's tool writes one, such as \"nvidia-ctk cdi generate --format json --output /etc/cdi/nvidia.json\"";
        }
        why
    }
}

/// A file; `None` for one that is none of CDI's.
fn parse(path: &Path) -> Option<Result<File, String>> {
    let is_yaml = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => false,
        Some("yaml" | "yml") => true,
        _ => return None,
    };
    Some(read(path).and_then(|bytes| {
        serde_json::from_slice(&bytes).map_err(|e| match is_yaml {
            true => "it is YAML, which berth does not read; have it written as JSON".to_owned(),
            false => format!("it is no CDI file: {e}"),
        })
    }))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    // by path: a file of the host's administrator
    let metadata = fs::metadata(path).map_err(|e| e.to_string())?;
    // by path: the same
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        return Err("it is no file, or too long for one of CDI".to_owned());
    }
    // by path: the same
    fs::read(path).map_err(|e| e.to_string())
}

fn apply(
    file: &Path,
    name: &str,
    edits: &Edits,
    injected: &mut Injected,
) -> Result<(), EngineError> {
    let refuse = |what: &str| {
        let text = format!(
            "cannot use the device {name}: {} asks for {what}, which berth cannot do",
            file.display()
        );
        EngineError::new(ErrorClass::Unsupported, text).on(name)
    };
    if !edits.hooks.is_empty() {
        return Err(refuse("hooks"));
    }
    if edits.intel_rdt.is_some() {
        return Err(refuse("an Intel RDT group"));
    }
    if !edits.net_devices.is_empty() {
        return Err(refuse("network interfaces of the host"));
    }
    for wanted in &edits.device_nodes {
        let host = wanted.host_path.as_ref().unwrap_or(&wanted.path);
        let access = wanted.permissions.as_deref().unwrap_or("rw");
        if access.is_empty() || !access.chars().all(|c| "rwm".contains(c)) {
            return Err(refuse(&format!("the access {access:?} to a device")));
        }
        for mut grant in node::find(host, &wanted.path, access)? {
            let device = &mut grant.device;
            device.mode = wanted.file_mode.map_or(device.mode, |mode| mode & 0o7777);
            device.uid = wanted.uid.unwrap_or(device.uid);
            device.gid = wanted.gid.unwrap_or(device.gid);
            injected.devices.push(grant);
        }
    }
    for wanted in &edits.mounts {
        let kind = wanted.kind.as_deref().unwrap_or("bind");
        let mut options = wanted.options.clone();
        if kind == "bind" && !options.iter().any(|o| o == "bind" || o == "rbind") {
            options.insert(0, "rbind".to_owned());
        }
        let mut mount = Mount::default();
        mount
            .set_destination(wanted.container_path.clone())
            .set_typ(Some(kind.to_owned()))
            .set_source(Some(wanted.host_path.clone()))
            .set_options(Some(options));
        injected.mounts.push(mount);
    }
    injected.env.extend(edits.env.iter().cloned());
    injected
        .groups
        .extend(edits.additional_gids.iter().copied());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"cdiVersion": "0.6.0", "kind": "vendor.com/thing",
        "devices": [
            {"name": "one", "containerEdits": {
                "env": ["ONE=1"],
                "deviceNodes": [{"path": "/dev/one", "hostPath": "/dev/null", "permissions": "r", "fileMode": 384, "uid": 7}],
                "mounts": [{"hostPath": "/etc", "containerPath": "/host-etc", "options": ["ro", "nosuid"]}],
                "additionalGids": [44]}},
            {"name": "hooked", "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/true"}]}},
            {"name": "odd", "containerEdits": {"deviceNode": []}}
        ],
        "containerEdits": {"env": ["ALL=1"]}}"#;

    struct World {
        early: tempfile::TempDir,
        late: tempfile::TempDir,
    }

    impl World {
        fn new(early: &[(&str, &str)], late: &[(&str, &str)]) -> Self {
            let folder = |files: &[(&str, &str)]| {
                let folder = tempfile::tempdir().unwrap();
                for (name, text) in files {
                    fs::write(folder.path().join(name), text).unwrap();
                }
                folder
            };
            Self {
                early: folder(early),
                late: folder(late),
            }
        }

        fn inject(&self, names: &[&str]) -> Result<Injected, String> {
            let mut injected = Injected::default();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let folders = [self.early.path(), self.late.path()];
            match inject(&names, &folders, &mut injected) {
                Ok(()) => Ok(injected),
                Err(error) => Err(error
                    .message
                    .replace(&self.early.path().display().to_string(), "EARLY")
                    .replace(&self.late.path().display().to_string(), "LATE")),
            }
        }
    }

    fn without_odd() -> String {
        FILE.replace("\"deviceNode\"", "\"deviceNodes\"")
    }

    #[test]
    fn a_device_brings_what_its_file_says() {
        let world = World::new(&[("a.json", &without_odd()), ("notes.txt", "x")], &[]);
        let got = world
            .inject(&["vendor.com/thing=one", "vendor.com/thing=odd"])
            .unwrap();
        assert_eq!(got.env, ["ALL=1", "ONE=1"]);
        assert_eq!(got.groups, [44]);
        let [grant] = got.devices.as_slice() else {
            panic!("{got:?}")
        };
        assert_eq!(
            (grant.device.path.as_str(), grant.access.as_str()),
            ("/dev/one", "r")
        );
        assert_eq!((grant.device.major, grant.device.minor), (1, 3));
        assert_eq!((grant.device.mode, grant.device.uid), (0o600, 7));
        let [mount] = got.mounts.as_slice() else {
            panic!("{got:?}")
        };
        assert_eq!(
            serde_json::to_string(mount).unwrap(),
            r#"{"destination":"/host-etc","type":"bind","source":"/etc","options":["rbind","ro","nosuid"]}"#
        );
    }

    #[test]
    fn the_later_folder_wins_and_two_files_of_one_do_not() {
        let other = without_odd().replace("ONE=1", "ONE=2");
        let world = World::new(&[("a.json", &without_odd())], &[("z.yaml", &other)]);
        let got = world.inject(&["vendor.com/thing=one"]).unwrap();
        assert_eq!(got.env, ["ALL=1", "ONE=2"]);
        let world = World::new(&[("a.json", &other), ("b.json", &other)], &[]);
        insta::assert_snapshot!(world.inject(&["vendor.com/thing=one"]).unwrap_err(), @"cannot use the device vendor.com/thing=one: EARLY/a.json and EARLY/b.json all define it; leave it in one");
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let world = World::new(&[("a.json", &without_odd())], &[]);
        insta::assert_snapshot!(world.inject(&["vendor.com/thing=hooked"]).unwrap_err(), @"cannot use the device vendor.com/thing=hooked: EARLY/a.json asks for hooks, which berth cannot do");
        insta::assert_snapshot!(world.inject(&["vendor.com/thing=two"]).unwrap_err(), @"cannot use the device vendor.com/thing=two: EARLY and LATE define vendor.com/thing=hooked, vendor.com/thing=odd, vendor.com/thing=one");
        let none = World::new(&[], &[]);
        insta::assert_snapshot!(none.inject(&["nvidia.com/gpu=all"]).unwrap_err(), @r#"cannot use the device nvidia.com/gpu=all: no file in EARLY and LATE defines a device; its vendor's tool writes one, such as "nvidia-ctk cdi generate --format json --output /etc/cdi/nvidia.json""#);
        let yaml = World::new(
            &[("n.yaml", "cdiVersion: 0.6.0\nkind: nvidia.com/gpu\n")],
            &[],
        );
        insta::assert_snapshot!(yaml.inject(&["nvidia.com/gpu=all"]).unwrap_err(), @"cannot use the device nvidia.com/gpu=all: no file in EARLY and LATE defines a device; EARLY/n.yaml: it is YAML, which berth does not read; have it written as JSON");
        let odd = World::new(&[("a.json", FILE)], &[]);
        let error = odd.inject(&["vendor.com/thing=one"]).unwrap_err();
        assert!(
            error.contains("it is no CDI file: unknown field `deviceNode`"),
            "{error}"
        );
        let absent = without_odd().replace("/dev/null", "/dev/none-such");
        let absent = World::new(&[("a.json", &absent)], &[]);
        insta::assert_snapshot!(absent.inject(&["vendor.com/thing=one"]).unwrap_err(), @r#"cannot use the device /dev/none-such: the host has none of that path; "ls /dev" and lsblk list them"#);
    }
}
