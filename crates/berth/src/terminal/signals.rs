//! Signals that reach the client while it is attached.

use berth_base::ErrorClass;
use berth_sys::signal::SignalFd;

use crate::cli::failure::Failure;

const HUP: i32 = 1;
const INT: i32 = 2;
const QUIT: i32 = 3;
const TERM: i32 = 15;
const CONT: i32 = 18;
const WINCH: i32 = 28;

/// Signals that end a client which does not pass them on.
const ENDING: [i32; 4] = [HUP, INT, QUIT, TERM];
/// Further signals that a client passes on: USR1, USR2, ALRM, STKFLT, IO, PWR. Those that say
/// something about the client itself (CHLD, PIPE, TSTP, TTIN, TTOU, faults, limits) stay with it.
const PASSED: [i32; 6] = [10, 12, 14, 16, 29, 30];
/// The real-time signals that glibc leaves to programs; systemd's SIGRTMIN+3 is one.
const REALTIME: std::ops::RangeInclusive<i32> = 34..=64;
/// As many signals INT or TERM make a client give up on a process that does not end.
const PATIENCE: u32 = 3;

/// What becomes of a signal to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalPolicy {
    /// The container's process receives it (`--sig-proxy`, no terminal).
    Forward,
    /// It ends the client, and the container goes on.
    EndClient,
}

impl SignalPolicy {
    /// That of a client of a container: signals are passed on where it was asked for and there is no
    /// terminal, through which they come as keys.
    pub(crate) const fn of(sig_proxy: bool, terminal: bool) -> Self {
        match sig_proxy && !terminal {
            true => Self::Forward,
            false => Self::EndClient,
        }
    }
}

/// What to do about a signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Pass it on.
    Forward(u8),
    /// Tell the container's terminal its new size.
    Resize,
    /// The client goes on after it was stopped.
    Resume,
    /// End the client, which exits 128 + n.
    End(u8),
    /// The user has asked three times: leave the container and exit 1.
    GiveUp,
    /// It says nothing to anybody here.
    Ignore,
}

/// The signals of an attached client, blocked in the process and read from a descriptor.
///
/// Made before the container is: a Ctrl-C while it starts is not lost, it arrives once there is
/// somebody to receive it.
pub(crate) struct Signals {
    descriptor: SignalFd,
    policy: SignalPolicy,
    terminal: bool,
    asked: u32,
}

impl Signals {
    /// Takes the signals over; `terminal` says whether the container has one.
    pub(crate) fn take(policy: SignalPolicy, terminal: bool) -> Result<Self, Failure> {
        let mut set = vec![CONT, WINCH];
        set.extend(ENDING);
        if policy == SignalPolicy::Forward {
            set.extend(PASSED);
            set.extend(REALTIME);
        }
        let descriptor = SignalFd::new(&set).map_err(|error| {
            Failure::new(
                ErrorClass::Unavailable,
                format!("cannot receive signals through a descriptor: {error}"),
            )
        })?;
        Ok(Self {
            descriptor,
            policy,
            terminal,
            asked: 0,
        })
    }

    /// The descriptor to poll.
    pub(super) const fn descriptor(&self) -> &SignalFd {
        &self.descriptor
    }

    /// Takes the next signal and says what to do about it.
    pub(super) fn next(&mut self) -> Option<Reaction> {
        let signal = self.descriptor.read()?;
        Some(self.react(signal))
    }

    fn react(&mut self, signal: u32) -> Reaction {
        let number = u8::try_from(signal).unwrap_or(0);
        match (i32::from(number), self.policy) {
            (CONT, _) if self.terminal => Reaction::Resume,
            (WINCH, _) if self.terminal => Reaction::Resize,
            (CONT | WINCH, SignalPolicy::EndClient) => Reaction::Ignore,
            (_, SignalPolicy::EndClient) => Reaction::End(number),
            (INT | TERM, SignalPolicy::Forward) => {
                self.asked += 1;
                if self.asked >= PATIENCE {
                    Reaction::GiveUp
                } else {
                    Reaction::Forward(number)
                }
            }
            (_, SignalPolicy::Forward) => Reaction::Forward(number),
        }
    }
}
