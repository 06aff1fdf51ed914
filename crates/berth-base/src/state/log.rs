//! What a monitor is to do with output, and what it says of output that it could not keep.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where output goes besides attached clients.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// JSON, an object a line, as Docker's driver of that name writes it.
    #[default]
    JsonFile,
    /// Frames of Berth's own, which keep every byte; older parts are compressed.
    Local,
    /// The journal of systemd.
    Journald,
    /// Nowhere.
    None,
}

impl LogDriver {
    /// Every driver.
    pub const ALL: [Self; 4] = [Self::JsonFile, Self::Local, Self::Journald, Self::None];

    /// The name, as in `--log-driver`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::Journald => "journald",
            Self::None => "none",
        }
    }

    /// The driver of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|driver| driver.as_str() == name)
    }

    /// The name of its newest file in the container's persistent folder; `None` for one that
    /// writes none.
    pub const fn file_name(self) -> Option<&'static str> {
        match self {
            Self::JsonFile => Some("log.json"),
            Self::Local => Some("log.local"),
            Self::Journald | Self::None => None,
        }
    }
}

/// Where and how output is logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// The newest file; for the journal its socket.
    pub path: PathBuf,
    /// What is written there.
    #[serde(default)]
    pub driver: LogDriver,
    /// A file that would grow beyond this is turned; 0 for never.
    #[serde(default)]
    pub max_bytes: u64,
    /// How many files there may be, the newest among them; 0 is taken for 1.
    #[serde(default)]
    pub max_files: u32,
    /// What compresses turned files; nothing where they stay as they are.
    #[serde(default)]
    pub pack: Vec<String>,
    /// For a journal that is not read: how much waits for it before records are lost; 0 makes the
    /// container wait instead.
    #[serde(default)]
    pub buffer_bytes: u64,
    /// What goes with each record: `attrs` of json-file, fields of the journal.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// The name of [`LostFile`] in the volatile folder.
pub const LOST_FILE: &str = "log.lost";

/// `log.lost`: what a run's log could not keep. Overwritten in place by one small write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostFile {
    /// The run.
    pub run: u32,
    /// Records, all of the run's.
    pub records: u64,
    /// Why, the last time.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_dockers() {
        for driver in LogDriver::ALL {
            assert_eq!(LogDriver::from_name(driver.as_str()), Some(driver));
            let json = serde_json::to_value(driver).unwrap();
            assert_eq!(json, driver.as_str());
        }
        assert_eq!(LogDriver::from_name("syslog"), None);
    }

    #[test]
    fn a_configuration_of_the_version_before_is_read() {
        let old: LogConfig = serde_json::from_str("{\"path\":\"/x/log.json\"}").unwrap();
        assert_eq!(old.driver, LogDriver::JsonFile);
        assert_eq!((old.max_bytes, old.max_files), (0, 0));
    }
}
