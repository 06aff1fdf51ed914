//! `berth map --watch`: the map alive, in a terminal.
//!
//! | Module | Room |
//! |---|---|
//! | [`state`] | what the view knows, and how updates, keys and time change it; pure |
//! | [`view`], [`words`], [`theme`], [`layout`] | the state as a grid of cells; pure |
//! | [`input`], [`ansi`] | bytes of a terminal: what they say, and what paints cells; pure |
//! | [`screen`], [`shell`] | the terminal taken over and given back; the loop around everything |
//! | [`facts`] | what is read of the chosen process beyond the snapshot, in a thread |

mod ansi;
mod exits;
mod facts;
mod input;
mod layout;
mod screen;
mod shell;
mod state;
#[cfg(test)]
mod tests;
mod theme;
mod view;
mod words;

use berth_map::Sources;
use berth_map::live::{Feed, Recording};

use crate::cli::failure::Failure;
pub(crate) use shell::{End, Signals};
pub(crate) use state::Settings;
pub(crate) use theme::Theme;

/// What is shown, and where more about it is read.
pub(crate) struct Source {
    /// What happens.
    pub(crate) feed: Feed,
    /// The host; `None` for a recording.
    pub(crate) host: Option<Sources>,
    /// The recording that is made meanwhile.
    pub(crate) recording: Option<Recording>,
}

/// Shows what a feed says until the user leaves. Also returns the recording that was made.
pub(crate) fn run(
    settings: Settings,
    theme: Theme,
    signals: Signals,
    source: Source,
) -> Result<(End, Option<Recording>), Failure> {
    let mut shell = shell::Shell {
        signals,
        subscription: source.feed.subscribe(),
        feed: source.feed,
        recording: source.recording,
        inspector: source.host.map(facts::Inspector::start),
        theme,
        decoder: input::Decoder::default(),
    };
    let end = shell.run(&mut state::State::new(settings))?;
    Ok((end, shell.recording))
}
