//! What has begun and ended within the last moments, for lines that flash and fade.

use std::collections::HashMap;
use std::time::Duration;

use berth_base::HostPid;
use berth_map::World;
use berth_map::live::{Event, EventKind, Exit};

use super::tree::{Line, LineKey};

/// How long what is new is marked.
const FLASH: Duration = Duration::from_millis(1500);
/// How long what has ended stays.
const FADE: Duration = Duration::from_millis(2500);
/// Exits that wait for the snapshot that lacks their process, at most.
const MOST_EXITS: usize = 8 * 1024;
/// Lines that stay after their process has ended, at most: a storm must not bury the tree.
pub(super) const MOST_LINGERING: usize = 200;

/// How a line is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is as it was.
    None,
    /// It has just begun.
    Fresh,
    /// It has just ended.
    Ended(Exit),
}

/// What has changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    births: HashMap<HostPid, (u64, Duration)>,
    endings: HashMap<HostPid, Ending>,
    /// How processes ended, until the snapshot that lacks them.
    exits: HashMap<HostPid, Exit>,
}

#[derive(Debug)]
struct Ending {
    start_ticks: u64,
    at: Duration,
    exit: Exit,
}

impl Changes {
    /// Notes what one snapshot has and the other has not. Both are sorted by PID.
    pub(super) fn compare(&mut self, old: &World, new: &World, now: Duration) {
        for process in new.processes() {
            let before = old.process(process.pid);
            if before.is_none_or(|b| b.start_ticks != process.start_ticks) {
                let birth = (process.start_ticks, now);
                self.births.insert(process.pid, birth);
            }
        }
        for process in old.processes() {
            let after = new.process(process.pid);
            if after.is_some_and(|a| a.start_ticks == process.start_ticks) {
                continue;
            }
            let exit = self.exits.remove(&process.pid);
            let ending = self.endings.entry(process.pid);
            let ending = ending.or_insert(Ending {
                start_ticks: process.start_ticks,
                at: now,
                exit: Exit::Unknown,
            });
            if let Some(exit) = exit {
                ending.exit = exit;
            }
        }
    }

    /// Notes what the feed tells before the next snapshot does.
    pub(super) fn hear(&mut self, event: &Event, world: Option<&World>, now: Duration) {
        let EventKind::Exited(exit) = event.kind else {
            return;
        };
        if let Some(ending) = self.endings.get_mut(&event.pid) {
            ending.exit = exit;
        } else if let Some(process) = world.and_then(|world| world.process(event.pid)) {
            let ending = Ending {
                start_ticks: process.start_ticks,
                at: now,
                exit,
            };
            self.endings.insert(event.pid, ending);
        } else if self.exits.len() < MOST_EXITS {
            self.exits.insert(event.pid, exit);
        }
    }

    /// Forgets what is too long ago. Whether something was, so that the screen changes.
    pub(super) fn forget(&mut self, now: Duration) -> bool {
        let count = self.births.len() + self.endings.len();
        self.births.retain(|_, (_, at)| now < *at + FLASH);
        self.endings.retain(|_, ending| now < ending.at + FADE);
        if self.exits.len() == MOST_EXITS {
            self.exits.clear();
        }
        count != self.births.len() + self.endings.len()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a line stays although the snapshot lacks it.
    pub(super) fn keeps(&self, line: &Line) -> bool {
        match line.key {
            LineKey::Process(pid, start) => self.ending(pid, Some(start)).is_some(),
            LineKey::Top(_, Some(head)) | LineKey::Bottom(_, Some(head)) => {
                self.ending(head, None).is_some()
            }
            _ => false,
        }
    }

    /// How a line is marked.
    pub(crate) fn mark(&self, line: &Line) -> Mark {
        match line.key {
            LineKey::Process(pid, start) => {
                if let Some(ending) = self.ending(pid, Some(start)) {
                    return Mark::Ended(ending.exit);
                }
                let birth = self.births.get(&pid);
                match birth.is_some_and(|(began, _)| *began == start) {
                    true => Mark::Fresh,
                    false => Mark::None,
                }
            }
            LineKey::Top(_, Some(head)) | LineKey::Bottom(_, Some(head)) => {
                if let Some(ending) = self.ending(head, None) {
                    return Mark::Ended(ending.exit);
                }
                match self.births.contains_key(&head) {
                    true => Mark::Fresh,
                    false => Mark::None,
                }
            }
            _ => Mark::None,
        }
    }

    fn ending(&self, pid: HostPid, start: Option<u64>) -> Option<&Ending> {
        let ending = self.endings.get(&pid)?;
        let is_same = start.is_none_or(|start| start == ending.start_ticks);
        is_same.then_some(ending)
    }
}
