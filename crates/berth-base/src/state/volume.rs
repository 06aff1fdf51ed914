//! `volumes/NAME/volume.json`: a volume, beside the folder `_data` that holds its files.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ContainerId, Timestamp};

/// The label of a volume that was given no name, as Docker has it.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// The record of a volume, written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeFile {
    /// [`super::STATE_VERSION`].
    pub version: u32,
    /// Its name.
    pub name: VolumeName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who keeps its files: `local` is the only driver.
    pub driver: String,
    /// Labels; [`ANONYMOUS_LABEL`] marks one without a name of its own.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// `--opt`: nothing for a folder of ours, `type`, `device` and `o` for something else.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl VolumeFile {
    /// Whether it was given no name.
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS_LABEL)
    }
}

/// A volume's name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 200 characters: it names a folder, and the
/// hidden ones that it is made and removed under are a little longer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeName(String);

/// A text is not a volume name.
#[derive(Debug, thiserror::Error)]
#[error(
    "invalid volume name {0:?}: only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed, at most 200 characters; begin the path of a folder with / or ./"
)]
pub struct InvalidVolumeName(pub String);

impl VolumeName {
    /// The name of an anonymous volume: 64 hex digits, as a fresh id has them.
    pub fn from_id(id: &ContainerId) -> Self {
        Self(id.as_str().to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeName {
    type Err = InvalidVolumeName;

    fn from_str(text: &str) -> Result<Self, InvalidVolumeName> {
        let mut bytes = text.bytes();
        let starts_well = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let goes_on = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if starts_well && goes_on && text.len() <= 200 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidVolumeName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for VolumeName {
    type Error = InvalidVolumeName;

    fn try_from(text: String) -> Result<Self, InvalidVolumeName> {
        text.parse()
    }
}

impl From<VolumeName> for String {
    fn from(name: VolumeName) -> Self {
        name.0
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "web-1", "A.b_c", "0", &"x".repeat(200)] {
            assert!(good.parse::<VolumeName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            ".",
            "..",
            "_a",
            "a/b",
            "a b",
            "ä",
            "a\n",
            &"x".repeat(201),
        ] {
            assert!(bad.parse::<VolumeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_from_disk_is_checked_too() {
        assert!(serde_json::from_str::<VolumeName>(r#""../x""#).is_err());
    }
}
