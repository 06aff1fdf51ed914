//! Berth's own containers, by the documented files of its volatile state.
//!
//! `STATE/containers/ID/run.json` ([`RunFile`]) says where a container's first process was seen
//! to start. It is a cache: it is believed only when that very process (PID, start time, boot) is
//! alive.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use berth_base::state::{RunFile, STATE_VERSION, Wiring};
use berth_base::{HostPid, NamespaceId, NamespaceKind, PublishedPort, escape_untrusted};
use rustix::fs::OFlags;
use serde::Deserialize;

use super::ProcRoot;
use super::pid_dir::Reader;
use crate::attribute::KnownContainer;
use crate::model::{Engine, Evidence, EvidenceKind, Network, Process, StaleContainer, StaleReason};

/// No file of a container is longer; a longer one is not ours.
const MAX_RUN_FILE: u64 = 1024 * 1024;

/// The run files of a state directory.
#[derive(Clone, Debug, Default)]
pub struct StateRead {
    /// Those that could be read, by ascending id.
    pub runs: Vec<RunFile>,
    /// Those that could not: one line each, escaped.
    pub warnings: Vec<String>,
}

/// Run files, judged by whether their first process lives.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) live: Vec<KnownContainer>,
    pub(crate) stale: Vec<StaleContainer>,
    pub(crate) warnings: Vec<String>,
}

/// Reads the run files of all containers, those of other roots below `roots` among them. A state
/// directory that does not exist has none.
pub fn read_containers(state_dir: &Path) -> StateRead {
    let mut read = StateRead::default();
    for folder in folders(state_dir) {
        read.add_all(&folder);
    }
    read
}

/// The folders with a folder for each container: that of the state directory, and those of the state of
/// other roots, which is below it.
fn folders(state_dir: &Path) -> impl Iterator<Item = PathBuf> {
    let mut roots: Vec<_> = fs::read_dir(state_dir.join("roots"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("containers")))
        .collect();
    roots.sort();
    std::iter::once(state_dir.join("containers")).chain(roots)
}

/// Reads the run file of one container, if there is one.
pub fn read_container(state_dir: &Path, id: &str) -> StateRead {
    let mut read = StateRead::default();
    // The id may come from a cgroup path: it must not lead elsewhere.
    if id.parse::<berth_base::ContainerId>().is_ok() {
        for folder in folders(state_dir) {
            read.add(&folder, id);
        }
    }
    read
}

impl StateRead {
    fn add_all(&mut self, folder: &Path) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                self.warn(folder, &format!("cannot be listed: {error}"));
                return;
            }
        };
        let mut ids: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        ids.sort();
        for id in ids {
            self.add(folder, &id);
        }
    }

    fn add(&mut self, folder: &Path, id: &str) {
        let path = folder.join(id).join("run.json");
        match read_run_file(&path) {
            Ok(Some(run)) if run.id.as_str() == id => self.runs.push(run),
            Ok(Some(_)) => self.warn(&path, "names another container"),
            Ok(None) => {}
            Err(why) => self.warn(&path, &why),
        }
    }

    fn warn(&mut self, path: &Path, why: &str) {
        let text = format!(
            "{} {why}; what it holds is left out of the map",
            path.display()
        );
        self.warnings.push(escape_untrusted(&text).into_owned());
    }

    /// As [`Self::judge`], with the boot id of the procfs.
    pub(crate) fn judge_now(&self, proc: &ProcRoot) -> Judged {
        self.judge(proc, super::procfs::read_boot_id(proc).as_deref())
    }

    /// Tells the living from the ended. A first process that is a zombie has ended.
    pub(crate) fn judge(&self, proc: &ProcRoot, boot_id: Option<&str>) -> Judged {
        let mut judged = Judged::default();
        let Some(boot_id) = boot_id else {
            if !self.runs.is_empty() {
                let line = "the boot id cannot be read in this procfs (sys/kernel/random/boot_id): \
                    Berth's containers are left out";
                judged.warnings.push(line.to_owned());
            }
            return judged;
        };
        let mut reader = Reader::new(proc);
        for run in &self.runs {
            match why_stale(run, &mut reader, boot_id) {
                None => judged.live.push(to_known(run)),
                Some(reason) => judged.stale.push(StaleContainer {
                    id: run.id.as_str().to_owned(),
                    name: run.name.clone(),
                    init: run.init.pid,
                    reason,
                }),
            }
        }
        judged
    }
}

/// Why a run file does not describe a living container; `None` when it does.
fn why_stale(run: &RunFile, reader: &mut Reader, boot_id: &str) -> Option<StaleReason> {
    if run.init.boot_id != boot_id {
        return Some(StaleReason::OtherBoot);
    }
    match reader.read_life(run.init.pid) {
        Some((start, _)) if start != run.init.start_ticks => Some(StaleReason::PidReused),
        Some((_, 'Z' | 'X' | 'x')) | None => Some(StaleReason::Ended),
        Some(_) => None,
    }
}

/// The container that a run file describes.
fn to_known(run: &RunFile) -> KnownContainer {
    let cgroups = run.cgroups.v2.iter().chain(run.cgroups.v1.values());
    KnownContainer {
        engine: Engine::Berth,
        id: run.id.as_str().to_owned(),
        name: run.name.clone(),
        init: run.init.pid,
        pid_namespace: run
            .namespaces
            .iter()
            .copied()
            .find(|id| id.kind == NamespaceKind::Pid),
        own_pid_namespace: run.own_pid_namespace,
        cgroup_dirs: cgroups.cloned().collect(),
        image: None,
        pod: None,
        evidence: Evidence {
            kind: EvidenceKind::RunFile,
            detail: format!("containers/{}/run.json", run.id.as_str()),
        },
    }
}

/// The ports of the host that lead somewhere: those reserved on addresses of a family that the
/// container has none of are held, no more.
fn led(wiring: &Wiring) -> Vec<PublishedPort> {
    let all = wiring.interfaces.iter().flat_map(|i| &i.addresses);
    let families: Vec<bool> = all.map(|(address, _)| address.is_ipv6()).collect();
    let ports = wiring.published.iter().copied();
    ports
        .filter(|port| families.contains(&port.host_address.is_ipv6()))
        .collect()
}

/// Adds the ports that lead to the containers which live, to the networks that these are in.
///
/// What cannot be read is left out without a word: a container may go at any moment, and one that
/// is on no network has no such file.
pub(crate) fn read_published(
    state_dir: &Path,
    live: &[KnownContainer],
    processes: &[Process],
    networks: &mut BTreeMap<NamespaceId, Network>,
) {
    let inits: HashMap<HostPid, NamespaceId> = processes
        .iter()
        .filter_map(|p| Some((p.pid, p.namespaces.of(NamespaceKind::Net)?)))
        .collect();
    let folders: Vec<_> = folders(state_dir).collect();
    for container in live {
        let path = |folder: &PathBuf| folder.join(&container.id).join("wiring.json");
        let text = folders
            .iter()
            .find_map(|folder| read_text(&path(folder)).ok()?);
        let wiring = text.and_then(|text| serde_json::from_str::<Wiring>(&text).ok());
        let published = wiring.map(|wiring| led(&wiring)).unwrap_or_default();
        let network = inits.get(&container.init);
        if let (Some(id), false) = (network, published.is_empty()) {
            let network = networks.entry(*id).or_default();
            network.published.extend(published);
            network.published.sort_unstable_by_key(|port| {
                (
                    port.container_port,
                    port.transport,
                    port.host_address,
                    port.host_port,
                )
            });
            network.published.dedup();
        }
    }
}

/// What every version of the file has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

/// Reads one run file; `None` when the container has none. The error completes a sentence.
fn read_run_file(path: &Path) -> Result<Option<RunFile>, String> {
    let Some(text) = read_text(path)? else {
        return Ok(None);
    };
    let any: AnyVersion =
        serde_json::from_str(&text).map_err(|error| format!("is damaged: {error}"))?;
    if any.version > STATE_VERSION {
        return Err(format!(
            "has version {}, this berth reads up to {STATE_VERSION} (use the newer berth)",
            any.version
        ));
    }
    let run = serde_json::from_str(&text).map_err(|error| format!("is damaged: {error}"))?;
    Ok(Some(run))
}

/// The text of a file of a container; `None` when there is none. The error completes a sentence.
fn read_text(path: &Path) -> Result<Option<String>, String> {
    let mut text = String::new();
    // What stands in the place of a file must not hold us up: a FIFO waits for a writer.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match file {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(format!("cannot be opened: {error}")),
    };
    if !file.metadata().is_ok_and(|found| found.is_file()) {
        return Err("is no regular file".to_owned());
    }
    file.take(MAX_RUN_FILE)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot be read: {error}"))?;
    Ok(Some(text))
}

/// Whether an error means that the container is being made or removed, or has no run.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
