//! The loop around the state: keys, signals, the feed and the clock go in, pictures come out.
//!
//! One poll(2) loop. Signals are read from a descriptor, and were blocked before the feed's thread
//! began; each has its place in the order of things, so that none can catch the terminal half
//! taken.

use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use berth_base::ErrorClass;
use berth_map::live::{Feed, Recording, Subscription};
use berth_sys::signal::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use super::facts::Inspector;
use super::input::{Decoder, Input};
use super::screen::Screen;
use super::state::{Action, Change, Play, Played, Recorded, State};
use super::theme::Theme;
use crate::cli::failure::Failure;
use crate::terminal::terminal_size;

const HUP: i32 = 1;
const INT: i32 = 2;
const QUIT: i32 = 3;
const TERM: i32 = 15;
const CONT: i32 = 18;
const TSTP: i32 = 20;
const WINCH: i32 = 28;

/// Drawing and painting may take one part in so many of a processor, keys apart.
const SHARE: u32 = 125;
/// How long nothing is looked at, where nothing happens.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long an escape may be the beginning of something longer.
const ESCAPE: Duration = Duration::from_millis(25);
/// Updates that are taken in at once: a storm must not keep keys waiting.
const MOST_UPDATES: usize = 256;

/// The signals of the view. To be taken before any thread is started, which inherits that they
/// are blocked.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Takes them.
    pub(crate) fn take() -> Result<Self, Failure> {
        let all = [HUP, INT, QUIT, TERM, CONT, TSTP, WINCH];
        SignalFd::new(&all).map(Self).map_err(|error| {
            let message = format!("cannot receive signals through a descriptor: {error}");
            Failure::new(ErrorClass::Unavailable, message)
        })
    }
}

impl Signals {
    /// Waits so long for one that ends the program; its number.
    pub(crate) fn wait_for_end(&self, patience: Duration) -> Option<u8> {
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        // What fails here is found by reading, which does not block.
        poll(&mut fds, Some(&patience)).ok();
        let ending = [HUP, INT, QUIT, TERM];
        let mut signals = std::iter::from_fn(|| self.0.read());
        let found = signals.find_map(|signal| u8::try_from(signal).ok());
        found.filter(|number| ending.contains(&i32::from(*number)))
    }
}

/// Why the view was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The user left.
    Left,
    /// A signal ended it.
    Signal(u8),
}

/// What the loop works with.
pub(crate) struct Shell {
    pub(crate) signals: Signals,
    pub(crate) feed: Feed,
    pub(crate) subscription: Subscription,
    pub(crate) recording: Option<Recording>,
    /// Reads more of a host; `None` for a recording.
    pub(crate) inspector: Option<Inspector>,
    pub(crate) theme: Theme,
    pub(crate) decoder: Decoder,
}

impl Shell {
    /// Shows the state until the user leaves or a signal comes.
    pub(crate) fn run(&mut self, state: &mut State) -> Result<End, Failure> {
        let mut screen = Screen::take()?;
        let start = Instant::now();
        resize(state);
        let mut stale = true;
        loop {
            let begin = processor_time();
            let change = self.draw(state, start);
            stale |= change > Change::None;
            stale |= self.ask(state);
            if std::mem::take(&mut stale) {
                screen.paint(state, self.theme)?;
            }
            if change == Change::Everything {
                state.rest(processor_time().saturating_sub(begin) * SHARE);
            }
            let is_hurried = self.decoder.is_waiting();
            let ready = self.wait(if is_hurried { ESCAPE } else { PATIENCE })?;
            if ready.signal {
                stale = true;
                if let Some(end) = self.read_signals(state, &mut screen)? {
                    return Ok(end);
                }
            }
            let inputs = match ready.input {
                true => self.read_keys(),
                false => Some(self.decoder.give_up().into_iter().collect()),
            };
            let Some(inputs) = inputs else {
                return Ok(End::Signal(u8::try_from(HUP).unwrap_or(1)));
            };
            // What a key does shows at once.
            stale |= !inputs.is_empty();
            if let Some(end) = self.act(inputs, state, &mut screen)? {
                return Ok(end);
            }
        }
    }

    /// Takes in what has happened, and lets time pass. What of the screen changes by that.
    fn draw(&self, state: &mut State, start: Instant) -> Change {
        self.read_feed(state);
        let played = self.feed.player().map(|player| Played {
            position: player.position(),
            span: player.span(),
            speed: player.speed(),
            is_paused: player.is_paused(),
        });
        let is_moved = state.set_played(played);
        state.recorded = self.recording.as_ref().map(|recording| Recorded {
            bytes: recording.bytes(),
            failure: recording.failure(),
        });
        let change = state.tick(start.elapsed());
        change.max(if is_moved {
            Change::Words
        } else {
            Change::None
        })
    }

    fn wait(&self, patience: Duration) -> Result<Ready, Failure> {
        let stdin = io::stdin();
        let mut fds = [
            PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.0.as_fd(), PollFlags::IN),
        ];
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        match poll(&mut fds, Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                let message = format!("cannot wait for keys: {}", io::Error::from(error));
                return Err(Failure::new(ErrorClass::Internal, message));
            }
        }
        let [input, signal] = &fds;
        Ok(Ready {
            input: !input.revents().is_empty(),
            signal: !signal.revents().is_empty(),
        })
    }

    /// Takes in what the feed has said.
    fn read_feed(&self, state: &mut State) {
        for _ in 0..MOST_UPDATES {
            let Some(update) = self.subscription.try_next() else {
                break;
            };
            state.update(update);
        }
        state.set_missed(self.subscription.missed());
    }

    /// Asks for what the details lack, and takes in what was found. Whether something was.
    fn ask(&self, state: &mut State) -> bool {
        let Some(inspector) = &self.inspector else {
            return false;
        };
        if let Some(request) = state.wanted_facts() {
            inspector.ask(request);
        }
        let mut changed = false;
        while let Some((request, facts)) = inspector.answer() {
            state.set_facts(request, facts);
            changed = true;
        }
        changed
    }

    fn read_signals(&self, state: &mut State, screen: &mut Screen) -> Result<Option<End>, Failure> {
        while let Some(signal) = self.signals.0.read() {
            let number = u8::try_from(signal).unwrap_or(0);
            match i32::from(number) {
                WINCH => resize(state),
                TSTP => self.suspend(state, screen)?,
                CONT => {
                    // Somebody stopped us without asking.
                    screen.resume()?;
                    resize(state);
                }
                _ => return Ok(Some(End::Signal(number))),
            }
        }
        Ok(None)
    }

    /// Reads keys. A terminal that hung up reads as its end, and ends the view.
    fn read_keys(&mut self) -> Option<Vec<Input>> {
        let mut bytes = [0; 4096];
        match rustix::io::read(io::stdin(), &mut bytes) {
            Ok(0) => None,
            Ok(length) => Some(self.decoder.decode(bytes.get(..length).unwrap_or_default())),
            Err(Errno::INTR | Errno::AGAIN) => Some(Vec::new()),
            Err(_) => None,
        }
    }

    fn act(
        &self,
        inputs: impl IntoIterator<Item = Input>,
        state: &mut State,
        screen: &mut Screen,
    ) -> Result<Option<End>, Failure> {
        for input in inputs {
            match state.input(input) {
                Action::Paint => {}
                Action::Repaint => screen.forget(),
                Action::Quit => return Ok(Some(End::Left)),
                Action::Suspend => self.suspend(state, screen)?,
                Action::Play(play) => self.play(play),
            }
        }
        Ok(None)
    }

    fn play(&self, play: Play) {
        let Some(player) = self.feed.player() else {
            return;
        };
        match play {
            Play::Pause(is_paused) => player.set_paused(is_paused),
            Play::Speed(speed) => player.set_speed(speed),
            Play::Jump(to) => player.jump(to),
        }
    }

    /// Gives the terminal back and stops, like any program on Ctrl-Z; goes on after SIGCONT.
    fn suspend(&self, state: &mut State, screen: &mut Screen) -> Result<(), Failure> {
        screen.lend();
        let this = rustix::process::getpid();
        let stopped = rustix::process::kill_process(this, Signal::STOP);
        stopped.map_err(|error| {
            let message = format!("cannot stop: {}", io::Error::from(error));
            Failure::new(ErrorClass::Internal, message)
        })?;
        screen.resume()?;
        resize(state);
        Ok(())
    }
}

/// What this thread has cost so far. Who waits for a processor costs nothing.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn resize(state: &mut State) {
    let (rows, columns) = terminal_size();
    state.resize(columns, rows);
}

/// What can be read.
struct Ready {
    input: bool,
    signal: bool,
}
