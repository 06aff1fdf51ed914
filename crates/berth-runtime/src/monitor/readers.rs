//! Whom the output of a process waits for.
//!
//! - Nobody attached: it waits for nobody.
//! - Several: the quickest sets the pace. The others get what they can, up to
//!   [`MAX_WAITING`](super::client::MAX_WAITING) late; what is more is left out for them, which
//!   they are told.
//! - None keeps up: the process waits for them, as for a pipe that is full, but only
//!   [`PATIENCE`] for those who merely look on.
//! - Who began a process in the foreground without a terminal is the end of a pipe: the process
//!   waits, nothing is left out.

use std::time::{Duration, Instant};

use super::Monitor;
use super::client::Client;
use super::unit::Unit;

/// How long a process waits for clients that look on and take nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long the end of a container waits for the client of a session that takes nothing.
const OWNERS_PATIENCE: Duration = Duration::from_secs(10);

/// Whether output is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Somebody takes it, or nobody is to be waited for.
    Go,
    /// A client has to take something first.
    Wait,
    /// The same, but not for longer than this.
    WaitFor(Duration),
}

/// What counts of one reader.
#[derive(Clone, Copy, Debug)]
struct Reader {
    /// For how long it has taken nothing of what waits; `None` while it keeps up.
    behind: Option<Duration>,
    owner: bool,
}

impl Monitor {
    /// How the output of a unit goes on.
    pub(super) fn pace(&self, unit: &Unit, now: Instant) -> Pace {
        let readers = self
            .clients
            .iter()
            .filter(|client| reads(client, unit.number))
            .map(|client| Reader {
                behind: client
                    .behind_since()
                    .map(|since| now.saturating_duration_since(since)),
                owner: client.binding.is_some_and(|binding| binding.owner),
            });
        pace(readers, unit.terminal.is_some())
    }

    /// When to look again at readers although nothing has happened; `None` for never.
    pub(super) fn patience(&self) -> Option<Duration> {
        let now = Instant::now();
        let waits = self
            .units
            .iter()
            .filter_map(|unit| match self.pace(unit, now) {
                Pace::WaitFor(left) => Some(left),
                Pace::Go | Pace::Wait => None,
            });
        waits.min()
    }
}

/// Whether a client receives the output of a unit.
pub(super) fn reads(client: &Client, unit: u32) -> bool {
    let bound = client.binding.is_some_and(|b| b.unit == unit && b.output);
    bound && !client.is_gone() && !client.is_deaf()
}

/// Whether a client is the end of a pipe, of which nothing is left out.
pub(super) fn is_end_of_pipe(client: &Client, terminal: bool) -> bool {
    !terminal && client.binding.is_some_and(|binding| binding.owner)
}

/// How long a client is waited for that has not taken all, once the container has ended; `None`
/// for ever.
pub(super) fn farewell(client: &Client) -> Option<Duration> {
    let is_owner = client.binding.is_some_and(|binding| binding.owner);
    let patience = match (client.is_launcher, is_owner) {
        (true, _) => return None,
        (false, true) => OWNERS_PATIENCE,
        (false, false) => PATIENCE,
    };
    let behind = client.behind_since().map(|since| since.elapsed());
    Some(patience.saturating_sub(behind.unwrap_or_default()))
}

fn pace(readers: impl Iterator<Item = Reader>, terminal: bool) -> Pace {
    let mut somebody_keeps_up = false;
    let mut is_owned = false;
    let mut left = None;
    for reader in readers {
        match reader.behind {
            None => somebody_keeps_up = true,
            Some(_) if reader.owner && !terminal => return Pace::Wait,
            Some(_) if reader.owner => is_owned = true,
            Some(behind) => left = left.max(Some(PATIENCE.saturating_sub(behind))),
        }
    }
    match left {
        _ if somebody_keeps_up => Pace::Go,
        _ if is_owned => Pace::Wait,
        Some(left) if !left.is_zero() => Pace::WaitFor(left),
        Some(_) | None => Pace::Go,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Reader = Reader {
        behind: None,
        owner: false,
    };

    fn slow(seconds: u64) -> Reader {
        Reader {
            behind: Some(Duration::from_secs(seconds)),
            owner: false,
        }
    }

    fn owner(behind: Option<Duration>) -> Reader {
        Reader {
            behind,
            owner: true,
        }
    }

    #[test]
    fn the_quickest_sets_the_pace_and_nobody_waits_for_long() {
        let stopped = Some(Duration::from_secs(60));
        for (readers, terminal, expected) in [
            (vec![], false, Pace::Go),
            (vec![QUICK], false, Pace::Go),
            (vec![slow(0), QUICK], false, Pace::Go),
            (vec![slow(0)], false, Pace::WaitFor(PATIENCE)),
            (
                vec![slow(1), slow(5)],
                true,
                Pace::WaitFor(PATIENCE - Duration::from_secs(1)),
            ),
            (vec![slow(2), slow(5)], true, Pace::Go),
            // The end of a pipe.
            (vec![owner(stopped)], false, Pace::Wait),
            (vec![owner(stopped), QUICK], false, Pace::Wait),
            // A terminal.
            (vec![owner(stopped)], true, Pace::Wait),
            (vec![owner(stopped), QUICK], true, Pace::Go),
            (vec![owner(None), slow(0)], false, Pace::Go),
        ] {
            let text = format!("{readers:?} {terminal}");
            assert_eq!(pace(readers.into_iter(), terminal), expected, "{text}");
        }
    }
}
