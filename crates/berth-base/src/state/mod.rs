//! The shapes of the state files.
//!
//! Persistent, below `/var/lib/berth/containers/ID` (rootless: `$XDG_DATA_HOME/berth/...`):
//!
//! | File | Written by | When |
//! |---|---|---|
//! | `spec.json` | engine | once, at create: the OCI runtime spec |
//! | `create.json` | engine | once, at create: what the user asked for |
//! | `settings.json` | engine | name and policies, under the container's lock |
//! | `status.json` | engine | status and run number, under the container's lock |
//! | `exits/N.json` | monitor, else recover | once per run, first writer wins |
//! | `log.json` | monitor | json-file lines |
//!
//! Persistent, below `volumes/NAME` there:
//!
//! | File | Written by | When |
//! |---|---|---|
//! | `volume.json` | engine | once, when the volume is made |
//! | `filling` | engine | while the files of an image are copied into the volume |
//!
//! Volatile, below `/run/berth/containers/ID` (rootless: `$XDG_RUNTIME_DIR/berth/...`):
//!
//! | File | Written by | When |
//! |---|---|---|
//! | `monitor.json` | engine | before each start: what the monitor is to do |
//! | `run.json` | stage | before the first instruction of the container runs |
//! | `spec.json` | engine | before a start that joins namespaces or maps ids: the spec of this run |
//! | `wiring.json` | engine | before each start: its addresses and interfaces |
//! | `health.json` | monitor | after each probe of the container's health |
//! | `lock` | engine | flock(2): who writes the container's files |
//! | `monitor.sock` | keeper | before each start |
//!
//! Every file carries `version`; a reader refuses a newer one.

mod create;
mod exit;
mod health;
mod monitor;
mod restart;
mod run;
mod settings;
mod status;
mod volume;
mod wiring;

pub use create::{CreateFile, ImageSource, NamespaceSource};
pub use exit::{ExitFile, ExitOutcome};
pub use health::{HEALTH_RESULTS, HealthFile, HealthProbe, HealthResult, HealthStatus};
pub use monitor::{LogConfig, MonitorConfig, RootSource, StdioConfig};
pub use restart::{InvalidRestartPolicy, RestartClaim, RestartPolicy, RestartRecord};
pub use run::{CgroupPaths, RunFile};
pub use settings::SettingsFile;
pub use status::StatusFile;
pub use volume::{ANONYMOUS_LABEL, InvalidVolumeName, VolumeFile, VolumeName};
pub use wiring::{NetworkHelper, Readiness, ResolverRequest, WiredInterface, WiredLink, Wiring};

/// The version this build writes, and the newest it reads.
pub const STATE_VERSION: u32 = 1;
