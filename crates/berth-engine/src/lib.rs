//! The use-cases of the engine: create, start, exec, stop, remove, recover.
//!
//! Floor 3, synchronous. Owns containers: their names, state files, locks. Never touches a
//! terminal, `$HOME` or the environment; the binary passes everything in.

mod capabilities;
mod caretaker;
mod cgroup;
mod container;
mod copy;
mod create;
mod device;
mod empty;
mod engine;
mod error;
mod events;
mod exec;
mod exec_sessions;
mod facts;
mod hint;
mod ids;
mod image;
mod life;
mod limits;
mod logs;
mod members;
mod namespaces;
mod network;
mod options;
mod particulars;
mod process;
mod quota;
mod recover;
mod remove;
mod rename;
mod seccomp;
mod session;
mod spec;
mod start;
mod stats;
mod stop;
mod storage;
mod store;
mod subid;
mod user;
mod view;
mod volume;
mod words;

use berth_base::ContainerId;
use stop::{cannot_signal, not_running};

pub use berth_base::state::{Resources, RestartPolicy};
pub use berth_net::lease::Lease;
pub use berth_net::subnet::AddressPool;
pub use berth_net::{DEFAULT_NETWORK, NetworkFile, NetworkName};
pub use berth_runtime::cgroup::Usage;
pub use container::{
    Container, CreateFile, Created, RemoveOptions, StartAttach, Started, StopOptions,
};
pub use copy::{CopyReport, CopyRequest, HostEnd};
pub use device::{CDI_FOLDERS, is_cdi_name};
pub use engine::{Engine, EngineConfig};
pub use error::EngineError;
pub use events::{EventLimits, EventObject, EventReader, EventsFrom, PruneKind};
pub use exec_sessions::ExecSession;
pub use image::{CommitOptions, DiskUsage, ImageLimits, ImageUsage, Pruned, Removal};
pub use ipnet::{IpNet, Ipv4Net};
pub use life::Restored;
pub use limits::Updated;
pub use logs::{
    Follow, Gap, LOG_OPTIONS, LogChoice, LogReader, LogRecord, LogRequest, LogSettings, LogStream,
    pack_log,
};
pub use network::{
    CreateNetwork, DefaultNetwork, HostAddress, Network, NetworkRequest, NetworkSettings,
    PublishRequest, dropping_chains, probe_packet_filter, tap_device,
};
pub use options::{
    Capability, CreateOptions, DeviceAmount, DeviceRequest, DeviceRule, ExecOptions, GpuRequest,
    HealthAction, Healthcheck, ImageRequest, Limits, MountOrigin, MountRequest, NameOptions,
    NamespaceMode, NamespaceModes, SeccompChoice, Ulimit, VolumeBacking, VolumeMount,
};
pub use particulars::Particulars;
pub use recover::Recovered;
pub use session::{Packet, Session, SessionError};
pub use stats::Sample;
pub use storage::storage_worker;
pub use view::Listing;
pub use volume::{LOCAL_DRIVER, PrunedVolumes, Volume, VolumePrune, VolumeRequest, VolumeUser};
