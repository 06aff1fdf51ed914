//! Image configurations (image-spec, config.md), with Docker's additions.

use std::collections::BTreeMap;

use berth_base::Digest;
use serde::{Deserialize, Serialize};

use crate::ImageError;
use crate::manifest::{CONFIG_MAX_BYTES, LAYERS_MAX, Platform};

/// What a container made from the image is, and how its root comes about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// For which platform; flattened as the specification has it.
    #[serde(flatten)]
    pub platform: Platform,
    /// How to run it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ContainerConfig,
    /// Its layers.
    pub rootfs: Rootfs,
    /// How each of them came about.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub history: Vec<History>,
}

/// How to run an image. Names and shapes are the specification's; `Healthcheck`, `Shell` and
/// `OnBuild` are Docker's.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// `user`, `uid`, `user:group`, `uid:gid`; empty is root.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub user: String,
    /// `80/tcp`, as keys.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// `KEY=VALUE`.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub env: Vec<String>,
    /// Before the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The command, or arguments of the entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths that are volumes, as keys.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// Empty is `/`.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub working_dir: String,
    /// Metadata.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub labels: BTreeMap<String, String>,
    /// Name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds between it and SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<u32>,
    /// How to tell whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// For builds only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// For builds only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
}

/// `HEALTHCHECK`; times in nanoseconds, 0 for the default.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", ...]`, `["CMD-SHELL", line]`.
    #[serde(deserialize_with = "null_is_default")]
    pub test: Vec<String>,
    /// Between two probes.
    pub interval: u64,
    /// For one probe.
    pub timeout: u64,
    /// In which failures do not count.
    pub start_period: u64,
    /// Between two probes in that period.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: u64,
    /// Failures in a row until it is unhealthy.
    pub retries: u32,
}

const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The layers of an image by their uncompressed content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the tar files, the lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
}

/// One step of an image's making.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A word about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// It made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Reads a configuration; `what` names it in errors.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self, ImageError> {
        let malformed = |why: String| ImageError::malformed(what, why);
        if bytes.len() as u64 > CONFIG_MAX_BYTES {
            let length = bytes.len();
            return Err(malformed(format!(
                "a configuration of {length} bytes is too long"
            )));
        }
        let config: Self = serde_json::from_slice(bytes)
            .map_err(|e| malformed(format!("its configuration does not parse: {e}")))?;
        if config.rootfs.kind != "layers" {
            let kind = &config.rootfs.kind;
            return Err(malformed(format!(
                "its rootfs has the type {kind:?}, not \"layers\""
            )));
        }
        if config.rootfs.diff_ids.len() > LAYERS_MAX {
            let count = config.rootfs.diff_ids.len();
            return Err(malformed(format!(
                "it has {count} layers, at most {LAYERS_MAX} are possible"
            )));
        }
        Ok(config)
    }
}

/// Go writes what is empty as null.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_as_docker_writes_it() {
        let digest = Digest::sha256(&[7; 32]);
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","created":"2026-01-02T03:04:05Z",
            "config":{{"Hostname":"","User":"","Env":["PATH=/bin"],"Cmd":["sh"],"Volumes":null,
              "Entrypoint":null,"Labels":null,"ExposedPorts":{{"80/tcp":{{}}}},
              "Healthcheck":{{"Test":["CMD-SHELL","true"],"Interval":5000000000}},"StopSignal":"SIGQUIT"}},
            "rootfs":{{"type":"layers","diff_ids":["{digest}"]}},
            "history":[{{"created_by":"x","empty_layer":true}}],"unknown":[1]}}"#
        );
        let config = ImageConfig::parse("it", text.as_bytes()).unwrap();
        assert_eq!(config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
        assert_eq!(config.config.entrypoint, None);
        assert_eq!(config.rootfs.diff_ids, [digest]);
        assert_eq!(config.platform.to_string(), "linux/amd64");
        assert!(config.history.first().unwrap().empty_layer);
        let health = config.config.healthcheck.unwrap();
        assert_eq!((health.interval, health.retries), (5_000_000_000, 0));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"rootfs":{"type":"x"}}"#,
            r#"{"rootfs":{"type":"layers","diff_ids":["sha256:../.."]}}"#,
        ] {
            assert!(ImageConfig::parse("it", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
