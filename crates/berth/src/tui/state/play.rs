//! A recording that is played.

use std::time::Duration;

use berth_map::live::BootTime;

use super::{Action, State};

/// How far a key jumps.
const JUMP: Duration = Duration::from_secs(60);

/// Where a recording is played, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Played {
    /// The time in the recording.
    pub(crate) position: BootTime,
    /// Its beginning and its end.
    pub(crate) span: (BootTime, BootTime),
    /// How many times faster than it was.
    pub(crate) speed: f64,
    /// Whether it stands still.
    pub(crate) is_paused: bool,
}

/// What is to be done to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Play {
    /// Stand still, or go on.
    Pause(bool),
    /// Play so many times faster than it was.
    Speed(f64),
    /// Go to a time.
    Jump(BootTime),
}

impl State {
    /// Where the recording is now. Whether the screen changes by that.
    pub(crate) fn set_played(&mut self, played: Option<Played>) -> bool {
        let second = |p: &Option<Played>| p.map(|p| (p.position.0 / 1_000_000_000, p.is_paused));
        let speed = |p: &Option<Played>| p.map(|p| p.speed.to_bits());
        let changed =
            second(&self.played) != second(&played) || speed(&self.played) != speed(&played);
        self.played = played;
        self.clock.set_played(played.map(|p| p.position));
        changed
    }

    /// What a key does to a recording.
    pub(super) fn play(&mut self, letter: char) -> Action {
        let Some(played) = self.played else {
            self.notify("this is no recording: left and right go back and forth");
            return Action::Paint;
        };
        let jump = u64::try_from(JUMP.as_nanos()).unwrap_or(u64::MAX);
        let here = self.clock.moment().0;
        let play = match letter {
            'p' => Play::Pause(!played.is_paused),
            '<' => Play::Speed(played.speed / 2.0),
            '>' => Play::Speed(played.speed * 2.0),
            '{' => Play::Jump(BootTime(here.saturating_sub(jump))),
            _ => Play::Jump(BootTime(here.saturating_add(jump))),
        };
        if matches!(play, Play::Jump(_)) {
            self.clock.go_live();
        }
        Action::Play(play)
    }

    /// Goes to the beginning or the end of a recording.
    pub(super) fn play_from(&mut self, of: impl FnOnce(Played) -> BootTime) -> Option<Action> {
        let played = self.played?;
        self.clock.go_live();
        Some(Action::Play(Play::Jump(of(played))))
    }
}
