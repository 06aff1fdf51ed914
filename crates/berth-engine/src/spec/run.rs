//! What of a spec only a start can know: the processes whose namespaces are joined, and the ids.

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_base::state::NamespaceSource;
use berth_base::{ContainerId, NamespaceKind};
use oci_spec::runtime::{LinuxBlockIo, LinuxIdMapping, LinuxResources, Spec};

use super::{SpecError, namespace_type};
use crate::subid::IdMap;

/// The ids of a private user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdMappings {
    pub(crate) uid: Vec<IdMap>,
    pub(crate) gid: Vec<IdMap>,
}

/// What a start found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunFacts {
    /// `/proc/PID/ns/KIND` of each namespace that is another container's.
    pub(crate) joined: BTreeMap<NamespaceKind, PathBuf>,
    /// The ids, where the user namespace is private.
    pub(crate) mappings: Option<IdMappings>,
    /// The ids of a joined user namespace, which the spec must not map again.
    pub(crate) joined_mappings: Option<IdMappings>,
    /// The limits that were changed since the container was created, as they are now, all of those
    /// that can be.
    pub(crate) resources: Option<LinuxResources>,
}

/// The path that stands in `spec.json` for a namespace of another container. It names no file,
/// so that a runtime given the immutable spec by mistake fails instead of not joining.
pub(super) fn placeholder(id: &ContainerId) -> PathBuf {
    PathBuf::from(format!("container:{id}"))
}

/// Whether a container's immutable spec is incomplete, so that each run gets a spec of its own.
pub(crate) fn needs_run_spec(namespaces: &BTreeMap<NamespaceKind, NamespaceSource>) -> bool {
    namespaces.iter().any(|(kind, source)| match source {
        NamespaceSource::Container(_) => true,
        NamespaceSource::Private => *kind == NamespaceKind::User,
        NamespaceSource::Host | NamespaceSource::Path(_) => false,
    })
}

/// Completes a spec for one run.
pub(crate) fn for_run(mut spec: Spec, facts: &RunFacts) -> Result<Spec, SpecError> {
    if let Some(mappings) = facts.mappings.as_ref().or(facts.joined_mappings.as_ref()) {
        check_mapped(&spec, mappings)?;
        drop_unmapped_terminal_group(&mut spec, mappings);
    }
    if let Some(linux) = spec.linux_mut() {
        if let Some(namespaces) = linux.namespaces_mut() {
            for namespace in namespaces {
                let joined = facts
                    .joined
                    .iter()
                    .find(|(kind, _)| namespace_type(**kind) == namespace.typ());
                if let Some((_, path)) = joined {
                    namespace.set_path(Some(path.clone()));
                }
            }
        }
        if let Some(changed) = &facts.resources {
            let resources = linux.resources_mut().get_or_insert_default();
            change_limits(resources, changed);
        }
        if let Some(mappings) = &facts.mappings {
            linux
                .set_uid_mappings(Some(to_spec(&mappings.uid)?))
                .set_gid_mappings(Some(to_spec(&mappings.gid)?));
        }
    }
    Ok(spec)
}

/// Puts the limits that can be changed in the place of those from the creation.
fn change_limits(resources: &mut LinuxResources, changed: &LinuxResources) {
    resources
        .set_memory(*changed.memory())
        .set_cpu(changed.cpu().clone())
        .set_pids(*changed.pids());
    let weight = changed.block_io().as_ref().and_then(LinuxBlockIo::weight);
    if weight.is_some() || resources.block_io().is_some() {
        let block = resources.block_io_mut().get_or_insert_default();
        block.set_weight(weight);
    }
}

/// An id that the namespace does not map cannot be had: setuid(2) answers EINVAL.
fn check_mapped(spec: &Spec, mappings: &IdMappings) -> Result<(), SpecError> {
    let Some(process) = spec.process() else {
        return Ok(());
    };
    let user = process.user();
    let groups = user.additional_gids().iter().flatten().copied();
    let gids = std::iter::once(user.gid()).chain(groups);
    let unmapped = (!is_mapped(user.uid(), &mappings.uid))
        .then_some((user.uid(), "the user", &mappings.uid))
        .or_else(|| {
            gids.into_iter()
                .find(|gid| !is_mapped(*gid, &mappings.gid))
                .map(|gid| (gid, "a group", &mappings.gid))
        });
    match unmapped {
        None => Ok(()),
        Some((id, what, table)) => Err(SpecError::Unmapped {
            id,
            what,
            mapped: describe(table),
        }),
    }
}

/// devpts refuses a `gid=` that is not mapped. Without one, a pseudo terminal belongs to the
/// group of whoever opens it.
fn drop_unmapped_terminal_group(spec: &mut Spec, mappings: &IdMappings) {
    if is_mapped(5, &mappings.gid) {
        return;
    }
    for mount in spec.mounts_mut().iter_mut().flatten() {
        if mount.typ().as_deref() == Some("devpts")
            && let Some(options) = mount.options_mut()
        {
            options.retain(|option| option != "gid=5");
        }
    }
}

fn to_spec(table: &[IdMap]) -> Result<Vec<LinuxIdMapping>, SpecError> {
    table
        .iter()
        .map(|map| map.to_spec().map_err(SpecError::Internal))
        .collect()
}

fn is_mapped(id: u32, table: &[IdMap]) -> bool {
    table.iter().any(|map| {
        id.checked_sub(map.inside)
            .is_some_and(|offset| offset < map.size)
    })
}

/// `0, 1-65536`.
fn describe(table: &[IdMap]) -> String {
    let ranges: Vec<String> = table
        .iter()
        .map(|map| match map.size {
            1 => map.inside.to_string(),
            size => format!(
                "{}-{}",
                map.inside,
                map.inside.saturating_add(size.saturating_sub(1))
            ),
        })
        .collect();
    ranges.join(", ")
}
