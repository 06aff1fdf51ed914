//! `ps --filter`: which containers are listed.
//!
//! Values of one key are alternatives, save labels, which must all fit; keys must all fit.

use std::collections::BTreeMap;

use berth_base::Timestamp;
use berth_engine::{Container, Engine};
use berth_image::Image;

use super::failure::Failure;
use super::parse::nearest::unknown;
use super::parse::pattern::names;
use crate::view::mounts::sources;
use crate::view::row::{health_word, network};

pub(super) const KEYS: [&str; 13] = [
    "ancestor", "before", "exited", "expose", "health", "id", "label", "name", "network",
    "publish", "since", "status", "volume",
];
pub(super) const STATUSES: [&str; 8] = [
    "created",
    "starting",
    "running",
    "paused",
    "restarting",
    "exited",
    "removing",
    "dead",
];

pub(super) const HEALTHS: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];

/// Parsed filters.
#[derive(Debug, Default)]
pub(super) struct Filters {
    values: BTreeMap<String, Vec<String>>,
    ancestors: Vec<Ancestor>,
    /// `publish` and `expose`: ports of the container.
    published: Vec<Ports>,
    exposed: Vec<Ports>,
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
                "publish" => filters.published.push(ports(key, value)?),
                "expose" => filters.exposed.push(ports(key, value)?),
                // By name, or by the beginning of an id.
                "network" => {
                    let name = engine
                        .network(value)
                        .map(|found| found.file.name.to_string());
                    let names = filters.values.entry(key.clone()).or_default();
                    names.push(name.unwrap_or_else(|_| value.clone()));
                }
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
            // As with Docker, either of the two is enough.
            && ((self.published.is_empty() && self.exposed.is_empty())
                || self.published.iter().any(|p| p.is_published(container))
                || self.exposed.iter().any(|p| p.is_exposed(container)))
            && (self.ancestors.is_empty() || self.ancestors.iter().any(|a| a.fits(container)))
            && self.values.iter().all(|(key, values)| match key.as_str() {
                "label" => values.iter().all(|value| fits(container, key, value)),
                _ => values.iter().any(|value| fits(container, key, value)),
            })
    }
}

fn check(key: &str, value: &str) -> Result<(), Failure> {
    let refuse = |what: String| Failure::usage(format!("invalid --filter {key}={value}: {what}"));
    if key == "is-task" {
        let why = "there are no tasks without a swarm, which is none of berth's business";
        return Err(refuse(why.to_owned()));
    }
    if !KEYS.contains(&key) {
        return Err(refuse(unknown("filter", key, &KEYS)));
    }
    if key == "status" && !STATUSES.contains(&value) {
        return Err(refuse(unknown("status", value, &STATUSES)));
    }
    if key == "health" && !HEALTHS.contains(&value) {
        return Err(refuse(unknown("health", value, &HEALTHS)));
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
        "network" => {
            let networks = &create.options.networks;
            networks.iter().any(|one| one.name == value)
                || (networks.is_empty() && network(container) == value)
        }
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

/// A port or a range of ports of one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ports {
    first: u16,
    last: u16,
    transport: String,
}

impl Ports {
    fn has(&self, port: u16, transport: &str) -> bool {
        (self.first..=self.last).contains(&port) && self.transport == transport
    }

    /// Ports of the host that lead to the container, or would were it started.
    fn is_published(&self, container: &Container) -> bool {
        if container.status.is_live() {
            let mut wired = container.wiring.published.iter();
            return wired.any(|port| self.has(port.host_port, &port.transport.to_string()));
        }
        let mut asked = container.create.options.publish.iter();
        asked.any(|port| {
            let transport = port.transport.to_string();
            let ports = port.host_ports.map(|(first, last)| Self {
                first,
                last,
                transport,
            });
            ports.is_some_and(|ports| self.meets(&ports))
        })
    }

    /// Ports of the container, published ones too.
    fn is_exposed(&self, container: &Container) -> bool {
        let options = &container.create.options;
        let mut exposed = options.exposed_ports.iter();
        let mut published = options.publish.iter();
        exposed.any(|text| ports("expose", text).is_ok_and(|ports| self.meets(&ports)))
            || published.any(|port| self.has(port.container_port, &port.transport.to_string()))
    }

    fn meets(&self, other: &Self) -> bool {
        self.transport == other.transport && self.first <= other.last && other.first <= self.last
    }
}

/// Reads `80`, `80/udp`, `8000-8080/tcp`. Without a transport Docker means tcp.
fn ports(key: &str, text: &str) -> Result<Ports, Failure> {
    let refuse = || {
        let why = "give a port or a range, such as 80, 53/udp or 8000-8080/tcp";
        Failure::usage(format!("invalid --filter {key}={text}: {why}"))
    };
    let (range, transport) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = (port(first), port(last));
    let known = ["tcp", "udp", "sctp"].contains(&transport);
    match (first, last) {
        (Some(first), Some(last)) if first <= last && known => Ok(Ports {
            first,
            last,
            transport: transport.to_owned(),
        }),
        _ => Err(refuse()),
    }
}

/// A pattern that is found in the name, without or with the `/` that Docker puts before it.
fn name_fits(name: &str, pattern: &str) -> bool {
    names(pattern, name) || names(pattern, &format!("/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_patterns() {
        for (pattern, fits) in [
            ("web", true),
            ("eb", true),
            ("^web", true),
            ("^web-1$", true),
            ("^/web-1$", true),
            ("/web", true),
            ("^/?web-[0-9]$", true),
            ("web|db", true),
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
        insta::assert_snapshot!(line("status", "runing"), @"invalid --filter status=runing: no status is called runing; did you mean running?");
        insta::assert_snapshot!(line("status", "over"), @"invalid --filter status=over: no status is called over; there are created, starting, running, paused, restarting, exited, removing, dead");
        insta::assert_snapshot!(line("health", "helthy"), @"invalid --filter health=helthy: no health is called helthy; did you mean healthy?");
        insta::assert_snapshot!(line("exited", "x"), @"invalid --filter exited=x: an exit code is a number from 0 to 255");
        insta::assert_snapshot!(line("is-task", "true"), @"invalid --filter is-task=true: there are no tasks without a swarm, which is none of berth's business");
        insta::assert_snapshot!(line("health", "well"), @"invalid --filter health=well: no health is called well; there are starting, healthy, unhealthy, none");
        assert!(check("label", "a=b").is_ok());
    }

    #[test]
    fn ports_are_ranges() {
        let range = ports("publish", "8000-8080/udp").unwrap();
        assert!(range.has(8000, "udp") && range.has(8080, "udp"));
        assert!(!range.has(8081, "udp") && !range.has(8000, "tcp"));
        assert!(ports("expose", "80").unwrap().has(80, "tcp"));
        for bad in ["", "0", "x", "80/ip", "90-80", "70000"] {
            assert!(ports("expose", bad).is_err(), "{bad}");
        }
        insta::assert_snapshot!(ports("expose", "x").unwrap_err().message, @"invalid --filter expose=x: give a port or a range, such as 80, 53/udp or 8000-8080/tcp");
    }
}
