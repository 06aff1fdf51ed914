//! What the view knows, and how updates, keys and time change it.
//!
//! Pure: it opens nothing, reads no clock and knows no terminal. The shell hands in what happened
//! and does what an [`Action`] says; the view paints what it finds here.

mod changes;
mod filter;
mod keys;
mod pointer;
mod search;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use berth_base::{HostPid, NamespaceKind};
use berth_map::World;
use berth_map::draw::{Inodes, KernelThreads, Order, RowOptions, Threads, rows};
use berth_map::live::{BootTime, Frame, Health, Update};
use ratatui_core::layout::Rect;

pub(crate) use changes::Mark;
pub(crate) use filter::Filter;
pub(crate) use search::{Match, Matches};
pub(crate) use tree::{Line, LineKey, Tree};

use super::facts::{Facts, Request};
use super::layout::{Extras, Layout};
use changes::Changes;

/// The kinds of namespace that `tab` goes through.
pub(crate) const LENSES: [NamespaceKind; 5] = [
    NamespaceKind::Pid,
    NamespaceKind::Net,
    NamespaceKind::Mnt,
    NamespaceKind::User,
    NamespaceKind::Cgroup,
];

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Paint.
    Paint,
    /// Paint everything anew: something else has written to the terminal.
    Repaint,
    /// Leave.
    Quit,
    /// Stop the process, as Ctrl-Z does.
    Suspend,
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
    frame: Option<Arc<Frame>>,
    pub(crate) lens: NamespaceKind,
    pub(crate) order: Order,
    pub(crate) filter: Option<Filter>,
    pub(crate) tree: Tree,
    pub(crate) changes: Changes,
    pub(crate) panel: Panel,
    /// What the last search found, and which of it was gone to.
    pub(crate) found: Option<(Matches, usize)>,
    pub(crate) details: bool,
    /// How far the details are scrolled.
    pub(crate) details_top: u16,
    /// Whether command lines may be shown.
    pub(crate) commands: bool,
    facts: Option<(Request, Facts)>,
    notice: Option<(String, Duration)>,
    /// Events that this view was too slow for.
    missed: u64,
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
            frame: None,
            order: Order::Pid,
            tree: Tree::default(),
            changes: Changes::default(),
            panel: Panel::None,
            found: None,
            details: false,
            details_top: 0,
            commands: false,
            facts: None,
            notice: None,
            missed: 0,
            ended: None,
        }
    }

    /// The screen has this size.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        let first = self.screen.width == 0;
        self.screen = Rect::new(0, 0, width, height);
        if first {
            // Where there is room for them, details show from the beginning.
            self.details = width >= 120;
        }
        self.divide();
    }

    /// The whole screen.
    pub(crate) fn screen(&self) -> Rect {
        self.screen
    }

    /// Takes in what the feed says.
    pub(crate) fn update(&mut self, update: Update) {
        match update {
            Update::Frame(frame) => self.take_frame(frame),
            Update::Events(events) => {
                let world = self.frame.as_ref().map(|frame| Arc::clone(&frame.world));
                for event in events.iter() {
                    self.changes.hear(event, world.as_deref(), self.now);
                }
            }
            Update::End(why) => self.ended = Some(why),
        }
        self.divide();
    }

    /// So much time has passed since the beginning. Whether the screen changes by that.
    pub(crate) fn tick(&mut self, now: Duration) -> bool {
        self.now = now;
        let mut changed = self.changes.forget(now);
        if changed {
            self.redraw();
        }
        if self.notice.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.notice = None;
            changed = true;
        }
        changed
    }

    /// How many events this view was too slow for.
    pub(crate) fn set_missed(&mut self, missed: u64) {
        self.missed = missed;
    }

    fn take_frame(&mut self, frame: Arc<Frame>) {
        if let Some(before) = &self.frame {
            self.changes.compare(&before.world, &frame.world, self.now);
        }
        self.frame = Some(frame);
        self.redraw();
        self.search_again();
    }

    /// The snapshot that is shown.
    pub(crate) fn world(&self) -> Option<&World> {
        self.frame.as_ref().map(|frame| frame.world.as_ref())
    }

    /// The moment that is shown.
    pub(crate) fn moment(&self) -> Option<BootTime> {
        self.frame.as_ref().map(|frame| frame.at)
    }

    /// The time of day so long before the moment that is shown (RFC 3339, UTC).
    pub(crate) fn wall(&self, ago: Duration) -> Option<String> {
        let wall = self.frame.as_ref()?.wall.checked_sub(ago)?;
        Some(humantime::format_rfc3339_seconds(wall).to_string())
    }

    /// How well the host can be watched.
    pub(crate) fn health(&self) -> Option<&Health> {
        self.frame.as_ref().map(|frame| &frame.health)
    }

    /// What does not work, the weightiest first, one line each, escaped.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let lost = self.health().map_or(0, |health| health.lost);
        if lost > 0 {
            lines.push(format!("{lost} events lost: the kernel had no room"));
        }
        if self.missed > 0 {
            let missed = self.missed;
            lines.push(format!("{missed} events missed: this view was too slow"));
        }
        if let Some(Some(why)) = &self.ended {
            lines.push(format!("the feed has ended: {why}"));
        }
        lines.extend(self.health().into_iter().flat_map(|h| h.notes.clone()));
        let warnings = self.world().map(World::warnings);
        lines.extend(warnings.unwrap_or_default().iter().cloned());
        lines
    }

    /// The notice, while there is one.
    pub(crate) fn notice(&self) -> Option<&str> {
        self.notice.as_ref().map(|(text, _)| text.as_str())
    }

    fn notify(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), self.now + NOTICE));
    }

    /// Draws the tree anew. What has just ended stays, as long as the tree is drawn the same way.
    fn redraw(&mut self) {
        let Some(world) = self.frame.as_ref().map(|frame| Arc::clone(&frame.world)) else {
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
        let drawing = rows(&world, &options);
        let changes = &self.changes;
        let budget = std::cell::Cell::new(changes::MOST_LINGERING);
        self.tree.set(&world, drawing, |line| {
            let stays = budget.get() > 0 && changes.keeps(line);
            budget.set(budget.get() - usize::from(stays));
            stays
        });
    }

    /// Draws the tree anew after it was asked to be another one.
    fn redraw_otherwise(&mut self) {
        self.tree.forget_lines();
        self.redraw();
    }

    fn divide(&mut self) {
        let extras = Extras {
            details: self.details,
            notes: !self.troubles().is_empty(),
        };
        self.layout = Layout::divide(self.screen, extras);
        let height = self.layout.map_or(0, |layout| layout.tree.height);
        self.tree.set_height(usize::from(height));
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
