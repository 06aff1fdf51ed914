//! `events`: what a container uses, and when it runs out of memory.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use berth_base::ErrorClass;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;

use super::flags::{EventsFlags, Global};
use super::inspect::print;
use super::lifecycle::open;
use crate::cgroup::stats::Stats;
use crate::cgroup::{OomNotice, OomWatch};
use crate::oci::container::{Container, Init};
use crate::oci::state::Status;
use crate::oci::{Outcome, cannot, fail};

/// One line of `events`.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Stats>,
}

pub(super) fn events(global: &Global, flags: &EventsFlags) -> Outcome {
    let interval = parse_interval(&flags.interval)?;
    let container = open(global, &flags.id)?;
    let init = match container.status() {
        Status::Stopped => None,
        _ => container.init(),
    };
    let Some(init) = init else {
        return Err(fail(
            ErrorClass::Conflict,
            format!("container with id {} is not running", container.id),
        ));
    };
    if flags.stats {
        return stats(&container);
    }
    follow(&container, &init, interval)
}

fn stats(container: &Container) -> Outcome {
    let mut stats = container
        .cgroup()
        .stats()
        .map_err(|e| fail(e.class(), e.to_string()))?;
    if let Some(group) = &container.state.resctrl {
        stats.intel_rdt = group.stats();
    }
    line(&Event {
        kind: "stats",
        id: container.id.as_str(),
        data: Some(stats),
    })
}

fn line(event: &Event<'_>) -> Outcome {
    let text = serde_json::to_string(event).map_err(|e| cannot("encode JSON", e))?;
    print(&(text + "\n"))
}

/// Prints until the container ends.
fn follow(container: &Container, init: &Init, interval: Duration) -> Outcome {
    // Without a memory controller there is nothing to hear of; the statistics go on.
    let mut oom: Option<OomWatch> = container.cgroup().watch_oom().ok();
    let mut due = Instant::now() + interval;
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let limit = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut polled = vec![PollFd::from_borrowed_fd(init.pidfd.as_fd(), PollFlags::IN)];
        if let Some(watch) = &oom {
            polled.push(PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN));
        }
        match poll(&mut polled, Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(cannot("wait for events", errno)),
        }
        let ended = polled
            .first()
            .is_some_and(|init| !init.revents().is_empty());
        drop(polled);
        let notice = oom.as_mut().map(OomWatch::take).transpose();
        match notice.map_err(|e| cannot("read the OOM notices", e))? {
            Some(OomNotice::OutOfMemory(_)) => line(&Event {
                kind: "oom",
                id: container.id.as_str(),
                data: None,
            })?,
            Some(OomNotice::Gone) => oom = None,
            Some(OomNotice::Nothing) | None => {}
        }
        if ended {
            return Ok(());
        }
        if Instant::now() >= due {
            stats(container)?;
            due = Instant::now() + interval;
        }
    }
}

/// Go's durations, as runc takes them: `5s`, `500ms`, `1m30s`.
fn parse_interval(text: &str) -> Outcome<Duration> {
    humantime::parse_duration(text)
        .ok()
        .filter(|interval| !interval.is_zero())
        .ok_or_else(|| {
            fail(
                ErrorClass::Invalid,
                format!("--interval: {text:?} is not a duration above zero, such as 5s or 500ms"),
            )
        })
}
