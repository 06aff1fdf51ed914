//! Writing events.

use std::io;
use std::time::SystemTime;

use berth_base::Timestamp;
use berth_base::state::{EventKind, EventRecord, ExitFile, MonitorEvents};
use berth_runtime::journal::append;

use super::record::{EventObject, PruneKind, container, image};
use super::{EventReader, folder, journal, rotate};
use crate::view::View;
use crate::{Container, Engine, Session};

impl Engine {
    /// Writes an event that happens now. One that cannot be written is lost.
    pub(crate) fn emit(&self, event: EventRecord) {
        self.emit_all(vec![event]);
    }

    /// Writes events that happen now, in one write.
    pub(crate) fn emit_all(&self, events: Vec<EventRecord>) {
        if events.is_empty() {
            return;
        }
        let now = Timestamp::from(SystemTime::now());
        let events: Vec<EventRecord> = events.into_iter().map(|event| event.at(now)).collect();
        self.write_events(&events);
    }

    /// Writes an event of a container that happens now.
    pub(crate) fn emit_of(&self, of: &Container, action: &str, attributes: &[(&str, String)]) {
        let mut event = container(&of.create, of.name.as_str(), action);
        for (key, value) in attributes {
            event = event.with(key, value.as_str());
        }
        self.emit(event);
    }

    /// Writes an event of something that is not the engine's doing: a client left, a list was shown.
    pub fn note(&self, object: EventObject<'_>, action: &str) {
        match object {
            EventObject::Container(of) => self.emit_of(of, action, &[]),
            EventObject::Image(id, name) => self.emit(image(id, name, action)),
        }
    }

    /// Writes that a client has left an exec session, which goes on.
    pub fn note_exec_detached(&self, of: &Container, session: &Session) {
        let id = session.exec_id().map(|id| ("execID", id.to_string()));
        self.emit_of(of, "exec_detach", &Vec::from_iter(id));
    }

    /// Writes what Docker tells of a start that fails once all is connected and mounted.
    pub(crate) fn emit_failed_start(&self, events: &MonitorEvents, attached: bool) {
        let attach = attached.then(|| events.container.acting("attach"));
        let all = attach.iter().chain(&events.at_start).chain(&events.at_end);
        self.emit_all(all.cloned().collect());
    }

    /// Writes that unused objects were removed, and how many bytes that freed.
    pub fn note_prune(&self, kind: PruneKind, reclaimed: u64) {
        let event = EventRecord::new(kind.kind(), "prune", "");
        self.emit(event.with("reclaimed", reclaimed.to_string()));
    }

    fn write_events(&self, events: &[EventRecord]) {
        let root = self.store().root();
        let path = journal(root);
        let written = match append(&path, events) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The first event of all.
                match self.make_events_folder() {
                    Ok(()) => append(&path, events),
                    Err(error) => Err(error),
                }
            }
            other => other,
        };
        let limits = self.config().events;
        if written.is_ok_and(|length| length >= limits.file_bytes) {
            // What cannot be moved now, the next writer moves.
            drop(rotate::rotate(root, limits));
        }
    }

    pub(super) fn make_events_folder(&self) -> io::Result<()> {
        berth_persist::make_dirs("events.folder", &folder(self.store().root()), 0o700)
    }

    /// Writes the end of a run that nobody saw, where it was one and is not in the journal: whoever
    /// recorded it may have died on the way.
    pub(crate) fn emit_unseen_end(&self, view: &View, exit: &ExitFile) {
        let of = &view.container;
        let (mut started, mut ended) = (super::record::was_begun(view.last_run.as_ref()), false);
        let mut reader = EventReader::open(self.store().root(), None);
        while let Some(event) = reader.next_event() {
            let is_of = event.kind == EventKind::Container
                && event.run == Some(exit.run)
                && event.id == of.id.as_str();
            started |= is_of && event.action == "start";
            ended |= is_of && event.action == "die";
        }
        if !started || ended {
            return;
        }
        let event = EventRecord {
            run: Some(exit.run),
            ..container(&of.create, of.name.as_str(), "die")
        };
        let lasted = exit
            .started_at
            .map_or(0, |from| exit.finished_at.since(from).as_secs());
        let event = event
            .with("execDuration", lasted.to_string())
            .with("exitCode", exit.outcome.shell_code().to_string());
        // Of a container that is being removed this alone is left.
        self.emit(match &exit.error {
            Some(error) => event.with("error", error.clone()),
            None => event,
        });
    }
}
