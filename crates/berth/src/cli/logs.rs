//! `berth logs`.

use std::io::{self, Write};
use std::time::Duration;

use berth_base::{ErrorClass, Timestamp};
use berth_engine::Container;
use clap::Args;

use super::failure::Failure;
use super::parse::Rejected;
use super::parse::time::moment_now;
use super::{Context, Outcome};
use crate::log::{Entry, Follow, LogFile, Stream};

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
    /// Only the last N lines, or all
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
        let path = context.engine.log_path(&id);
        let Some(mut log) = LogFile::open(&path).map_err(|error| unreadable(&container, &error))?
        else {
            if !self.follow || !container.status.is_live() {
                return Ok(0);
            }
            return Err(Failure::new(
                ErrorClass::NotFound,
                format!("container {} keeps no log", container.name),
            )
            .on(container.name.as_str()));
        };
        if let Tail::Last(lines) = self.tail {
            log.skip_to_last(lines)
                .map_err(|error| unreadable(&container, &error))?;
        }
        let mut printer = Printer::new(self);
        // The status is read before the log: what was written before the end is then seen.
        let mut live = container.status.is_live();
        let mut follow = match self.follow && live {
            true => Some(Follow::new(
                &path,
                container.live.as_ref().map(|live| live.init.pid),
            )),
            false => None,
        };
        loop {
            let more = printer.drain(&mut log, context)?;
            context.out.flush()?;
            let Some(follow) = follow.as_mut().filter(|_| more && live) else {
                return Ok(0);
            };
            if context.out.probe_closed() {
                return Ok(0);
            }
            follow.wait(Duration::from_secs(1));
            log.reopen_if_replaced(&path)
                .map_err(|error| unreadable(&container, &error))?;
            live = context
                .engine
                .inspect(&id)
                .is_ok_and(|container| container.status.is_live());
        }
    }
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

/// Writes entries to the stream they came from.
struct Printer<'a> {
    flags: &'a Logs,
    /// The next entry begins a line, on standard output and on standard error.
    line_start: [bool; 2],
}

impl<'a> Printer<'a> {
    const fn new(flags: &'a Logs) -> Self {
        Self {
            flags,
            line_start: [true, true],
        }
    }

    /// Writes what the log holds. Answers whether later entries can be wanted.
    fn drain(&mut self, log: &mut LogFile, context: &mut Context) -> Result<bool, Failure> {
        while let Some(entry) = log.next_entry() {
            if self.flags.since.is_some_and(|since| entry.time < since) {
                continue;
            }
            if self.flags.until.is_some_and(|until| entry.time > until) {
                return Ok(false);
            }
            self.print(&entry, context)?;
            if context.out.is_closed() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn print(&mut self, entry: &Entry, context: &mut Context) -> Result<(), Failure> {
        let [out_start, error_start] = &mut self.line_start;
        let line_start = match entry.stream {
            Stream::Out => out_start,
            Stream::Error => error_start,
        };
        let prefix = match self.flags.timestamps && *line_start {
            true => format!("{} ", entry.time),
            false => String::new(),
        };
        *line_start = entry.text.ends_with('\n');
        match entry.stream {
            Stream::Out => {
                context.out.bytes(prefix.as_bytes())?;
                context.out.bytes(entry.text.as_bytes())
            }
            Stream::Error => {
                // The order of the two streams is kept as far as one terminal shows both.
                context.out.flush()?;
                let text = prefix + &entry.text;
                // Where nobody reads standard error, standard output goes on.
                drop(io::stderr().write_all(text.as_bytes()));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails() {
        assert_eq!(tail("all"), Ok(Tail::All));
        assert_eq!(tail("-1"), Ok(Tail::All));
        assert_eq!(tail("0"), Ok(Tail::Last(0)));
        assert_eq!(tail("10"), Ok(Tail::Last(10)));
        assert!(tail("few").is_err());
    }
}
