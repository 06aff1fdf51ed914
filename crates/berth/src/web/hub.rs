//! What all clients look at: the present, drawn once for each view that somebody has open, and the
//! last ten minutes.
//!
//! One thread listens to the feed and puts events into the pages as they are; another draws them
//! anew when there is a frame. It draws without the lock, as that takes longer than an event may
//! wait, and then adds what has happened meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use berth_base::{ErrorClass, HostPid, NamespaceId};
use berth_map::World;
use berth_map::discover::Sources;
use berth_map::live::{
    BootTime, Event, EventKind, Exit, Feed, Health, History, Life, Player, Subscription, Update,
};
use tokio::sync::watch;

use super::page::{Page, ViewKey};
use super::play::{self, Control};
use super::view::{self, Born};
use crate::cli::failure::Failure;

/// Views that are kept at most: more than clients.
const MAX_VIEWS: usize = 64;
/// How often the threads look whether they are to end, and whether a drawing is due.
const PATIENCE: Duration = Duration::from_millis(40);
/// Drawings may take this part of one processor at most: their distance grows with their cost.
const SHARE: u32 = 100;
/// Drawings that cost much may take more, lest the page be older than this, up to a tenth.
const LATE: Duration = Duration::from_secs(3);
const SHARE_IN_NEED: u32 = 10;
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
    has_begun: AtomicBool,
    is_over: AtomicBool,
}

struct State {
    history: History,
    /// What the views were drawn from.
    drawn: Arc<World>,
    drawn_health: Health,
    /// Whether a view may lack what happened while it was drawn for the first time.
    is_incomplete: bool,
    views: HashMap<ViewKey, watch::Sender<Arc<Page>>>,
    /// How many views there ever were.
    opened: u64,
    /// Processes that events told of since the drawing.
    born: HashMap<HostPid, Born>,
    /// Whether a frame came since the drawing, and when there may be another one.
    is_stale: bool,
    next_drawing: Instant,
    /// What happened since a drawing began that is not done.
    meanwhile: Option<Vec<Event>>,
    /// Why there will be nothing more.
    over: Option<String>,
    /// Which stretch of a recording this is: each jump begins another one.
    stretch: u64,
    /// The last look back.
    past: Option<(BootTime, Arc<World>)>,
}

/// A second of the timeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second {
    pub(super) stretch: u64,
    pub(super) number: u64,
}

/// What everything is drawn from.
pub(super) struct Scene {
    pub(super) host: Arc<World>,
    pub(super) health: Health,
    pub(super) over: Option<String>,
}

/// The threads that listen and draw. Dropping it ends them.
pub(crate) struct Drawing {
    hub: Arc<Hub>,
    threads: Vec<JoinHandle<()>>,
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
            has_begun: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        if let Some(player) = &hub.player {
            player.set_paused(true);
        }
        let (listening, drawing) = (Arc::clone(&hub), Arc::clone(&hub));
        let threads = vec![
            std::thread::spawn(move || listening.listen(&subscription)),
            std::thread::spawn(move || {
                while !drawing.is_over.load(Ordering::Relaxed) {
                    drawing.draw_if_due();
                    std::thread::sleep(PATIENCE);
                }
            }),
        ];
        let drawing = Drawing {
            hub: Arc::clone(&hub),
            threads,
        };
        Ok((hub, drawing))
    }

    fn listen(&self, subscription: &Subscription) {
        while !self.is_over.load(Ordering::Relaxed) {
            if let Some(update) = subscription.next(PATIENCE) {
                let mut state = self.lock();
                state.history.note_missed(subscription.missed());
                state.take(&update);
            }
        }
    }

    /// Draws the present for everybody who looks at it.
    fn draw_if_due(&self) {
        let start = Instant::now();
        let Some((scene, keys)) = self.lock().begin_drawing(start) else {
            return;
        };
        let pages = keys.into_iter();
        let pages = pages.map(|key| (key, view::draw_page(&scene, key, 0)));
        let pages: Vec<(ViewKey, Page)> = pages.collect();
        self.lock().end_drawing(scene.host, pages, start);
    }

    /// Whether a recording is shown.
    pub(super) fn is_replay(&self) -> bool {
        self.player.is_some()
    }

    /// Does something to the recording, for everybody who looks; says how it is played then. `None`
    /// where there is none.
    pub(super) fn control(&self, control: Control) -> Option<serde_json::Value> {
        let player = self.player.as_ref()?;
        control.apply(player);
        Some(play::state(player))
    }

    /// What a client of a view follows.
    pub(super) fn follow(&self, key: ViewKey) -> watch::Receiver<Arc<Page>> {
        if let Some(player) = &self.player
            && !self.has_begun.swap(true, Ordering::Relaxed)
        {
            player.set_paused(false);
        }
        if let Some(sender) = self.lock().views.get(&key)
            && sender.receiver_count() > 0
        {
            return sender.subscribe();
        }
        let scene = self.lock().scene(key);
        let mut page = view::draw_page(&scene, key, 0);
        let mut state = self.lock();
        // What happened while it was drawn comes with the next drawing, which is due.
        state.is_stale = true;
        state.is_incomplete = true;
        if state.views.len() >= MAX_VIEWS {
            state.views.retain(|_, sender| sender.receiver_count() > 0);
        }
        if let Some(sender) = state.views.get(&key) {
            page.number = sender.borrow().number + 1;
            sender.send_replace(Arc::new(page));
            return sender.subscribe();
        }
        // A view that was forgotten begins at a number that it never had: pages are told apart by it.
        state.opened += 1;
        page.number = state.opened << 32;
        let (sender, receiver) = watch::channel(Arc::new(page));
        state.views.insert(key, sender);
        receiver
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

    /// The seconds of a view's timeline from one on, or all of them, as JSON.
    pub(super) fn time(&self, key: ViewKey, since: Option<Second>) -> serde_json::Value {
        let state = self.lock();
        let history = &state.history;
        let now = history.now();
        let since = since.filter(|since| since.stretch == state.stretch);
        let since = since.map(|since| since.number);
        let first = since.unwrap_or(0).max(history.earliest().0 / NANOS);
        let end = now.0 / NANOS + 1;
        let count = usize::try_from(end.saturating_sub(first)).unwrap_or(0);
        let span = (BootTime(first * NANOS), BootTime(end * NANOS));
        let slots = match key.inside {
            None => history.density(span.0, span.1, count),
            Some(id) => history.density_inside(span, count, id),
        };
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
            "stretch": state.stretch,
            "play": self.player.as_ref().map(play::state),
            "now": now.0 / 1_000_000,
            "wall": wall,
            "earliest": history.earliest().0 / 1_000_000,
            "complete": history.complete_since().0 / 1_000_000,
            "first": first,
            "slots": slots,
        })
    }

    /// Processes that started or ended between two times and have a text in their names, up to a
    /// number, and how many more; of a container, as it sees them.
    pub(super) fn lives(
        &self,
        (from, to): (BootTime, BootTime),
        inside: Option<NamespaceId>,
        name: &str,
        most: usize,
    ) -> (Vec<Life>, usize) {
        let state = self.lock();
        let named = |life: &Life| life.comm.to_lowercase().contains(name);
        let take = |all: &mut dyn Iterator<Item = Life>| {
            let listed: Vec<Life> = all.take(most).collect();
            (listed, all.count())
        };
        match inside {
            None => take(&mut state.history.lives(from, to).filter(named)),
            Some(id) => take(&mut state.history.lives_inside((from, to), id).filter(named)),
        }
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
                    drawn_health: frame.health.clone(),
                    is_incomplete: false,
                    history,
                    views: HashMap::new(),
                    opened: 0,
                    born: HashMap::new(),
                    is_stale: false,
                    next_drawing: Instant::now(),
                    meanwhile: None,
                    over: None,
                    stretch: 0,
                    past: None,
                });
            }
        }
    }

    fn take(&mut self, update: &Update) {
        let before = self.history.latest().map(|frame| frame.number);
        self.history.apply(update);
        match update {
            Update::Frame(frame) => {
                self.is_stale = true;
                if before.is_some_and(|before| frame.number < before) {
                    self.begin_anew();
                }
            }
            Update::Events(events) => self.happen(events),
            Update::End(why) => {
                let why = why.as_deref().unwrap_or("the recording ends here");
                self.over = Some(why.to_owned());
                self.is_stale = true;
                self.is_incomplete = true;
            }
        }
    }

    /// Forgets what was of another stretch of a recording.
    fn begin_anew(&mut self) {
        self.stretch += 1;
        self.born.clear();
        self.past = None;
        self.over = None;
        self.is_incomplete = true;
        self.next_drawing = Instant::now();
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.clear();
        }
    }

    /// Says what is to be drawn, where something is.
    fn begin_drawing(&mut self, now: Instant) -> Option<(Scene, Vec<ViewKey>)> {
        if !self.is_stale || now < self.next_drawing {
            return None;
        }
        self.is_stale = false;
        let host = self.history.present();
        let scene = self.scene_of(host.unwrap_or_else(|| Arc::clone(&self.drawn)));
        let is_same = Arc::ptr_eq(&scene.host, &self.drawn) && scene.health == self.drawn_health;
        if is_same && !self.is_incomplete {
            // Whoever was born since has ended.
            self.born.clear();
            return None;
        }
        self.is_incomplete = false;
        self.drawn_health.clone_from(&scene.health);
        self.meanwhile = Some(Vec::new());
        let watched = self.views.iter();
        let watched =
            watched.filter(|(key, sender)| key.at.is_none() && sender.receiver_count() > 0);
        let keys = watched.map(|(key, _)| *key).collect();
        Some((scene, keys))
    }

    /// Puts a drawing, and what has happened since it began, before everybody.
    fn end_drawing(&mut self, host: Arc<World>, pages: Vec<(ViewKey, Page)>, start: Instant) {
        self.drawn = host;
        self.born.clear();
        let events = self.meanwhile.take().unwrap_or_default();
        self.note_births(&events);
        for (key, mut page) in pages {
            let Some(sender) = self.views.get(&key) else {
                continue;
            };
            page.number = sender.borrow().number + 1;
            let page = view::after(&page, key, &self.born, &events).unwrap_or(page);
            sender.send_replace(Arc::new(page));
        }
        self.next_drawing = Instant::now() + distance(start.elapsed());
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

    fn scene(&mut self, key: ViewKey) -> Scene {
        let host = self.base(key);
        self.scene_of(host)
    }

    fn scene_of(&self, host: Arc<World>) -> Scene {
        let health = self.history.latest().map(|frame| frame.health.clone());
        Scene {
            host,
            health: health.unwrap_or_default(),
            over: self.over.clone(),
        }
    }

    fn note_births(&mut self, events: &[Event]) {
        for event in events {
            if let EventKind::Forked { .. } | EventKind::Executed { .. } = event.kind {
                view::note(&mut self.born, &self.drawn, event);
            }
        }
    }

    /// Puts what happened into the pages as they are.
    fn happen(&mut self, events: &[Event]) {
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.extend_from_slice(events);
        }
        self.note_births(events);
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

/// The time between two drawings that cost so much.
fn distance(cost: Duration) -> Duration {
    let most = LATE.max(cost * SHARE_IN_NEED);
    LEAST_PACE.max((cost * SHARE).min(most))
}

impl Drop for Drawing {
    fn drop(&mut self) {
        self.hub.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic in there has been printed; there is nothing to add.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_drawings_come_all_the_same() {
        let ms = Duration::from_millis;
        assert_eq!(distance(ms(0)), LEAST_PACE);
        assert_eq!(distance(ms(10)), ms(1_000));
        assert_eq!(distance(ms(200)), LATE);
        assert_eq!(distance(ms(2_000)), ms(20_000));
    }
}
