//! What views subscribe to.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::play::Play;
use super::record::Reader;
use super::subscription::Audience;
use super::watch::Watcher;
use super::{Player, ReplayError, ReplayOptions, Subscription};
use crate::discover::{DiscoverError, Sources};
use crate::model::Wanted;

/// How a host is watched.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Which details frames hold.
    pub wanted: Wanted,
    /// The least time between two frames.
    pub pace: Duration,
    /// Frames may take this part of one processor: their distance grows with their cost, up to
    /// five seconds while something is different, beyond which they take a tenth at most.
    pub share: f64,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            wanted: Wanted::default(),
            pace: Duration::from_millis(100),
            share: 0.01,
        }
    }
}

/// A host that is watched, or a recording that is played. Dropping it ends that.
pub struct Feed {
    audience: Arc<Audience>,
    thread: Option<JoinHandle<()>>,
    player: Option<Player>,
}

impl Feed {
    /// Watches a host. The first frame is taken before this returns.
    ///
    /// Events are published within 20 ms or so, frames as often as their cost allows, and every
    /// three seconds where nothing happens. A frame in which nothing is different is published
    /// all the same, since time went on: it shares its [`crate::World`] with the one before
    /// ([`Arc::ptr_eq`]). While nobody is subscribed no frame is taken.
    pub fn watch(sources: Sources, options: WatchOptions) -> Result<Self, DiscoverError> {
        let audience = Arc::new(Audience::default());
        let watcher = Watcher::begin(sources, options, &audience)?;
        let shared = Arc::clone(&audience);
        let thread = std::thread::spawn(move || watcher.run(&shared));
        Ok(Self {
            audience,
            thread: Some(thread),
            player: None,
        })
    }

    /// Plays a recording, which [`super::Recorder`] made.
    ///
    /// The clock stands while nobody is subscribed. At the end of the recording comes
    /// [`super::Update::End`], with a line where it was cut off or damaged; what is whole until
    /// there is played. After a jump ([`Player::jump`]) it goes on.
    pub fn replay(path: impl AsRef<Path>, options: ReplayOptions) -> Result<Self, ReplayError> {
        let reader = Reader::open(path.as_ref())?;
        let audience = Arc::new(Audience::default());
        let player = Player::new(Arc::clone(&audience), &options, reader.span());
        let play = Play::begin(reader, player.clone());
        let thread = std::thread::spawn(move || play.run());
        Ok(Self {
            audience,
            thread: Some(thread),
            player: Some(player),
        })
    }

    /// The controls of a recording; `None` where a host is watched.
    pub fn player(&self) -> Option<&Player> {
        self.player.as_ref()
    }

    /// A new view, for which the latest frame waits already.
    pub fn subscribe(&self) -> Subscription {
        self.audience.subscribe()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.audience.dismiss();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nothing to add.
            drop(thread.join());
        }
    }
}
