//! What the view knows, and how updates, keys and time change it.
//!
//! Pure: it opens nothing, reads no clock and knows no terminal. The shell hands in what happened
//! and does what an [`Action`] says; the view paints what it finds here.

mod filter;
mod keys;
mod marks;
mod play;
mod pointer;
mod search;
mod time;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use berth_base::{HostPid, NamespaceKind};
use berth_map::World;
use berth_map::draw::{Inodes, KernelThreads, Order, RowOptions, Threads, rows};
use berth_map::live::{BootTime, Health, Update};
use ratatui_core::layout::Rect;

pub(crate) use filter::Filter;
pub(crate) use marks::Mark;
pub(crate) use play::{Play, Played};
pub(crate) use search::{Match, Matches};
pub(crate) use time::{Clock, Timeline};
pub(crate) use tree::{BoxId, Line, LineKey, Tree};

use super::facts::{Facts, Request};
use super::layout::{Extras, Layout, WIDE};
use marks::Marks;

/// The kinds of namespace that `tab` goes through.
pub(crate) const LENSES: [NamespaceKind; 5] = [
    NamespaceKind::Pid,
    NamespaceKind::Net,
    NamespaceKind::Mnt,
    NamespaceKind::User,
    NamespaceKind::Cgroup,
];

/// The least time between two drawings of the tree that nobody asked for.
const PACE: Duration = Duration::from_millis(100);
/// The most, however costly they are: what ends is to be seen.
const SLOWEST: Duration = Duration::from_millis(700);
/// How long a notice stays.
const NOTICE: Duration = Duration::from_secs(4);

/// How the view begins.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The kind of namespace that boxes stand for.
    pub(crate) lens: NamespaceKind,
    /// What is shown, as it was written.
    pub(crate) scope: Option<String>,
    /// Whether kernel threads are one line.
    pub(crate) kernel_threads: KernelThreads,
    /// Which threads have a line.
    pub(crate) threads: Threads,
    /// Whether titles show the numbers of namespaces.
    pub(crate) inodes: Inodes,
    /// Whether this is a recording: the host can tell nothing more.
    pub(crate) is_recording: bool,
}

/// What the shell is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    /// Paint.
    Paint,
    /// Paint everything anew: something else has written to the terminal.
    Repaint,
    /// Leave.
    Quit,
    /// Stop the process, as Ctrl-Z does.
    Suspend,
    /// Do something to the recording that is played.
    Play(Play),
}

/// What of the screen is to be painted anew. The later is the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// A few words, while the tree is as it was.
    Words,
    /// The tree, or the timeline.
    Everything,
}

/// The recording that is made of what is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Bytes written so far.
    pub(crate) bytes: u64,
    /// Why nothing is recorded any more.
    pub(crate) failure: Option<String>,
}

/// What lies over the tree, or takes the keys.
#[derive(Debug, Default)]
pub(crate) enum Panel {
    /// Nothing.
    #[default]
    None,
    /// A text is being typed, and what it finds is listed.
    Search {
        text: String,
        matches: Matches,
        chosen: usize,
    },
    /// A filter is being typed.
    Filter { text: String, error: Option<String> },
    /// The keys, from this line on.
    Help { top: usize },
}

/// Everything that the view knows.
pub(crate) struct State {
    settings: Settings,
    now: Duration,
    screen: Rect,
    pub(crate) layout: Option<Layout>,
    pub(crate) clock: Clock,
    /// The snapshot that is drawn.
    world: Option<Arc<World>>,
    /// Whether the drawing is older than what is known.
    is_stale: bool,
    /// When the tree may be drawn again.
    due: Duration,
    pub(crate) lens: NamespaceKind,
    pub(crate) order: Order,
    pub(crate) filter: Option<Filter>,
    pub(crate) tree: Tree,
    pub(crate) marks: Marks,
    pub(crate) panel: Panel,
    /// What the last search found, and which of it was gone to.
    pub(crate) found: Option<(Matches, usize)>,
    /// Whether the pane with details is shown, where that was asked for.
    details: Option<bool>,
    /// How far the details are scrolled.
    pub(crate) details_top: u16,
    /// Whether command lines may be shown.
    pub(crate) commands: bool,
    facts: Option<(Request, Facts)>,
    notice: Option<(String, Duration)>,
    /// Events that this view was too slow for.
    missed: u64,
    /// The recording that is played.
    pub(crate) played: Option<Played>,
    /// The recording that is made.
    pub(crate) recorded: Option<Recorded>,
    /// The feed has ended, and why.
    pub(crate) ended: Option<Option<String>>,
}

impl State {
    /// A view that has seen nothing yet.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            lens: settings.lens,
            filter: settings.scope.as_deref().and_then(Filter::parse_any),
            settings,
            now: Duration::ZERO,
            screen: Rect::default(),
            layout: None,
            clock: Clock::default(),
            world: None,
            is_stale: false,
            due: Duration::ZERO,
            order: Order::Pid,
            tree: Tree::default(),
            marks: Marks::default(),
            panel: Panel::None,
            found: None,
            details: None,
            details_top: 0,
            commands: false,
            facts: None,
            notice: None,
            missed: 0,
            played: None,
            recorded: None,
            ended: None,
        }
    }

    /// The screen has this size.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        self.screen = Rect::new(0, 0, width, height);
        self.divide();
    }

    /// The whole screen.
    pub(crate) fn screen(&self) -> Rect {
        self.screen
    }

    /// Takes in what the feed says.
    pub(crate) fn update(&mut self, update: Update) {
        self.clock.hear(&update);
        self.ended = match update {
            Update::End(why) => Some(why),
            // A recording can be played again after its end.
            Update::Frame(_) => None,
            Update::Events(_) => self.ended.take(),
        };
        self.is_stale = true;
    }

    /// So much time has passed since the beginning. What of the screen changes by that.
    pub(crate) fn tick(&mut self, now: Duration) -> Change {
        self.now = now;
        self.clock.set_now(now);
        let mut change = Change::None;
        if self.notice.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.notice = None;
            change = Change::Words;
        }
        if now >= self.due {
            self.due = now + PACE;
            // Marks go out though nothing is heard.
            if self.look(false) {
                change = Change::Everything;
            }
        }
        change
    }

    /// Everything was drawn a moment ago, which cost much: so long it is not to be drawn again
    /// without being asked.
    pub(crate) fn rest(&mut self, long: Duration) {
        self.due = self.now + long.clamp(PACE, SLOWEST);
    }

    /// How many events this view was too slow for.
    pub(crate) fn set_missed(&mut self, missed: u64) {
        self.missed = missed;
        self.clock.history.note_missed(missed);
    }

    /// Draws the tree anew where what is shown has changed, or was asked to. Whether the screen
    /// changes.
    fn look(&mut self, is_asked: bool) -> bool {
        let has_heard = std::mem::take(&mut self.is_stale);
        if self.clock.ago().is_some() && !is_asked {
            // The past stays as it was; the timeline goes on.
            self.divide();
            return has_heard;
        }
        let moment = self.clock.moment();
        let marks = Marks::at(&self.clock.history, moment);
        if !has_heard && !is_asked && self.marks == marks {
            return false;
        }
        let history = &self.clock.history;
        let world = history.at_with_recent(moment, marks::FADE, marks::MOST_LINGERING);
        let is_same = match (&self.world, &world) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        self.marks = marks;
        self.world = world;
        if !is_same {
            self.redraw();
            self.search_again();
        }
        self.divide();
        true
    }

    /// The snapshot that is shown.
    pub(crate) fn world(&self) -> Option<&World> {
        self.world.as_deref()
    }

    /// The moment that is shown.
    pub(crate) fn moment(&self) -> BootTime {
        self.clock.moment()
    }

    /// The time of day so long before the moment that is shown (RFC 3339, UTC).
    pub(crate) fn wall(&self, ago: Duration) -> Option<String> {
        let wall = self.clock.wall(self.moment())?.checked_sub(ago)?;
        Some(humantime::format_rfc3339_seconds(wall).to_string())
    }

    /// How well the host can be watched.
    pub(crate) fn health(&self) -> Option<&Health> {
        let frame = self.clock.history.latest()?;
        Some(&frame.health)
    }

    /// What does not work, the weightiest first, one line each, escaped.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let lost = self.health().map_or(0, |health| health.lost);
        if lost > 0 {
            lines.push(format!("{lost} events lost: the kernel had no room"));
        }
        if self.clock.is_incomplete() {
            lines.push("some of what happened here is not known: events were lost".to_owned());
        }
        if self.missed > 0 {
            let missed = self.missed;
            lines.push(format!("{missed} events missed: this view was too slow"));
        }
        if let Some(Some(why)) = &self.ended {
            lines.push(format!("it ends here: {why}"));
        }
        let failure = self.recorded.as_ref().and_then(|r| r.failure.clone());
        lines.extend(failure);
        let faults = self.health().into_iter().flat_map(Health::faults);
        lines.extend(faults.map(str::to_owned));
        let warnings = self.world().map(World::warnings);
        lines.extend(warnings.unwrap_or_default().iter().cloned());
        lines
    }

    /// What watching costs others, one line each, escaped.
    pub(crate) fn costs(&self) -> Vec<&str> {
        let health = self.health().into_iter();
        health.flat_map(Health::costs).collect()
    }

    /// The notice, while there is one.
    pub(crate) fn notice(&self) -> Option<&str> {
        self.notice.as_ref().map(|(text, _)| text.as_str())
    }

    fn notify(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), self.now + NOTICE));
    }

    /// Draws the tree anew.
    fn redraw(&mut self) {
        let Some(world) = self.world.clone() else {
            return;
        };
        let selection = match &mut self.filter {
            Some(filter) => filter.select(&world),
            None => Default::default(),
        };
        let options = RowOptions {
            lens: Some(self.lens),
            selection,
            kernel_threads: self.settings.kernel_threads,
            threads: self.settings.threads,
            inodes: self.settings.inodes,
            order: self.order,
        };
        self.tree.set(rows(&world, &options));
    }

    /// Shows another moment at once.
    fn travel(&mut self, how: impl FnOnce(&mut Clock)) {
        how(&mut self.clock);
        self.look(true);
    }

    fn divide(&mut self) {
        let extras = Extras {
            details: self.shows_details(),
            notes: !self.troubles().is_empty(),
        };
        self.layout = Layout::divide(self.screen, extras);
        let height = self.layout.map_or(0, |layout| layout.tree.height);
        self.tree.set_height(usize::from(height));
    }

    /// Whether details are wanted: as was asked for, else where there is room beside the tree.
    fn shows_details(&self) -> bool {
        self.details.unwrap_or(self.screen.width >= WIDE)
    }

    /// The process that the chosen line stands for.
    pub(crate) fn chosen_pid(&self) -> Option<HostPid> {
        self.tree.chosen()?.pid()
    }

    /// What is to be read of the host for the details, unless that is known already.
    pub(crate) fn wanted_facts(&self) -> Option<Request> {
        let request = self.request()?;
        let is_known = self.facts.as_ref().is_some_and(|(of, _)| *of == request);
        (!is_known).then_some(request)
    }

    fn request(&self) -> Option<Request> {
        self.layout.and_then(|layout| layout.details)?;
        if self.settings.is_recording {
            return None;
        }
        let process = self.world()?.process(self.chosen_pid()?)?;
        Some(Request {
            pid: process.pid,
            start_ticks: process.start_ticks,
            command: self.commands,
        })
    }

    /// Takes in what was read of the host.
    pub(crate) fn set_facts(&mut self, request: Request, facts: Facts) {
        self.facts = Some((request, facts));
    }

    /// What is known of the chosen process beyond the snapshot.
    pub(crate) fn facts(&self) -> Option<&Facts> {
        let request = self.request()?;
        let (of, facts) = self.facts.as_ref()?;
        (*of == request).then_some(facts)
    }

    /// Whether this is a recording.
    pub(crate) fn is_recording(&self) -> bool {
        self.settings.is_recording
    }
}
