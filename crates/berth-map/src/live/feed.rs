//! What views subscribe to.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Subscription;
use super::subscription::Audience;
use super::watch::Watcher;
use crate::discover::{DiscoverError, Sources};
use crate::model::Wanted;

/// How a host is watched.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Which details frames hold.
    pub wanted: Wanted,
    /// The least time between two frames.
    pub pace: Duration,
    /// Frames may take this part of one processor at most: their distance grows with their cost.
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
        Ok(Self::run(audience, |audience| watcher.run(audience)))
    }

    /// Publishes from a thread of its own.
    pub(super) fn run(
        audience: Arc<Audience>,
        work: impl FnOnce(&Audience) + Send + 'static,
    ) -> Self {
        let shared = Arc::clone(&audience);
        let thread = std::thread::spawn(move || work(&shared));
        Self {
            audience,
            thread: Some(thread),
        }
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
