//! Which source processes are read from: an ordered table, the best first.

use super::bpf::{self, Beside, Unavailable};
use super::procfs::Scan;
use super::{DiscoverError, Sources, procfs, reach};
use crate::model::{Source, Wanted};

/// What a source found.
pub(super) struct Processes {
    /// Which source.
    pub(super) source: Source,
    /// The processes and the host.
    pub(super) scan: Scan,
    /// What came with them for nothing.
    pub(super) beside: Option<Beside>,
}

/// Why a source gave nothing.
enum Failure {
    /// The next one is to be tried.
    Unavailable(Unavailable),
    /// Nothing can be read at all.
    Fatal(DiscoverError),
}

/// Reads processes from a source.
type Read = fn(&Sources, &Wanted) -> Result<Processes, Failure>;

/// The sources, the best first. The last is always there.
const SOURCES: [(Source, Read); 2] = [(Source::Bpf, read_bpf), (Source::Procfs, read_procfs)];

/// Reads all processes from the best source that works, or from one alone.
pub(super) fn read(
    sources: &Sources,
    only: Option<Source>,
    wanted: &Wanted,
) -> Result<Processes, DiscoverError> {
    let mut warnings = Vec::new();
    for (source, read) in SOURCES {
        if only.is_some_and(|only| only != source) {
            continue;
        }
        match read(sources, wanted) {
            Ok(mut processes) => {
                warnings.append(&mut processes.scan.warnings);
                processes.scan.warnings = warnings;
                return Ok(processes);
            }
            Err(Failure::Fatal(error)) => return Err(error),
            Err(Failure::Unavailable(why)) if only.is_some() => {
                return Err(DiscoverError::NoSource {
                    what: source.as_str(),
                    why: why.to_string(),
                });
            }
            // How far a procfs reaches is told by who reads it.
            Err(Failure::Unavailable(Unavailable::OtherProcfs)) => {}
            Err(Failure::Unavailable(why)) => warnings.push(format!(
                "processes are read from {}, which is slower, since BPF is not available: {why}",
                sources.proc.path().display()
            )),
        }
    }
    Err(DiscoverError::NoProcess {
        path: sources.proc.path().to_owned(),
    })
}

fn read_bpf(sources: &Sources, wanted: &Wanted) -> Result<Processes, Failure> {
    let proc = &sources.proc;
    let tasks = bpf::read_tasks(proc, sources.state_dir.as_deref(), wanted)
        .map_err(Failure::Unavailable)?;
    let host = procfs::read_host(proc, &tasks.processes);
    let warnings = reach::limits(proc, host.pid_namespace, &tasks.processes);
    Ok(Processes {
        source: Source::Bpf,
        scan: Scan {
            host,
            processes: tasks.processes,
            threaded: tasks.threaded,
            warnings,
        },
        beside: Some(tasks.beside),
    })
}

fn read_procfs(sources: &Sources, _: &Wanted) -> Result<Processes, Failure> {
    Ok(Processes {
        source: Source::Procfs,
        scan: procfs::scan(&sources.proc).map_err(Failure::Fatal)?,
        beside: None,
    })
}
