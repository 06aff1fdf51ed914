//! A line of the journal of events, `ROOT/events/journal.jsonl`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The version of a line that this build writes.
pub const EVENT_VERSION: u32 = 1;

/// Something that happened to an object. Its version stands first in the line, so that a reader finds
/// the beginning of a line behind one that was torn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// [`EVENT_VERSION`].
    #[serde(rename = "v")]
    pub version: u32,
    /// When, in nanoseconds since the epoch.
    #[serde(rename = "time")]
    pub time_nanos: u64,
    /// What kind of object.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// What happened, in Docker's words: `start`, `exec_start: sh`.
    pub action: String,
    /// The object: the id of a container or network, the name of a volume, the id or name of an image.
    pub id: String,
    /// Which run of a container, from 1, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// Labels, and what belongs to the action.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl EventRecord {
    /// An event without attributes that happened at the epoch, until it is written.
    pub fn new(kind: EventKind, action: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            version: EVENT_VERSION,
            time_nanos: 0,
            kind,
            action: action.into(),
            id: id.into(),
            run: None,
            attributes: BTreeMap::new(),
        }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    /// The same object, another action.
    #[must_use]
    pub fn acting(&self, action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            ..self.clone()
        }
    }

    /// Says when it happened.
    #[must_use]
    pub const fn at(mut self, time: Timestamp) -> Self {
        self.time_nanos = time.as_nanos();
        self
    }

    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        Timestamp::from_nanos(self.time_nanos)
    }
}

/// The kinds of objects that events are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A container, by id.
    Container,
    /// An image, by id or name.
    Image,
    /// A network, by id.
    Network,
    /// A volume, by name.
    Volume,
}

impl EventKind {
    /// The kind as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

/// What a monitor needs in order to write events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorEvents {
    /// The journal.
    pub journal: PathBuf,
    /// The container, for the events that the monitor sees.
    pub container: EventRecord,
    /// Written before its own start: networks and volumes that it has.
    #[serde(default)]
    pub at_start: Vec<EventRecord>,
    /// Written after its end.
    #[serde(default)]
    pub at_end: Vec<EventRecord>,
}
