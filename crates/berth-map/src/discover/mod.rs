//! Reading a host into the parts of a snapshot.
//!
//! One file per source: `processes` has the ordered table of those that read processes (`bpf`,
//! then `procfs`), `berth` reads this engine's volatile state, and `details` has the table of those
//! that read the rest, each only where it is wanted; `engines` has the table of other engines'
//! state. What vanishes meanwhile is skipped, what may not be read is marked, and the rest goes on.

mod around;
mod berth;
mod bpf;
mod details;
mod engines;
mod error;
pub(crate) mod events;
mod hierarchy;
mod parse;
mod pid_dir;
mod proc_root;
mod processes;
mod procfs;
mod reach;
mod threads;
mod ways;

use std::path::PathBuf;

pub(crate) use around::{find_lxc_member, read_foreign};
use berth::read_published;
pub use berth::{StateRead, read_container, read_containers};
pub use engines::{EngineRoot, EngineRoots};
pub use error::DiscoverError;
pub(crate) use hierarchy::open_verified;
pub use proc_root::ProcRoot;

use processes::Processes;

use crate::model::{Extent, Parts, Source, Wanted, World};
use berth_base::HostPid;

/// Where a snapshot is taken from.
#[derive(Debug)]
pub struct Sources {
    /// The procfs to read.
    pub proc: ProcRoot,
    /// Berth's volatile state directory (`/run/berth`); `None` looks for no containers of Berth.
    pub state_dir: Option<PathBuf>,
    /// Where the files of other engines are looked for.
    pub roots: EngineRoots,
}

impl Sources {
    /// The host's `/proc`, a state directory, and other engines' files where they usually are.
    pub fn host(state_dir: impl Into<PathBuf>) -> Result<Self, DiscoverError> {
        Ok(Self {
            proc: ProcRoot::open("/proc")?,
            state_dir: Some(state_dir.into()),
            roots: EngineRoots::host(),
        })
    }
}

impl World {
    /// Reads every process of the host, the namespaces and the containers, and no details.
    ///
    /// Costs about 0.001 ms a process where BPF works, and 0.05 where it does not. Fails only where the procfs itself cannot be read; anything
    /// less becomes a line of [`World::warnings`] or a mark on the process.
    pub fn discover(sources: &Sources) -> Result<Self, DiscoverError> {
        Self::discover_with(sources, &Wanted::default())
    }

    /// Reads the same, and those details that are wanted.
    ///
    /// Each kind of detail is read by a source of its own, which fails alone: with a line of
    /// [`World::warnings`] that begins with its name.
    pub fn discover_with(sources: &Sources, wanted: &Wanted) -> Result<Self, DiscoverError> {
        Self::read(sources, wanted, None)
    }

    /// As [`Self::discover_with`], with processes from this source or not at all.
    pub fn discover_by(
        sources: &Sources,
        wanted: &Wanted,
        source: Source,
    ) -> Result<Self, DiscoverError> {
        Self::read(sources, wanted, Some(source))
    }

    fn read(
        sources: &Sources,
        wanted: &Wanted,
        only: Option<Source>,
    ) -> Result<Self, DiscoverError> {
        let Processes {
            source,
            scan,
            beside,
        } = processes::read(sources, only, wanted)?;
        let mut state = StateRead::default();
        if let Some(dir) = &sources.state_dir {
            state = read_containers(dir);
        }
        let judged = state.judge(&sources.proc, scan.host.boot_id.as_deref());
        let read = details::read(&sources.proc, wanted, &scan, beside);
        let mut details = read.details;
        if let (true, Some(dir)) = (wanted.networks, &sources.state_dir) {
            read_published(dir, &judged.live, &scan.processes, &mut details.networks);
        }
        let (proc, roots) = (&sources.proc, &sources.roots);
        let engines = engines::read_all(proc, roots, &scan.processes, &read.namespaces, &scan.host);
        let mut known = judged.live;
        known.extend(engines.known);
        let mut warnings = scan.warnings;
        warnings.extend(state.warnings);
        warnings.extend(judged.warnings);
        warnings.extend(read.warnings);
        warnings.extend(engines.warnings);
        Ok(Self::assemble(Parts {
            source,
            extent: Extent::Host,
            host: scan.host,
            processes: scan.processes,
            namespaces: read.namespaces,
            known,
            stale: judged.stale,
            details,
            warnings,
        }))
    }

    /// Reads one process and what is needed to say where it lives: its PID namespaces, its
    /// containers. Does not grow with the number of processes of the host.
    ///
    /// Returns `None` when there is no such process. A thread's id is accepted like a process's.
    pub fn around(sources: &Sources, pid: HostPid) -> Result<Option<Self>, DiscoverError> {
        around::read(sources, pid)
    }
}
