//! `ps --filter`: which containers are listed.
//!
//! Values of one key are alternatives, save labels, which must all fit; keys must all fit.

use std::collections::BTreeMap;

use berth_base::Timestamp;
use berth_engine::{Container, Engine};
use berth_image::Image;

use super::failure::Failure;
use super::parse::nearest::nearest;
use crate::view::mounts::sources;
use crate::view::row::{health_word, network};

const KEYS: [&str; 11] = [
    "ancestor", "before", "exited", "health", "id", "label", "name", "network", "since", "status",
    "volume",
];
const STATUSES: [&str; 8] = [
    "created",
    "starting",
    "running",
    "paused",
    "restarting",
    "exited",
    "removing",
    "dead",
];

const HEALTHS: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];

/// Parsed filters.
#[derive(Debug, Default)]
pub(super) struct Filters {
    values: BTreeMap<String, Vec<String>>,
    ancestors: Vec<Ancestor>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

/// `ancestor=IMAGE`: containers of the image, and of those that were built upon it.
#[derive(Debug)]
struct Ancestor {
    text: String,
    /// The image; the built-in one and directories are none.
    image: Option<Image>,
}

impl Ancestor {
    fn fits(&self, container: &Container) -> bool {
        let create = &container.create;
        let (Some(image), Some(source)) = (&self.image, &create.source) else {
            return self.image.is_none() && create.image == self.text;
        };
        // The chain id of the topmost layer is that of all layers below it, too.
        let top = image.layers.last().map(|layer| &layer.chain_id);
        source.id == image.id || top.is_some_and(|top| source.layers.contains(top))
    }
}

impl Filters {
    /// Checks keys and values; containers of `before` and `since` are looked up.
    pub(super) fn new(pairs: &[(String, String)], engine: &Engine) -> Result<Self, Failure> {
        let created = |reference: &str| -> Result<Timestamp, Failure> {
            let id = engine.resolve(reference)?;
            Ok(engine.inspect(&id)?.create.created_at)
        };
        let mut filters = Self::default();
        for (key, value) in pairs {
            check(key, value)?;
            match key.as_str() {
                "before" => filters.before = Some(created(value)?),
                "since" => filters.since = Some(created(value)?),
                "ancestor" => filters.ancestors.push(Ancestor {
                    text: value.clone(),
                    image: engine.images().resolve(value).ok(),
                }),
                _ => filters
                    .values
                    .entry(key.clone())
                    .or_default()
                    .push(value.clone()),
            }
        }
        Ok(filters)
    }

    /// Whether the filters ask for containers that do not run.
    pub(super) fn want_ended(&self) -> bool {
        self.before.is_some()
            || self.since.is_some()
            || self.values.contains_key("status")
            || self.values.contains_key("exited")
    }

    /// Whether a container fits.
    pub(super) fn accept(&self, container: &Container) -> bool {
        let created = container.create.created_at;
        self.before.is_none_or(|before| created < before)
            && self.since.is_none_or(|since| created > since)
            && (self.ancestors.is_empty() || self.ancestors.iter().any(|a| a.fits(container)))
            && self.values.iter().all(|(key, values)| match key.as_str() {
                "label" => values.iter().all(|value| fits(container, key, value)),
                _ => values.iter().any(|value| fits(container, key, value)),
            })
    }
}

fn check(key: &str, value: &str) -> Result<(), Failure> {
    let refuse = |what: String| Failure::usage(format!("invalid --filter {key}={value}: {what}"));
    if !KEYS.contains(&key) {
        return Err(refuse(match nearest(key, KEYS) {
            Some(near) => format!("no filter is called {key}; did you mean {near}?"),
            None => format!("no filter is called {key}; there are {}", KEYS.join(", ")),
        }));
    }
    if key == "status" && !STATUSES.contains(&value) {
        return Err(refuse(format!(
            "no status is called so; there are {}",
            STATUSES.join(", ")
        )));
    }
    if key == "health" && !HEALTHS.contains(&value) {
        return Err(refuse(format!(
            "no health is called so; there are {}",
            HEALTHS.join(", ")
        )));
    }
    if key == "exited" && value.parse::<u8>().is_err() {
        return Err(refuse("an exit code is a number from 0 to 255".to_owned()));
    }
    Ok(())
}

fn fits(container: &Container, key: &str, value: &str) -> bool {
    let create = &container.create;
    match key {
        "id" => container.id.as_str().starts_with(value),
        "name" => name_fits(container.name.as_str(), value),
        "status" => container.status.as_str() == value,
        "health" => value == health_word(container),
        "exited" => container
            .exit
            .as_ref()
            .is_some_and(|exit| value.parse() == Ok(exit.outcome.shell_code())),
        "label" => {
            let (key, wanted) = match value.split_once('=') {
                Some((key, wanted)) => (key, Some(wanted)),
                None => (value, None),
            };
            let found = create.options.labels.get(key);
            found.is_some_and(|found| wanted.is_none_or(|wanted| wanted == found))
        }
        "network" => network(container) == value,
        "volume" => {
            let mounts = create.options.mounts.iter();
            let targets = mounts.filter_map(|mount| mount.target().map(str::to_owned));
            sources(container)
                .into_iter()
                .chain(targets)
                .any(|path| path == value)
        }
        _ => false,
    }
}

/// A part of the name; `^` and `$` tie it to the beginning and the end, and Docker's leading `/`
/// is no part of it.
fn name_fits(name: &str, pattern: &str) -> bool {
    let (anchored, pattern) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    let (ended, pattern) = match pattern.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    match (anchored, ended) {
        (true, true) => name == pattern,
        (true, false) => name.starts_with(pattern),
        (false, true) => name.ends_with(pattern),
        (false, false) => name.contains(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_with_anchors() {
        for (pattern, fits) in [
            ("web", true),
            ("eb", true),
            ("^web", true),
            ("^web-1$", true),
            ("^/web-1$", true),
            ("/web", true),
            ("^eb", false),
            ("web$", false),
            ("", true),
        ] {
            assert_eq!(name_fits("web-1", pattern), fits, "{pattern}");
        }
    }

    #[test]
    fn keys_and_values_are_checked() {
        let line = |key: &str, value: &str| check(key, value).unwrap_err().message;
        insta::assert_snapshot!(line("stats", "exited"), @"invalid --filter stats=exited: no filter is called stats; did you mean status?");
        insta::assert_snapshot!(line("status", "runing"), @"invalid --filter status=runing: no status is called so; there are created, starting, running, paused, restarting, exited, removing, dead");
        insta::assert_snapshot!(line("exited", "x"), @"invalid --filter exited=x: an exit code is a number from 0 to 255");
        insta::assert_snapshot!(line("health", "well"), @"invalid --filter health=well: no health is called so; there are starting, healthy, unhealthy, none");
        assert!(check("label", "a=b").is_ok());
    }
}
