//! `events --filter`: Docker's keys, and what they compare.
//!
//! Values of one key are alternatives, save labels, which must all fit; keys must all fit.

use std::collections::BTreeMap;

use berth_base::state::{EventKind, EventRecord};

use crate::cli::failure::Failure;
use crate::cli::parse::nearest::unknown;

const KEYS: [&str; 9] = [
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "scope",
    "type",
    "volume",
];
/// Those of a swarm.
const SWARM: [&str; 5] = ["config", "node", "plugin", "secret", "service"];
const TYPES: [&str; 11] = [
    "builder",
    "config",
    "container",
    "daemon",
    "image",
    "network",
    "node",
    "plugin",
    "secret",
    "service",
    "volume",
];
/// What happens in Docker, here or not.
const EVENTS: [&str; 47] = [
    "archive-path",
    "attach",
    "build",
    "checkpoint",
    "commit",
    "connect",
    "copy",
    "create",
    "delete",
    "destroy",
    "detach",
    "die",
    "disable",
    "disconnect",
    "enable",
    "exec_create",
    "exec_detach",
    "exec_die",
    "exec_start",
    "export",
    "extract-to-dir",
    "health_status",
    "import",
    "install",
    "kill",
    "load",
    "mount",
    "oom",
    "pause",
    "prune",
    "pull",
    "push",
    "reload",
    "remove",
    "rename",
    "resize",
    "restart",
    "restore",
    "save",
    "start",
    "stop",
    "tag",
    "top",
    "unmount",
    "unpause",
    "untag",
    "update",
];
/// Whose actions carry more than their name, behind a colon.
const SPEAKING: [&str; 3] = ["exec_create", "exec_start", "health_status"];

/// Parsed filters.
#[derive(Debug, Default)]
pub(super) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    pub(super) fn new(pairs: &[(String, String)]) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for (key, value) in pairs {
            check(key, value)?;
            filters
                .0
                .entry(key.clone())
                .or_default()
                .push(value.clone());
        }
        Ok(filters)
    }

    pub(super) fn accept(&self, event: &EventRecord) -> bool {
        self.0.iter().all(|(key, values)| match key.as_str() {
            "label" => values.iter().all(|value| has_label(event, value)),
            _ => values.iter().any(|value| fits(event, key, value)),
        })
    }
}

fn check(key: &str, value: &str) -> Result<(), Failure> {
    let refuse = |what: String| Failure::usage(format!("invalid --filter {key}={value}: {what}"));
    if SWARM.contains(&key) {
        return Err(refuse(format!(
            "there is no {key} without a swarm, which is none of berth's business"
        )));
    }
    let known = |word: &str, what: &str, all: &[&str]| match all.contains(&word) {
        true => Ok(()),
        false => Err(refuse(unknown(what, word, all))),
    };
    known(key, "filter", &KEYS)?;
    match key {
        "type" => known(value, "type", &TYPES),
        // One of the longer form names what follows the colon as well.
        "event" => known(value.split(':').next().unwrap_or(value), "event", &EVENTS),
        _ => Ok(()),
    }
}

fn fits(event: &EventRecord, key: &str, value: &str) -> bool {
    match key {
        "type" => event.kind.as_str() == value,
        "event" => action_fits(&event.action, value),
        "scope" => value == "local",
        "container" => named(event, EventKind::Container, value),
        "network" => named(event, EventKind::Network, value),
        "volume" => named(event, EventKind::Volume, value),
        "image" => image_fits(event, value),
        // There is none.
        _ => false,
    }
}

fn action_fits(action: &str, wanted: &str) -> bool {
    let speaks = |word: &str| {
        let rest = action.strip_prefix(word);
        rest.is_some_and(|rest| rest.starts_with(':')) && action.starts_with(wanted)
    };
    action == wanted || SPEAKING.iter().any(|word| speaks(word))
}

/// The object itself: by name, or by the beginning of its id.
fn named(event: &EventRecord, kind: EventKind, value: &str) -> bool {
    let name = event.attributes.get("name");
    event.kind == kind
        && (event.id.starts_with(value) || name.is_some_and(|name| name.starts_with(value)))
}

/// An image, or the containers of one; by name with or without its tag, or by id.
fn image_fits(event: &EventRecord, value: &str) -> bool {
    let attribute = match event.kind {
        EventKind::Container => "image",
        EventKind::Image => "name",
        _ => return false,
    };
    let name = event.attributes.get(attribute).map_or("", String::as_str);
    let is_of = |text: &str| text == value || without_tag(text) == value;
    is_of(name) || (event.kind == EventKind::Image && is_of(&event.id))
}

fn without_tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        // The port of a registry is no tag.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    }
}

fn has_label(event: &EventRecord, value: &str) -> bool {
    let (key, wanted) = match value.split_once('=') {
        Some((key, wanted)) => (key, Some(wanted)),
        None => (value, None),
    };
    let found = event.attributes.get(key);
    found.is_some_and(|found| wanted.is_none_or(|wanted| wanted == found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(event: &EventRecord, filters: &[(&str, &str)]) -> bool {
        let pairs: Vec<_> = filters
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Filters::new(&pairs).unwrap().accept(event)
    }

    #[test]
    fn what_fits() {
        let start = EventRecord::new(EventKind::Container, "start", "0123456789ab")
            .with("image", "localhost:5000/busybox:1.36")
            .with("name", "web-1")
            .with("tier", "front");
        let exec = start.acting("exec_start: sh -c true");
        for (filters, expected) in [
            (&[("type", "container")][..], true),
            (&[("type", "image")], false),
            (&[("type", "image"), ("type", "container")], true),
            (&[("event", "start"), ("type", "container")], true),
            (&[("event", "die")], false),
            (&[("container", "web")], true),
            (&[("container", "0123")], true),
            (&[("container", "eb-1")], false),
            (&[("image", "localhost:5000/busybox")], true),
            (&[("image", "localhost:5000/busybox:1.36")], true),
            (&[("image", "localhost")], false),
            (&[("network", "web-1")], false),
            (&[("label", "tier")], true),
            (&[("label", "tier=front")], true),
            (&[("label", "tier=back")], false),
            (&[("label", "tier"), ("label", "none")], false),
            (&[("scope", "local")], true),
            (&[("scope", "swarm")], false),
            (&[("daemon", "x")], false),
        ] {
            assert_eq!(fit(&start, filters), expected, "{filters:?}");
        }
        assert!(fit(&exec, &[("event", "exec_start")]));
        assert!(fit(&exec, &[("event", "exec_start: sh -c true")]));
        assert!(!fit(&exec, &[("event", "exec_create")]));
        assert!(!fit(&exec, &[("event", "start")]));
    }

    #[test]
    fn mistakes_have_a_neighbour() {
        let line = |key: &str, value: &str| check(key, value).unwrap_err().message;
        insta::assert_snapshot!(line("evnt", "die"), @"invalid --filter evnt=die: no filter is called evnt; did you mean event?");
        insta::assert_snapshot!(line("event", "strat"), @"invalid --filter event=strat: no event is called strat; did you mean start?");
        insta::assert_snapshot!(line("type", "containers"), @"invalid --filter type=containers: no type is called containers; did you mean container?");
        insta::assert_snapshot!(line("node", "a"), @"invalid --filter node=a: there is no node without a swarm, which is none of berth's business");
        assert!(check("event", "health_status: healthy").is_ok());
    }
}
