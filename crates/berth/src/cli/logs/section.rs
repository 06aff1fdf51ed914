//! `[log]` of the configuration file: how containers log unless they say so themselves.

use std::collections::BTreeMap;

use berth_base::state::LogDriver;
use berth_engine::LogChoice;
use serde::Deserialize;

use crate::cli::parse::log::{log_driver, option_name};

/// What a file sets, as in Docker's daemon.json: `driver = "local"` and
/// `options = { max-size = "5m" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct LogSection {
    driver: Option<Driver>,
    #[serde(default)]
    options: Options,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Driver(LogDriver);

impl TryFrom<String> for Driver {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let refused = |why| format!("there is no log driver {name:?}; {why}");
        log_driver(&name).map(Self).map_err(|e| refused(e.0))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
struct Options(BTreeMap<String, String>);

impl TryFrom<BTreeMap<String, String>> for Options {
    type Error = String;

    fn try_from(options: BTreeMap<String, String>) -> Result<Self, String> {
        for name in options.keys() {
            option_name(name).map_err(|rejected| rejected.0)?;
        }
        Ok(Self(options))
    }
}

impl LogSection {
    /// These settings, completed by those of `other`: its options are for its own driver.
    pub(in crate::cli) fn over(self, other: Self) -> Self {
        let both = self.choice().over(&other.choice());
        let is_set = self.driver.is_some() || other.driver.is_some();
        Self {
            driver: both.driver.filter(|_| is_set).map(Driver),
            options: Options(both.options),
        }
    }

    /// The settings, unchecked: whoever makes a container with them hears what is wrong.
    pub(in crate::cli) fn choice(&self) -> LogChoice {
        LogChoice {
            driver: self.driver.map(|driver| driver.0),
            options: self.options.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Result<LogSection, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn the_users_settings_win_one_by_one() {
        let user = section("options = { max-file = \"5\" }").unwrap();
        let system = section("options = { max-size = \"1m\", max-file = \"2\" }").unwrap();
        let settings = user.clone().over(system).choice().settings().unwrap();
        assert_eq!((settings.max_bytes, settings.max_files), (1 << 20, 5));
        let local = section("driver = \"local\"").unwrap();
        let choice = local.over(user).choice();
        assert_eq!(choice.driver, Some(LogDriver::Local));
        assert!(choice.options.is_empty());
        let none = LogSection::default().over(LogSection::default());
        assert_eq!(none, LogSection::default());
    }

    #[test]
    fn mistakes_are_named() {
        let driver = section("driver = \"journal\"").unwrap_err();
        assert!(driver.contains("did you mean journald?"), "{driver}");
        let option = section("options = { max-files = \"3\" }").unwrap_err();
        assert!(option.contains("did you mean max-file?"), "{option}");
        assert!(section("drivr = \"local\"").unwrap_err().contains("drivr"));
    }
}
