//! `berth events`: what happens, and what has happened.

mod filter;
mod section;
mod show;

use std::io;
use std::time::SystemTime;

use berth_base::Timestamp;
use berth_engine::{EventReader, EventsFrom};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::parse::filter::filter;
use super::parse::time::moment_now;
use super::{Context, Outcome};
use filter::Filters;
pub(crate) use section::EventsSection;
use show::Form;

/// How long to wait between two looks where the host has no more file watches to give.
const UNWATCHED: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Show what happens to containers, images, networks and volumes.
///
/// Without --since and --until it begins with what happens next. It goes on until --until, or until
/// it is stopped.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Events {
    /// Only those that fit, such as type=container, event=die or label=a=b
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// json, or a Go template such as {{.Action}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// From a time on, such as 2026-01-02T13:23:37Z, or 10m ago
    #[arg(long, value_name = "TIME", value_parser = moment_now)]
    since: Option<Timestamp>,
    /// Up to a time, which may be still to come
    #[arg(long, value_name = "TIME", value_parser = until, allow_hyphen_values = true)]
    until: Option<Timestamp>,
}

/// As [`moment_now`]; a duration with a minus lies ahead, as Go has it.
fn until(text: &str) -> Result<Timestamp, super::parse::Rejected> {
    match text.strip_prefix('-') {
        None => moment_now(text),
        Some(ahead) => {
            let ahead = super::parse::time::duration(ahead)?;
            let nanos = u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
            Ok(Timestamp::from_nanos(
                now().as_nanos().saturating_add(nanos),
            ))
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

impl Events {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let form = Form::parse(self.format.as_deref())?;
        let filters = Filters::new(&self.filter)?;
        let from = match (self.since, self.until) {
            (None, None) => EventsFrom::Now,
            (since, _) => EventsFrom::Time(since.unwrap_or(Timestamp::from_nanos(0))),
        };
        let mut reader = context.engine.events(from)?;
        loop {
            // Looked at before the journal is: what is written until then is in it.
            let is_over = self.until.is_some_and(|until| until <= now());
            while let Some(event) = reader.next_event() {
                let time = event.time();
                let in_time = self.since.is_none_or(|since| time >= since)
                    && self.until.is_none_or(|until| time <= until);
                if in_time && filters.accept(&event) {
                    form.write(&event, &mut context.out)?;
                }
                if context.out.is_closed() {
                    return Ok(0);
                }
            }
            context.out.flush()?;
            if reader.has_missed() {
                context
                    .console
                    .warn("events came faster than they were read; some are missing here");
            }
            if is_over || context.out.probe_closed() {
                return Ok(0);
            }
            self.wait(&reader);
        }
    }

    /// Waits for events, for the end of the reader of ours, or for `--until`.
    fn wait(&self, reader: &EventReader) {
        let left = self.until.map(|until| until.since(now()));
        let limit = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        let stdout = io::stdout();
        let mut fds = vec![PollFd::new(&stdout, PollFlags::empty())];
        let limit = match reader.changes() {
            Some(changes) => {
                fds.push(PollFd::from_borrowed_fd(changes, PollFlags::IN));
                limit
            }
            None => Some(limit.map_or(UNWATCHED, |l| if l.tv_sec < 1 { l } else { UNWATCHED })),
        };
        if poll(&mut fds, limit.as_ref()).is_err() {
            // Whatever ends the wait, the caller looks for itself.
        }
        reader.forget_changes();
    }
}
