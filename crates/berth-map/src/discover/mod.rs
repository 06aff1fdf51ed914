//! Reading a host into the parts of a snapshot.
//!
//! One file per source: [`procfs`](self) reads processes and their links, `hierarchy` asks the
//! kernel for parents and owners of namespaces, `berth` reads this engine's volatile state. What
//! vanishes meanwhile is skipped, what may not be read is marked, and the rest goes on.

mod around;
mod berth;
mod error;
mod hierarchy;
mod parse;
mod pid_dir;
mod proc_root;
mod procfs;

use std::path::PathBuf;

pub use berth::{StateRead, read_container, read_containers};
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
}

impl Sources {
    /// The host's `/proc` and a state directory.
    pub fn host(state_dir: impl Into<PathBuf>) -> Result<Self, DiscoverError> {
        Ok(Self {
            proc: ProcRoot::open("/proc")?,
            state_dir: Some(state_dir.into()),
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
        let mut warnings = scan.warnings;
        warnings.extend(state.warnings);
        warnings.extend(judged.warnings);
        Ok(Self::assemble(Parts {
            source: Source::Procfs,
            extent: Extent::Host,
            host: scan.host,
            processes: scan.processes,
            namespaces,
            known: judged.live,
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
