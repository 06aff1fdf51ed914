//! `berth logs`.

mod section;

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use berth_base::{ErrorClass, Timestamp};
use berth_engine::{Container, Follow, Gap, LogReader, LogRecord, LogRequest, LogStream};
use clap::Args;

use super::failure::Failure;
use super::parse::Rejected;
use super::parse::time::moment_now;
use super::{Context, Outcome};
pub(super) use section::LogSection;

/// How often a log is looked at that seems not to grow.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So much is written at once.
const BATCH: usize = 64 * 1024;

/// Show what a container wrote.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Logs {
    /// Go on as it writes, until it ends
    #[arg(short, long)]
    follow: bool,
    /// Put the time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Put the attributes of --log-opt labels, env and tag before each line
    #[arg(long)]
    details: bool,
    /// Only the last N lines; all when absent
    #[arg(short = 'n', long, value_name = "N", value_parser = tail, default_value = "all",
          allow_hyphen_values = true, hide_default_value = true)]
    tail: Tail,
    /// Only from a time on, such as 2026-01-02T13:23:37Z, or 10m ago
    #[arg(long, value_name = "TIME", value_parser = moment_now)]
    since: Option<Timestamp>,
    /// Only up to a time
    #[arg(long, value_name = "TIME", value_parser = moment_now)]
    until: Option<Timestamp>,
    /// Container, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// How many lines from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    All,
    Last(usize),
}

/// Reads a number of lines; `all` and, as in Docker, a negative number mean all.
fn tail(text: &str) -> Result<Tail, Rejected> {
    match (text, text.parse::<i64>()) {
        ("all", _) | (_, Ok(i64::MIN..0)) => Ok(Tail::All),
        (_, Ok(lines)) => Ok(Tail::Last(usize::try_from(lines).unwrap_or(usize::MAX))),
        _ => Err(Rejected::new("give a number of lines, or all")),
    }
}

impl Logs {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let id = context.engine.resolve(&self.container)?;
        let container = context.engine.inspect(&id)?;
        let request = LogRequest {
            tail: match self.tail {
                Tail::All => None,
                Tail::Last(records) => Some(records),
            },
            since: self.since,
            until: self.until,
        };
        let mut log = context.engine.logs(&container, request)?;
        let mut printer = Printer::new(self);
        // The status is read before the log: what was written before the end is then seen.
        let mut live = context.engine.is_logging(&container);
        let mut follow = match self.follow && live {
            true => Some(follow(&log, &container)?),
            false => None,
        };
        loop {
            let is_last = !live || self.is_past_until();
            if follow.is_some() {
                log.refresh().map_err(|e| unreadable(&container, &e))?;
            }
            printer.drain(&mut log, &container, context)?;
            context.out.flush()?;
            let Some(follow) = follow.as_mut().filter(|_| !is_last) else {
                return Ok(0);
            };
            if log.is_over() || context.out.probe_closed() {
                return Ok(0);
            }
            follow.wait(LOOK_EVERY);
            let now = context.engine.inspect(&id);
            live = now.is_ok_and(|container| context.engine.is_logging(&container));
        }
    }

    /// Whether nothing that comes can be wanted any more.
    fn is_past_until(&self) -> bool {
        let now = Timestamp::from(SystemTime::now());
        self.until.is_some_and(|until| now > until)
    }
}

/// What wakes us, and a thread that opens what comes while we write.
fn follow(log: &LogReader, container: &Container) -> Result<Follow, Failure> {
    let folder = &container.persistent_dir;
    let kept_up = log.keep_up(folder);
    kept_up.map_err(|error| unreadable(container, &error))?;
    let init = container.live.as_ref().map(|live| live.init.pid);
    Ok(Follow::new(folder, init))
}

fn unreadable(container: &Container, error: &io::Error) -> Failure {
    Failure::new(
        ErrorClass::Unavailable,
        format!(
            "cannot read the log of container {}: {error}",
            container.name
        ),
    )
    .on(container.name.as_str())
}

/// Where we are slower than the log is turned, and files went before we had them.
fn say_missing(container: &Container, gap: &Gap) {
    let text = format!(
        "berth: the log of container {} was turned faster than it was read: {gap}; a larger max-size or max-file keeps more\n",
        container.name
    );
    // Where nobody reads standard error, standard output goes on.
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Writes records to the streams they came from, many at a time.
struct Printer<'a> {
    flags: &'a Logs,
    /// The next record begins a line, on standard output and on standard error.
    line_start: [bool; 2],
    /// Not yet written, all of one stream.
    text: Vec<u8>,
    stream: LogStream,
}

impl<'a> Printer<'a> {
    const fn new(flags: &'a Logs) -> Self {
        Self {
            flags,
            line_start: [true, true],
            text: Vec::new(),
            stream: LogStream::Out,
        }
    }

    /// Writes what the log holds.
    fn drain(
        &mut self,
        log: &mut LogReader,
        container: &Container,
        context: &mut Context,
    ) -> Result<(), Failure> {
        loop {
            let next = log.next_record();
            if next
                .map_err(|error| unreadable(container, &error))?
                .is_none()
            {
                return self.write(context);
            }
            if let Some(gap) = log.gap() {
                self.write(context)?;
                context.out.flush()?;
                say_missing(container, &gap);
            }
            let Some(record) = log.record() else { continue };
            if record.stream() != self.stream || self.text.len() >= BATCH {
                self.write(context)?;
                if context.out.is_closed() {
                    return Ok(());
                }
                self.stream = record.stream();
            }
            self.print(&record);
        }
    }

    fn print(&mut self, record: &LogRecord<'_>) {
        let [out_start, error_start] = &mut self.line_start;
        let line_start = match record.stream() {
            LogStream::Out => out_start,
            LogStream::Error => error_start,
        };
        if *line_start {
            if self.flags.timestamps {
                record.push_time(&mut self.text);
                self.text.push(b' ');
            }
            if self.flags.details {
                push_details(&record.attributes(), &mut self.text);
            }
        }
        let before = self.text.len();
        record.push_text(&mut self.text);
        if self.text.len() > before {
            *line_start = self.text.ends_with(b"\n");
        }
    }

    fn write(&mut self, context: &mut Context) -> Result<(), Failure> {
        match self.stream {
            LogStream::Out => context.out.bytes(&self.text)?,
            LogStream::Error => {
                // The order of the two streams is kept as far as one terminal shows both.
                context.out.flush()?;
                // Where nobody reads standard error, standard output goes on.
                drop(io::stderr().write_all(&self.text));
            }
        }
        self.text.clear();
        Ok(())
    }
}

/// `KEY=VALUE,KEY=VALUE `, as Docker writes it: escaped as in the query of a URL.
fn push_details(attributes: &[(String, String)], text: &mut Vec<u8>) {
    for (index, (key, value)) in attributes.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        push_escaped(key, text);
        text.push(b'=');
        push_escaped(value, text);
    }
    text.push(b' ');
}

fn push_escaped(word: &str, text: &mut Vec<u8>) {
    for byte in word.bytes() {
        match byte {
            b' ' => text.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => text.push(byte),
            _ if byte.is_ascii_alphanumeric() => text.push(byte),
            _ => text.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_escaped() {
        let mut text = Vec::new();
        let pairs = [("a b", "x=1,2"), ("c", "\u{e9}")];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        push_details(&pairs, &mut text);
        assert_eq!(text, b"a+b=x%3D1%2C2,c=%C3%A9 ");
    }

    #[test]
    fn tails() {
        assert_eq!(tail("all"), Ok(Tail::All));
        assert_eq!(tail("-1"), Ok(Tail::All));
        assert_eq!(tail("0"), Ok(Tail::Last(0)));
        assert_eq!(tail("10"), Ok(Tail::Last(10)));
        assert!(tail("few").is_err());
    }
}
