//! The thread that reads the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use super::subscription::Audience;
use super::{BootTime, Frame, Health, Subscription, Update};
use crate::discover::{DiscoverError, Sources};
use crate::model::{Wanted, World};

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

/// A host that is watched. Dropping it ends the watch.
pub struct Feed {
    audience: Arc<Audience>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Watches a host. The first frame is taken before this returns.
    pub fn watch(sources: Sources, options: WatchOptions) -> Result<Self, DiscoverError> {
        let audience = Arc::new(Audience::default());
        let is_over = Arc::new(AtomicBool::new(false));
        let mut reader = Reader {
            sources,
            options,
            number: 0,
        };
        audience.publish(&Update::Frame(reader.frame()?));
        let thread = {
            let (audience, is_over) = (Arc::clone(&audience), Arc::clone(&is_over));
            std::thread::spawn(move || reader.run(&audience, &is_over))
        };
        Ok(Self {
            audience,
            is_over,
            thread: Some(thread),
        })
    }

    /// A new view, for which the latest frame waits already.
    pub fn subscribe(&self) -> Subscription {
        self.audience.subscribe()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in there has been printed; there is nothing to add.
            drop(thread.join());
        }
    }
}

struct Reader {
    sources: Sources,
    options: WatchOptions,
    number: u64,
}

impl Reader {
    fn frame(&mut self) -> Result<Arc<Frame>, DiscoverError> {
        let world = World::discover_with(&self.sources, &self.options.wanted)?;
        self.number += 1;
        Ok(Arc::new(Frame {
            number: self.number,
            at: now(),
            wall: SystemTime::now(),
            world: Arc::new(world),
            health: Health::default(),
        }))
    }

    fn run(mut self, audience: &Audience, is_over: &AtomicBool) {
        let mut pause = self.options.pace;
        loop {
            std::thread::park_timeout(pause);
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            if audience.is_empty() {
                continue;
            }
            let start = Instant::now();
            match self.frame() {
                Ok(frame) => audience.publish(&Update::Frame(frame)),
                Err(error) => {
                    audience.publish(&Update::End(Some(error.to_string())));
                    return;
                }
            }
            let cost = start.elapsed();
            pause = self
                .options
                .pace
                .max(cost.div_f64(self.options.share.max(0.001)));
        }
    }
}

/// Now, on the clock of events.
fn now() -> BootTime {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    BootTime(u64::try_from(nanos).unwrap_or(0))
}
