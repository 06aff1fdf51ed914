//! Watches this host as a view does, and says what that costs.
//!
//! `cargo run --release -p berth-map --example watch [STATE_DIR]` prints "ready", and for each line
//! on its standard input, which is a PID or empty, a line of numbers about the time since the line
//! before: nanoseconds that passed, nanoseconds of processor time, events, births of children of
//! that PID, their delay until this view had them in nanoseconds (median, then that of 99 of 100),
//! frames, events lost, events that this view missed, and KiB of memory in use. It ends with its
//! input. `cargo xtask bench live` starts it.

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead as _;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use berth_map::Sources;
use berth_map::live::{EventKind, Feed, History, Update, WatchOptions};
use rustix::time::{ClockId, clock_gettime};

/// What was seen since the last line.
#[derive(Default)]
struct Seen {
    events: u64,
    frames: u64,
    /// By parent.
    delays: HashMap<u32, Delays>,
}

/// Delays in steps of 20 microseconds, the last one open: as large after an hour as at first, or the
/// measurement would measure itself.
#[derive(Default)]
struct Delays {
    steps: Vec<u32>,
    count: u64,
}

impl Delays {
    const STEP_NANOS: u64 = 20_000;
    const STEPS: usize = 50_000;

    fn note(&mut self, nanos: u64) {
        self.steps.resize(Self::STEPS, 0);
        let at = usize::try_from(nanos / Self::STEP_NANOS).unwrap_or(usize::MAX);
        if let Some(step) = self.steps.get_mut(at.min(Self::STEPS - 1)) {
            *step += 1;
        }
        self.count += 1;
    }

    fn quantile(&self, percent: u64) -> u64 {
        let mut left = self.count * percent / 100;
        for (at, count) in self.steps.iter().enumerate() {
            match left.checked_sub(u64::from(*count)) {
                Some(rest) => left = rest,
                None => return at as u64 * Self::STEP_NANOS,
            }
        }
        0
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let state = std::env::args().nth(1).unwrap_or("/run/berth".to_owned());
    let feed = Feed::watch(Sources::host(state)?, WatchOptions::default())?;
    let view = feed.subscribe();
    let mut history = History::default();
    let questions = questions();
    let mut lost = 0;
    let mut seen = Seen::default();
    let (mut since, mut cost) = (Instant::now(), nanos(ClockId::ProcessCPUTime));
    let (mut lost_before, mut missed_before) = (0, 0);
    if let Some(frame) = view.next(Duration::from_secs(10)) {
        history.apply(&frame);
        if let Update::Frame(frame) = frame {
            println!("ready {:?}", frame.health.events);
            frame
                .health
                .notes
                .iter()
                .for_each(|note| eprintln!("{note}"));
        }
    }
    loop {
        if let Some(update) = view.next(Duration::from_millis(50)) {
            history.apply(&update);
            seen.note(&update);
            if let Update::Frame(frame) = &update {
                lost = frame.health.lost;
            }
        }
        let parent = match questions.try_recv() {
            Ok(line) => line.trim().parse().unwrap_or(0),
            Err(mpsc::TryRecvError::Empty) => continue,
            Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
        };
        let delays = seen.delays.remove(&parent).unwrap_or_default();
        let (passed, now) = (since.elapsed().as_nanos(), nanos(ClockId::ProcessCPUTime));
        println!(
            "{passed} {} {} {} {} {} {} {} {} {}",
            now.saturating_sub(cost),
            seen.events,
            delays.count,
            delays.quantile(50),
            delays.quantile(99),
            seen.frames,
            lost - lost_before,
            view.missed() - missed_before,
            memory_kib()?,
        );
        seen = Seen::default();
        (lost_before, missed_before) = (lost, view.missed());
        (since, cost) = (Instant::now(), nanos(ClockId::ProcessCPUTime));
    }
}

impl Seen {
    fn note(&mut self, update: &Update) {
        let Update::Events(events) = update else {
            self.frames += u64::from(matches!(update, Update::Frame(_)));
            return;
        };
        let now = nanos(ClockId::Boottime);
        self.events += events.len() as u64;
        for event in events.iter() {
            if let EventKind::Forked {
                parent: Some(parent),
                ..
            } = &event.kind
            {
                let delays = self.delays.entry(parent.get()).or_default();
                delays.note(now.saturating_sub(event.at.0));
            }
        }
    }
}

/// The lines of the standard input.
fn questions() -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        for line in lines {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

/// The private memory of this process: what it would give back.
fn memory_kib() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let of = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Ok(of("Private_Clean:").unwrap_or(0) + of("Private_Dirty:").unwrap_or(0))
}
