//! `[events]` of the configuration file: how much the journal may be.

use berth_engine::EventLimits;
use serde::Deserialize;

use crate::cli::image::Amount;

/// Less than this is no journal.
const LEAST_BYTES: u64 = 64 << 10;

/// What a file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct EventsSection {
    max_size: Option<Size>,
    max_files: Option<Files>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Amount")]
struct Size(u64);

impl TryFrom<Amount> for Size {
    type Error = String;

    fn try_from(amount: Amount) -> Result<Self, String> {
        match amount.value() {
            value @ LEAST_BYTES.. => Ok(Self(value)),
            _ => Err("a file of events has at least 64k".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
struct Files(u32);

impl TryFrom<u32> for Files {
    type Error = String;

    fn try_from(files: u32) -> Result<Self, String> {
        match files {
            2..=100 => Ok(Self(files)),
            _ => Err("give 2 to 100 files of events".to_owned()),
        }
    }
}

impl EventsSection {
    /// These settings, completed by those of `other`.
    pub(in crate::cli) fn over(self, other: Self) -> Self {
        Self {
            max_size: self.max_size.or(other.max_size),
            max_files: self.max_files.or(other.max_files),
        }
    }

    /// The limits in force.
    pub(in crate::cli) fn limits(&self) -> EventLimits {
        let usual = EventLimits::default();
        EventLimits {
            file_bytes: self.max_size.map_or(usual.file_bytes, |Size(bytes)| bytes),
            files: self.max_files.map_or(usual.files, |Files(files)| files),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let section = |text: &str| toml::from_str::<EventsSection>(text);
        let both = section("max-size = \"1m\"")
            .unwrap()
            .over(section("max-size = 70000\nmax-files = 5").unwrap());
        assert_eq!(
            both.limits(),
            EventLimits {
                file_bytes: 1 << 20,
                files: 5
            }
        );
        for bad in ["max-size = \"1k\"", "max-files = 1", "max-file = 3"] {
            assert!(section(bad).is_err(), "{bad}");
        }
    }
}
