//! What all clients look at: the newest frame, drawn once for each view that somebody has open.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use berth_base::HostPid;
use berth_map::discover::Sources;
use berth_map::live::{Event, EventKind, Exit, Feed, Frame, Update};
use tokio::sync::watch;

use super::page::{Page, ViewKey};
use super::view::{self, Born};

/// Views that are kept at most: more than clients.
const MAX_VIEWS: usize = 64;
/// Ends of processes that are remembered, until the page has shown them.
const MAX_EXITS: usize = 4096;
/// How often the drawing thread looks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(100);

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
    is_over: AtomicBool,
}

struct State {
    frame: Arc<Frame>,
    views: HashMap<ViewKey, watch::Sender<Arc<Page>>>,
    /// Processes that events told of since the frame.
    born: HashMap<HostPid, Born>,
    exits: Exits,
}

/// How processes ended, the newest ones.
#[derive(Default)]
struct Exits {
    by_pid: HashMap<HostPid, Exit>,
    order: VecDeque<HostPid>,
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
    ) -> Option<(Arc<Self>, Drawing)> {
        let subscription = feed.subscribe();
        let first = loop {
            match subscription.next(Duration::from_secs(10))? {
                Update::Frame(frame) => break frame,
                Update::Events(_) => {}
                Update::End(_) => return None,
            }
        };
        let hub = Arc::new(Self {
            state: Mutex::new(State {
                frame: first,
                views: HashMap::new(),
                born: HashMap::new(),
                exits: Exits::default(),
            }),
            sources,
            privacy,
            is_over: AtomicBool::new(false),
        });
        let thread = {
            let hub = Arc::clone(&hub);
            std::thread::spawn(move || {
                while !hub.is_over.load(Ordering::Relaxed) {
                    if let Some(update) = subscription.next(PATIENCE) {
                        hub.take(update);
                    }
                }
            })
        };
        let drawing = Drawing {
            hub: Arc::clone(&hub),
            thread: Some(thread),
        };
        Some((hub, drawing))
    }

    /// What a client of a view follows.
    pub(super) fn follow(&self, key: ViewKey) -> watch::Receiver<Arc<Page>> {
        let mut state = self.lock();
        if let Some(sender) = state.views.get(&key) {
            if sender.receiver_count() == 0 {
                // Nobody looked, so nothing was drawn.
                let number = sender.borrow().number + 1;
                sender.send_replace(Arc::new(view::draw_page(&state.frame, key, number)));
            }
            return sender.subscribe();
        }
        if state.views.len() >= MAX_VIEWS {
            state.views.retain(|_, sender| sender.receiver_count() > 0);
        }
        let page = view::draw_page(&state.frame, key, 1);
        let (sender, receiver) = watch::channel(Arc::new(page));
        state.views.insert(key, sender);
        receiver
    }

    /// The newest frame.
    pub(super) fn frame(&self) -> Arc<Frame> {
        Arc::clone(&self.lock().frame)
    }

    /// How a process ended, if that is known.
    pub(super) fn exit(&self, pid: HostPid) -> Option<Exit> {
        self.lock().exits.by_pid.get(&pid).copied()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, update: Update) {
        match update {
            Update::Frame(frame) => self.lock().show(frame),
            Update::Events(events) => self.lock().happen(&events),
            Update::End(_) => self.is_over.store(true, Ordering::Relaxed),
        }
    }
}

impl State {
    fn show(&mut self, frame: Arc<Frame>) {
        self.frame = frame;
        self.born.clear();
        for (key, sender) in &self.views {
            if sender.receiver_count() > 0 {
                let number = sender.borrow().number + 1;
                sender.send_replace(Arc::new(view::draw_page(&self.frame, *key, number)));
            }
        }
    }

    fn happen(&mut self, events: &[Event]) {
        for event in events {
            match &event.kind {
                EventKind::Forked { .. } | EventKind::Executed { .. } => {
                    view::note(&mut self.born, &self.frame.world, event);
                }
                EventKind::Exited(exit) => self.exits.note(event.pid, *exit),
                EventKind::CgroupMoved { .. } | EventKind::NamespacesChanged { .. } => {}
            }
        }
        for (key, sender) in &self.views {
            if sender.receiver_count() > 0 {
                let old = Arc::clone(&sender.borrow());
                let new = view::after(&old, *key, &self.frame, &self.born, events);
                if let Some(new) = new {
                    sender.send_replace(Arc::new(new));
                }
            }
        }
    }
}

impl Exits {
    fn note(&mut self, pid: HostPid, exit: Exit) {
        if self.by_pid.insert(pid, exit).is_none() {
            self.order.push_back(pid);
        }
        while self.order.len() > MAX_EXITS {
            if let Some(oldest) = self.order.pop_front() {
                self.by_pid.remove(&oldest);
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
