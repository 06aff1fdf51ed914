//! One record, as its reader sees it.

use std::borrow::Cow;
use std::ops::Range;

use berth_base::Timestamp;

use super::json;

/// The stream a record was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output, or the terminal.
    Out,
    /// Standard error.
    Error,
}

/// How a record's text lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Bytes,
}

/// When a record was written.
#[derive(Clone, Debug)]
pub(super) enum Time {
    /// RFC 3339 in the file.
    Text(Range<usize>),
    Nanos(u64),
}

/// Where the parts of a record are in the bytes that were read.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    pub(super) text: Range<usize>,
    pub(super) encoding: Encoding,
    pub(super) stream: LogStream,
    pub(super) time: Time,
    /// A JSON object.
    pub(super) attributes: Option<Range<usize>>,
}

/// A record of a log; its text is decoded as it is copied.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) spans: &'a Spans,
}

impl<'a> LogRecord<'a> {
    /// Where to it was written.
    pub const fn stream(&self) -> LogStream {
        self.spans.stream
    }

    /// When it was written; `None` for what another program left there.
    pub fn time(&self) -> Option<Timestamp> {
        match &self.spans.time {
            Time::Nanos(nanos) => Some(Timestamp::from_nanos(*nanos)),
            Time::Text(range) => json::time(self.slice(range)).map(Timestamp::from_nanos),
        }
    }

    /// Adds the time as RFC 3339 in UTC with nine digits of a second.
    pub fn push_time(&self, out: &mut Vec<u8>) {
        match (&self.spans.time, self.time()) {
            (Time::Text(range), _) if json::push_time(self.slice(range), out) => {}
            (_, Some(time)) => out.extend_from_slice(time.to_string().as_bytes()),
            (_, None) => {}
        }
    }

    /// Adds what was written, with its line break where it had one.
    pub fn push_text(&self, out: &mut Vec<u8>) {
        let text = self.slice(&self.spans.text);
        match self.spans.encoding {
            Encoding::Json => json::unescape(text, out),
            Encoding::Bytes => out.extend_from_slice(text),
        }
    }

    /// What went with it, as keys and values.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let Some(range) = &self.spans.attributes else {
            return Vec::new();
        };
        let pairs: Result<std::collections::BTreeMap<Cow<'a, str>, Cow<'a, str>>, _> =
            serde_json::from_slice(self.slice(range));
        pairs
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect()
    }

    fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}
