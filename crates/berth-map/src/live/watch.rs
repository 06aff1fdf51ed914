//! The thread that reads the host.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use berth_base::escape_untrusted;
use rustix::time::{ClockId, clock_gettime};

use super::bell::Bell;
use super::pace::{Pace, Want};
use super::reconcile::Reconciler;
use super::subscription::{Audience, Call};
use super::{BootTime, Event, Frame, Health, Update, WatchOptions};
use crate::discover::events::EventReader;
use crate::discover::{DiscoverError, Sources};
use crate::model::{Diff, World};

/// A host that could not be read for so long is not watched any more.
const GIVE_UP: Duration = Duration::from_secs(30);

/// What a frame that failed counts as: the next try comes in seconds.
const RETRY: Duration = Duration::from_millis(20);

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
    /// Since when no frame could be taken.
    failing_since: Option<Instant>,
    /// Rings when a snapshot was read. `None` where no descriptor is left.
    done: Option<Bell>,
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
            failing_since: None,
            done: Bell::new().ok(),
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
            if !self.due().is_zero() {
                continue;
            }
            match self.take_frame(audience) {
                Ok(()) => self.failing_since = None,
                Err(error) if self.is_hopeless() => {
                    let why = escape_untrusted(&error.to_string()).into_owned();
                    audience.publish(&Update::End(Some(why)));
                    return;
                }
                // Out of memory or descriptors for a moment.
                Err(_) => self.pace.taken(Instant::now(), RETRY),
            }
        }
    }

    /// Whether frames have failed for too long.
    fn is_hopeless(&mut self) -> bool {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        since.elapsed() >= GIVE_UP
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

    /// Takes a frame and publishes, in this order, what no event told of, the frame, and what
    /// happened since it was read.
    fn take_frame(&mut self, audience: &Audience) -> Result<(), DiscoverError> {
        let (at, wall, start) = (now(), SystemTime::now(), processor_time());
        let lost_before = self.health.lost;
        let (read, reading_cost, meanwhile) = self.read(audience);
        let mut world = read?;
        let old = Arc::clone(&self.latest.world);
        world.share_cgroups_with(&old);
        let diff = Diff::between(&old, &world);
        let world = match diff.is_empty() {
            true => Arc::clone(&old),
            false => Arc::new(world),
        };
        let later = self.drain();
        self.reconciler.hear(&later, &world);
        let mut missing = Vec::new();
        if self.is_followed {
            let frames = (old.as_ref(), world.as_ref(), &diff);
            missing = self.reconciler.missing(self.health.events, frames, at);
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
        for events in meanwhile
            .iter()
            .map(AsRef::as_ref)
            .chain([later.as_slice()])
        {
            self.reconciler.hear(events, &self.latest.world);
        }
        let cost = processor_time().saturating_sub(start) + reading_cost;
        self.pace.taken(Instant::now(), cost);
        if self.health.lost > lost_before {
            self.pace.hurry();
        }
        if !missing.is_empty() {
            audience.publish(&Update::Events(missing.into()));
        }
        audience.publish(&Update::Frame(Arc::clone(&self.latest)));
        if !later.is_empty() {
            audience.publish(&Update::Events(later.into()));
        }
        Ok(())
    }

    /// Reads a snapshot in another thread, and publishes meanwhile what happens: by procfs it takes
    /// so long that the kernel would run out of room for events. Returns what the reading cost
    /// there, and what was published.
    fn read(&mut self, audience: &Audience) -> Reading {
        let Self {
            sources,
            options,
            events,
            reconciler,
            health,
            latest,
            done,
            ..
        } = self;
        let work = || World::discover_with(sources, &options.wanted);
        let Some(done) = done else {
            return (work(), Duration::ZERO, Vec::new());
        };
        let mut meanwhile: Vec<Arc<[Event]>> = Vec::new();
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, || {
                let world = work();
                done.ring();
                (world, processor_time())
            });
            let Ok(thread) = thread else {
                return (work(), Duration::ZERO, Vec::new());
            };
            while !thread.is_finished() {
                events.wait(Duration::from_millis(100), Some(done.as_fd()));
                if done.hush() {
                    break;
                }
                let mut told = Vec::new();
                health.lost = health.lost.saturating_add(events.drain(&mut told));
                if !told.is_empty() {
                    let told: Arc<[Event]> = told.into();
                    reconciler.hear(&told, &latest.world);
                    audience.publish(&Update::Events(Arc::clone(&told)));
                    meanwhile.push(told);
                }
            }
            match thread.join() {
                Ok((world, cost)) => (world, cost, meanwhile),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// A snapshot, what reading it cost in another thread, and what was published meanwhile.
type Reading = (Result<World, DiscoverError>, Duration, Vec<Arc<[Event]>>);

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
