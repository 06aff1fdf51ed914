//! The facade: one method per use-case, each in a file of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use berth_base::ContainerId;

use berth_image::ImageStore;

use crate::store::Store;
use crate::{DefaultNetwork, EngineError, EventLimits, ImageLimits, LogChoice, NetworkSettings};

/// Where an engine keeps its files, and which programs it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The persistent folder, `/var/lib/berth` for root.
    pub root: PathBuf,
    /// The volatile folder, `/run/berth` for root.
    pub state: PathBuf,
    /// The program `berth-runtime`.
    pub runtime_binary: PathBuf,
    /// The program `berth`, which a monitor executes as
    /// `berth --root ROOT --state STATE internal exited ID`.
    pub engine_binary: PathBuf,
    /// Where containers' cgroups go; absent: the hierarchy's root, or the caller's own cgroup
    /// when it is not root.
    pub cgroup_parent: Option<String>,
    /// What containers are connected to when nothing is asked for.
    pub default_network: DefaultNetwork,
    /// How networks are made and ports published.
    pub network: NetworkSettings,
    /// How much images may be.
    pub image_limits: ImageLimits,
    /// How containers log unless they say so themselves.
    pub log: LogChoice,
    /// How much the journal of events may be.
    pub events: EventLimits,
    /// Where files of the Container Device Interface are; a device of a later folder is taken over
    /// that of an earlier.
    pub cdi_folders: Vec<PathBuf>,
}

/// The use-cases over one pair of folders.
#[derive(Clone, Debug)]
pub struct Engine {
    config: EngineConfig,
    store: Store,
    pub(crate) images: ImageStore,
}

impl Engine {
    /// Takes a configuration. Nothing is written: the folders are made, 0700, by the first
    /// use-case that writes. Relative folders are taken from the working directory.
    pub fn open(mut config: EngineConfig) -> Result<Self, EngineError> {
        for folder in [&mut config.root, &mut config.state] {
            // Absolute, since the monitor outlives our working directory.
            *folder = std::path::absolute(&*folder).map_err(|e| {
                let text = format!("cannot use the folder {}: {e}", folder.display());
                EngineError::new(berth_base::ErrorClass::Invalid, text)
            })?;
        }
        let store = Store::new(config.root.clone(), config.state.clone());
        let images = ImageStore::open(&config.root);
        let engine = Self {
            config,
            store,
            images,
        };
        engine.remove_by_worker();
        Ok(engine)
    }

    pub(crate) const fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Starts `berth internal WORDS`, a process of its own that nobody hears of.
    pub(crate) fn spawn_internal(&self, words: &[&str]) -> io::Result<Child> {
        self.internal(words).stdout(Stdio::null()).spawn()
    }

    /// Starts `berth internal start ID`, whose output says why it failed.
    pub(crate) fn spawn_reporting(&self, id: &ContainerId) -> io::Result<Child> {
        self.internal(&["start", id.as_str()])
            .stdout(Stdio::piped())
            .spawn()
    }

    fn internal(&self, words: &[&str]) -> Command {
        let line = self.internal_command(words);
        let (program, arguments) = line.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
        // by path: our own program
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The command line of `berth internal WORDS`, for a process that has no environment of ours.
    pub(crate) fn internal_command(&self, words: &[&str]) -> Vec<String> {
        let config = self.config();
        let flags = [
            config.engine_binary.as_path(),
            "--root".as_ref(),
            config.root.as_path(),
            "--state".as_ref(),
            config.state.as_path(),
            "--runtime".as_ref(),
            config.runtime_binary.as_path(),
            "internal".as_ref(),
        ];
        let flags = flags.map(|word| word.to_string_lossy().into_owned());
        let words = words.iter().map(|word| (*word).to_owned());
        flags.into_iter().chain(words).collect()
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// Finds a container by full id, then name, then unique prefix of an id.
    pub fn resolve(&self, reference: &str) -> Result<ContainerId, EngineError> {
        Ok(self.store.resolve(reference)?)
    }

    /// The volatile folder; `containers/ID/run.json` below it describes each living container.
    pub fn state_dir(&self) -> &Path {
        &self.config.state
    }
}
