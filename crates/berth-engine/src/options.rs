//! What a user may ask of `create` and `exec`, parsed once at the edge.

mod limits;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use berth_base::ContainerName;
use berth_base::state::{Resources, RestartPolicy, VolumeName};
use serde::{Deserialize, Serialize};

use crate::LogChoice;
pub use limits::{DeviceAmount, DeviceRequest, DeviceRule, GpuRequest, Limits};

use crate::network::{HostAddress, NetworkRequest, PublishRequest};

/// Everything `create` and `run` accept, as Docker's flags mean it.
///
/// The part of it that `inspect` shows is kept in `create.json`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct CreateOptions {
    /// `--name`; a free adjective_noun when absent.
    pub name: Option<ContainerName>,
    /// What to run it from.
    pub image: ImageRequest,
    /// The command line after the image.
    pub command: Vec<String>,
    /// `--entrypoint`, put before `command`; given but empty it takes the image's away.
    pub entrypoint: Option<Vec<String>>,
    /// `-e` and `--env-file`, resolved to `KEY=VALUE`.
    pub env: Vec<String>,
    /// `-w`; `/` when absent.
    pub workdir: Option<String>,
    /// `-u`: `user`, `uid`, `user:group`, `uid:gid`.
    pub user: Option<String>,
    /// `--group-add`.
    pub group_add: Vec<String>,
    /// `--hostname`; the short id when absent.
    pub hostname: Option<String>,
    /// `--init`.
    pub init: bool,
    /// `-t`.
    pub terminal: bool,
    /// `-i`.
    pub open_stdin: bool,
    /// The first client's end of input closes standard input (foreground `run -i`).
    pub stdin_once: bool,
    /// The client that makes it shows its standard output. For `inspect` alone.
    #[serde(default)]
    pub attach_stdout: bool,
    /// The same of its standard error.
    #[serde(default)]
    pub attach_stderr: bool,
    /// `--rm`.
    pub auto_remove: bool,
    /// `--restart`, as it was at first: `settings.json` has what holds.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--stop-signal`, a signal number.
    pub stop_signal: Option<i32>,
    /// `--stop-timeout` in seconds.
    pub stop_timeout_s: Option<u32>,
    /// `--expose`, and what the image exposes: `80/tcp`.
    #[serde(default)]
    pub exposed_ports: Vec<String>,
    /// How to tell whether it is well.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// `-v`, `--tmpfs`, in order.
    pub mounts: Vec<MountRequest>,
    /// `--read-only`.
    pub read_only: bool,
    /// `--pid --net --ipc --uts --userns --cgroupns --timens`.
    pub namespaces: NamespaceModes,
    /// `--network NAME`, in order; once created, where the container is.
    #[serde(default)]
    pub networks: Vec<NetworkRequest>,
    /// `-p`, a port each.
    #[serde(default)]
    pub publish: Vec<PublishRequest>,
    /// Names, and who is asked for those of others.
    #[serde(default)]
    pub names: NameOptions,
    /// `-P`: every port that is exposed.
    #[serde(default)]
    pub publish_all: bool,
    /// Limits that `update` may change.
    #[serde(flatten)]
    pub resources: Resources,
    /// Limits and devices that stay.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// `--storage-opt size=` in bytes: what its own layer may take on disk.
    #[serde(default)]
    pub storage_bytes: Option<u64>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// `--cap-add`.
    pub cap_add: Vec<Capability>,
    /// `--cap-drop`.
    pub cap_drop: Vec<Capability>,
    /// `--security-opt no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--security-opt seccomp=...`.
    pub seccomp: SeccompChoice,
    /// `--privileged`.
    pub privileged: bool,
    /// `--log-driver` and `--log-opt`.
    #[serde(default)]
    pub log: LogChoice,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// `--cidfile`, which is the client's to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid_file: Option<PathBuf>,
}

/// What a container calls itself and others.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NameOptions {
    /// `--domainname`.
    pub domain: Option<String>,
    /// `--dns`; the host's when empty.
    pub dns: Vec<IpAddr>,
    /// `--dns-search`; the host's when empty, none when `.`.
    pub search: Vec<String>,
    /// `--dns-option`; the host's when empty.
    pub resolver_options: Vec<String>,
    /// `--add-host`.
    pub add_hosts: Vec<(String, HostAddress)>,
}

/// A probe of a container's health; times in nanoseconds, 0 for the default.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ...]`, `["CMD-SHELL", line]`.
    pub test: Vec<String>,
    /// Between two probes.
    pub interval_ns: u64,
    /// For one probe.
    pub timeout_ns: u64,
    /// In which failures do not count.
    pub start_period_ns: u64,
    /// Between two probes in the start period.
    #[serde(default)]
    pub start_interval_ns: u64,
    /// Failures in a row until it is unhealthy.
    pub retries: u32,
    /// What executes the line of a `CMD-SHELL`, where the image says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// What is done when it becomes unhealthy.
    #[serde(default)]
    pub on_failure: HealthAction,
}

/// What is done with a container that becomes unhealthy (`--health-on-failure`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthAction {
    /// It is said, and nothing more.
    #[default]
    None,
    /// It is killed; its restart policy decides what follows.
    Kill,
    /// It is stopped as by a user.
    Stop,
    /// It is restarted as by a user.
    Restart,
}

/// What a container's root comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum ImageRequest {
    /// An image by name or id; `host` is the built-in one.
    Name {
        /// As typed.
        name: String,
    },
    /// `--rootfs DIR`, `--rw`.
    Rootfs {
        /// The directory, as typed.
        path: PathBuf,
        /// Write through to it.
        writable: bool,
    },
}

impl Default for ImageRequest {
    fn default() -> Self {
        Self::Name {
            name: "host".into(),
        }
    }
}

/// A mount the user asked for.
///
/// What `create` works out (the names of anonymous volumes, what `--volumes-from` comes to) is
/// written into the same shape, so that `create.json` holds the mounts as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum MountRequest {
    /// `-v SOURCE:TARGET[:OPTIONS]`, `--mount type=bind`.
    Bind {
        /// Absolute path on the host.
        source: PathBuf,
        /// Absolute path in the container.
        target: String,
        /// `ro`, with all that is mounted below the source.
        read_only: bool,
        /// `bind-recursive=writable`: what is mounted below stays as it is.
        #[serde(default, skip_serializing_if = "is_false")]
        writable_below: bool,
        /// Propagation and the like, as the spec names mount options.
        options: Vec<String>,
        /// Make the source, a directory, where it is missing.
        #[serde(default, skip_serializing_if = "is_false")]
        create_source: bool,
        /// Who asked for it.
        #[serde(default)]
        origin: MountOrigin,
    },
    /// `-v NAME:TARGET[:OPTIONS]`, `-v TARGET`, `--mount type=volume`.
    Volume(VolumeMount),
    /// `--tmpfs TARGET[:OPTIONS]`, `--mount type=tmpfs`.
    Tmpfs {
        /// Absolute path in the container.
        target: String,
        /// Options as mount(8) names them.
        options: Vec<String>,
    },
    /// `--volumes-from CONTAINER[:ro|rw]`: its volumes and bind mounts.
    From {
        /// By name, id or prefix.
        container: String,
        /// `ro`; those that are read-only there stay so.
        read_only: bool,
    },
}

/// A volume at a place of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// Absent until `create` draws one: an anonymous volume.
    pub name: Option<VolumeName>,
    /// Whether it goes with the last container that has it (`rm -v`, `--rm`).
    #[serde(default)]
    pub anonymous: bool,
    /// Absolute path in the container.
    pub target: String,
    /// `ro`.
    #[serde(default)]
    pub read_only: bool,
    /// Copy nothing of the image into it while it is empty.
    #[serde(default)]
    pub no_copy: bool,
    /// The folder or file of the volume that is mounted; absent: the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<String>,
    /// Propagation and the like, as the spec names mount options.
    #[serde(default)]
    pub options: Vec<String>,
    /// Labels for the volume when this makes it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `volume-opt`, for when this makes it; in `create.json` what the volume has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_options: BTreeMap<String, String>,
    /// What is mounted; known once the volume is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing: Option<VolumeBacking>,
    /// Who asked for it.
    #[serde(default)]
    pub origin: MountOrigin,
}

/// Where the files of a volume are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum VolumeBacking {
    /// A folder: ours, or one that the volume's options name.
    Folder {
        /// Absolute path.
        path: PathBuf,
        /// Mount options of the volume itself.
        #[serde(default)]
        options: Vec<String>,
    },
    /// A tmpfs, of each container's own.
    Memory {
        /// Options as mount(8) names them.
        options: Vec<String>,
    },
}

/// Who asked for a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountOrigin {
    /// The user, by a flag of its own.
    #[default]
    User,
    /// Another container, by `--volumes-from`.
    Container,
    /// The image.
    Image,
}

impl MountRequest {
    /// Where it is mounted; nothing for `--volumes-from` itself.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Bind { target, .. } | Self::Tmpfs { target, .. } => Some(target),
            Self::Volume(volume) => Some(&volume.target),
            Self::From { .. } => None,
        }
    }
}

const fn is_false(value: &bool) -> bool {
    !*value
}

/// Where one namespace of a container comes from.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "mode", content = "of")]
pub enum NamespaceMode {
    /// What fits the caller: private, save the user namespace of root, which is the host's.
    #[default]
    Default,
    /// Its own.
    Private,
    /// The host's.
    Host,
    /// That of another container, by name, id or prefix.
    Container(String),
    /// That behind a path such as `/run/netns/blue`.
    Path(PathBuf),
}

/// One mode per namespace; the mount namespace is always private.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NamespaceModes {
    /// `--pid`.
    pub pid: NamespaceMode,
    /// `--net`; `none` and `private` are the same, `Default` is the networks of
    /// [`CreateOptions::networks`].
    pub net: NamespaceMode,
    /// `--ipc`.
    pub ipc: NamespaceMode,
    /// `--uts`.
    pub uts: NamespaceMode,
    /// `--userns`.
    pub user: NamespaceMode,
    /// `--cgroupns`.
    pub cgroup: NamespaceMode,
    /// `--timens`.
    pub time: NamespaceMode,
}

/// `--ulimit NAME=SOFT[:HARD]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Lower-case name without RLIMIT_, `nofile` for one.
    pub name: String,
    /// Soft limit; -1 as u64::MAX is unlimited.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// A capability name such as `CAP_SYS_ADMIN`, or `ALL`; upper case, with prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability(pub String);

/// `--security-opt seccomp=...`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum SeccompChoice {
    /// Our default profile.
    #[default]
    Default,
    /// No filter.
    Unconfined,
    /// A profile in Docker's JSON format.
    Profile {
        /// The file.
        path: PathBuf,
    },
}

/// Everything `exec` accepts.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ExecOptions {
    /// The command.
    pub command: Vec<String>,
    /// `-e`, over the container's own environment.
    pub env: Vec<String>,
    /// `-w`.
    pub workdir: Option<String>,
    /// `-u`.
    pub user: Option<String>,
    /// `-t`.
    pub terminal: bool,
    /// `-i`.
    pub open_stdin: bool,
    /// `-d`.
    pub detach: bool,
    /// `--privileged`.
    pub privileged: bool,
    /// `--end-with-client`: its processes end when the client does, however that ends.
    pub ends_with_client: bool,
    /// Terminal size: rows, columns; 0 when unknown.
    pub size: (u16, u16),
}
