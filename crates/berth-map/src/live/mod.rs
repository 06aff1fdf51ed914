//! A host watched: snapshots, what happened between them, and who wants to know.
//!
//! A [`Feed`] has a thread of its own that reads the host ([`Feed::watch`]). Views subscribe to it
//! and get [`Update`]s: events within milliseconds, and whole [`Frame`]s as often as their cost
//! allows. Snapshots are the truth and repair whatever events missed. A subscription is bounded: a
//! view that does not read loses events, which are counted, and never slows the feed.

mod bell;
mod event;
mod feed;
mod frame;
mod history;
mod pace;
mod play;
mod reconcile;
mod record;
mod subscription;
mod watch;

pub use event::{BootTime, Event, EventKind, Exit, Joined};
pub use feed::{Feed, WatchOptions};
pub use frame::{EventSource, Frame, Health, Update};
pub use history::{Density, History, Life};
pub use play::{Player, ReplayOptions};
pub use record::{RecordError, Recorder, Recording, ReplayError};
pub use subscription::Subscription;
