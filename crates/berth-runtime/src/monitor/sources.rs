//! What the monitor waits for.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Monitor;
use super::log::Stream;

/// Something that can be attended to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    Signals,
    Keeper,
    Listener,
    Starter(u32),
    Report(u32),
    Output(u32, Stream),
    Input(u32),
    ClientReady(usize),
    ClientSays(usize),
}

/// Waits until at least one source is ready, or it is time for something else.
///
/// Output is not read while an attached client is behind: the process then waits on its full
/// pipe, as it would without us. A client is not read while its process takes no input.
pub(super) fn wait(monitor: &Monitor) -> Vec<Source> {
    let mut sources = Vec::with_capacity(16);
    let mut polled = Vec::with_capacity(16);
    let mut add = |source, fd, flags| {
        sources.push(source);
        polled.push(PollFd::from_borrowed_fd(fd, flags));
    };
    add(Source::Signals, monitor.signals.as_fd(), PollFlags::IN);
    add(
        Source::Listener,
        monitor.house.listener.as_fd(),
        PollFlags::IN,
    );
    if let Some(keeper) = &monitor.keeper {
        add(Source::Keeper, keeper.as_fd(), PollFlags::IN);
    }
    for unit in &monitor.units {
        if let Some(starter) = &unit.starter {
            add(Source::Starter(unit.number), starter.as_fd(), PollFlags::IN);
        }
        if let Some(report) = &unit.report {
            add(Source::Report(unit.number), report.as_fd(), PollFlags::IN);
        }
        if let Some(target) = unit.input.wants_write() {
            add(Source::Input(unit.number), target, PollFlags::OUT);
        }
        let held_up = monitor.clients.iter().any(|client| {
            client.is_behind()
                && client
                    .binding
                    .is_some_and(|b| b.unit == unit.number && b.output)
        });
        // Clients hear STARTED first: output of a process that was quicker waits in its pipe.
        if !held_up && unit.starter.is_none() {
            for (stream, fd) in unit.outputs() {
                add(Source::Output(unit.number, stream), fd, PollFlags::IN);
            }
        }
    }
    for (index, client) in monitor.clients.iter().enumerate() {
        if client.is_behind() {
            add(Source::ClientReady(index), client.socket(), PollFlags::OUT);
        }
        let input_blocked = client.binding.is_some_and(|b| {
            b.input
                && monitor
                    .units
                    .iter()
                    .any(|u| u.number == b.unit && !u.input.has_room())
        });
        if !input_blocked {
            add(Source::ClientSays(index), client.socket(), PollFlags::IN);
        }
    }
    let timeout = monitor.next_wake().map(|wake| Timespec {
        tv_sec: i64::try_from(wake.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(wake.subsec_nanos()),
    });
    if poll(&mut polled, timeout.as_ref()).is_err() {
        // EINTR, or ENOMEM for a moment: look again.
        return Vec::new();
    }
    let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
    sources
        .into_iter()
        .zip(&polled)
        .filter(|(_, fd)| ready(fd))
        .map(|(source, _)| source)
        .collect()
}
