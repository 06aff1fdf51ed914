//! Raw mode of the caller's terminal, always undone.

use std::io::{self, IsTerminal};

use berth_base::ErrorClass;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::cli::failure::Failure;

/// Standard input's terminal in raw mode: every key goes to the container as it is.
///
/// Dropping it restores the terminal; so does a panic, which in release builds drops nothing.
pub(crate) struct RawMode {
    before: Termios,
    raw: Termios,
}

impl RawMode {
    /// Enters raw mode (termios(3), cfmakeraw). Waits for pending output, keeps typed input.
    pub(crate) fn enter() -> Result<Self, Failure> {
        let stdin = io::stdin();
        let refuse = |error: rustix::io::Errno| {
            Failure::new(
                ErrorClass::Unavailable,
                format!(
                    "cannot set the terminal to raw mode: {}",
                    io::Error::from(error)
                ),
            )
        };
        let before = tcgetattr(&stdin).map_err(refuse)?;
        let mut raw = before.clone();
        raw.make_raw();
        let mode = Self { before, raw };
        mode.restore_on_panic();
        tcsetattr(&stdin, OptionalActions::Drain, &mode.raw).map_err(refuse)?;
        Ok(mode)
    }

    /// Enters raw mode again after the process was stopped: the shell has undone it.
    pub(crate) fn resume(&self) {
        // A terminal that is gone ends the session by itself: reading it fails.
        tcsetattr(io::stdin(), OptionalActions::Drain, &self.raw).ok();
    }

    /// Leaves raw mode until [`Self::resume`].
    pub(crate) fn pause(&self) {
        restore(&self.before);
    }

    fn restore_on_panic(&self) {
        let before = self.before.clone();
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore(&before);
            report(panic);
        }));
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore(&self.before);
    }
}

fn restore(before: &Termios) {
    // Nothing is left to restore where this fails: the terminal is gone.
    tcsetattr(io::stdin(), OptionalActions::Drain, before).ok();
}

/// Refuses `-it` where standard input is no terminal, as Docker does: there would be nobody to
/// press the keys.
pub(crate) fn check_terminal(interactive: bool, terminal: bool) -> Result<(), Failure> {
    if interactive && terminal && !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "the input device is not a TTY; leave out -t, or run it from a terminal",
        ));
    }
    Ok(())
}

/// Rows and columns of the caller's terminal: that of standard output, else of standard input;
/// zeros where there is none.
pub(crate) fn terminal_size() -> (u16, u16) {
    let size = tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stdin()));
    size.map_or((0, 0), |size| (size.ws_row, size.ws_col))
}
