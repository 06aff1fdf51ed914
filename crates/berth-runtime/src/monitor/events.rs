//! What the monitor writes into the journal of events: the start and the end of a container, as it
//! alone sees them in their order, and the ends of exec sessions.

use std::time::SystemTime;

use berth_base::state::{EventRecord, ExitFile, ExitOutcome, MonitorEvents, SettingsFile};
use berth_base::{SessionId, Timestamp};

use super::Monitor;
use super::unit::CONTAINER;
use crate::journal;

impl Monitor {
    /// The first process executes: the container is attached to, connected, mounted, started.
    pub(super) fn note_start(&mut self, number: u32) {
        if number != CONTAINER {
            return;
        }
        let stdio = &self.house.config.stdio;
        let attached = stdio.attached;
        let Some(events) = &mut self.house.config.events else {
            return;
        };
        let mut all = Vec::new();
        if attached {
            all.push(events.container.acting("attach"));
        }
        // Needed once.
        all.append(&mut events.at_start);
        all.push(events.container.acting("start"));
        let (rows, columns) = stdio.size;
        if attached && stdio.terminal && (rows, columns) != (0, 0) {
            all.push(resized(&events.container, rows, columns));
        }
        let journal = &events.journal;
        write(journal, all, Timestamp::from(SystemTime::now()));
    }

    /// The container has ended: out of memory perhaps, then its end, then what it had.
    pub(super) fn note_end(&self, exit: &ExitFile) {
        let Some(events) = &self.house.config.events else {
            return;
        };
        let container = self.container_now(events);
        let mut all = Vec::new();
        if exit.oom_killed {
            all.push(container.acting("oom"));
        }
        all.push(die(&container, exit));
        // Networks may have been joined and left since.
        let now = self.config_now().and_then(|now| now.events);
        all.append(&mut now.map_or_else(|| events.at_end.clone(), |now| now.at_end));
        write(&events.journal, all, exit.finished_at);
    }

    /// An exec session has ended; its start failed where there is no outcome.
    pub(super) fn note_session_end(&self, id: Option<&SessionId>, outcome: Option<ExitOutcome>) {
        let code = outcome.map_or(126, ExitOutcome::shell_code);
        let mut attributes = vec![("exitCode", code.to_string())];
        attributes.extend(id.map(|id| ("execID", id.to_string())));
        self.note("exec_die", &attributes);
    }

    /// A client has changed the size of the container's terminal.
    pub(super) fn note_size(&self, rows: u16, columns: u16) {
        let size = [("height", rows.to_string()), ("width", columns.to_string())];
        self.note("resize", &size);
    }

    /// Anything else that happens to the container, in Docker's words.
    pub(super) fn note(&self, action: &str, attributes: &[(&str, String)]) {
        let Some(events) = &self.house.config.events else {
            return;
        };
        let mut event = self.container_now(events).acting(action);
        for (key, value) in attributes {
            event = event.with(key, value.as_str());
        }
        write(
            &events.journal,
            vec![event],
            Timestamp::from(SystemTime::now()),
        );
    }

    /// The container under the name that it has by now.
    fn container_now(&self, events: &MonitorEvents) -> EventRecord {
        let path = self.house.config.persistent_dir.join("settings.json");
        let settings = berth_persist::read(&path).ok();
        let settings = settings.and_then(|text| serde_json::from_slice::<SettingsFile>(&text).ok());
        let container = events.container.clone();
        match settings {
            Some(settings) => container.with("name", settings.name.as_str()),
            None => container,
        }
    }
}

fn resized(container: &EventRecord, rows: u16, columns: u16) -> EventRecord {
    container
        .acting("resize")
        .with("height", rows.to_string())
        .with("width", columns.to_string())
}

/// The event of a container's end.
fn die(container: &EventRecord, exit: &ExitFile) -> EventRecord {
    let lasted = exit
        .started_at
        .map_or(0, |started| exit.finished_at.since(started).as_secs());
    container
        .acting("die")
        .with("execDuration", lasted.to_string())
        .with("exitCode", exit.outcome.shell_code().to_string())
}

fn write(journal: &std::path::Path, events: Vec<EventRecord>, now: Timestamp) {
    let events: Vec<EventRecord> = events.into_iter().map(|event| event.at(now)).collect();
    if journal::append(journal, &events).is_err() {
        // A full disk, or a root that was removed under us: nobody is there to be told.
    }
}
