//! `--format` of a listing: a table, JSON lines, or a template for each object.

use std::borrow::Cow;

use berth_base::{ErrorClass, escape_untrusted};
use serde_json::{Map, Value};

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::template::{Method, Surroundings, Template, TemplateError};
use crate::view::{json, table};

/// How a listing is written.
pub(crate) enum Format {
    /// A heading and a line for each object, in columns.
    Table(Template),
    /// One JSON object a line.
    Json,
    /// A line for each object.
    Lines(Template),
}

/// One object of a listing.
#[derive(Clone)]
pub(crate) struct Row {
    /// What templates and JSON show.
    pub(crate) fields: Value,
    /// What methods such as `.Label "x"` read besides.
    pub(crate) beside: Value,
}

impl Row {
    /// An object without methods.
    pub(crate) const fn plain(fields: Value) -> Self {
        Self {
            fields,
            beside: Value::Null,
        }
    }

    /// The object with every text escaped; as it is, where no text needs that.
    fn escaped(&self) -> Cow<'_, Self> {
        match is_harmless(&self.fields) && is_harmless(&self.beside) {
            true => Cow::Borrowed(self),
            false => Cow::Owned(Self {
                fields: escape_texts(&self.fields),
                beside: escape_texts(&self.beside),
            }),
        }
    }

    fn render(&self, template: &Template, method: Method) -> Result<String, Failure> {
        let surroundings = Surroundings {
            method,
            beside: &self.beside,
            ..Surroundings::default()
        };
        template.render(&self.fields, surroundings).map_err(refuse)
    }
}

/// A column that a listing offers: its name in templates, its heading in tables.
pub(crate) type Column = (&'static str, &'static str);

impl Format {
    /// Reads `--format`; `columns` is the table shown without one.
    pub(crate) fn parse(text: Option<&str>, columns: &str) -> Result<Self, Failure> {
        let text = text.unwrap_or("table").trim();
        if text == "json" {
            return Ok(Self::Json);
        }
        let table = text
            .strip_prefix("table")
            .filter(|rest| rest.is_empty() || rest.starts_with([' ', '\\', '\t']));
        match table {
            Some(rest) if rest.trim().is_empty() => Ok(Self::Table(template(columns)?)),
            Some(rest) => Ok(Self::Table(template(rest.trim_start_matches(' '))?)),
            None => Ok(Self::Lines(template(text)?)),
        }
    }

    /// A field that no object has is an error also where there is no object. `first` is the first
    /// object, or one that has every field that is no text.
    pub(crate) fn check(
        &self,
        first: Option<&Value>,
        columns: &[Column],
        method: Method,
    ) -> Result<(), Failure> {
        let (Self::Lines(template) | Self::Table(template)) = self else {
            return Ok(());
        };
        let mut sample: Map<String, Value> = columns
            .iter()
            .map(|(field, _)| ((*field).to_owned(), Value::from("")))
            .collect();
        if let Some(Value::Object(first)) = first {
            sample.extend(first.clone());
        }
        let is_method = |name: &str| method(&Value::Null, name, &[Value::from("")]).is_some();
        template
            .check(&Value::Object(sample), &is_method)
            .map_err(refuse)
    }

    /// Writes the objects.
    pub(crate) fn write(
        &self,
        rows: &[Row],
        columns: &[Column],
        method: Method,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let is_terminal = out.is_terminal();
        out.text(&self.render(rows, columns, method, is_terminal)?)
    }

    /// The objects as text, for a terminal or for a program.
    pub(crate) fn render(
        &self,
        rows: &[Row],
        columns: &[Column],
        method: Method,
        for_terminal: bool,
    ) -> Result<String, Failure> {
        self.check(rows.first().map(|row| &row.fields), columns, method)?;
        let lines = rows.iter().map(|row| self.line(row, method, for_terminal));
        self.whole(lines.collect::<Result<_, _>>()?, columns)
    }

    /// One object, as [`Self::whole`] takes it. What a terminal might obey is escaped in a table, and
    /// elsewhere where it is `for_terminal`.
    pub(crate) fn line(
        &self,
        row: &Row,
        method: Method,
        for_terminal: bool,
    ) -> Result<String, Failure> {
        match self {
            Self::Json => Ok(json::line(&row.fields)),
            Self::Lines(template) if !for_terminal => row.render(template, method),
            Self::Lines(template) | Self::Table(template) => row.escaped().render(template, method),
        }
    }

    /// The listing whose objects are `lines`.
    pub(crate) fn whole(
        &self,
        mut lines: Vec<String>,
        columns: &[Column],
    ) -> Result<String, Failure> {
        if let Self::Table(template) = self {
            lines.insert(0, heading(template, columns)?);
            return Ok(table::align(&lines));
        }
        Ok(lines.into_iter().map(|line| line + "\n").collect())
    }
}

/// Parses a template in which, as in Docker, `\t` and `\n` outside of actions are a tab and a
/// line break.
pub(crate) fn template(text: &str) -> Result<Template, Failure> {
    let text = text.replace("\\t", "\t").replace("\\n", "\n");
    Template::parse(&text).map_err(refuse)
}

/// A template that does not parse or does not fit is bad usage.
pub(crate) fn refuse(error: TemplateError) -> Failure {
    Failure {
        exit_code: Some(crate::cli::failure::EXIT_ENGINE),
        ..Failure::new(ErrorClass::Invalid, format!("invalid --format: {error}")).on("--format")
    }
}

/// The heading: the template over the headings of the columns.
fn heading(template: &Template, columns: &[Column]) -> Result<String, Failure> {
    let names: Map<String, Value> = columns
        .iter()
        .map(|(field, heading)| ((*field).to_owned(), Value::from(*heading)))
        .collect();
    let surroundings = Surroundings {
        method: label_heading,
        header: true,
        ..Surroundings::default()
    };
    template
        .render(&Value::Object(names), surroundings)
        .map_err(refuse)
}

/// The heading over `.Label "com.example.some-key"`: `some key`.
fn label_heading(_: &Value, name: &str, arguments: &[Value]) -> Option<Value> {
    let label = (name == "Label").then(|| arguments.first())??.as_str()?;
    let last = label.rsplit('.').next().unwrap_or(label);
    Some(escape_untrusted(&last.replace(['-', '_'], " ")).into())
}

/// Whether no text in a value needs to be escaped.
fn is_harmless(value: &Value) -> bool {
    match value {
        Value::String(text) => matches!(escape_untrusted(text), Cow::Borrowed(_)),
        Value::Array(values) => values.iter().all(is_harmless),
        Value::Object(map) => map.values().all(is_harmless),
        _ => true,
    }
}

/// Escapes every text in a value, so that no cell breaks its line or steers a terminal.
pub(crate) fn escape_texts(value: &Value) -> Value {
    match value {
        Value::String(text) => escape_untrusted(text).into(),
        Value::Array(values) => values.iter().map(escape_texts).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), escape_texts(value)))
            .collect(),
        other => other.clone(),
    }
}
