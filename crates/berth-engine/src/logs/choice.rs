//! What a user may ask of a log, as Docker's flags mean it.

use std::collections::BTreeMap;

use berth_base::ErrorClass;
use berth_base::state::LogDriver;
use serde::{Deserialize, Serialize};

use super::fields;
use crate::EngineError;

/// Every option of `--log-opt`.
pub const LOG_OPTIONS: [&str; 8] = [
    "max-size",
    "max-file",
    "compress",
    "mode",
    "max-buffer-size",
    "tag",
    "labels",
    "env",
];

const FILE_OPTIONS: &[&str] = &[
    "max-size",
    "max-file",
    "compress",
    "mode",
    "max-buffer-size",
];
const JOURNAL_OPTIONS: &[&str] = &["mode", "max-buffer-size", "tag", "labels", "env"];

/// How much a full buffer holds unless told: Docker's.
const BUFFER_BYTES: u64 = 1 << 20;

/// `--log-driver` and `--log-opt`, or what a configuration file sets in their place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChoice {
    /// The driver; the configured one where absent, which is json-file unless it is set.
    #[serde(default)]
    pub driver: Option<LogDriver>,
    /// Options by their names.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// What a choice comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The driver.
    pub driver: LogDriver,
    /// A file that would grow beyond this is turned; 0 for never.
    pub max_bytes: u64,
    /// How many files.
    pub max_files: u32,
    /// Turned files are compressed.
    pub compress: bool,
    /// `mode=non-blocking`: how much may wait.
    pub buffer_bytes: Option<u64>,
    /// Template of a word that goes with each record.
    pub tag: Option<String>,
    /// Labels that go with each record.
    pub labels: Vec<String>,
    /// Environment variables that go with each record.
    pub env: Vec<String>,
}

impl LogChoice {
    /// This choice completed by the configured one: as with Docker, options of the configuration are
    /// those of its own driver.
    #[must_use]
    pub fn over(&self, configured: &Self) -> Self {
        let configured_driver = configured.driver.unwrap_or_default();
        let driver = self.driver.unwrap_or(configured_driver);
        let mut options = match driver == configured_driver {
            true => configured.options.clone(),
            false => BTreeMap::new(),
        };
        options.extend(self.options.clone());
        Self {
            driver: Some(driver),
            options,
        }
    }

    /// Reads the options.
    ///
    /// # Errors
    /// One that the driver does not have, or with a value it cannot have.
    pub fn settings(&self) -> Result<LogSettings, EngineError> {
        let driver = self.driver.unwrap_or_default();
        self.check_names(driver)?;
        let is_local = driver == LogDriver::Local;
        let settings = LogSettings {
            driver,
            max_bytes: self.max_bytes(if is_local { 20 << 20 } else { 10 << 20 })?,
            max_files: self.max_files(if is_local { 5 } else { 3 })?,
            compress: self.flag("compress", is_local)?,
            buffer_bytes: self.buffer_bytes()?,
            tag: self
                .text("tag")
                .filter(|tag| !tag.is_empty())
                .map(str::to_owned),
            labels: self.list("labels"),
            env: self.list("env"),
        };
        let asked = self.text("compress").is_some();
        if settings.compress && asked && settings.max_files < 2 {
            let why = "only turned files are compressed; give max-file=2 or more";
            return Err(self.refuse("compress", why));
        }
        if let Some(tag) = &settings.tag {
            fields::check_tag(tag).map_err(|why| self.refuse("tag", &why))?;
        }
        Ok(settings)
    }

    fn check_names(&self, driver: LogDriver) -> Result<(), EngineError> {
        let known: &[&str] = match driver {
            LogDriver::JsonFile => &LOG_OPTIONS,
            LogDriver::Local => FILE_OPTIONS,
            LogDriver::Journald => JOURNAL_OPTIONS,
            LogDriver::None => &[],
        };
        match self
            .options
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => {
                let has = match known {
                    [] => "it has none".to_owned(),
                    names => format!("it has {}", names.join(", ")),
                };
                let text = format!("log driver {} has no option {name}; {has}", driver.as_str());
                Err(invalid(text).on(name.as_str()))
            }
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let names = self.text(name).unwrap_or_default().split(',');
        let names = names.map(str::trim).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    fn max_bytes(&self, usual: u64) -> Result<u64, EngineError> {
        match self.text("max-size") {
            None => Ok(usual),
            Some("-1") => Ok(0),
            Some(text) => size(text).filter(|bytes| *bytes > 0).ok_or_else(|| {
                self.refuse("max-size", "give a size such as 10m, or -1 for no limit")
            }),
        }
    }

    fn max_files(&self, usual: u32) -> Result<u32, EngineError> {
        match self.text("max-file") {
            None => Ok(usual),
            Some(text) => match text.parse() {
                Ok(files @ 1..=1000) => Ok(files),
                _ => Err(self.refuse("max-file", "give a number from 1 to 1000")),
            },
        }
    }

    fn flag(&self, name: &str, usual: bool) -> Result<bool, EngineError> {
        match self.text(name) {
            None => Ok(usual),
            Some("true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
            Some(_) => Err(self.refuse(name, "give true or false")),
        }
    }

    fn buffer_bytes(&self) -> Result<Option<u64>, EngineError> {
        let wanted = self.text("max-buffer-size");
        match self.text("mode") {
            None | Some("blocking") if wanted.is_some() => Err(self.refuse(
                "max-buffer-size",
                "only a log that is not waited for has a buffer; give mode=non-blocking as well",
            )),
            None | Some("blocking") => Ok(None),
            Some("non-blocking") => match wanted.map(size) {
                None => Ok(Some(BUFFER_BYTES)),
                Some(Some(bytes @ 1..)) => Ok(Some(bytes)),
                Some(_) => Err(self.refuse("max-buffer-size", "give a size such as 4m")),
            },
            Some(_) => Err(self.refuse("mode", "give blocking or non-blocking")),
        }
    }

    fn refuse(&self, name: &str, why: &str) -> EngineError {
        let value = self.text(name).unwrap_or_default();
        let text = format!("cannot use the log option {name}={value}: {why}");
        invalid(text).on(name)
    }
}

fn invalid(text: String) -> EngineError {
    EngineError::new(ErrorClass::Invalid, text).exit_code(125)
}

/// Reads `10m`, `1.5g`, `512k`, `1048576`: powers of 1024, in either case.
fn size(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match lower.get(number.len()..)? {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let bytes = whole.parse::<u64>().ok()?.checked_mul(1 << unit)?;
    let parts = fraction.parse::<u64>().unwrap_or(0);
    let divisor = 10u64.pow(u32::try_from(fraction.len()).ok()?);
    bytes.checked_add(u64::try_from(u128::from(parts) * (1 << unit) / u128::from(divisor)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(driver: LogDriver, options: &[(&str, &str)]) -> LogChoice {
        let options = options.iter();
        LogChoice {
            driver: Some(driver),
            options: options
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn defaults() {
        let usual = LogChoice::default().settings().unwrap();
        assert_eq!(usual.driver, LogDriver::JsonFile);
        assert_eq!((usual.max_bytes, usual.max_files), (10 << 20, 3));
        assert!(!usual.compress && usual.buffer_bytes.is_none());
        let local = choice(LogDriver::Local, &[]).settings().unwrap();
        assert_eq!((local.max_bytes, local.max_files), (20 << 20, 5));
        assert!(local.compress);
    }

    #[test]
    fn options_of_the_configuration_are_those_of_its_driver() {
        let configured = choice(
            LogDriver::JsonFile,
            &[("max-size", "1m"), ("max-file", "9")],
        );
        let own = LogChoice {
            driver: None,
            options: [("max-file".to_owned(), "2".to_owned())].into(),
        };
        let both = own.over(&configured).settings().unwrap();
        assert_eq!((both.max_bytes, both.max_files), (1 << 20, 2));
        let other = choice(LogDriver::Local, &[]).over(&configured);
        assert!(other.options.is_empty());
    }

    #[test]
    fn values() {
        for (name, value, bytes) in [
            ("max-size", "10m", 10 << 20),
            ("max-size", "1.5K", 1536),
            ("max-size", "77", 77),
            ("max-size", "-1", 0),
        ] {
            let settings = choice(LogDriver::JsonFile, &[(name, value)]).settings();
            assert_eq!(settings.unwrap().max_bytes, bytes, "{value}");
        }
        let buffered = [("mode", "non-blocking"), ("max-buffer-size", "4m")];
        let settings = choice(LogDriver::Journald, &buffered).settings().unwrap();
        assert_eq!(settings.buffer_bytes, Some(4 << 20));
    }

    #[test]
    fn nonsense_is_refused() {
        let refusal = |driver, options| choice(driver, options).settings().unwrap_err().message;
        assert_eq!(
            refusal(LogDriver::Local, &[("tag", "x")]),
            "log driver local has no option tag; it has max-size, max-file, compress, mode, max-buffer-size"
        );
        assert_eq!(
            refusal(LogDriver::None, &[("max-file", "2")]),
            "log driver none has no option max-file; it has none"
        );
        for options in [
            &[("max-size", "0")][..],
            &[("max-size", "10x")],
            &[("max-size", "")],
            &[("max-file", "0")],
            &[("max-file", "many")],
            &[("compress", "yes")],
            &[("compress", "true"), ("max-file", "1")],
            &[("mode", "fast")],
            &[("max-buffer-size", "1m")],
            &[("mode", "blocking"), ("max-buffer-size", "1m")],
            &[("mode", "non-blocking"), ("max-buffer-size", "0")],
            &[("tag", "{{.Nam}}")],
        ] {
            let said = refusal(LogDriver::JsonFile, options);
            assert!(said.starts_with("cannot use the log option "), "{said}");
        }
    }
}
