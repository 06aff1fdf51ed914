//! `--filter` of `volume ls` and `volume prune`.
//!
//! Values of one key are alternatives, save labels, which must all fit; keys must all fit.

use std::collections::BTreeMap;

use berth_base::state::VolumeFile;

use crate::cli::failure::Failure;
use crate::cli::parse::nearest::{SWITCH, none_of, unknown};
use crate::cli::parse::pattern::names;

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
            if matches!(key.as_str(), "dangling" | "all") && boolean(value).is_none() {
                return Err(refuse(none_of(value, &SWITCH)));
            }
            filters
                .0
                .entry(key.clone())
                .or_default()
                .push(value.clone());
        }
        Ok(filters)
    }

    /// Whether a switch is on; the last one wins.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        boolean(self.0.get(key)?.last()?)
    }

    /// Whether a volume fits; `used` says whether a container has it.
    pub(super) fn accept(&self, file: &VolumeFile, used: bool) -> bool {
        self.0.iter().all(|(key, values)| match key.as_str() {
            "label" => values.iter().all(|value| has_label(file, value)),
            "label!" => !values.iter().any(|value| has_label(file, value)),
            "name" => values.iter().any(|value| names(value, file.name.as_str())),
            "driver" => values.contains(&file.driver),
            "dangling" => self.switch(key) == Some(!used),
            _ => true,
        })
    }
}

fn has_label(file: &VolumeFile, text: &str) -> bool {
    let (key, wanted) = match text.split_once('=') {
        Some((key, wanted)) => (key, Some(wanted)),
        None => (text, None),
    };
    let found = file.labels.get(key);
    found.is_some_and(|found| wanted.is_none_or(|wanted| wanted == found))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use berth_base::Timestamp;

    use super::*;

    fn file() -> VolumeFile {
        VolumeFile {
            version: 1,
            name: "web-data".parse().unwrap(),
            created_at: Timestamp::from_nanos(0),
            driver: "local".into(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            options: BTreeMap::new(),
        }
    }

    #[test]
    fn keys_must_all_fit_and_values_be_one_of() {
        let fits = |pairs: &[(&str, &str)], used| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            let known = ["dangling", "driver", "label", "label!", "name"];
            Filters::new(&pairs, &known).unwrap().accept(&file(), used)
        };
        assert!(fits(&[], true));
        assert!(fits(&[("name", "data"), ("name", "x")], true));
        assert!(fits(&[("name", "^web-[a-z]+$")], true));
        assert!(!fits(&[("name", "^data")], true));
        assert!(fits(
            &[("label", "a"), ("label", "a=b"), ("driver", "local")],
            true
        ));
        assert!(!fits(&[("label", "a"), ("label", "c")], true));
        assert!(!fits(&[("label!", "a=b")], true));
        assert!(fits(&[("label!", "a=c")], true));
        assert!(fits(&[("dangling", "true")], false));
        assert!(!fits(&[("dangling", "1")], true));
        assert!(fits(&[("dangling", "false")], true));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let line = |key: &str, value: &str| {
            let pairs = [(key.to_owned(), value.to_owned())];
            let known = ["dangling", "driver", "label", "name"];
            Filters::new(&pairs, &known).unwrap_err().message
        };
        insta::assert_snapshot!(line("danglng", "true"), @"invalid --filter danglng=true: no filter is called danglng; did you mean dangling?");
        insta::assert_snapshot!(line("dangling", "maybe"), @"invalid --filter dangling=maybe: give true or false");
        insta::assert_snapshot!(line("dangling", "flase"), @"invalid --filter dangling=flase: give true or false; did you mean false?");
        insta::assert_snapshot!(line("size", "1"), @"invalid --filter size=1: no filter is called size; there are dangling, driver, label, name");
    }
}
