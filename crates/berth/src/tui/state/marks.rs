//! What has begun and ended within the last moments, for lines that flash and fade.

use std::collections::HashMap;
use std::time::Duration;

use berth_base::{HostPid, NamespaceKind};
use berth_map::draw::Subject;
use berth_map::live::{BootTime, Exit, History};

use super::tree::Line;

/// How long what is new is marked.
const FLASH: Duration = Duration::from_millis(1500);
/// How long what has ended stays.
pub(super) const FADE: Duration = Duration::from_millis(2500);
/// From when on it is faint.
const PALE: Duration = Duration::from_millis(1000);
/// Children of one process that stay after they have ended, at most: a storm must not bury the
/// tree.
pub(super) const MOST_LINGERING: usize = 8;

/// How a line is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is as it was.
    None,
    /// It has just begun.
    Fresh,
    /// It has just ended.
    Ended(Exit),
    /// It ended a moment ago, and will be gone in another.
    Fading(Exit),
}

impl Mark {
    /// How it ended, where it has.
    pub(crate) fn exit(self) -> Option<Exit> {
        match self {
            Self::Ended(exit) | Self::Fading(exit) => Some(exit),
            Self::None | Self::Fresh => None,
        }
    }
}

/// What is marked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    of: HashMap<HostPid, (BootTime, Mark)>,
}

impl Marks {
    /// What was to be marked at a time.
    pub(super) fn at(history: &History, time: BootTime) -> Self {
        let mut marks = Self::default();
        let from = before(time, FADE);
        for life in history.lives(from, time) {
            let exit = life.exit.unwrap_or(Exit::Unknown);
            let mark = match life.ended.filter(|ended| *ended <= time) {
                _ if life.born > time => continue,
                Some(ended) if ended <= from => continue,
                Some(ended) if ended <= before(time, PALE) => Mark::Fading(exit),
                Some(_) => Mark::Ended(exit),
                None if life.born > before(time, FLASH) => Mark::Fresh,
                None => continue,
            };
            // A PID that was given away again is the younger one's.
            let known = marks.of.entry(life.pid).or_insert((life.born, mark));
            if known.0 < life.born {
                *known = (life.born, mark);
            }
        }
        marks
    }

    /// How a line is marked.
    pub(crate) fn mark(&self, line: &Line) -> Mark {
        let pid = match line.row.subject {
            Subject::Process(pid) => pid,
            // A PID namespace lives and dies with its first process; others do not.
            Subject::Box {
                namespace,
                head: Some(head),
            } if namespace.is_none_or(|id| id.kind == NamespaceKind::Pid) => head,
            _ => return Mark::None,
        };
        self.of.get(&pid).map_or(Mark::None, |(_, mark)| *mark)
    }
}

/// A time so long before another.
pub(super) fn before(time: BootTime, long: Duration) -> BootTime {
    let nanos = u64::try_from(long.as_nanos()).unwrap_or(u64::MAX);
    BootTime(time.0.saturating_sub(nanos))
}
