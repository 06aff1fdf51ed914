//! Putting a plan together, part by part, in the order in which it is executed.

use std::ffi::CString;
use std::path::Path;

use berth_base::NamespaceKind;
use berth_base::state::RootSource;
use oci_spec::runtime::{Linux, Spec};

use super::{
    CgroupEntry, CgroupPlan, Join, Keyring, Mappings, Plan, PlanError, Setup, Slot, Step,
    Supervision,
};
use super::{Fields, RootPlace, confine, mounts, network, rootfs};
use crate::facts::HostFacts;
use crate::namespaces as ns;

/// A plan under construction.
pub(super) struct Builder<'a> {
    pub(super) spec: &'a Spec,
    pub(super) setup: &'a Setup,
    pub(super) facts: &'a HostFacts,
    /// Steps of init; the stage's own list is separate.
    pub(super) init: Vec<Step>,
    pub(super) host: Vec<Step>,
    /// Steps before the clone, on the host's side.
    pub(super) before: Vec<Step>,
    /// Which fields of the spec the steps come from.
    pub(super) fields: Fields,
    /// What the caller ought to know.
    pub(super) warnings: Vec<String>,
    /// Mounts that become read-only once nothing has to be made in them any more.
    pub(super) seals: Vec<Slot>,
    /// CLONE_NEW* of the namespaces that will be new.
    pub(super) new: u64,
    /// CLONE_NEW* of the namespaces that are joined.
    joined: u64,
    /// The tmpfs that holds upper layers and empty folders, attached at the scratch folder.
    pub(super) layer: Slot,
    /// Host ids of the container's root while the stage composes its root.
    pub(super) owner: Option<(u32, u32)>,
    slots: usize,
}

/// Plans a container from its spec, its caller's wishes and the facts of this host.
pub fn build(spec: &Spec, setup: &Setup, facts: &HostFacts) -> Result<Plan, PlanError> {
    let linux = spec
        .linux()
        .as_ref()
        .ok_or_else(|| invalid("the spec has no linux section"))?;
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| invalid("the spec has no process"))?;
    let (new, joins) = namespaces(linux, facts.privileged)?;
    let mut builder = Builder {
        spec,
        setup,
        facts,
        init: Vec::with_capacity(96),
        host: Vec::new(),
        before: Vec::new(),
        fields: Fields::default(),
        warnings: Vec::new(),
        seals: Vec::new(),
        new,
        joined: joins
            .iter()
            .map(|j| ns::flag_of(j.kind))
            .fold(0, |all, flag| all | flag)
            & !facts.own_namespaces,
        layer: Slot(0),
        owner: None,
        slots: 1,
    };
    let joins_pid_namespace = joins.iter().any(|j| j.kind == NamespaceKind::Pid);
    let supervised = match setup.supervision {
        Supervision::Always => true,
        Supervision::WhereJoined => joins_pid_namespace,
        Supervision::Never => false,
    };
    let mappings = mappings(linux, new)?;
    builder.refuse_what_the_host_lacks(linux)?;
    builder.enter(spec, mappings.is_some())?;
    rootfs::compose(&mut builder)?;
    mounts::plan(&mut builder)?;
    confine::plan(&mut builder, process)?;
    Ok(Plan {
        own_pid_namespace: new & ns::NEW_PID != 0,
        joins,
        new_namespaces: new & !ns::NEW_CGROUP,
        time_offsets: time_offsets(linux, new)?,
        mappings,
        cgroup: CgroupPlan {
            path: setup.cgroup.clone(),
            resources: linux.resources().clone(),
        },
        oom_score_adj: process.oom_score_adj(),
        seccomp: linux.seccomp().clone(),
        program: confine::program(process, supervised)?,
        slots: builder.slots,
        before: builder.before,
        host: builder.host,
        init: builder.init,
        fields: builder.fields,
        warnings: builder.warnings,
    })
}

impl Builder<'_> {
    /// What this host cannot give, or must not.
    fn refuse_what_the_host_lacks(&self, linux: &Linux) -> Result<(), PlanError> {
        if self.is_bundle() && linux.intel_rdt().is_some() && !self.facts.resctrl {
            return Err(PlanError::Unsupported(
                "linux.intelRdt: no resctrl file system is mounted on this host".into(),
            ));
        }
        if let (true, Some((index, why))) =
            (self.is_bundle(), self.facts.unjoinable.first_key_value())
        {
            return Err(invalid(&format!("linux.namespaces[{index}].path: {why}")));
        }
        if self.is_hosts(ns::NEW_MOUNT) {
            return Err(invalid(
                "linux.namespaces: the container needs a mount namespace of its own",
            ));
        }
        Ok(())
    }

    /// Names the field of the spec that the steps since `starts` come from, of a bundle.
    pub(super) fn name(&mut self, starts: (usize, usize), field: impl Fn() -> String) {
        if self.is_bundle() {
            let (before, init) = (starts.0..self.before.len(), starts.1..self.init.len());
            self.fields.before.push((before, field()));
            self.fields.init.push((init, field()));
        }
    }

    /// Reserves a slot.
    pub(super) fn slot(&mut self) -> Slot {
        let slot = Slot(self.slots);
        self.slots += 1;
        slot
    }

    /// Appends a step of init.
    pub(super) fn push(&mut self, step: Step) {
        self.init.push(step);
    }

    /// Whether this namespace will be new.
    pub(super) const fn is_new(&self, flag: u64) -> bool {
        self.new & flag != 0
    }

    /// Whether this namespace is the host's: neither new nor that of another container.
    pub(super) const fn is_hosts(&self, flag: u64) -> bool {
        (self.new | self.joined) & flag == 0
    }

    /// The host's uid and gid behind the container's root.
    pub(super) fn mapped_root(&self) -> Result<(u32, u32), PlanError> {
        let linux = self.spec.linux().as_ref();
        let of_zero = |list: Option<&Option<Vec<oci_spec::runtime::LinuxIdMapping>>>| {
            let mapping = list?.as_ref()?.iter().find(|m| m.container_id() == 0)?;
            Some(mapping.host_id())
        };
        let uid = of_zero(linux.map(Linux::uid_mappings));
        let gid = of_zero(linux.map(Linux::gid_mappings));
        uid.zip(gid).or(self.facts.joined_root).ok_or_else(|| {
            PlanError::Unsupported(
                "cannot tell which host user is root of the user namespace; map id 0, or join it \
                 as /proc/PID/ns/user"
                    .into(),
            )
        })
    }

    /// Whether the container is a bundle of the OCI command line, which does as runc does where
    /// the specification leaves it open.
    pub(super) fn is_bundle(&self) -> bool {
        self.setup.place == RootPlace::OwnPath
    }

    /// Whether host paths are opened before the clone: init could not reach them.
    pub(super) fn opens_before(&self) -> bool {
        let elsewhere = self.has_user_namespace() || self.joined & ns::NEW_MOUNT != 0;
        self.is_bundle() && self.facts.privileged && elsewhere
    }

    /// Whether the container lives in a user namespace that is not the stage's.
    pub(super) const fn has_user_namespace(&self) -> bool {
        (self.new | self.joined) & ns::NEW_USER != 0
    }

    /// First steps of init: user, cgroups, session, and what belongs to a fresh namespace.
    fn enter(&mut self, spec: &Spec, mapped: bool) -> Result<(), PlanError> {
        if self.setup.cgroup_entry == CgroupEntry::Creator {
            self.push(Step::AwaitCgroups);
        }
        if mapped {
            self.push(Step::AwaitMapping);
            self.push(Step::BecomeNamespaceRoot);
        } else if self.has_user_namespace() {
            self.push(Step::BecomeNamespaceRoot);
        }
        if self.setup.cgroup_entry == CgroupEntry::Init {
            self.push(Step::EnterCgroups);
        }
        if self.is_new(ns::NEW_CGROUP) {
            self.push(Step::UnshareCgroupNamespace);
        }
        self.push(Step::NewSession);
        if self.setup.keyring == Keyring::New {
            self.push(Step::NewKeyring);
        }
        rootfs::isolate(self)?;
        if self.is_new(ns::NEW_NET) {
            self.push(Step::LoopbackUp);
        }
        network::interfaces(self)?;
        let named = [
            (
                spec.hostname(),
                "hostname",
                Step::Hostname as fn(CString) -> Step,
            ),
            (spec.domainname(), "domainname", Step::Domainname),
        ];
        for (name, field, step) in named {
            let Some(name) = name.as_deref().filter(|name| !name.is_empty()) else {
                continue;
            };
            if self.is_hosts(ns::NEW_UTS) {
                return Err(invalid(&format!(
                    "{field}: {name:?} needs a UTS namespace of the container's own"
                )));
            }
            self.push(step(c_string(name)?));
        }
        Ok(())
    }
}

/// Which namespaces to create and which to join.
fn namespaces(linux: &Linux, privileged: bool) -> Result<(u64, Vec<Join>), PlanError> {
    let mut new = 0;
    let mut seen = 0;
    let mut joins = Vec::new();
    for namespace in linux.namespaces().iter().flatten() {
        let kind = ns::kind_of(namespace.typ());
        let flag = ns::flag_of(kind);
        if seen & flag != 0 {
            return Err(invalid(&format!(
                "linux.namespaces: the namespace {} is listed twice",
                kind.as_str()
            )));
        }
        seen |= flag;
        match namespace.path() {
            None => new |= flag,
            Some(path) if path.as_os_str().is_empty() => new |= flag,
            Some(path) => joins.push(Join {
                kind,
                path: c_path(path)?,
            }),
        }
    }
    // A namespace owned outside the joined user namespace must be entered before it: with
    // privilege a user namespace is joined last. Without, only those can be entered that it owns,
    // by the rights that joining it first brings.
    joins.sort_by_key(|join| (join.kind == NamespaceKind::User) == privileged);
    Ok((new, joins))
}

/// The id mappings of a new user namespace.
fn mappings(linux: &Linux, new: u64) -> Result<Option<Mappings>, PlanError> {
    if new & ns::NEW_USER == 0 {
        return Ok(None);
    }
    let triples = |list: &Option<Vec<oci_spec::runtime::LinuxIdMapping>>| {
        list.iter()
            .flatten()
            .map(|m| (m.container_id(), m.host_id(), m.size()))
            .collect::<Vec<_>>()
    };
    let mappings = Mappings {
        uids: triples(linux.uid_mappings()),
        gids: triples(linux.gid_mappings()),
    };
    if mappings.uids.is_empty() || mappings.gids.is_empty() {
        return Err(invalid(
            "a new user namespace needs uidMappings and gidMappings",
        ));
    }
    Ok(Some(mappings))
}

/// Lines of /proc/PID/timens_offsets (time_namespaces(7)).
fn time_offsets(linux: &Linux, new: u64) -> Result<Vec<String>, PlanError> {
    let Some(offsets) = linux.time_offsets() else {
        return Ok(Vec::new());
    };
    if !offsets.is_empty() && new & ns::NEW_TIME == 0 {
        return Err(invalid(
            "timeOffsets need a time namespace of the container's own",
        ));
    }
    let mut lines: Vec<_> = offsets
        .iter()
        .map(|(clock, offset)| {
            format!(
                "{clock} {} {}",
                offset.secs().unwrap_or(0),
                offset.nanosecs().unwrap_or(0)
            )
        })
        .collect();
    lines.sort();
    Ok(lines)
}

/// Turns text into a C string, refusing NUL bytes.
pub(super) fn c_string(text: &str) -> Result<CString, PlanError> {
    CString::new(text).map_err(|_| invalid(&format!("{text:?} contains a NUL byte")))
}

/// Turns a path into a C string, refusing NUL bytes.
pub(super) fn c_path(path: &Path) -> Result<CString, PlanError> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| invalid(&format!("{} contains a NUL byte", path.display())))
}

/// Makes an "invalid" error.
pub(super) fn invalid(message: &str) -> PlanError {
    PlanError::Invalid(message.to_owned())
}

/// Whether the root is written through to the host.
pub(super) const fn writes_through(root: &RootSource) -> bool {
    matches!(root, RootSource::Directory { writable: true, .. })
}
