//! `--filter` of `network ls` and `network prune`.
//!
//! Values of one key are alternatives, save labels, which must all fit; keys must all fit.

use std::collections::BTreeMap;

use berth_engine::NetworkFile;

use crate::cli::failure::Failure;
use crate::cli::parse::nearest::{SWITCH, none_of, unknown};
use crate::cli::parse::pattern::names;
use crate::cli::parse::time::moment_now;

/// Parsed filters.
#[derive(Debug, Default)]
pub(super) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Checks keys, of which only `known` make sense, and values.
    pub(super) fn new(pairs: &[(String, String)], known: &[&str]) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for (key, value) in pairs {
            let refuse =
                |what: String| Failure::usage(format!("invalid --filter {key}={value}: {what}"));
            if !known.contains(&key.as_str()) {
                return Err(refuse(unknown("filter", key, known)));
            }
            match (key.as_str(), value.as_str()) {
                ("dangling", "true" | "false" | "1" | "0") | ("type", "custom" | "builtin") => {}
                ("dangling", _) => return Err(refuse(none_of(value, &SWITCH))),
                ("type", _) => return Err(refuse(none_of(value, &["custom", "builtin"]))),
                ("until", text) => {
                    moment_now(text).map_err(|rejected| refuse(rejected.0))?;
                }
                _ => {}
            }
            filters
                .0
                .entry(key.clone())
                .or_default()
                .push(value.clone());
        }
        Ok(filters)
    }

    /// Whether a network fits; `used` says whether a container is on it.
    pub(super) fn accept(&self, file: &NetworkFile, used: bool) -> bool {
        // As with Docker: nobody made the default one, and prune leaves it.
        let dangles = !used && !file.is_default();
        self.0.iter().all(|(key, values)| match key.as_str() {
            "label" => values.iter().all(|value| has_label(file, value)),
            "label!" => !values.iter().any(|value| has_label(file, value)),
            "name" => values.iter().any(|value| names(value, file.name.as_str())),
            "id" => values.iter().any(|part| file.id.starts_with(part.as_str())),
            "driver" => values.iter().any(|name| name == file.driver.as_str()),
            "scope" => values.iter().any(|scope| scope == "local"),
            "type" => values.iter().any(|t| (t == "builtin") == file.is_default()),
            "dangling" => values
                .iter()
                .any(|v| matches!(v.as_str(), "true" | "1") == dangles),
            "until" => values
                .iter()
                .all(|text| moment_now(text).is_ok_and(|until| file.created_at < until)),
            _ => true,
        })
    }
}

fn has_label(file: &NetworkFile, text: &str) -> bool {
    let (key, wanted) = match text.split_once('=') {
        Some((key, wanted)) => (key, Some(wanted)),
        None => (text, None),
    };
    let found = file.labels.get(key);
    found.is_some_and(|found| wanted.is_none_or(|wanted| wanted == found))
}
