//! What all clients look at: the present, drawn once for each view that somebody has open, and the
//! last ten minutes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use berth_base::{ErrorClass, HostPid};
use berth_map::World;
use berth_map::discover::Sources;
use berth_map::live::{
    BootTime, Event, EventKind, Exit, Feed, Health, History, Life, Player, Subscription, Update,
};
use tokio::sync::watch;

use super::page::{Page, ViewKey};
use super::view::{self, Born};
use crate::cli::failure::Failure;

/// Views that are kept at most: more than clients.
const MAX_VIEWS: usize = 64;
/// How often the drawing thread looks whether it is to end, and whether a drawing is due.
const PATIENCE: Duration = Duration::from_millis(50);
/// Drawings may take this part of one processor at most: their distance grows with their cost.
const SHARE: u32 = 50;
/// The least time between two drawings; what happens in between is put into the last one.
const LEAST_PACE: Duration = Duration::from_millis(100);
const NANOS: u64 = 1_000_000_000;

/// What the page may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Command lines are left out: they hold secrets where programs take them as arguments.
    HideArguments,
    /// Command lines are shown.
    ShowArguments,
}

/// See the module.
pub(crate) struct Hub {
    state: Mutex<State>,
    pub(super) sources: Option<Sources>,
    pub(super) privacy: Privacy,
    /// Of a recording: it stands until somebody looks.
    player: Option<Player>,
    is_over: AtomicBool,
}

struct State {
    history: History,
    /// What the views were drawn from.
    drawn: Arc<World>,
    views: HashMap<ViewKey, watch::Sender<Arc<Page>>>,
    /// Processes that events told of since the drawing.
    born: HashMap<HostPid, Born>,
    /// Whether a frame came since the drawing, and when there may be another one.
    is_stale: bool,
    next_drawing: Instant,
    /// Why there will be nothing more.
    over: Option<String>,
    /// The last look back.
    past: Option<(BootTime, Arc<World>)>,
}

/// What everything is drawn from.
pub(super) struct Scene<'s> {
    pub(super) host: &'s Arc<World>,
    pub(super) health: &'s Health,
    pub(super) over: Option<&'s str>,
}

/// The thread that draws. Dropping it ends it.
pub(crate) struct Drawing {
    hub: Arc<Hub>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    /// Draws what a feed tells, in a thread of its own. Without sources there are no command
    /// lines to read.
    pub(crate) fn start(
        feed: &Feed,
        sources: Option<Sources>,
        privacy: Privacy,
    ) -> Result<(Arc<Self>, Drawing), Failure> {
        let subscription = feed.subscribe();
        let hub = Arc::new(Self {
            state: Mutex::new(State::begin(&subscription)?),
            sources,
            privacy,
            player: feed.player().cloned(),
            is_over: AtomicBool::new(false),
        });
        if let Some(player) = &hub.player {
            player.set_paused(true);
        }
        let thread = {
            let hub = Arc::clone(&hub);
            std::thread::spawn(move || hub.run(&subscription))
        };
        let drawing = Drawing {
            hub: Arc::clone(&hub),
            thread: Some(thread),
        };
        Ok((hub, drawing))
    }

    fn run(&self, subscription: &Subscription) {
        while !self.is_over.load(Ordering::Relaxed) {
            let update = subscription.next(PATIENCE);
            let mut state = self.lock();
            if let Some(update) = update {
                state.history.note_missed(subscription.missed());
                state.take(&update);
            }
            state.draw_if_due();
        }
    }

    /// What a client of a view follows.
    pub(super) fn follow(&self, key: ViewKey) -> watch::Receiver<Arc<Page>> {
        if let Some(player) = &self.player {
            player.set_paused(false);
        }
        let mut state = self.lock();
        let number = match state.views.get(&key) {
            Some(sender) if sender.receiver_count() > 0 => return sender.subscribe(),
            Some(sender) => sender.borrow().number + 1,
            None => 1,
        };
        if state.views.len() >= MAX_VIEWS {
            state.views.retain(|_, sender| sender.receiver_count() > 0);
        }
        let page = Arc::new(state.draw(key, number));
        let sender = state
            .views
            .entry(key)
            .or_insert_with(|| watch::channel(Arc::clone(&page)).0);
        sender.send_replace(page);
        sender.subscribe()
    }

    /// The host that a view shows, now or as it was, with everything that its page shows.
    pub(super) fn world(&self, key: ViewKey) -> Arc<World> {
        let mut state = self.lock();
        if key.at.is_none() && !state.born.is_empty() {
            let present = state.history.present();
            return present.unwrap_or_else(|| Arc::clone(&state.drawn));
        }
        state.base(key)
    }

    /// How a process of the host ended, if that is known.
    pub(super) fn exit(&self, pid: HostPid) -> Option<Exit> {
        self.lock().history.life(pid)?.exit
    }

    /// The seconds of the timeline from one on, or all of them, as JSON.
    pub(super) fn time(&self, since: Option<u64>) -> serde_json::Value {
        let state = self.lock();
        let history = &state.history;
        let now = history.now();
        let first = since.unwrap_or(0).max(history.earliest().0 / NANOS);
        let end = now.0 / NANOS + 1;
        let count = usize::try_from(end.saturating_sub(first)).unwrap_or(0);
        let slots = history.density(BootTime(first * NANOS), BootTime(end * NANOS), count);
        let slots: Vec<[u32; 2]> = slots
            .iter()
            .map(|slot| [slot.started, slot.ended])
            .collect();
        let frame = history.latest();
        let wall = frame.and_then(|frame| {
            let since = frame.wall.duration_since(UNIX_EPOCH).ok()? + frame.at.until(now);
            u64::try_from(since.as_millis()).ok()
        });
        serde_json::json!({
            "now": now.0 / 1_000_000,
            "wall": wall,
            "earliest": history.earliest().0 / 1_000_000,
            "complete": history.complete_since().0 / 1_000_000,
            "first": first,
            "slots": slots,
        })
    }

    /// Processes that started or ended between two times, up to a number, and how many more.
    pub(super) fn lives(&self, from: BootTime, to: BootTime, most: usize) -> (Vec<Life>, usize) {
        let state = self.lock();
        let mut all = state.history.lives(from, to);
        let listed: Vec<Life> = all.by_ref().take(most).collect();
        (listed, all.count())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Waits for the first frame.
    fn begin(subscription: &Subscription) -> Result<Self, Failure> {
        let mut history = History::default();
        let fail = |why: &str| Failure::new(ErrorClass::Unavailable, why);
        loop {
            let update = subscription.next(Duration::from_secs(30));
            let update = update.ok_or_else(|| fail("the first look at the host takes too long"))?;
            if let Update::End(why) = &update {
                return Err(fail(why.as_deref().unwrap_or("there is nothing to show")));
            }
            history.apply(&update);
            if let Some(frame) = history.latest() {
                return Ok(Self {
                    drawn: Arc::clone(&frame.world),
                    history,
                    views: HashMap::new(),
                    born: HashMap::new(),
                    is_stale: false,
                    next_drawing: Instant::now(),
                    over: None,
                    past: None,
                });
            }
        }
    }

    fn take(&mut self, update: &Update) {
        self.history.apply(update);
        match update {
            Update::Frame(_) => self.is_stale = true,
            Update::Events(events) => self.happen(events),
            Update::End(why) => {
                let why = why.as_deref().unwrap_or("the recording ends here");
                self.over = Some(why.to_owned());
                self.is_stale = true;
            }
        }
    }

    /// Draws the present for everybody who looks at it.
    fn draw_if_due(&mut self) {
        let start = Instant::now();
        if !self.is_stale || start < self.next_drawing {
            return;
        }
        self.is_stale = false;
        if let Some(world) = self.history.present() {
            self.drawn = world;
        }
        self.born.clear();
        let watched = self
            .views
            .iter()
            .filter(|(key, sender)| key.at.is_none() && sender.receiver_count() > 0);
        for (key, sender) in watched {
            let number = sender.borrow().number + 1;
            sender.send_replace(Arc::new(view::draw_page(
                &self.scene(&self.drawn),
                *key,
                number,
            )));
        }
        self.next_drawing = Instant::now() + LEAST_PACE.max(start.elapsed() * SHARE);
    }

    /// Draws one view.
    fn draw(&mut self, key: ViewKey, number: u64) -> Page {
        let base = self.base(key);
        view::draw_page(&self.scene(&base), key, number)
    }

    fn base(&mut self, key: ViewKey) -> Arc<World> {
        let Some(time) = key.at else {
            return Arc::clone(&self.drawn);
        };
        if let Some((at, world)) = &self.past
            && *at == time
        {
            return Arc::clone(world);
        }
        let world = self
            .history
            .at(time)
            .unwrap_or_else(|| Arc::clone(&self.drawn));
        self.past = Some((time, Arc::clone(&world)));
        world
    }

    fn scene<'s>(&'s self, host: &'s Arc<World>) -> Scene<'s> {
        static UNKNOWN: Health = Health {
            events: berth_map::live::EventSource::Snapshots,
            lost: 0,
            notes: Vec::new(),
        };
        Scene {
            host,
            health: self
                .history
                .latest()
                .map_or(&UNKNOWN, |frame| &frame.health),
            over: self.over.as_deref(),
        }
    }

    /// Puts what happened into the pages as they are.
    fn happen(&mut self, events: &[Event]) {
        for event in events {
            if let EventKind::Forked { .. } | EventKind::Executed { .. } = event.kind {
                view::note(&mut self.born, &self.drawn, event);
            }
        }
        for (key, sender) in &self.views {
            if key.at.is_none() && sender.receiver_count() > 0 {
                let old = Arc::clone(&sender.borrow());
                if let Some(new) = view::after(&old, *key, &self.born, events) {
                    sender.send_replace(Arc::new(new));
                }
            }
        }
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        self.hub.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nothing to add.
            drop(thread.join());
        }
    }
}
