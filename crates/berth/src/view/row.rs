//! A line of `ps`.

use berth_base::state::{HealthStatus, NamespaceSource};
use berth_base::{NamespaceKind, Status, Timestamp};
use berth_engine::Container;
use serde_json::{Value, json};

use super::listing::{Column, Row};
use super::{mounts, ports, size, span};
use crate::template::quote;

/// What `ps` shows without `--format`.
pub(crate) const TABLE: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

/// What `ps --size` shows without `--format`.
pub(crate) const TABLE_SIZED: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

/// What `--format` of `ps` may name.
pub(crate) const COLUMNS: [Column; 16] = [
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Names", "NAMES"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
    ("Pid", "PID"),
];

/// Longest command and mount that are shown whole.
const COMMAND_WIDTH: usize = 20;
const MOUNT_WIDTH: usize = 15;

/// Whether long values are cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// Cut, as listings do.
    Short,
    /// Whole, `--no-trunc`.
    Full,
}

/// What a row shows besides what the container's own files say.
pub(crate) struct Beside {
    /// What its image is called now.
    pub(crate) image: String,
    /// Bytes of its own and with its image, where they were asked for.
    pub(crate) sizes: Option<(u64, u64)>,
}

/// Makes the row of a container.
pub(crate) fn row(container: &Container, beside: &Beside, width: Width, now: Timestamp) -> Row {
    let create = &container.create;
    let cut = |text: &str, length| match width {
        Width::Short => ellipsis(text, length),
        Width::Full => text.to_owned(),
    };
    let id = match width {
        Width::Short => container.id.short(),
        Width::Full => container.id.as_str(),
    };
    let labels = create.options.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let mounts: Vec<String> = mounts::sources(container)
        .iter()
        .map(|source| cut(source, MOUNT_WIDTH))
        .collect();
    let fields = json!({
        "ID": id,
        "Image": beside.image,
        "Command": quote(&cut(&command_line(&create.argv), COMMAND_WIDTH)),
        "CreatedAt": span::date(create.created_at),
        "RunningFor": format!("{} ago", span::words(now.since(create.created_at))),
        "Ports": ports::column(container),
        "State": container.status.as_str(),
        "Status": status(container, now),
        "Size": match beside.sizes {
            None => "0B".to_owned(),
            Some((own, 0)) => size::decimal(own),
            Some((own, all)) => format!("{} (virtual {})", size::decimal(own), size::decimal(all)),
        },
        "Names": container.name.as_str(),
        "Labels": labels.join(","),
        "Mounts": mounts.join(","),
        "LocalVolumes": mounts::volume_count(container).to_string(),
        "Networks": ports::networks(container).unwrap_or_else(|| network(container)),
        // As with Docker's usual store: that of its image is the image's to tell.
        "Platform": null,
        "Pid": container.live.as_ref().map_or(0, |live| live.init.pid.get()),
    });
    Row {
        fields,
        beside: json!(create.options.labels),
    }
}

/// The fields of every row that are no text.
pub(crate) fn sample() -> Value {
    json!({"Platform": null, "Pid": 0})
}

/// `.Label "key"` of a row.
pub(crate) fn method(labels: &Value, name: &str, arguments: &[Value]) -> Option<Value> {
    match (name, arguments) {
        ("Label", [Value::String(key)]) => {
            Some(labels.get(key).cloned().unwrap_or_else(|| "".into()))
        }
        _ => None,
    }
}

/// The status in words: `Up 3 minutes`, `Exited (137) 2 seconds ago (OOM)`.
pub(crate) fn status(container: &Container, now: Timestamp) -> String {
    let words = status_words(container, now);
    // To ask the kernel takes time: only where there is a limit of memory to run into.
    let is_limited = container.create.options.resources.memory_bytes.is_some();
    match (container.exit.is_some() || is_limited) && container.oom_killed() {
        true => words + " (OOM)",
        false => words,
    }
}

fn status_words(container: &Container, now: Timestamp) -> String {
    let up = || match &container.live {
        Some(live) => format!("Up {}", span::words(now.since(live.started_at))),
        None => "Up".to_owned(),
    };
    match container.status {
        Status::Created => "Created".to_owned(),
        Status::Starting => "Starting".to_owned(),
        Status::Running => match &container.health {
            None => up(),
            Some(health) if health.status == HealthStatus::Starting => {
                format!("{} (health: starting)", up())
            }
            Some(health) => format!("{} ({})", up(), health.status),
        },
        Status::Restarting => match &container.exit {
            Some(exit) => format!(
                "Restarting ({}) {} ago",
                exit.outcome.shell_code(),
                span::words(now.since(exit.finished_at))
            ),
            None => "Restarting".to_owned(),
        },
        Status::Paused => format!("{} (Paused)", up()),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Exited => match &container.exit {
            Some(exit) => format!(
                "Exited ({}) {} ago",
                exit.outcome.shell_code(),
                span::words(now.since(exit.finished_at))
            ),
            None => "Exited".to_owned(),
        },
    }
}

/// What probes say of a container, in Docker's words.
pub(crate) fn health_word(container: &Container) -> &'static str {
    match &container.health {
        None => "none",
        Some(health) => health.status.as_str(),
    }
}

/// Where the network namespace comes from, in Docker's words.
pub(crate) fn network(container: &Container) -> String {
    namespace_mode(container, NamespaceKind::Net, "none")
}

/// Where a namespace comes from; `private` is the word for one of its own.
pub(crate) fn namespace_mode(container: &Container, kind: NamespaceKind, private: &str) -> String {
    match container.create.namespaces.get(&kind) {
        Some(NamespaceSource::Host) => "host".to_owned(),
        Some(NamespaceSource::Container(id)) => format!("container:{id}"),
        Some(NamespaceSource::Path(path)) => format!("ns:{}", path.display()),
        Some(NamespaceSource::Private) | None => private.to_owned(),
    }
}

/// Arguments on one line; one that holds a space stands in single quotes, as Docker has it.
pub(super) fn command_line(argv: &[String]) -> String {
    let words: Vec<String> = argv
        .iter()
        .map(|word| {
            if word.contains(' ') {
                format!("'{word}'")
            } else {
                word.clone()
            }
        })
        .collect();
    words.join(" ")
}

/// Cuts a text to `length` characters, the last one an ellipsis.
pub(crate) fn ellipsis(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(1)).collect();
    kept + "…"
}
