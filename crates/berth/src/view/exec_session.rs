//! An exec session in listings.

use berth_base::{SessionId, Timestamp};
use berth_engine::ExecSession;
use serde_json::json;

use super::listing::{Column, Row};
use super::row::{Width, command_line, ellipsis};
use super::span;
use crate::template::quote;

/// What `exec ls` shows without `--format`.
pub(crate) const TABLE: &str = "{{.ID}}\t{{.Container}}\t{{.Pid}}\t{{.Command}}\t{{.User}}\t{{.RunningFor}}\t{{.Tty}}\t{{.Status}}";

/// What `--format` of `exec ls` may name.
pub(crate) const COLUMNS: [Column; 13] = [
    ("ID", "SESSION ID"),
    ("Container", "CONTAINER"),
    ("ContainerID", "CONTAINER ID"),
    ("Pid", "PID"),
    ("Command", "COMMAND"),
    ("User", "USER"),
    ("StartedAt", "STARTED AT"),
    ("RunningFor", "STARTED"),
    ("Tty", "TTY"),
    ("Detached", "DETACHED"),
    ("EndsWithClient", "ENDS WITH CLIENT"),
    ("Processes", "PROCESSES"),
    ("Status", "STATUS"),
];

/// The longest command that is shown, as in `ps`.
const COMMAND_WIDTH: usize = 20;

/// Makes the row of a session.
pub(crate) fn row(session: &ExecSession, width: Width, now: Timestamp) -> Row {
    let file = &session.file;
    let command = command_line(&file.command);
    let command = match width {
        Width::Short => ellipsis(&command, COMMAND_WIDTH),
        Width::Full => command,
    };
    let (id, container) = match width {
        Width::Short => (SessionId::short(&file.id), session.container.short()),
        Width::Full => (file.id.as_str(), session.container.as_str()),
    };
    Row::plain(json!({
        "ID": id,
        "Container": session.name.as_str(),
        "ContainerID": container,
        "Pid": session.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        "Command": quote(&command),
        "User": file.user,
        "StartedAt": span::date(file.started_at),
        "RunningFor": format!("{} ago", span::words(now.since(file.started_at))),
        "Tty": file.terminal.to_string(),
        "Detached": file.detached.to_string(),
        "EndsWithClient": file.ends_with_client.to_string(),
        "Processes": session.processes.to_string(),
        "Status": status(session),
    }))
}

/// `Running`, or what is left of one whose main process has ended.
fn status(session: &ExecSession) -> String {
    match (session.file.outcome, session.processes) {
        (None, _) => "Running".to_owned(),
        (Some(outcome), 1) => format!("Exited ({}), 1 process left", outcome.shell_code()),
        (Some(outcome), left) => {
            format!("Exited ({}), {left} processes left", outcome.shell_code())
        }
    }
}
