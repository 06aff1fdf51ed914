//! The terminal, taken over and always given back.
//!
//! [`Screen`] owns raw mode, the alternate screen, the mouse and the hidden cursor. Dropping it
//! gives everything back; so does a panic, which in release builds drops nothing.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use berth_base::ErrorClass;
use ratatui_core::buffer::Buffer;
use rustix::io::Errno;

use super::ansi;
use super::state::State;
use super::theme::Theme;
use super::view;
use crate::cli::failure::Failure;
use crate::terminal::RawMode;

/// Whether the terminal is ours now: what the panic hook undoes.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// The alternate screen (xterm's 1049), mouse buttons and drags (1002) in the form that knows no
/// largest column (1006), no cursor (DECTCEM).
const TAKE: &str = "\x1b[?1049h\x1b[?1002h\x1b[?1006h\x1b[?25l";
/// The same without entering the alternate screen, which must not be entered twice.
const RETAKE: &str = "\x1b[?1002h\x1b[?1006h\x1b[?25l";
/// All of it undone.
const GIVE_BACK: &str = "\x1b[?1006l\x1b[?1002l\x1b[0m\x1b[?1049l\x1b[?25h";

/// The terminal while it is ours.
pub(super) struct Screen {
    raw: RawMode,
    /// What the terminal shows; `None` where that is not known.
    shown: Option<Buffer>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn take() -> Result<Self, Failure> {
        let raw = RawMode::enter()?;
        give_back_on_panic();
        take_modes()?;
        Ok(Self { raw, shown: None })
    }

    /// Paints the state; only cells that have changed are written.
    pub(super) fn paint(&mut self, state: &State, theme: Theme) -> Result<(), Failure> {
        let mut next = Buffer::empty(state.screen());
        view::paint(state, theme, &mut next);
        let bytes = match &self.shown {
            Some(shown) if shown.area == next.area => ansi::difference(shown, &next),
            _ => ansi::whole(&next),
        };
        write_all(&bytes)?;
        self.shown = Some(next);
        Ok(())
    }

    /// The next painting writes everything.
    pub(super) fn forget(&mut self) {
        self.shown = None;
    }

    /// Gives the terminal back for as long as the process is stopped.
    pub(super) fn lend(&mut self) {
        give_modes_back();
        self.raw.pause();
    }

    /// Takes it over again.
    pub(super) fn resume(&mut self) -> Result<(), Failure> {
        self.raw.resume();
        self.forget();
        take_modes()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_modes_back();
    }
}

fn take_modes() -> Result<(), Failure> {
    match IS_TAKEN.swap(true, Ordering::SeqCst) {
        false => write_all(TAKE.as_bytes()),
        true => write_all(RETAKE.as_bytes()),
    }
}

/// Undoes [`take_modes`], once.
fn give_modes_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        // Nothing is left to give back where this fails: the terminal is gone.
        write_all(GIVE_BACK.as_bytes()).ok();
    }
}

/// Raw mode has a hook of its own, which runs after this one.
fn give_back_on_panic() {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_modes_back();
        next(panic);
    }));
}

/// Writes everything. Standard output of the library would buffer by lines.
fn write_all(mut bytes: &[u8]) -> Result<(), Failure> {
    let out = io::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(&out, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => {
                let message = format!("cannot write to the terminal: {}", io::Error::from(error));
                return Err(Failure::new(ErrorClass::Unavailable, message));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code outside of test functions")]
mod tests {
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::tcgetattr;

    use super::*;

    /// What the test below runs in a terminal: it fails, and that is what is looked at.
    #[test]
    #[ignore = "run by a_panic_gives_the_terminal_back, in a terminal"]
    fn panic_with_the_screen_taken() {
        let _screen = Screen::take().unwrap();
        panic!("a bug in a view");
    }

    /// Runs this program's own test above in a pseudo terminal; what it wrote, and whether the
    /// terminal's modes are as before.
    fn panic_in_a_terminal() -> (String, bool) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave: OwnedFd = {
            let mut options = std::fs::File::options();
            let file = options.read(true).write(true).open(name.to_str().unwrap());
            file.unwrap().into()
        };
        let before = format!("{:?}", tcgetattr(&slave).unwrap());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--nocapture", "--exact"])
            .arg("tui::screen::tests::panic_with_the_screen_taken")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave.try_clone().unwrap()))
            .spawn()
            .unwrap();
        assert!(!child.wait().unwrap().success());
        let after = format!("{:?}", tcgetattr(&slave).unwrap());
        drop(slave);
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        // EIO: the other end is closed, and all of it was read.
        while let Ok(length @ 1..) = rustix::io::read(&master, &mut buffer) {
            bytes.extend_from_slice(&buffer[..length]);
        }
        (String::from_utf8(bytes).unwrap(), before == after)
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_speaks() {
        let (text, are_modes_back) = panic_in_a_terminal();
        let taken = text.find(TAKE).unwrap();
        let given = text.find(GIVE_BACK).unwrap();
        let spoken = text.find("a bug in a view").unwrap();
        assert!(taken < given && given < spoken, "{text:?}");
        assert_eq!(text.matches(GIVE_BACK).count(), 1, "{text:?}");
        assert!(are_modes_back);
    }
}
