//! `system restore`: everything in order, and what is wanted in this boot started.
//!
//! Each start is a process of its own, `berth internal start ID`, a bounded number at once, and those
//! whose namespaces others join come first. One that fails says so and goes on as its policy has it;
//! the others do not wait for that.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::process::{Child, ChildStdout};

use berth_base::state::NamespaceSource;
use berth_base::{ContainerId, ErrorClass, Status};
use rustix::event::{PollFd, PollFlags, poll};

use super::again::next_start;
use super::claim::{is_attended, is_being_seen_to, myself, pending};
use super::policy;
use crate::process::boot_id;
use crate::recover::Recovered;
use crate::{Container, Engine, EngineError, StartAttach};

/// How many are started at once for each CPU.
const PER_CPU: usize = 2;

/// What a restore did.
#[derive(Debug, Default)]
pub struct Restored {
    /// What was put in order.
    pub recovered: Recovered,
    /// What was started.
    pub started: Vec<ContainerId>,
    /// What could not be started, and why.
    pub errors: Vec<EngineError>,
}

impl Engine {
    /// Puts everything in order, then starts what is wanted: after a boot what ran before it and has a
    /// restart policy for that, and at any time what was to be started again by somebody who died. Can be
    /// run twice.
    pub fn restore(&self) -> Result<Restored, EngineError> {
        let mut restored = Restored {
            recovered: self.recover()?,
            ..Restored::default()
        };
        let wanted: Vec<Container> = self.list()?.into_iter().filter(is_wanted).collect();
        let name_of = |id: &ContainerId| {
            let found = wanted.iter().find(|container| container.id == *id);
            found.map_or_else(|| id.short().to_owned(), |c| c.name.to_string())
        };
        let mut queue = Queue::new(&wanted);
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let mut running: Vec<Starting> = Vec::new();
        loop {
            while running.len() < PER_CPU * cpus
                && let Some(id) = queue.next()
            {
                match self.begin_start(&id, name_of(&id)) {
                    Ok(starting) => running.push(starting),
                    Err(error) => {
                        queue.done(&id);
                        restored.errors.push(error);
                    }
                }
            }
            if running.is_empty() {
                return Ok(restored);
            }
            let starting = running.swap_remove(first_ready(&running));
            let id = starting.id.clone();
            queue.done(&id);
            match starting.finish() {
                Ok(()) => restored.started.push(id),
                Err(error) => restored.errors.push(error),
            }
        }
    }

    /// Starts a container that is wanted after a boot, in the process that [`Engine::restore`] made for
    /// it.
    pub fn start_wanted(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.await_end(id)?;
        let lock = self.store().lock(id)?;
        let view = self.settled_view(&lock)?;
        if !is_wanted(&view.container) {
            return Ok(());
        }
        // What should have been started in this boot already is, as it would have been then. After a
        // boot the count begins anew, as with Docker.
        let due = match Self::is_neglected(&view.container) {
            true => next_start(&view.container, &myself()?),
            false => None,
        };
        let record = due.map(|(record, _)| record).unwrap_or_default();
        self.start_locked(&lock, &view, &StartAttach::default(), record)?;
        Ok(())
    }

    /// Goes on with a container that could not be started, as one that has ended: in a process of its
    /// own that nobody listens to any more.
    pub fn keep_trying(&self, id: &ContainerId) -> Result<(), EngineError> {
        // Its parent's terminal and pipes are none of its business, nor its session's end.
        // by path: the host's /dev
        let null = std::fs::File::options().write(true).open("/dev/null");
        let let_go = null.and_then(|null| Ok(rustix::stdio::dup2_stdout(null)?));
        let_go.map_err(|e| {
            let text = format!("cannot let go of the output: {e}");
            EngineError::new(ErrorClass::Internal, text)
        })?;
        self.exited(id)
    }

    fn begin_start(&self, id: &ContainerId, name: String) -> Result<Starting, EngineError> {
        let failed = |e: std::io::Error| {
            let text = format!("cannot start container {name}: {e}");
            EngineError::new(ErrorClass::Unavailable, text).on(&name)
        };
        let mut child = self.spawn_reporting(id).map_err(failed)?;
        let said = child.stdout.take();
        let said = said.ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Starting {
            id: id.clone(),
            name,
            said,
            child,
        })
    }
}

/// Whether a container that does not run is to.
fn is_wanted(container: &Container) -> bool {
    if !matches!(container.status, Status::Exited | Status::Restarting) {
        return false;
    }
    if let Some(claim) = pending(container) {
        return !is_attended(claim, None);
    }
    let boot = boot_id().unwrap_or_default();
    container.run > 0
        && !is_being_seen_to(container)
        && (policy::wants_at_boot(container.restart, &container.restarts, &boot)
            || Engine::is_neglected(container))
}

/// A start on its way. It is over when its process has closed its output, which is empty then, or says
/// why it failed: the process itself may go on and try again.
struct Starting {
    id: ContainerId,
    name: String,
    said: ChildStdout,
    child: Child,
}

impl Starting {
    fn finish(mut self) -> Result<(), EngineError> {
        let mut text = String::new();
        if self.said.read_to_string(&mut text).is_err() {
            text.push_str("its process said something that cannot be read");
        }
        if text.is_empty() {
            let status = self.child.wait();
            if status.is_ok_and(|status| status.success()) {
                return Ok(());
            }
            text.push_str("the process that did it ended early");
        }
        let text = format!("cannot start container {}: {}", self.name, text.trim_end());
        Err(EngineError::new(ErrorClass::Unavailable, text).on(self.name))
    }
}

/// The index of one that is over.
fn first_ready(running: &[Starting]) -> usize {
    loop {
        let mut polled: Vec<_> = running
            .iter()
            .map(|starting| PollFd::new(&starting.said, PollFlags::IN))
            .collect();
        if poll(&mut polled, None).is_err() {
            // EINTR, or ENOMEM for a moment.
            continue;
        }
        let ready = polled.iter().position(|fd| !fd.revents().is_empty());
        if let Some(index) = ready {
            return index;
        }
    }
}

/// What is still to be started, and what must be before.
struct Queue {
    waiting: BTreeMap<ContainerId, BTreeSet<ContainerId>>,
}

impl Queue {
    fn new(wanted: &[Container]) -> Self {
        let ids: BTreeSet<&ContainerId> = wanted.iter().map(|c| &c.id).collect();
        let joined = |container: &Container| {
            let sources = container.create.namespaces.values();
            let containers = sources.filter_map(|source| match source {
                NamespaceSource::Container(id) => Some(id.clone()),
                _ => None,
            });
            containers.filter(|id| ids.contains(id)).collect()
        };
        Self {
            waiting: wanted.iter().map(|c| (c.id.clone(), joined(c))).collect(),
        }
    }

    /// One that waits for none. There are no circles: a container joins one that was there before.
    fn next(&mut self) -> Option<ContainerId> {
        let free = self.waiting.iter().find(|(_, joined)| joined.is_empty());
        let id = free.map(|(id, _)| id.clone())?;
        self.waiting.remove(&id);
        Some(id)
    }

    /// It runs, or cannot.
    fn done(&mut self, id: &ContainerId) {
        for joined in self.waiting.values_mut() {
            joined.remove(id);
        }
    }
}
