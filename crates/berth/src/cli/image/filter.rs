//! `--filter` of images.

use std::collections::BTreeMap;
use std::time::SystemTime;

use berth_base::Timestamp;
use berth_image::Image;
use berth_image::ImageRef;

use crate::cli::failure::Failure;
use crate::cli::parse::nearest::{SWITCH, none_of, unknown};
use crate::cli::parse::time::moment;
use crate::view::image::created;

const LISTING: [&str; 7] = [
    "before",
    "dangling",
    "label",
    "label!",
    "reference",
    "since",
    "until",
];
const PRUNING: [&str; 4] = ["dangling", "label", "label!", "until"];

/// Parsed filters; values of one key are alternatives, save labels.
#[derive(Debug, Default)]
pub(crate) struct ImageFilters {
    dangling: Option<bool>,
    labels: Vec<(String, Option<String>)>,
    not_labels: Vec<(String, Option<String>)>,
    references: Vec<String>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl ImageFilters {
    /// Those of `images`; the images of `before` and `since` are looked up by `created`.
    pub(super) fn for_listing(
        pairs: &[(String, String)],
        created: impl Fn(&str) -> Result<Timestamp, Failure>,
    ) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "before" => filters.made_before(created(value)?),
                "until" => filters.made_before(until(value)?),
                "since" => filters.since = Some(created(value)?),
                "reference" => filters.references.push(value.clone()),
                _ => filters.common(key, value, &LISTING)?,
            }
        }
        Ok(filters)
    }

    /// Those of `image prune` and `system prune`.
    pub(in crate::cli) fn for_prune(pairs: &[(String, String)]) -> Result<Self, Failure> {
        Self::of_what_goes(pairs, &PRUNING)
    }

    /// Those of `container prune`.
    pub(in crate::cli) fn for_containers(pairs: &[(String, String)]) -> Result<Self, Failure> {
        let known = &PRUNING[1..];
        match pairs.iter().find(|(key, _)| key == "dangling") {
            Some((key, value)) => Err(Failure::usage(format!(
                "invalid --filter {key}={value}: no filter is called {key}; there are {}",
                known.join(", ")
            ))),
            None => Self::of_what_goes(pairs, known),
        }
    }

    fn of_what_goes(pairs: &[(String, String)], known: &[&'static str]) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "until" => filters.made_before(until(value)?),
                _ => filters.common(key, value, known)?,
            }
        }
        Ok(filters)
    }

    /// The earlier one, where several times are given.
    fn made_before(&mut self, time: Timestamp) {
        self.before = Some(self.before.map_or(time, |before| before.min(time)));
    }

    fn common(&mut self, key: &str, value: &str, known: &[&'static str]) -> Result<(), Failure> {
        let refuse = |why: String| Failure::usage(format!("invalid --filter {key}={value}: {why}"));
        let label = || match value.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (value.to_owned(), None),
        };
        match key {
            "dangling" => {
                self.dangling = Some(match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(refuse(none_of(value, &SWITCH))),
                });
            }
            "label" => self.labels.push(label()),
            "label!" => self.not_labels.push(label()),
            _ => {
                return Err(refuse(unknown("filter", key, known)));
            }
        }
        Ok(())
    }

    /// `dangling=false` asks a pruning for images with a name.
    pub(in crate::cli) const fn wants_named(&self) -> bool {
        matches!(self.dangling, Some(false))
    }

    /// Whether something with these labels, made then, fits.
    pub(in crate::cli) fn accept_labels(
        &self,
        labels: &BTreeMap<String, String>,
        created: Timestamp,
    ) -> bool {
        let has = |(key, wanted): &(String, Option<String>)| {
            let found = labels.get(key);
            found.is_some_and(|found| wanted.as_ref().is_none_or(|wanted| wanted == found))
        };
        self.labels.iter().all(has)
            && !self.not_labels.iter().any(has)
            && self.before.is_none_or(|before| created < before)
            && self.since.is_none_or(|since| created > since)
    }

    /// Whether an image fits.
    pub(in crate::cli) fn accept(&self, image: &Image) -> bool {
        let fits = |pattern: &String| image.references.iter().any(|name| matches(pattern, name));
        self.accept_labels(&image.config.config.labels, created(image))
            && (self.references.is_empty() || self.references.iter().any(fits))
            && self.is_dangling_fit(image)
    }

    /// Whether a name of an image that fits is one of those that were asked for.
    pub(super) fn accept_name(&self, name: &ImageRef) -> bool {
        self.references.is_empty() || self.references.iter().any(|p| matches(p, name))
    }

    fn is_dangling_fit(&self, image: &Image) -> bool {
        match self.dangling {
            Some(true) => image.references.is_empty(),
            Some(false) => !image.references.is_empty(),
            None => true,
        }
    }
}

fn until(value: &str) -> Result<Timestamp, Failure> {
    let now = Timestamp::from(SystemTime::now());
    moment(value, now)
        .map_err(|rejected| Failure::usage(format!("invalid --filter until={value}: {rejected}")))
}

/// `reference=PATTERN`: `*` and `?` within one part of the familiar name or of the name with tag.
fn matches(pattern: &str, name: &ImageRef) -> bool {
    [
        name.familiar(),
        name.familiar_name(),
        name.to_string(),
        name.name(),
    ]
    .iter()
    .any(|text| glob(pattern.as_bytes(), text.as_bytes()))
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            glob(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(first, left)| *first != b'/' && glob(pattern, left))
        }
        (Some((b'?', rest)), Some((first, left))) => *first != b'/' && glob(rest, left),
        (Some((wanted, rest)), Some((first, left))) => wanted == first && glob(rest, left),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_fit_by_pattern() {
        let name: ImageRef = "quay.io/a/busybox:1.36".parse().unwrap();
        for pattern in ["quay.io/a/busybox", "quay.io/*/busy*", "*/*/busybox:1.3?"] {
            assert!(matches(pattern, &name), "{pattern}");
        }
        let name: ImageRef = "busybox:1.36".parse().unwrap();
        for pattern in ["busybox", "busy*", "*:1.36", "docker.io/library/busybox:*"] {
            assert!(matches(pattern, &name), "{pattern}");
        }
        for pattern in ["box", "*/busybox", "busybox:2*", ""] {
            assert!(!matches(pattern, &name), "{pattern}");
        }
    }

    #[test]
    fn what_is_unknown_is_named() {
        let pair = |key: &str, value: &str| [(key.to_owned(), value.to_owned())];
        let error = ImageFilters::for_prune(&pair("labl", "x")).unwrap_err();
        insta::assert_snapshot!(error.message, @"invalid --filter labl=x: no filter is called labl; did you mean label?");
        assert!(ImageFilters::for_prune(&pair("dangling", "maybe")).is_err());
        assert!(ImageFilters::for_prune(&pair("until", "whenever")).is_err());
    }

    #[test]
    fn of_several_times_the_earliest_holds() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let at = Timestamp::from_nanos(1_000);
        for pairs in [
            [pair("until", "1970-01-01"), pair("before", "some")],
            [pair("before", "some"), pair("until", "1970-01-01")],
        ] {
            let filters = ImageFilters::for_listing(&pairs, |_| Ok(at)).unwrap();
            assert_eq!(filters.before, Some(Timestamp::from_nanos(0)));
        }
        let error = ImageFilters::for_listing(&[pair("untl", "1h")], |_| Ok(at)).unwrap_err();
        insta::assert_snapshot!(error.message, @"invalid --filter untl=1h: no filter is called untl; did you mean until?");
    }
}
