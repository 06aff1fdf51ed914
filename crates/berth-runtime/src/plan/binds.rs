//! Bind mounts, with their propagation and their id mappings.

use std::path::{Path, PathBuf};

use berth_sys::MountAttributes as Attr;
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Mount};

use super::build::{Builder, c_path, invalid};
use super::mounts::guard_proc;
use super::options::MountOptions;
use super::{Mappings, PlanError, Slot, Step, TargetKind, rootfs};
use crate::facts::Source;

/// A bind mount: the source is a host path that the user named, relative ones below the bundle.
pub(super) fn bind(
    builder: &mut Builder<'_>,
    index: usize,
    mount: &Mount,
    target: &Path,
    parsed: &MountOptions,
) -> Result<(), PlanError> {
    let source = Asked::of(builder, mount, target)?;
    let facts = source.facts;
    let links = guard_proc(target, facts.is_procfs)?;
    if !parsed.data.is_empty() && builder.is_bundle() {
        let words: Vec<_> = parsed
            .data
            .iter()
            .map(|(key, _)| key.to_string_lossy())
            .collect();
        builder.warnings.push(format!(
            "mounts[{index}].options: a bind mount knows no {}",
            words.join(", ")
        ));
    }
    let slot = builder.slot();
    let namespace = mapping(builder, mount, parsed)?;
    // Among the host's own mounts the clone stays one of them, wherever the root lies.
    let shared = rootfs::stays_shared(builder) && builder.facts.privileged;
    let ours = builder.facts.privileged && !builder.is_bundle() && is_ours(mount);
    let before = builder.opens_before()
        || namespace.is_some()
        || shared
        || (ours && builder.has_user_namespace());
    // init would find what lies below locked to the mount that it clones.
    let recursive = parsed.bind == Some(true) || (builder.has_user_namespace() && !before);
    let mut steps = vec![source.clone_step(recursive, slot)?];
    if let Some(namespace) = namespace {
        steps.push(Step::IdMapBy {
            slot,
            namespace,
            recursive: parsed.idmap == Some(true),
        });
    }
    for attributes in changes(builder, parsed, before) {
        if attributes.set | attributes.clear | attributes.propagation != 0 {
            steps.push(Step::SetAttributes { slot, attributes });
        }
    }
    if before {
        builder.before.extend(steps);
    } else {
        builder.init.extend(steps);
    }
    let kind = if facts.is_directory {
        TargetKind::Directory
    } else {
        TargetKind::File
    };
    builder.push(Step::Attach {
        slot,
        target: c_path(target)?,
        kind,
        links,
    });
    Ok(())
}

/// The source of a bind mount.
struct Asked<'a> {
    host: PathBuf,
    beneath: Option<&'a Path>,
    facts: Source,
}

impl<'a> Asked<'a> {
    fn of(builder: &Builder<'_>, mount: &'a Mount, target: &Path) -> Result<Self, PlanError> {
        let source = mount.source().as_ref().ok_or_else(|| {
            invalid(&format!(
                "the bind mount on {} names no source",
                target.display()
            ))
        })?;
        let host = builder.setup.bundle.join(source);
        let beneath = match builder.is_bundle() {
            true => None,
            false => beneath(mount),
        };
        let whole = beneath.map_or_else(|| host.clone(), |path| host.join(path));
        match builder.facts.sources.get(&whole).copied() {
            Some(facts) => Ok(Self {
                host,
                beneath,
                facts,
            }),
            None => Err(invalid(&format!(
                "the source {} of the mount on {} does not exist",
                whole.display(),
                target.display()
            ))),
        }
    }

    fn clone_step(&self, recursive: bool, slot: Slot) -> Result<Step, PlanError> {
        let host = c_path(&self.host)?;
        Ok(match self.beneath {
            None => Step::CloneHost {
                host,
                recursive,
                device: None,
                slot,
            },
            Some(path) => Step::CloneBeneath {
                host,
                path: c_path(path)?,
                recursive,
                slot,
            },
        })
    }
}

/// The part of the source that is to be mounted, where the engine names one: the folder of a volume
/// is ours, and what lies in it belongs to containers.
pub(crate) fn beneath(mount: &Mount) -> Option<&Path> {
    let words = mount.options().iter().flatten();
    let mut paths = words.filter_map(|word| word.strip_prefix("x-berth.beneath="));
    paths.next_back().map(Path::new)
}

/// Whether the source is a file of the engine's own, which a container's root need not reach.
fn is_ours(mount: &Mount) -> bool {
    let mut words = mount.options().iter().flatten();
    words.any(|word| word == "x-berth.before")
}

/// What is set on the clone, in order. A mount has one propagation; the last one wins.
fn changes(builder: &Builder<'_>, parsed: &MountOptions, before: bool) -> Vec<Attr> {
    let whole = |propagation| Attr {
        propagation,
        recursive: true,
        ..Attr::default()
    };
    let says = parsed.recursive.propagation | parsed.attributes.propagation != 0;
    let mut list = Vec::with_capacity(3);
    if !builder.is_bundle() {
        if !says {
            list.push(whole(Attr::PRIVATE));
        }
    } else if before {
        // Cloned among the host's own mounts: first what init's namespace would have made of it.
        list.push(whole(match rootfs::propagation(builder) {
            "private" => Attr::PRIVATE,
            _ if rootfs::stays_shared(builder) => 0,
            _ => Attr::SLAVE,
        }));
    }
    list.push(parsed.recursive);
    list.push(parsed.attributes);
    list
}

/// The user namespace whose mapping the mount gets: its own, or that of the container.
fn mapping(
    builder: &mut Builder<'_>,
    mount: &Mount,
    parsed: &MountOptions,
) -> Result<Option<Slot>, PlanError> {
    let own = of_lists(mount.uid_mappings(), mount.gid_mappings());
    if parsed.idmap.is_none() && own.is_none() {
        return Ok(None);
    }
    if !builder.facts.privileged {
        return Err(PlanError::Unsupported(
            "mapping the ids of a mount needs root of the host".into(),
        ));
    }
    let linux = builder.spec.linux().as_ref();
    let containers =
        || linux.and_then(|linux| of_lists(linux.uid_mappings(), linux.gid_mappings()));
    if let Some(mappings) = own.or_else(containers) {
        return Ok(Some(namespace_of(builder, mappings)));
    }
    let joined = linux
        .and_then(|linux| linux.namespaces().as_ref())
        .and_then(|list| list.iter().find(|n| n.typ() == LinuxNamespaceType::User))
        .and_then(|namespace| namespace.path().as_deref());
    let Some(path) = joined else {
        return Err(invalid(
            "idmap without uidMappings needs a container with a user namespace",
        ));
    };
    let host = c_path(path)?;
    let slot = builder.slot();
    builder.before.push(Step::OpenUserNamespace { host, slot });
    Ok(Some(slot))
}

fn of_lists(
    uids: &Option<Vec<LinuxIdMapping>>,
    gids: &Option<Vec<LinuxIdMapping>>,
) -> Option<Mappings> {
    let triples = |list: &Option<Vec<LinuxIdMapping>>| {
        let list = list.iter().flatten();
        list.map(|m| (m.container_id(), m.host_id(), m.size()))
            .collect::<Vec<_>>()
    };
    let (uids, gids) = (triples(uids), triples(gids));
    (!uids.is_empty() && !gids.is_empty()).then_some(Mappings { uids, gids })
}

/// The slot of a user namespace with these mappings, made once for each.
fn namespace_of(builder: &mut Builder<'_>, wanted: Mappings) -> Slot {
    let made = builder.before.iter().find_map(|step| match step {
        Step::MakeUserNamespace { mappings, slot } if *mappings == wanted => Some(*slot),
        _ => None,
    });
    made.unwrap_or_else(|| {
        let slot = builder.slot();
        let mappings = wanted;
        builder
            .before
            .push(Step::MakeUserNamespace { mappings, slot });
        slot
    })
}
