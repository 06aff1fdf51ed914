//! Reading a host into the parts of a snapshot.
//!
//! One file per source: [`procfs`](self) reads processes and their links, `hierarchy` asks the
//! kernel for parents and owners of namespaces, `berth` reads this engine's volatile state. What
//! vanishes meanwhile is skipped, what may not be read is marked, and the rest goes on.

mod around;
mod berth;
mod engines;
mod error;
mod hierarchy;
mod parse;
mod pid_dir;
mod proc_root;
mod procfs;

use std::path::PathBuf;

pub(crate) use around::{find_lxc_member, read_foreign};
pub use berth::{StateRead, read_container, read_containers};
pub use engines::{EngineRoot, EngineRoots};
pub use error::DiscoverError;
pub(crate) use hierarchy::open_verified;
pub use proc_root::ProcRoot;

use crate::model::{Details, Extent, Parts, Source, World};
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
    /// Reads every process of the host, the namespaces and the containers.
    ///
    /// Costs about 0.05 ms a process. Fails only where the procfs itself cannot be read; anything
    /// less becomes a line of [`World::warnings`] or a mark on the process.
    pub fn discover(sources: &Sources) -> Result<Self, DiscoverError> {
        let scan = procfs::scan(&sources.proc)?;
        let mut state = StateRead::default();
        if let Some(dir) = &sources.state_dir {
            state = read_containers(dir);
        }
        let judged = state.judge(&sources.proc, scan.host.boot_id.as_deref());
        let namespaces = hierarchy::ask(&sources.proc, &scan);
        let (proc, roots) = (&sources.proc, &sources.roots);
        let engines = engines::read_all(proc, roots, &scan.processes, &namespaces, &scan.host);
        let mut known = judged.live;
        known.extend(engines.known);
        let mut warnings = scan.warnings;
        warnings.extend(state.warnings);
        warnings.extend(judged.warnings);
        warnings.extend(engines.warnings);
        Ok(Self::assemble(Parts {
            source: Source::Procfs,
            extent: Extent::Host,
            host: scan.host,
            processes: scan.processes,
            namespaces,
            known,
            stale: judged.stale,
            details: Details::default(),
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
