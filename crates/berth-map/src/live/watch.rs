//! The thread that reads the host.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use berth_base::escape_untrusted;
use rustix::time::{ClockId, clock_gettime};

use super::pace::{Pace, Want};
use super::reconcile::Reconciler;
use super::subscription::{Audience, Call};
use super::{BootTime, Event, Frame, Health, Update, WatchOptions};
use crate::discover::events::EventReader;
use crate::discover::{DiscoverError, Sources};
use crate::model::{Diff, World};

/// Reads a host: events as they come, frames as often as they may.
pub(super) struct Watcher {
    sources: Sources,
    options: WatchOptions,
    events: EventReader,
    reconciler: Reconciler,
    health: Health,
    pace: Pace,
    latest: Arc<Frame>,
    /// Whether somebody listened when the latest frame was taken, and ever since.
    is_followed: bool,
}

impl Watcher {
    /// Opens a source of events, and takes the first frame.
    pub(super) fn begin(
        sources: Sources,
        options: WatchOptions,
        audience: &Audience,
    ) -> Result<Self, DiscoverError> {
        let (events, notes) = EventReader::open(&sources);
        let health = Health {
            events: events.source(),
            lost: 0,
            notes,
        };
        let (at, wall, start) = (now(), SystemTime::now(), processor_time());
        let world = World::discover_with(&sources, &options.wanted)?;
        let latest = Arc::new(Frame {
            number: 1,
            at,
            wall,
            world: Arc::new(world),
            health: health.clone(),
        });
        audience.publish(&Update::Frame(Arc::clone(&latest)));
        let cost = processor_time().saturating_sub(start);
        Ok(Self {
            pace: Pace::new(options.clone(), health.events, Instant::now(), cost),
            sources,
            options,
            events,
            reconciler: Reconciler::default(),
            health,
            latest,
            is_followed: true,
        })
    }

    /// Reads and publishes until the audience is dismissed, or the host cannot be read any more.
    pub(super) fn run(mut self, audience: &Audience) {
        loop {
            self.events.wait(self.patience(audience), audience.bell());
            match audience.called() {
                Call::Dismissed => return,
                Call::Subscribed => self.pace.hurry(),
                Call::None => {}
            }
            let news = self.drain();
            if audience.is_empty() {
                self.is_followed = false;
                continue;
            }
            self.tell(audience, news);
            if self.due().is_zero()
                && let Err(error) = self.take_frame(audience)
            {
                let why = escape_untrusted(&error.to_string()).into_owned();
                audience.publish(&Update::End(Some(why)));
                return;
            }
        }
    }

    /// How long nothing needs to be done.
    fn patience(&self, audience: &Audience) -> Duration {
        let due = match audience.is_empty() {
            true => Duration::from_secs(60),
            false => self.due(),
        };
        match audience.bell() {
            Some(_) => due,
            // Nobody can wake us: look now and then.
            None => due.min(Duration::from_millis(100)),
        }
    }

    /// How long until the next frame is due.
    fn due(&self) -> Duration {
        let time = Instant::now();
        let idle = self.pace.due_in(time, Want::Idle);
        match self.reconciler.wanted(now()) {
            Some((want, earliest)) => idle.min(self.pace.due_in(time, want).max(earliest)),
            None => idle,
        }
    }

    /// What happened since the last call.
    fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let lost = self.events.drain(&mut events);
        if lost > 0 {
            self.health.lost = self.health.lost.saturating_add(lost);
            self.pace.hurry();
        }
        events
    }

    fn tell(&mut self, audience: &Audience, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        self.reconciler.hear(&events, &self.latest.world);
        audience.publish(&Update::Events(events.into()));
    }

    /// Takes a frame and publishes, in this order, what happened before it and what no event told
    /// of, the frame, and what happened since.
    fn take_frame(&mut self, audience: &Audience) -> Result<(), DiscoverError> {
        let (at, wall, start) = (now(), SystemTime::now(), processor_time());
        let old = Arc::clone(&self.latest.world);
        let mut world = World::discover_with(&self.sources, &self.options.wanted)?;
        world.share_cgroups_with(&old);
        let diff = Diff::between(&old, &world);
        let world = match diff.is_empty() {
            true => Arc::clone(&old),
            false => Arc::new(world),
        };
        let (earlier, later) = self.drain().into_iter().partition(|event| event.at <= at);
        let mut earlier: Vec<Event> = earlier;
        let later: Vec<Event> = later;
        self.reconciler.hear(&earlier, &world);
        self.reconciler.hear(&later, &world);
        if self.is_followed {
            let frames = (old.as_ref(), world.as_ref(), &diff);
            let missing = self.reconciler.missing(self.health.events, frames, at);
            earlier.extend(missing);
            earlier.sort_by_key(|event| event.at);
        } else {
            // Nobody knows the frame before.
            self.reconciler.reset();
            self.is_followed = true;
        }
        self.latest = Arc::new(Frame {
            number: self.latest.number + 1,
            at,
            wall,
            world,
            health: self.health.clone(),
        });
        let cost = processor_time().saturating_sub(start);
        self.pace.taken(Instant::now(), cost);
        if !earlier.is_empty() {
            audience.publish(&Update::Events(earlier.into()));
        }
        audience.publish(&Update::Frame(Arc::clone(&self.latest)));
        if !later.is_empty() {
            self.reconciler.hear(&later, &self.latest.world);
            audience.publish(&Update::Events(later.into()));
        }
        Ok(())
    }
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(nanos).unwrap_or(0)
}

/// Now, on the clock of events.
fn now() -> BootTime {
    BootTime(nanos(ClockId::Boottime))
}

/// What this thread has cost so far. Who waits for a processor costs nothing.
fn processor_time() -> Duration {
    Duration::from_nanos(nanos(ClockId::ThreadCPUTime))
}
