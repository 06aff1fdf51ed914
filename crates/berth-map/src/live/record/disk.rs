//! What blocks hold, encoded by postcard. Pure.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_base::escape_untrusted;
use serde::{Deserialize, Serialize};

use crate::live::{BootTime, Event, Frame, Health};
use crate::model::{StoredDiff, StoredWorld, World};

/// A frame without its snapshot.
#[derive(Debug, Serialize, Deserialize)]
struct Shell {
    number: u64,
    at: BootTime,
    /// Nanoseconds since 1970.
    wall: u64,
    health: Health,
}

#[derive(Debug, Serialize, Deserialize)]
struct Whole {
    shell: Shell,
    world: StoredWorld,
}

#[derive(Debug, Serialize, Deserialize)]
struct Changed {
    shell: Shell,
    /// `None`: nothing is different.
    diff: Option<StoredDiff>,
}

/// What cannot be read; the text says why.
pub(super) type Invalid = &'static str;

const GARBLED: Invalid = "it says what no recorder writes";

/// A frame that needs no other.
pub(super) fn encode_whole(frame: &Frame, lost: u64) -> Vec<u8> {
    encode(&Whole {
        shell: Shell::of(frame, lost),
        world: frame.world.store(),
    })
}

/// A frame, as what is different from another.
pub(super) fn encode_changed(before: &World, frame: &Frame, lost: u64) -> Vec<u8> {
    let is_same = std::ptr::eq(before, Arc::as_ptr(&frame.world));
    encode(&Changed {
        shell: Shell::of(frame, lost),
        diff: (!is_same).then(|| before.store_diff(&frame.world)),
    })
}

/// Events.
pub(super) fn encode_events(events: &[Event]) -> Vec<u8> {
    encode(events)
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Into a vector nothing fails but types of unknown length, and there are none.
    postcard::to_stdvec(value).unwrap_or_default()
}

pub(super) fn decode_whole(bytes: &[u8]) -> Result<Frame, Invalid> {
    let Whole { shell, world } = decode(bytes)?;
    Ok(shell.frame(Arc::new(world.restore()?)))
}

pub(super) fn decode_changed(bytes: &[u8], before: &Arc<World>) -> Result<Frame, Invalid> {
    let Changed { shell, diff } = decode(bytes)?;
    let world = match diff {
        Some(diff) => Arc::new(diff.restore(before)?),
        None => Arc::clone(before),
    };
    Ok(shell.frame(world))
}

pub(super) fn decode_events(bytes: &[u8]) -> Result<Arc<[Event]>, Invalid> {
    let events: Vec<Event> = decode(bytes)?;
    Ok(events.into())
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Invalid> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(GARBLED),
    }
}

impl Shell {
    fn of(frame: &Frame, lost: u64) -> Self {
        let wall = frame.wall.duration_since(SystemTime::UNIX_EPOCH);
        let nanos = wall.map_or(0, |since| since.as_nanos());
        Self {
            number: frame.number,
            at: frame.at,
            wall: u64::try_from(nanos).unwrap_or(u64::MAX),
            health: Health {
                lost: frame.health.lost.saturating_add(lost),
                ..frame.health.clone()
            },
        }
    }

    fn frame(mut self, world: Arc<World>) -> Frame {
        for note in &mut self.health.notes {
            // Nobody else escapes them.
            *note = escape_untrusted(note).into_owned();
        }
        let since = Duration::from_nanos(self.wall);
        Frame {
            number: self.number,
            at: self.at,
            wall: SystemTime::UNIX_EPOCH
                .checked_add(since)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            world,
            health: self.health,
        }
    }
}
