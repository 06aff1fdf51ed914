//! What views get. Pure.

use std::sync::Arc;
use std::time::SystemTime;

use super::{BootTime, Event};
use crate::discover::events::COST;
use crate::model::World;

use serde::{Deserialize, Serialize};

/// A snapshot, and when and how it was taken.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Rises with each frame. Where it falls, another stretch of time begins: a recording was
    /// sought.
    pub number: u64,
    /// When it was taken.
    pub at: BootTime,
    /// The same by the wall clock.
    pub wall: SystemTime,
    /// The snapshot.
    pub world: Arc<World>,
    /// How well the host can be watched.
    pub health: Health,
}

/// How well the host can be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Where events come from.
    pub events: EventSource,
    /// Events that the kernel had no room for since the feed began.
    pub lost: u64,
    /// What does not work, and what works in its place, and what watching costs others; one line
    /// each, escaped. [`Self::faults`] and [`Self::costs`] tell them apart.
    pub notes: Vec<String>,
}

impl Health {
    /// What does not work, and what works in its place.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        let notes = self.notes.iter().map(String::as_str);
        notes.filter(|note| !note.starts_with(COST))
    }

    /// What watching costs others, though all of it works.
    pub fn costs(&self) -> impl Iterator<Item = &str> {
        let notes = self.notes.iter();
        notes.filter_map(|note| note.strip_prefix(COST))
    }
}

/// Where events come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventSource {
    /// BPF programs and a ring buffer.
    Bpf,
    /// The process connector (cn_proc): fork, exec and exit alone.
    Connector,
    /// Nowhere: what happened is what two snapshots differ in.
    #[default]
    Snapshots,
}

/// What a subscription hands out, in order of time but for this: what happens while a frame is read
/// is told before that frame, which may have it or not. [`super::History`] goes by the times.
#[derive(Clone, Debug)]
pub enum Update {
    /// Everything, anew.
    Frame(Arc<Frame>),
    /// What happened since the last update.
    Events(Arc<[Event]>),
    /// There will be nothing more: why, in one line, escaped. The end of a recording that is as it
    /// should be has no reason; after a [`super::Player::jump`] more comes all the same.
    End(Option<String>),
}
