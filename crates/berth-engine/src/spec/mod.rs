//! From what a user asked for to an OCI runtime spec, with the effect of Docker's defaults.
//!
//! Pure: everything about the host comes in as [`SpecFacts`]. Does no I/O, so that every spec can
//! be snapshot-tested. What only a start knows (which process holds a joined namespace, which ids
//! are free) is filled in by [`for_run`].

mod cpuset;
mod devices;
mod error;
mod limits;
mod mounts;
mod paths;
mod process;
mod run;
mod sysctls;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use berth_base::NamespaceKind;
use berth_base::state::NamespaceSource;
use oci_spec::runtime::{
    Linux, LinuxBuilder, LinuxDevice, LinuxNamespace, LinuxNamespaceType, Root, Spec,
};

pub(crate) use devices::{DeviceKind, Grant, HostDevice, Injected};
pub(crate) use error::SpecError;
pub(crate) use limits::{BlockDevices, LimitFacts, changeable_resources};
pub(crate) use mounts::normalise as normalise_target;
pub(crate) use process::{capability_sets, merge_env, user as user_of};
pub(crate) use run::{IdMappings, RunFacts, for_run, needs_run_spec};

use crate::CreateOptions;
use crate::capabilities::{Capabilities, grant};
use crate::user::ResolvedUser;

/// The version of the OCI runtime spec that the generated ones follow.
const OCI_VERSION: &str = "1.2.1";

/// What a spec depends on besides the options.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpecFacts {
    /// The command line, entrypoint first; not empty.
    pub(crate) argv: Vec<String>,
    /// What the container will see as its hostname.
    pub(crate) hostname: String,
    pub(crate) user: ResolvedUser,
    /// Whether the caller is not root.
    pub(crate) rootless: bool,
    /// What the caller may grant: its bounding set, or everything in a new user namespace.
    pub(crate) available: Capabilities,
    pub(crate) limits: CallerLimits,
    pub(crate) namespaces: BTreeMap<NamespaceKind, NamespaceSource>,
    pub(crate) cgroups_path: Option<String>,
    /// What limits depend on.
    pub(crate) limit_facts: LimitFacts,
    /// What the devices come to that were asked for.
    pub(crate) injected: Injected,
    /// The host's devices, for `--privileged`.
    pub(crate) devices: Vec<HostDevice>,
    /// Whether the host has a mqueue file system at /dev/mqueue.
    pub(crate) host_has_mqueue: bool,
    /// Whether the host has a /dev/shm.
    pub(crate) host_has_shm: bool,
    /// Files that are mounted below /etc, by name; none where the network is not its own.
    pub(crate) network_files: Vec<(&'static str, PathBuf)>,
    /// Files of this host that must be masked besides the fixed list.
    pub(crate) masked: Vec<String>,
}

/// The resource limits of the calling process.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerLimits {
    /// Hard limits by lower-case name.
    pub(crate) hard: BTreeMap<&'static str, u64>,
    /// Whether it may raise them (CAP_SYS_RESOURCE in the initial user namespace).
    pub(crate) may_raise: bool,
}

impl SpecFacts {
    /// Where a namespace comes from.
    pub(crate) fn source(&self, kind: NamespaceKind) -> &NamespaceSource {
        self.namespaces
            .get(&kind)
            .unwrap_or(&NamespaceSource::Private)
    }

    fn is_private(&self, kind: NamespaceKind) -> bool {
        *self.source(kind) == NamespaceSource::Private
    }

    /// Whether the container's processes live in another user namespace than the caller's.
    fn has_user_namespace(&self) -> bool {
        *self.source(NamespaceKind::User) != NamespaceSource::Host
    }
}

/// A spec, and what the user should know about it.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) spec: Spec,
    /// The capabilities it grants, for profiles that depend on them.
    pub(crate) granted: Capabilities,
    pub(crate) warnings: Vec<String>,
}

/// Makes the spec.
pub(crate) fn build(options: &CreateOptions, facts: &SpecFacts) -> Result<Built, SpecError> {
    let own_uts = facts.is_private(NamespaceKind::Uts);
    if options.hostname.is_some() && !own_uts {
        return Err(SpecError::Conflict {
            first: "--hostname",
            second: "--uts",
            why: "the hostname of a shared UTS namespace belongs to its owner",
        });
    }
    let granted = grant(
        &options.cap_add,
        &options.cap_drop,
        options.privileged,
        facts.available,
    )?;
    let mut warnings: Vec<String> = granted.warning.into_iter().collect();
    let annotations = &options.limits.annotations;
    let annotations = (!annotations.is_empty())
        .then(|| annotations.clone().into_iter().collect::<HashMap<_, _>>());
    let mut root = Root::default();
    root.set_path("rootfs".into())
        .set_readonly(Some(options.read_only));
    let mut spec = Spec::default();
    spec.set_version(OCI_VERSION.into())
        .set_root(Some(root))
        .set_process(Some(process::process(options, facts, granted.set)?))
        .set_mounts(Some(mounts::mounts(options, facts)?))
        .set_hostname(own_uts.then(|| facts.hostname.clone()))
        .set_domainname(options.names.domain.clone().filter(|_| own_uts))
        .set_annotations(annotations)
        .set_hooks(facts.injected.hooks.clone())
        .set_linux(Some(linux(options, facts, &mut warnings)?));
    Ok(Built {
        spec,
        granted: granted.set,
        warnings,
    })
}

fn linux(
    options: &CreateOptions,
    facts: &SpecFacts,
    warnings: &mut Vec<String>,
) -> Result<Linux, SpecError> {
    let (masked, read_only) = if options.privileged {
        (Vec::new(), Vec::new())
    } else {
        (paths::masked(&facts.masked), paths::read_only())
    };
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(facts))
        .resources(limits::resources(options, facts, warnings)?)
        .masked_paths(masked)
        .readonly_paths(read_only)
        .build()
        .map_err(SpecError::Internal)?;
    linux
        .set_cgroups_path(facts.cgroups_path.clone().map(Into::into))
        .set_sysctl(sysctls::sysctls(&options.limits.sysctls, facts)?)
        .set_intel_rdt(facts.injected.intel_rdt.clone())
        .set_devices(nodes(options, facts));
    Ok(linux)
}

/// The nodes of devices, with `--privileged` all of the host's. Where a user namespace forbids
/// mknod, the runtime binds the host's node of the same path; others are mounts.
fn nodes(options: &CreateOptions, facts: &SpecFacts) -> Option<Vec<LinuxDevice>> {
    let mut nodes: Vec<LinuxDevice> = Vec::new();
    if options.privileged && !facts.rootless {
        nodes.extend(facts.devices.iter().map(HostDevice::to_spec));
    }
    for grant in &facts.injected.devices {
        if facts.has_user_namespace() && grant.is_elsewhere() {
            continue;
        }
        let node = grant.device.to_spec();
        nodes.retain(|other| other.path() != node.path());
        nodes.push(node);
    }
    (!nodes.is_empty() || options.privileged && !facts.rootless).then_some(nodes)
}

/// One entry per namespace that is not the caller's, in a fixed order.
fn namespaces(facts: &SpecFacts) -> Vec<LinuxNamespace> {
    NamespaceKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let path = match facts.source(kind) {
                NamespaceSource::Host => return None,
                NamespaceSource::Private => None,
                NamespaceSource::Path(path) => Some(path.clone()),
                NamespaceSource::Container(id) => Some(run::placeholder(id)),
            };
            let mut namespace = LinuxNamespace::default();
            namespace.set_typ(namespace_type(kind)).set_path(path);
            Some(namespace)
        })
        .collect()
}

pub(crate) const fn namespace_type(kind: NamespaceKind) -> LinuxNamespaceType {
    match kind {
        NamespaceKind::Cgroup => LinuxNamespaceType::Cgroup,
        NamespaceKind::Ipc => LinuxNamespaceType::Ipc,
        NamespaceKind::Mnt => LinuxNamespaceType::Mount,
        NamespaceKind::Net => LinuxNamespaceType::Network,
        NamespaceKind::Pid => LinuxNamespaceType::Pid,
        NamespaceKind::Time => LinuxNamespaceType::Time,
        NamespaceKind::User => LinuxNamespaceType::User,
        NamespaceKind::Uts => LinuxNamespaceType::Uts,
    }
}
