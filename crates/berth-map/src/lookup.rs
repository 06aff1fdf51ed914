//! One question about one PID, answered without reading the whole host.
//!
//! [`find`] turns what a user wrote into a process and a small [`World`] around it; the answers
//! (owner, every level, the PID elsewhere) are then read from that.

use berth_base::{ErrorClass, HostPid, NamespaceId, escape_untrusted};
use berth_sys::nsfs;

use crate::attribute::KnownContainer;
use crate::discover::{
    DiscoverError, Sources, StateRead, find_lxc_member, open_verified, read_containers,
    read_foreign,
};
use crate::model::{Confidence, Engine, World};
use crate::translate::{
    Candidate, HOST, PidError, PidSpec, Resolution, Whose, explain_stale, select, split_engine,
};

/// So much of an id is taken for the whole of it without looking for another.
const SHORT_ID: usize = 12;

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
/// A host PID costs the reading of that process; a PID in a container costs the state files of its
/// engine and one ioctl more (NS_GET_PID_FROM_PIDNS, 6.11; thread ids are found too). The whole
/// host is read on older kernels, for the beginning of an id, and for what is in no file at a
/// usual place (LXC, engines inside containers).
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
    if let Some(known) = find_live(sources, container)?
        && let Some(namespace) = known.pid_namespace
    {
        let seen = found.world.pid_in(process, namespace);
        return seen.ok_or_else(|| not_visible().into());
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
    if let Some(known) = find_live(sources, container)?
        && let Some(found) = ask_kernel(sources, &known, pid)
    {
        return Ok(found);
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

/// The first process of a container, and the PID namespace in which its PIDs count.
#[derive(Clone, Copy, Debug)]
struct Place {
    init: HostPid,
    pid_namespace: Option<NamespaceId>,
}

impl From<&KnownContainer> for Place {
    fn from(known: &KnownContainer) -> Self {
        Self {
            init: known.init,
            pid_namespace: known.pid_namespace,
        }
    }
}

/// Translates by ioctl and checks the result against procfs; `None` where either does not say
/// yes, and the whole host must be read.
fn ask_kernel(sources: &Sources, place: &Place, pid: u32) -> Option<Found> {
    let namespace: NamespaceId = place.pid_namespace?;
    let descriptor = open_verified(&sources.proc, place.init, namespace)?;
    let translated = nsfs::translate_pid_from(&descriptor, pid).ok()?;
    let found = around(sources, HostPid::new(translated)?).ok()?;
    // The ioctl counts in the caller's PID namespace, the procfs may belong to another.
    let process = found.world.process(found.pid)?;
    (found.world.pid_in(process, namespace) == Some(pid)).then_some(found)
}

/// Finds a living container without reading the whole host; `None` where that cannot tell.
fn find_live(sources: &Sources, container: &str) -> Result<Option<Place>, PidError> {
    match split_engine(container) {
        Some((Whose::Engine(Engine::Berth), _)) => find_own(sources, container).map(Some),
        Some((Whose::Engine(engine), name)) if engine.names_by_pid() => {
            let init = name.parse().ok().and_then(HostPid::new);
            Ok(init.and_then(|init| find_around(sources, container, init)))
        }
        Some((Whose::Engine(Engine::Lxc | Engine::Incus), name)) => {
            let member = find_lxc_member(sources, name);
            Ok(member.and_then(|member| find_around(sources, container, member)))
        }
        Some((Whose::Engine(engine), name)) => Ok(find_foreign(sources, engine, name)),
        Some((Whose::Pods, _)) | None => Ok(None),
    }
}

/// Finds a container of which one process is known.
fn find_around(sources: &Sources, container: &str, member: HostPid) -> Option<Place> {
    let world = World::around(sources, member).ok()??;
    let found = world.container(world.find_container(container).ok()?)?;
    Some(Place {
        init: found.init?,
        pid_namespace: found.pid_namespace,
    })
}

/// Finds another engine's container by its whole id, its short id or its name, in files at the
/// usual places.
fn find_foreign(sources: &Sources, engine: Engine, name: &str) -> Option<Place> {
    let known = read_foreign(sources, engine);
    let short = |id: &str| id.len() == 64 && name.len() >= SHORT_ID && id.starts_with(name);
    let only = |found: &dyn Fn(&&KnownContainer) -> bool| {
        let mut all = known.iter().filter(found);
        all.next().filter(|_| all.next().is_none())
    };
    // Two of a name are a question for the whole host, as is what no file names.
    let found = only(&|k| k.id == name)
        .or_else(|| only(&|k| k.name == name))
        .or_else(|| only(&|k| short(&k.id)));
    found.map(Place::from)
}

/// Finds a living container of Berth by its run file.
fn find_own(sources: &Sources, container: &str) -> Result<Place, PidError> {
    let read = sources.state_dir.as_deref().map(read_containers);
    let read = read.unwrap_or_default();
    let candidates = read.runs.iter().map(|run| Candidate {
        engine: Engine::Berth,
        id: run.id.as_str(),
        name: &run.name,
        in_pod: false,
        rank: (Confidence::Certain, 0),
        value: run,
    });
    let run = select(container, candidates)?;
    let one = StateRead {
        runs: vec![run.clone()],
        warnings: Vec::new(),
    };
    let judged = one.judge_now(&sources.proc);
    match judged.live.first() {
        Some(known) => Ok(Place::from(known)),
        None => {
            let unknown = PidError::UnknownContainer {
                container: escape_untrusted(container).into_owned(),
            };
            Err(explain_stale(unknown, container, &judged.stale))
        }
    }
}
