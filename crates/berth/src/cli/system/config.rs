//! `berth system config`: what is in force, and who says so.

use std::path::{Path, PathBuf};

use berth_base::state::LogDriver;
use berth_engine::{DefaultNetwork, EventLimits, ImageLimits, NetworkSettings};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::config::{SYSTEM, as_json};
use crate::cli::failure::Failure;
use crate::cli::{Context, Outcome, global};

/// Show the configuration in force, and where each value comes from.
///
/// A flag wins over its BERTH_* variable, that over the user's configuration file, that over the
/// system's, that over the default.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Config {
    /// A list of objects: key, value, source
    #[arg(long)]
    json: bool,
}

/// What can be set by a flag and a variable as well.
const VARIABLES: [(&str, &str); 5] = [
    ("root", "BERTH_ROOT"),
    ("state", "BERTH_STATE"),
    ("runtime", "BERTH_RUNTIME"),
    ("cgroup-parent", "BERTH_CGROUP_PARENT"),
    ("default-network", "BERTH_DEFAULT_NETWORK"),
];

/// One value and its origin.
struct Entry {
    key: String,
    value: Value,
    source: String,
}

/// A configuration file that was read.
struct ReadFile {
    path: PathBuf,
    values: Vec<(String, Value)>,
}

impl Config {
    pub(in crate::cli) fn execute(&self, context: &mut Context) -> Outcome {
        let entries = entries(context)?;
        if self.json {
            let list: Vec<Value> = entries
                .iter()
                .map(|e| json!({"key": e.key, "value": e.value, "source": e.source}))
                .collect();
            context.out.document(&json!(list))?;
            return Ok(0);
        }
        let lines: Vec<(String, &str)> = entries
            .iter()
            .map(|e| (format!("{} = {}", e.key, e.value), e.source.as_str()))
            .collect();
        let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        for (line, source) in lines {
            let width = width.min(60);
            context.out.line(&format!("{line:<width$}  # {source}"))?;
        }
        Ok(0)
    }
}

fn entries(context: &Context) -> Result<Vec<Entry>, Failure> {
    let files = files()?;
    let mut entries: Vec<Entry> = global_values(context)
        .into_iter()
        .map(|(key, value)| Entry {
            source: source_of_global(context, key, &files),
            key: key.to_owned(),
            value,
        })
        .collect();
    for (key, value) in defaults() {
        let set = files
            .iter()
            .find_map(|file| Some(of_file(key, &value_in(file, key)?, file)));
        entries.push(of_proxy(key).or(set).unwrap_or(Entry {
            key: key.to_owned(),
            value,
            source: "default".to_owned(),
        }));
    }
    // What has no default: registries, proxies.
    for file in &files {
        for (key, value) in &file.values {
            if !entries.iter().any(|entry| entry.key == *key) {
                entries.push(of_file(key, value, file));
            }
        }
    }
    // A table of which a file sets keys is no longer empty.
    let set: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    entries.retain(|entry| {
        let below = format!("{}.", entry.key);
        entry.value != json!({}) || !set.iter().any(|key| key.starts_with(&below))
    });
    Ok(entries)
}

/// The variable that wins over a file's `[proxies]`.
fn of_proxy(key: &str) -> Option<Entry> {
    let name = key.strip_prefix("proxies.")?.replace('-', "_");
    let names = [name.to_ascii_uppercase(), name];
    names.into_iter().find_map(|name| {
        let value = std::env::var(&name).ok()?;
        (!value.trim().is_empty()).then(|| Entry {
            key: key.to_owned(),
            value: without_secrets(&json!(value)),
            source: name,
        })
    })
}

fn of_file(key: &str, value: &Value, file: &ReadFile) -> Entry {
    Entry {
        key: key.to_owned(),
        value: without_secrets(value),
        source: file.path.display().to_string(),
    }
}

/// The files that are there, the user's before the system's.
fn files() -> Result<Vec<ReadFile>, Failure> {
    let user = global::config_home().map(|home| home.join("berth/config.toml"));
    let mut files = Vec::new();
    for path in user.into_iter().chain([PathBuf::from(SYSTEM)]) {
        if let Some(Value::Object(map)) = as_json(&path)? {
            let mut values = Vec::new();
            flatten("", &map, &mut values);
            files.push(ReadFile { path, values });
        }
    }
    Ok(files)
}

/// `image.layer-bytes`; a registry's name stands in quotes, since it has dots.
fn flatten(prefix: &str, map: &Map<String, Value>, values: &mut Vec<(String, Value)>) {
    for (key, value) in map {
        let plain = key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let key = if plain {
            key.clone()
        } else {
            format!("{key:?}")
        };
        let key = match prefix {
            "" => key,
            prefix => format!("{prefix}.{key}"),
        };
        match value {
            Value::Object(below) => flatten(&key, below, values),
            value => values.push((key, value.clone())),
        }
    }
}

fn value_in(file: &ReadFile, key: &str) -> Option<Value> {
    let mut values = file.values.iter();
    values.find(|(name, _)| name == key).map(|(_, v)| v.clone())
}

/// What flags and variables can say, as it is.
fn global_values(context: &Context) -> [(&'static str, Value); 5] {
    let config = &context.config;
    let text = |path: &Path| json!(path.display().to_string());
    [
        ("root", text(&config.root)),
        ("state", text(&config.state)),
        ("runtime", text(&config.runtime_binary)),
        (
            "cgroup-parent",
            json!(config.cgroup_parent.as_deref().unwrap_or("")),
        ),
        (
            "default-network",
            json!(match config.default_network {
                DefaultNetwork::Bridge => "bridge",
                DefaultNetwork::None => "none",
            }),
        ),
    ]
}

fn source_of_global(context: &Context, key: &str, files: &[ReadFile]) -> String {
    if context.flags.contains(&key) {
        return format!("--{key}");
    }
    let variable = VARIABLES.iter().find(|(name, _)| *name == key);
    let is_set = |variable: &str| std::env::var_os(variable).is_some_and(|v| !v.is_empty());
    if let Some((_, variable)) = variable
        && is_set(variable)
    {
        return (*variable).to_owned();
    }
    let is_root = rustix::process::geteuid().is_root();
    let mut files = files.iter().filter(|file| {
        // As they are read: the system's folders are root's.
        is_root || file.path != Path::new(SYSTEM) || !matches!(key, "root" | "state")
    });
    match files.find(|file| value_in(file, key).is_some()) {
        Some(file) => file.path.display().to_string(),
        None => "default".to_owned(),
    }
}

/// What a file may set and what holds without, by section.
fn defaults() -> Vec<(&'static str, Value)> {
    let events = EventLimits::default();
    let ImageLimits { layer, archive } = ImageLimits::default();
    let network = NetworkSettings::default();
    let pools: Vec<Value> = network
        .pools
        .iter()
        .map(|pool| json!({"base": pool.base.to_string(), "size": pool.prefix}))
        .collect();
    vec![
        ("cdi-spec-dirs", json!(global::cdi_folders())),
        ("detach-keys", json!("ctrl-p,ctrl-q")),
        ("events.max-size", json!(events.file_bytes)),
        ("events.max-files", json!(events.files)),
        ("image.layer-bytes", json!(layer.layer_bytes)),
        ("image.layer-entries", json!(layer.layer_entries)),
        ("image.file-bytes", json!(layer.file_bytes)),
        ("image.path-bytes", json!(layer.path_bytes)),
        ("image.path-depth", json!(layer.path_depth)),
        ("image.header-bytes", json!(layer.header_bytes)),
        ("image.archive-entries", json!(archive.entries)),
        ("image.archive-memory-bytes", json!(archive.memory_bytes)),
        ("image.archive-blob-bytes", json!(archive.blob_bytes)),
        ("image.archive-total-bytes", json!(archive.total_bytes)),
        ("image.archive-images", json!(archive.images)),
        ("log.driver", json!(LogDriver::default().as_str())),
        ("log.options", json!({})),
        ("network.big-tcp", json!(network.big_tcp)),
        ("network.default-address-pools", json!(pools)),
        ("network.publish-address", json!("0.0.0.0")),
        ("proxies.http-proxy", json!("")),
        ("proxies.https-proxy", json!("")),
        ("proxies.no-proxy", json!("")),
    ]
}

/// Names and passwords in addresses are nobody's to read over a shoulder.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(hide(text)),
        Value::Array(values) => values.iter().map(without_secrets).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), without_secrets(value)))
            .collect(),
        other => other.clone(),
    }
}

fn hide(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..authority).and_then(|part| part.rfind('@')) {
        Some(at) => format!("{scheme}://***{}", rest.get(at..).unwrap_or("")),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            hide("http://me:p@ss@proxy:80/x@y"),
            "http://***@proxy:80/x@y"
        );
        assert_eq!(hide("http://proxy/@"), "http://proxy/@");
        assert_eq!(hide("10m"), "10m");
        assert_eq!(
            without_secrets(&json!(["http://a:b@c"])),
            json!(["http://***@c"])
        );
    }

    #[test]
    fn keys_are_those_of_the_file() {
        let mut values = Vec::new();
        let file = json!({"root": "/a", "image": {"layer-bytes": 1}, "registry": {"a.b:5": {"insecure": true}}});
        flatten("", file.as_object().unwrap(), &mut values);
        let keys: Vec<&str> = values.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(
            keys,
            ["image.layer-bytes", "registry.\"a.b:5\".insecure", "root"]
        );
    }

    /// The page for users names every key, and what holds without it.
    #[test]
    fn the_page_names_every_key() {
        let page = include_str!("../../../../../docs/configuration.md");
        let global = VARIABLES.iter().map(|(key, _)| *key);
        for key in global.chain(defaults().into_iter().map(|(key, _)| key)) {
            let key = key.rsplit('.').next().unwrap_or(key);
            assert!(page.contains(&format!("`{key}`")), "{key} is missing");
        }
    }
}
