//! A file of the Container Device Interface: its shape, and what must hold before it is used.
//!
//! As the reference does, unknown fields are refused, and a file that uses a field says at least
//! the version that the field came with (SPEC.md, "Released versions").

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::yaml;

/// More than any vendor needs.
const MOST_BYTES: u64 = 4 << 20;
/// Minor versions that were released, and what their files may say is known here.
const VERSIONS: [(u64, u64); 10] = [
    (0, 1),
    (0, 2),
    (0, 3),
    (0, 4),
    (0, 5),
    (0, 6),
    (0, 7),
    (0, 8),
    (1, 0),
    (1, 1),
];
/// What annotations may come to, as Kubernetes has it.
const ANNOTATIONS_MOST: usize = 256 << 10;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct File {
    cdi_version: String,
    pub(super) kind: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    pub(super) devices: Vec<Device>,
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// One device of a file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Device {
    #[serde(deserialize_with = "text_or_number")]
    pub(super) name: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) container_edits: Edits,
}

/// What is done to a container. Unknown fields are refused: they would not be done.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Edits {
    pub(super) env: Vec<String>,
    pub(super) device_nodes: Vec<Node>,
    pub(super) mounts: Vec<Mount>,
    pub(super) hooks: Vec<Hook>,
    pub(super) additional_gids: Vec<u32>,
    pub(super) intel_rdt: Option<IntelRdt>,
    pub(super) net_devices: Vec<serde_json::Value>,
}

/// A device node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Node {
    pub(super) path: PathBuf,
    pub(super) host_path: Option<PathBuf>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
    pub(super) file_mode: Option<u32>,
    pub(super) permissions: Option<String>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// A mount.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Mount {
    pub(super) host_path: PathBuf,
    pub(super) container_path: PathBuf,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) options: Vec<String>,
}

/// A program that runs at a point of the container's life.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Hook {
    pub(super) hook_name: HookName,
    pub(super) path: PathBuf,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<String>,
    pub(super) timeout: Option<i64>,
}

/// The points (runtime-spec, config.md, "POSIX-platform Hooks").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum HookName {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

/// Settings of resctrl.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntelRdt {
    #[serde(rename = "closID")]
    pub(super) clos_id: Option<String>,
    pub(super) l3_cache_schema: Option<String>,
    pub(super) mem_bw_schema: Option<String>,
    #[serde(default)]
    pub(super) schemata: Vec<String>,
    #[serde(default)]
    pub(super) enable_monitoring: bool,
    #[serde(default, rename = "enableCMT")]
    _enable_cmt: bool,
    #[serde(default, rename = "enableMBM")]
    _enable_mbm: bool,
}

/// Vendors number devices, and not all of them quote the numbers.
fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Number(number) => number.to_string(),
        Either::Text(text) => text,
    })
}

/// Reads a file; `None` for one that by its name is none of CDI's.
pub(super) fn parse(path: &Path) -> Option<Result<File, String>> {
    let is_yaml = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => false,
        Some("yaml" | "yml") => true,
        _ => return None,
    };
    let parsed = read(path).and_then(|text| match is_yaml {
        true => from_yaml(&text),
        false => serde_json::from_str(&text).map_err(|e| e.to_string()),
    });
    Some(parsed.and_then(|file| file.check().map(|()| file)))
}

fn from_yaml(text: &str) -> Result<File, String> {
    let read =
        yaml::read(text).map_err(|unread| format!("line {}: {}", unread.line, unread.why))?;
    serde_path_to_error::deserialize(read.to_value()).map_err(|error| {
        let (line, path) = (read.line_of(error.path()), error.path().to_string());
        match path.as_str() {
            "." => format!("line {line}: {}", error.inner()),
            _ => format!("line {line}: {path}: {}", error.inner()),
        }
    })
}

fn read(path: &Path) -> Result<String, String> {
    // by path: a file of the host's administrator
    let metadata = fs::metadata(path).map_err(|e| e.to_string())?;
    // by path: the same
    if !metadata.is_file() || metadata.len() > MOST_BYTES {
        return Err("it is no file, or too long for one of CDI".to_owned());
    }
    // by path: the same
    fs::read_to_string(path).map_err(|e| e.to_string())
}

impl File {
    fn check(&self) -> Result<(), String> {
        let (vendor, class) = self.kind.split_once('/').unwrap_or((&self.kind, ""));
        if !super::is_vendor(vendor) || !super::is_class(class) {
            return Err(format!(
                "the kind {:?} is no vendor/class such as vendor.com/gpu",
                self.kind
            ));
        }
        annotations(&self.annotations)?;
        self.container_edits.check()?;
        let mut names = Vec::new();
        for device in &self.devices {
            let in_device = |why: String| format!("device {:?}: {why}", device.name);
            if !super::is_device(&device.name) {
                return Err(in_device("the name has letters, digits and _-.: alone, and begins and ends with a letter or digit".to_owned()));
            }
            if names.contains(&&device.name) {
                return Err(in_device("it is there twice".to_owned()));
            }
            names.push(&device.name);
            annotations(&device.annotations).map_err(in_device)?;
            device.container_edits.check().map_err(in_device)?;
        }
        if names.is_empty() {
            return Err("it has no device".to_owned());
        }
        self.check_version()
    }

    fn check_version(&self) -> Result<(), String> {
        let said = &self.cdi_version;
        let numbers: Vec<&str> = said.trim_start_matches('v').split('.').collect();
        let numbers: Option<Vec<u64>> = numbers.iter().map(|n| n.parse().ok()).collect();
        let Some([major, minor, _]) = numbers.as_deref() else {
            return Err(format!("cdiVersion {said:?} is no version such as 0.6.0"));
        };
        let version = (*major, *minor);
        if !VERSIONS.contains(&version) {
            let (major, minor) = VERSIONS[VERSIONS.len() - 1];
            return Err(format!(
                "cdiVersion {said} is not known; berth reads up to {major}.{minor}, newer files need a newer berth"
            ));
        }
        match self.needs().into_iter().max() {
            Some((least, what)) if least > version => Err(format!(
                "cdiVersion is {said}, but {what} came with {}.{}.0",
                least.0, least.1
            )),
            _ => Ok(()),
        }
    }

    /// What the file uses that did not exist from the beginning, with its version.
    fn needs(&self) -> Vec<((u64, u64), &'static str)> {
        let mut needs = Vec::new();
        let mut need = |used: bool, version: (u64, u64), what: &'static str| {
            if used {
                needs.push((version, what));
            }
        };
        let devices = &self.devices;
        let class = self.kind.split_once('/').map_or("", |(_, class)| class);
        need(class.contains('.'), (0, 6), "a dot in the class");
        let annotated = devices.iter().any(|d| !d.annotations.is_empty());
        need(
            annotated || !self.annotations.is_empty(),
            (0, 6),
            "annotations",
        );
        let digit = |d: &Device| d.name.starts_with(|c: char| c.is_ascii_digit());
        need(
            devices.iter().any(digit),
            (0, 5),
            "a name that begins with a digit",
        );
        for edits in devices
            .iter()
            .map(|d| &d.container_edits)
            .chain([&self.container_edits])
        {
            need(
                edits.mounts.iter().any(|m| m.kind.is_some()),
                (0, 4),
                "type of a mount",
            );
            let host_path = edits.device_nodes.iter().any(|n| n.host_path.is_some());
            need(host_path, (0, 5), "hostPath of a device node");
            need(!edits.additional_gids.is_empty(), (0, 7), "additionalGids");
            need(!edits.net_devices.is_empty(), (1, 1), "netDevices");
            if let Some(rdt) = &edits.intel_rdt {
                need(true, (0, 7), "intelRdt");
                let newer = !rdt.schemata.is_empty() || rdt.enable_monitoring;
                need(newer, (1, 1), "schemata and enableMonitoring of intelRdt");
            }
        }
        needs
    }
}

impl Edits {
    fn check(&self) -> Result<(), String> {
        self.env.iter().try_for_each(|entry| variable(entry))?;
        for node in &self.device_nodes {
            let path = node.path.display();
            if !node.path.is_absolute() {
                return Err(format!("the path {path} of a device node is not absolute"));
            }
            let kind = node.kind.as_deref().unwrap_or_default();
            if !["", "b", "c", "u", "p"].contains(&kind) {
                return Err(format!(
                    "the device node {path} has the type {kind:?}; give b, c, u or p"
                ));
            }
            let access = node.permissions.as_deref().unwrap_or_default();
            if access != "none" && !access.chars().all(|c| "rwm".contains(c)) {
                return Err(format!(
                    "the device node {path} has the permissions {access:?}; give some of r, w and m, or none"
                ));
            }
        }
        for mount in &self.mounts {
            if mount.host_path.as_os_str().is_empty() || !mount.container_path.is_absolute() {
                return Err(format!(
                    "the mount at {:?} needs a hostPath and an absolute containerPath",
                    mount.container_path
                ));
            }
        }
        for hook in &self.hooks {
            if !hook.path.is_absolute() {
                return Err(format!(
                    "the path {} of a hook is not absolute",
                    hook.path.display()
                ));
            }
            if hook.timeout.is_some_and(|seconds| seconds <= 0) {
                return Err(format!(
                    "the timeout of the hook {} is not above zero",
                    hook.path.display()
                ));
            }
            hook.env.iter().try_for_each(|entry| variable(entry))?;
        }
        Ok(())
    }
}

fn variable(entry: &str) -> Result<(), String> {
    match entry.split_once('=') {
        Some((name, _)) if !name.is_empty() && !entry.contains('\0') => Ok(()),
        _ => Err(format!("{entry:?} of env is no NAME=VALUE")),
    }
}

/// Keys as Kubernetes has them: a name of at most 63 characters, a prefix of a domain before it.
fn annotations(all: &BTreeMap<String, String>) -> Result<(), String> {
    for key in all.keys() {
        let (prefix, name) = key.split_once('/').unwrap_or(("", key));
        let is_prefix = prefix.is_empty() != key.contains('/') && prefix.len() <= 253;
        if !is_prefix || name.len() > 63 || !super::is_made_of(name, b"-_.") {
            return Err(format!(
                "the annotation {key:?} is no name, nor one with a domain before it"
            ));
        }
    }
    let total: usize = all.iter().map(|(key, value)| key.len() + value.len()).sum();
    match total > ANNOTATIONS_MOST {
        true => Err("the annotations are longer than 256 KiB".to_owned()),
        false => Ok(()),
    }
}
