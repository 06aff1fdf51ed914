//! The thread that plays a recording.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::record::{Item, Reader};
use super::subscription::{Audience, Call};
use super::{BootTime, Frame, Update};

/// The slowest and the fastest play.
const SPEEDS: (f64, f64) = (0.01, 10_000.0);

/// A view that is behind is waited for, so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// The number of the first frame. Each jump goes back by [`JUMP`], so that numbers fall there;
/// small enough for a double.
const FIRST_NUMBER: u64 = 1 << 44;
const JUMP: u64 = 1 << 24;

/// How a recording is played.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// How many times faster than it was.
    pub speed: f64,
    /// Where to begin, from the start of the recording.
    pub from: Duration,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            speed: 1.0,
            from: Duration::ZERO,
        }
    }
}

/// The controls of a recording that is played ([`super::Feed::player`]).
#[derive(Clone)]
pub struct Player {
    audience: Arc<Audience>,
    controls: Arc<Mutex<Controls>>,
    span: (BootTime, BootTime),
}

struct Controls {
    speed: f64,
    is_paused: bool,
    is_at_end: bool,
    jump: Option<BootTime>,
    /// The time in the recording, and when it was that.
    position: BootTime,
    /// `None` while the clock stands.
    since: Option<Instant>,
}

impl Controls {
    fn now(&self) -> BootTime {
        let passed = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        let passed = (passed.as_secs_f64() * self.speed).min(1e9);
        let nanos = Duration::from_secs_f64(passed).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        BootTime(self.position.0.saturating_add(nanos))
    }

    fn stop(&mut self) {
        self.position = self.now();
        self.since = None;
    }

    fn go(&mut self) {
        self.since = self.since.or_else(|| Some(Instant::now()));
    }

    /// Where to jump, if anywhere; the clock stands there from then on.
    fn take_jump(&mut self) -> Option<BootTime> {
        let to = self.jump.take()?;
        self.position = to;
        self.since = None;
        self.is_at_end = false;
        Some(to)
    }

    /// How long until a time in the recording.
    fn until(&self, time: BootTime) -> Duration {
        let left = self.now().until(time).as_secs_f64() / self.speed;
        Duration::from_secs_f64(left.min(3_600.0))
    }
}

impl Player {
    pub(super) fn new(
        audience: Arc<Audience>,
        options: &ReplayOptions,
        span: (BootTime, BootTime),
    ) -> Self {
        let from = u64::try_from(options.from.as_nanos()).unwrap_or(u64::MAX);
        let controls = Controls {
            speed: sane(options.speed),
            is_paused: false,
            is_at_end: false,
            jump: None,
            position: BootTime(span.0.0.saturating_add(from)).min(span.1),
            since: None,
        };
        Self {
            audience,
            controls: Arc::new(Mutex::new(controls)),
            span,
        }
    }

    /// The time of the first frame and of the last update.
    pub fn span(&self) -> (BootTime, BootTime) {
        self.span
    }

    /// The time that is shown, or is about to be after a jump.
    pub fn position(&self) -> BootTime {
        let controls = self.controls();
        let position = controls.jump.unwrap_or_else(|| controls.now());
        position.min(self.span.1)
    }

    /// How many times faster than it was.
    pub fn speed(&self) -> f64 {
        self.controls().speed
    }

    /// Plays faster or slower, between a hundredth and ten thousand times.
    pub fn set_speed(&self, speed: f64) {
        let mut controls = self.controls();
        let runs = controls.since.is_some();
        controls.stop();
        controls.speed = sane(speed);
        if runs {
            controls.go();
        }
        drop(controls);
        self.audience.ring();
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        self.controls().is_paused
    }

    /// Stands still, or goes on.
    pub fn set_paused(&self, is_paused: bool) {
        self.controls().is_paused = is_paused;
        self.audience.ring();
    }

    /// Whether everything was played. A jump plays again.
    pub fn is_at_end(&self) -> bool {
        let controls = self.controls();
        controls.is_at_end && controls.jump.is_none()
    }

    /// Goes to another time. Views get a frame whose number is lower than that of the last one,
    /// which tells a [`super::History`] to begin anew, and then what happened from there.
    pub fn jump(&self, to: BootTime) {
        self.controls().jump = Some(to.clamp(self.span.0, self.span.1));
        self.audience.ring();
    }

    fn controls(&self) -> MutexGuard<'_, Controls> {
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sane(speed: f64) -> f64 {
    match speed.is_finite() {
        true => speed.clamp(SPEEDS.0, SPEEDS.1),
        false => 1.0,
    }
}

/// What the thread works on.
pub(super) struct Play {
    reader: Reader,
    player: Player,
    /// What is to be published next.
    next: Option<Item>,
    number: u64,
    base: u64,
}

impl Play {
    /// Publishes the first frame, which waits for the first view. The clock stands until then.
    pub(super) fn begin(reader: Reader, player: Player) -> Self {
        let mut play = Self {
            reader,
            player,
            next: None,
            number: FIRST_NUMBER,
            base: FIRST_NUMBER,
        };
        let start = play.player.position();
        play.go_to(start);
        play
    }

    /// Plays until the audience is dismissed.
    pub(super) fn run(mut self) {
        let audience = Arc::clone(&self.player.audience);
        loop {
            if audience.called() == Call::Dismissed {
                return;
            }
            let jump = self.player.controls().take_jump();
            if let Some(to) = jump {
                self.base = self.base.saturating_sub(JUMP);
                self.number = self.base;
                audience.revive();
                self.go_to(to);
            }
            let patience = self.step(&audience);
            if !patience.is_zero() {
                wait(&audience, patience);
            }
        }
    }

    /// Publishes what is due; returns how long nothing will be.
    fn step(&mut self, audience: &Audience) -> Duration {
        const LONG: Duration = Duration::from_secs(3_600);
        let due = {
            let mut controls = self.player.controls();
            // Nobody is to miss the beginning.
            if controls.is_paused || controls.is_at_end || audience.is_empty() {
                controls.stop();
                return LONG;
            }
            controls.go();
            self.next.as_ref().map(|item| controls.until(item.at))
        };
        match due {
            Some(due) if !due.is_zero() => due,
            Some(_) => {
                self.publish_next();
                Duration::ZERO
            }
            None => {
                let why = self.reader.end_line().map(str::to_owned);
                let mut controls = self.player.controls();
                controls.stop();
                controls.is_at_end = true;
                drop(controls);
                audience.publish(&Update::End(why));
                LONG
            }
        }
    }

    /// Publishes everything from the last whole frame up to a time.
    fn go_to(&mut self, time: BootTime) {
        self.reader.seek(time);
        self.next = self.reader.next();
        // The first one whatever its time.
        self.publish_next();
        while self.next.as_ref().is_some_and(|item| item.at <= time) {
            self.publish_next();
        }
        let mut controls = self.player.controls();
        controls.position = time;
        controls.since = None;
        controls.is_at_end = false;
    }

    fn publish_next(&mut self) {
        let Some(item) = self.next.take() else {
            return;
        };
        let update = match item.update {
            Update::Frame(frame) => {
                self.number += 1;
                Update::Frame(Arc::new(Frame {
                    number: self.number,
                    ..Frame::clone(&frame)
                }))
            }
            other => other,
        };
        self.wait_for_views();
        self.player.audience.publish(&update);
        self.next = self.reader.next();
    }

    /// Lets views keep up: a recording has time. One that reads nothing stops nobody for long.
    fn wait_for_views(&self) {
        let audience = &self.player.audience;
        let since = Instant::now();
        while audience.is_behind() {
            if since.elapsed() > PATIENCE {
                audience.give_up();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Waits until somebody rings, at most so long.
fn wait(audience: &Audience, patience: Duration) {
    let Some(bell) = audience.bell() else {
        std::thread::sleep(patience.min(Duration::from_millis(100)));
        return;
    };
    let timeout = Timespec::try_from(patience).ok();
    // Whatever ends the waiting, the caller looks again.
    poll(
        &mut [PollFd::from_borrowed_fd(bell, PollFlags::IN)],
        timeout.as_ref(),
    )
    .ok();
}
