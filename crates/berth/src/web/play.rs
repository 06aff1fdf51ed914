//! The controls of a recording, as the page has them. Pure.
//!
//! All clients share one playback: whoever pauses or jumps does so for everybody. A playback of
//! each one's own would take a history and a drawing for each.

use berth_map::live::{BootTime, Player};
use serde_json::{Value, json};

/// The slowest and the fastest play that can be asked for.
const SPEEDS: (f64, f64) = (0.01, 10_000.0);

/// What is to be done to a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Control {
    /// Stand still, or go on.
    Pause(bool),
    /// Play so many times faster than it was.
    Speed(f64),
    /// Go to a time.
    Jump(BootTime),
}

impl Control {
    /// From the query of a URL, which is exactly one of `pause=0`, `pause=1`, `speed=TIMES` and
    /// `to=MILLISECONDS`.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let (name, value) = query.split_once('=')?;
        match (name, value) {
            ("pause", "0") => Some(Self::Pause(false)),
            ("pause", "1") => Some(Self::Pause(true)),
            ("speed", text) => {
                let speed: f64 = text.parse().ok()?;
                (SPEEDS.0..=SPEEDS.1)
                    .contains(&speed)
                    .then_some(Self::Speed(speed))
            }
            ("to", text) => {
                let millis: u64 = text.parse().ok()?;
                Some(Self::Jump(BootTime(millis.checked_mul(1_000_000)?)))
            }
            _ => None,
        }
    }

    pub(super) fn apply(self, player: &Player) {
        match self {
            Self::Pause(is_paused) => player.set_paused(is_paused),
            Self::Speed(speed) => player.set_speed(speed),
            Self::Jump(to) => player.jump(to),
        }
    }
}

/// Where a recording is played, and how; times are milliseconds since boot.
pub(super) fn state(player: &Player) -> Value {
    let millis = |time: BootTime| time.0 / 1_000_000;
    let (from, to) = player.span();
    json!({
        "at": millis(player.position()),
        "from": millis(from),
        "to": to.0.div_ceil(1_000_000),
        "speed": player.speed(),
        "paused": player.is_paused(),
        "ended": player.is_at_end(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_control_at_a_time_and_nothing_malformed() {
        assert_eq!(Control::parse("pause=1"), Some(Control::Pause(true)));
        assert_eq!(Control::parse("speed=0.25"), Some(Control::Speed(0.25)));
        let jump = Some(Control::Jump(BootTime(7_000_000)));
        assert_eq!(Control::parse("to=7"), jump);
        let bad = [
            "",
            "pause",
            "pause=",
            "pause=2",
            "pause=1&speed=2",
            "speed=0",
            "speed=-1",
            "speed=NaN",
            "speed=inf",
            "speed=10001",
            "to=-1",
            "to=1.5",
            "to=18446744073709551615",
            "to=0x7",
            "stop=1",
        ];
        for text in bad {
            assert_eq!(Control::parse(text), None, "{text}");
        }
    }
}
