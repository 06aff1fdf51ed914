//! The process: one for each state folder.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use berth_sys::signal::SignalFd;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, chdir, getrlimit, setrlimit, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_no_new_privs,
};

use super::client::Resolver;
use super::error::DnsError;
use super::server::{Config, Server};
use super::upkeep::Upkeep;

/// Whose lock is held as long as the process serves.
const LOCK: &str = "dns.lock";
/// How long an earlier process may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(5);

/// Makes the caller a process of nobody's: a session of its own, no descriptor and no stream of
/// the one that started it, who may wait for their end, and no folder that it keeps busy.
///
/// Only at the start of a program, before it opens anything.
///
/// # Errors
/// As close_range(2), open(2) of /dev/null, and chdir(2).
pub fn detach() -> Result<(), Errno> {
    berth_sys::close_all_but_streams(None)?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    // The leader of a process group has a session of its own already, or cannot have one.
    setsid().ok();
    chdir("/")
}

/// Serves the containers of a state folder until none has been there for some seconds, or
/// SIGTERM comes. Blocks SIGHUP, SIGINT and SIGTERM, of which SIGHUP has resolv.conf read again,
/// and gives up the caller's privilege, save the one over the network where there is `upkeep`.
///
/// # Errors
/// [`DnsError::Running`] when another process does already, which is as good; else what keeps it
/// from serving.
pub fn run(state: &Path, upkeep: Option<Box<dyn Upkeep>>) -> Result<(), DnsError> {
    let failed = |what| {
        move |source| DnsError::System {
            what,
            path: state.to_owned(),
            source,
        }
    };
    let state = state.canonicalize().map_err(|error| {
        failed("serve names for")(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    })?;
    let _lock = lock(&state)?;
    let signals = [Signal::HUP, Signal::INT, Signal::TERM].map(Signal::as_raw);
    let signals = SignalFd::new(&signals).map_err(|error| {
        failed("take signals for")(Errno::from_io_error(&error).unwrap_or(Errno::IO))
    })?;
    raise_descriptor_limit();
    let mut kept = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    if upkeep.is_some() {
        kept |= CapabilitySet::NET_ADMIN;
    }
    give_up_privilege(kept).map_err(failed("give up privilege for"))?;
    let server = Server::new(Config::new(state), Some(signals))?;
    match upkeep {
        Some(upkeep) => server.with_upkeep(upkeep)?.run(),
        None => server.run(),
    }
}

/// Takes the lock of a state folder. One that is held by a process that listens no more will be
/// free in a moment.
fn lock(state: &Path) -> Result<OwnedFd, DnsError> {
    let path = state.join(LOCK);
    let failed = |source| DnsError::System {
        what: "lock",
        path: path.clone(),
        source,
    };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match Resolver::connect(state) {
                Err(DnsError::NotRunning(_)) if Instant::now() < deadline => {
                    std::thread::sleep(RETRY);
                }
                Ok(_) | Err(DnsError::NotRunning(_)) => {
                    return Err(DnsError::Running(state.to_owned()));
                }
                Err(error) => return Err(error),
            },
            Err(errno) => return Err(failed(errno)),
        }
    }
}

/// Every container takes three descriptors, and every query from outside one: as many as may be.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // The limit that is there serves fewer containers.
    setrlimit(Resource::Nofile, raised).ok();
}

/// Who we are from here on: the user who owns the state, who may still enter folders of others on
/// the way there, and change the packet filter where that is our work. Containers' packets are read
/// without any other right over the host.
fn give_up_privilege(kept: CapabilitySet) -> Result<(), Errno> {
    let had = capabilities(None)?;
    clear_ambient_capability_set()?;
    let sets = CapabilitySets {
        effective: had.effective & kept,
        permitted: had.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    set_no_new_privs(true)
}
