//! One question about one PID, answered without reading the whole host.
//!
//! [`find`] turns what a user wrote into a process and a small [`World`] around it; the answers
//! (owner, every level, the PID elsewhere) are then read from that.

use berth_base::{ErrorClass, HostPid, NamespaceId, escape_untrusted};
use berth_sys::nsfs;

use crate::attribute::KnownContainer;
use crate::discover::{DiscoverError, Sources, StateRead, open_verified, read_containers};
use crate::model::{Engine, World};
use crate::translate::{
    Candidate, HOST, PidError, PidSpec, Resolution, explain_stale, select, split_engine,
};

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The question is wrong or has no answer.
    #[error(transparent)]
    Pid(#[from] PidError),
    /// The host could not be read.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
}

impl LookupError {
    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Pid(error) => error.class(),
            Self::Discover(error) => error.class(),
        }
    }
}

/// A process that was found, and what surrounds it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The snapshot: around the process, or of the whole host where that had to be read.
    pub world: World,
    /// The process.
    pub pid: HostPid,
}

impl Found {
    /// Owner, short answer and every level.
    pub fn resolution(&self) -> Result<Resolution, PidError> {
        self.world.resolve(self.pid)
    }
}

/// Finds the process that a user means.
///
/// A host PID costs the reading of that process; a PID in a container of Berth costs one ioctl
/// more (NS_GET_PID_FROM_PIDNS, 6.11; thread ids are found too). On older kernels, and for
/// containers of other engines, the whole host is read.
pub fn find(sources: &Sources, spec: &PidSpec) -> Result<Found, LookupError> {
    match spec {
        PidSpec::Host(pid) => around(sources, *pid),
        PidSpec::Inside { container, pid } => find_inside(sources, container, *pid),
    }
}

/// The PID of a found process as seen from a container (or from `host`).
pub fn seen_from(sources: &Sources, found: &Found, container: &str) -> Result<u32, LookupError> {
    if container == HOST {
        return Ok(found.pid.get());
    }
    let process = found.world.process(found.pid);
    let process = process.ok_or(PidError::NoProcess { pid: found.pid })?;
    let not_visible = || PidError::NotVisible {
        pid: found.pid,
        container: escape_untrusted(container).into_owned(),
    };
    if is_own(container) {
        let known = find_live(sources, container)?;
        if let Some(namespace) = known.pid_namespace {
            let seen = found.world.pid_in(process, namespace);
            return seen.ok_or_else(|| not_visible().into());
        }
    }
    let world = World::discover(sources)?;
    let index = world.find_container(container)?;
    let seen = world.seen_from(found.pid, index);
    seen.ok_or_else(|| not_visible().into())
}

fn around(sources: &Sources, pid: HostPid) -> Result<Found, LookupError> {
    let world = World::around(sources, pid)?.ok_or(PidError::NoProcess { pid })?;
    Ok(Found { world, pid })
}

fn find_inside(sources: &Sources, container: &str, pid: u32) -> Result<Found, LookupError> {
    if is_own(container) {
        let known = find_live(sources, container)?;
        if let Some(found) = ask_kernel(sources, &known, pid) {
            return Ok(found);
        }
    }
    let world = World::discover(sources)?;
    let index = world.find_container(container)?;
    let label = || world.container_label(index);
    if world.container(index).is_none_or(|c| c.pid_level.is_none()) {
        let container = label();
        return Err(PidError::NamespaceUnreadable { container }.into());
    }
    let pid = world
        .host_pid(index, pid)
        .ok_or_else(|| PidError::NoProcessInside {
            container: label(),
            pid,
        })?;
    Ok(Found { world, pid })
}

/// Translates by ioctl and checks the result against procfs; `None` where either does not say
/// yes, and the whole host must be read.
fn ask_kernel(sources: &Sources, known: &KnownContainer, pid: u32) -> Option<Found> {
    let namespace: NamespaceId = known.pid_namespace?;
    let descriptor = open_verified(&sources.proc, known.init, namespace)?;
    let translated = nsfs::translate_pid_from(&descriptor, pid).ok()?;
    let found = around(sources, HostPid::new(translated)?).ok()?;
    // The ioctl counts in the caller's PID namespace, the procfs may belong to another.
    let process = found.world.process(found.pid)?;
    (found.world.pid_in(process, namespace) == Some(pid)).then_some(found)
}

/// Whether a text can only mean a container of Berth.
fn is_own(container: &str) -> bool {
    split_engine(container).is_some_and(|(engine, _)| engine == Engine::Berth)
}

/// Finds a living container of Berth by its run file.
fn find_live(sources: &Sources, container: &str) -> Result<KnownContainer, PidError> {
    let read = sources.state_dir.as_deref().map(read_containers);
    let read = read.unwrap_or_default();
    let candidates = read.runs.iter().map(|run| Candidate {
        engine: Engine::Berth,
        id: run.id.as_str(),
        name: &run.name,
        value: run,
    });
    let run = select(container, candidates)?;
    let one = StateRead {
        runs: vec![run.clone()],
        warnings: Vec::new(),
    };
    let judged = one.judge_now(&sources.proc);
    match judged.live.into_iter().next() {
        Some(known) => Ok(known),
        None => {
            let unknown = PidError::UnknownContainer {
                container: escape_untrusted(container).into_owned(),
            };
            Err(explain_stale(unknown, container, &judged.stale))
        }
    }
}
