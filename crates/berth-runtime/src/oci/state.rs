//! The shapes of a container's state: our file, and the one that callers and hooks read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_base::state::CgroupPaths;
use berth_base::{ProcessIdentity, Timestamp};
use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

use crate::cgroup::Scope;
use crate::resctrl::Group;

/// The runtime-spec version whose state we print.
pub(crate) const OCI_VERSION: &str = "1.3.0";

/// The version of `state.json` that this build writes, and the newest it reads.
pub(crate) const STATE_FILE_VERSION: u32 = 1;

/// `state.json` below `--root/ID`. The kernel is the truth about liveness; this says whom to ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateFile {
    /// [`STATE_FILE_VERSION`].
    pub(crate) version: u32,
    /// The container's id.
    pub(crate) id: String,
    /// Absolute path of its bundle.
    pub(crate) bundle: PathBuf,
    /// Absolute path of its root filesystem.
    pub(crate) rootfs: PathBuf,
    /// When it was created.
    pub(crate) created: Timestamp,
    /// The user who created it.
    pub(crate) owner: u32,
    /// Its first process, once there is one.
    pub(crate) init: Option<ProcessIdentity>,
    /// Whether the end of the first process is the end of all.
    pub(crate) own_pid_namespace: bool,
    /// Its cgroups, once they are surely its own.
    pub(crate) cgroups: CgroupPaths,
    /// Where its cgroups were to be made: a creator that died may have left empty ones there.
    #[serde(default)]
    pub(crate) intended: CgroupPaths,
    /// The systemd unit around it, where systemd made its cgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<Scope>,
    /// Its resctrl group, where the spec asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resctrl: Option<Group>,
    /// Annotations of the spec.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// The status of a container (runtime-spec, runtime.md, "State"), with runc's `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Being created.
    Creating,
    /// Waiting for `start`.
    Created,
    /// The program runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its first process has ended.
    Stopped,
}

impl Status {
    /// The word in JSON and tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// The state that hooks read from standard input. `pid` comes last: init knows its PID on the
/// host only after everything else was prepared.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HookState<'a> {
    oci_version: &'static str,
    id: &'a str,
    status: Status,
    bundle: &'a std::path::Path,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

impl<'a> HookState<'a> {
    /// The state as hooks get it; a stopped container has no PID.
    pub(crate) fn new(state: &'a StateFile, status: Status) -> Self {
        let pid = state.init.as_ref().map(|init| init.pid.get());
        Self {
            oci_version: OCI_VERSION,
            id: &state.id,
            status,
            bundle: &state.bundle,
            annotations: &state.annotations,
            pid: pid.filter(|_| status != Status::Stopped),
        }
    }

    /// Everything up to the number of the PID; the reader of it appends that and a brace.
    pub(crate) fn prefix(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(&Self {
            pid: None,
            ..self.clone()
        })?;
        text.pop();
        text.extend_from_slice(b",\"pid\":");
        Ok(text)
    }
}

/// The annotations of a spec, in a fixed order.
pub(crate) fn annotations(spec: &Spec) -> BTreeMap<String, String> {
    spec.annotations()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_takes_a_pid_and_a_brace() {
        let state = StateFile {
            version: 1,
            id: "a".into(),
            bundle: "/b".into(),
            rootfs: "/b/rootfs".into(),
            created: Timestamp::from_nanos(1),
            owner: 0,
            init: None,
            own_pid_namespace: true,
            cgroups: CgroupPaths::default(),
            intended: CgroupPaths::default(),
            scope: None,
            resctrl: None,
            annotations: [("k".to_owned(), "v\"".to_owned())].into(),
        };
        let mut text = HookState::new(&state, Status::Creating).prefix().unwrap();
        text.extend_from_slice(b"42}");
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(read["pid"], 42);
        assert_eq!(read["status"], "creating");
        assert_eq!(read["annotations"]["k"], "v\"");
    }
}
