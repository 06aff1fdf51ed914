//! How an event is shown: Docker's line, its JSON, or a template.

use std::collections::BTreeMap;

use berth_base::escape_untrusted;
use berth_base::state::{EventKind, EventRecord};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::template::{Surroundings, Template};
use crate::view::{json as json_view, listing};

/// `--format`.
pub(super) enum Form {
    /// `TIME TYPE ACTION ID (KEY=VALUE, ...)`.
    Text,
    /// One JSON object a line.
    Json,
    /// A line for each.
    Lines(Template),
}

/// An event in Docker's JSON.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "Action")]
    action: &'a str,
    #[serde(rename = "Actor")]
    actor: Actor<'a>,
    scope: &'static str,
    time: u64,
    #[serde(rename = "timeNano")]
    time_nano: u64,
}

#[derive(Serialize)]
struct Actor<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Attributes")]
    attributes: &'a BTreeMap<String, String>,
}

impl<'a> Message<'a> {
    fn of(event: &'a EventRecord) -> Self {
        // Of the days before there were types.
        let is_old = matches!(event.kind, EventKind::Container | EventKind::Image);
        let image = match event.kind {
            EventKind::Container => event.attributes.get("image"),
            _ => None,
        };
        Self {
            status: is_old.then_some(event.action.as_str()),
            id: is_old.then_some(event.id.as_str()),
            from: image.map(String::as_str),
            kind: event.kind.as_str(),
            action: &event.action,
            actor: Actor {
                id: &event.id,
                attributes: &event.attributes,
            },
            scope: "local",
            time: event.time_nanos / 1_000_000_000,
            time_nano: event.time_nanos,
        }
    }
}

impl Form {
    pub(super) fn parse(format: Option<&str>) -> Result<Self, Failure> {
        match format.map(str::trim) {
            None | Some("") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            Some(text) => {
                let template = listing::template(text)?;
                let sample = EventRecord::new(EventKind::Container, "", "");
                template
                    .check(&fields(&sample), &|_| false)
                    .map_err(listing::refuse)?;
                Ok(Self::Lines(template))
            }
        }
    }

    pub(super) fn write(&self, event: &EventRecord, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Text => out.line(&line(event)),
            Self::Json => out.line(&json_view::line(&Message::of(event))),
            Self::Lines(template) => {
                let mut fields = fields(event);
                let mut json = json!(Message::of(event));
                if out.is_terminal() {
                    fields = listing::escape_texts(&fields);
                    json = listing::escape_texts(&json);
                }
                let surroundings = Surroundings {
                    json: Some(&json),
                    ..Surroundings::default()
                };
                let line = template.render(&fields, surroundings);
                out.line(&line.map_err(listing::refuse)?)
            }
        }
    }
}

fn line(event: &EventRecord) -> String {
    let attributes: Vec<String> = event
        .attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let id = match event.id.as_str() {
        "" => String::new(),
        id => format!(" {id}"),
    };
    let attributes = match attributes.is_empty() {
        true => String::new(),
        false => format!(" ({})", attributes.join(", ")),
    };
    let (time, kind, action) = (event.time(), event.kind.as_str(), &event.action);
    let line = format!("{time} {kind} {action}{id}{attributes}");
    // A command or a label with a line break would show events that never were.
    escape_untrusted(&line).into_owned()
}

/// What a template sees: Go's names of the fields.
fn fields(event: &EventRecord) -> Value {
    let message = Message::of(event);
    json!({
        "Status": message.status.unwrap_or(""),
        "ID": message.id.unwrap_or(""),
        "From": message.from.unwrap_or(""),
        "Type": message.kind,
        "Action": message.action,
        "Actor": message.actor,
        "Scope": message.scope,
        "Time": message.time,
        "TimeNano": message.time_nano,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn die() -> EventRecord {
        let event = EventRecord::new(EventKind::Container, "die", "0123")
            .with("exitCode", "3")
            .with("image", "busybox")
            .with("name", "web");
        EventRecord {
            time_nanos: 1_700_000_000_123_456_789,
            ..event
        }
    }

    #[test]
    fn lines_and_json_are_dockers() {
        insta::assert_snapshot!(line(&die()), @"2023-11-14T22:13:20.123456789Z container die 0123 (exitCode=3, image=busybox, name=web)");
        insta::assert_snapshot!(json_view::line(&Message::of(&die())), @r#"{"status":"die","id":"0123","from":"busybox","Type":"container","Action":"die","Actor":{"ID":"0123","Attributes":{"exitCode":"3","image":"busybox","name":"web"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}"#);
        let volume = EventRecord::new(EventKind::Volume, "create", "data").with("driver", "local");
        insta::assert_snapshot!(json_view::line(&Message::of(&volume)), @r#"{"Type":"volume","Action":"create","Actor":{"ID":"data","Attributes":{"driver":"local"}},"scope":"local","time":0,"timeNano":0}"#);
        let prune = EventRecord::new(EventKind::Image, "prune", "").with("reclaimed", "0");
        let hostile = EventRecord::new(EventKind::Container, "exec_start: a\x1b[2J\nb", "0123");
        let hostile = hostile.with("x", "1\n2");
        assert!(line(&hostile).ends_with(r"container exec_start: a\x1b[2J\nb 0123 (x=1\n2)"));
        insta::assert_snapshot!(line(&prune), @"1970-01-01T00:00:00.000000000Z image prune (reclaimed=0)");
    }

    #[test]
    fn templates() {
        let show = |text: &str| match Form::parse(Some(text)) {
            Ok(Form::Lines(template)) => template
                .render(&fields(&die()), Surroundings::default())
                .map_err(|e| e.to_string()),
            Ok(_) => Ok(String::new()),
            Err(failure) => Err(failure.message),
        };
        assert_eq!(
            show("{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Time}} {{.From}}").unwrap(),
            "container die web 1700000000 busybox"
        );
        assert_eq!(show("{{json .Actor.ID}}").unwrap(), "\"0123\"");
        insta::assert_snapshot!(show("{{.Acton}}").unwrap_err(), @"invalid --format: template:1:3: there is no field .Acton; did you mean .Action?");
        insta::assert_snapshot!(show("{{.Actor.Attribute}}").unwrap_err(), @"invalid --format: template:1:3: there is no field .Attribute; did you mean .Attributes?");
    }
}
