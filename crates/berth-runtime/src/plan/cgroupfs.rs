//! /sys/fs/cgroup as the container sees it.

use std::path::Path;

use berth_sys::MountAttributes as Attr;

use super::build::{Builder, c_string};
use super::mounts::attach;
use super::options::MountOptions;
use super::{Links, PlanError, Step, rootfs};
use crate::namespaces as ns;

/// /sys/fs/cgroup: the v2 hierarchy, or a tmpfs with one folder per v1 controller.
pub(super) fn cgroup(
    builder: &mut Builder<'_>,
    target: &Path,
    parsed: &MountOptions,
) -> Result<(), PlanError> {
    let facts = builder.facts;
    let attributes = Attr {
        set: parsed.attributes.set | Attr::NOSUID | Attr::NODEV | Attr::NOEXEC,
        ..Attr::default()
    };
    if facts.cgroups.v1.is_empty() {
        return unified(builder, target, attributes);
    }
    let top = builder.slot();
    builder.push(Step::NewFilesystem {
        fstype: c"tmpfs".into(),
        source: c"cgroup".into(),
        options: vec![(c"mode".into(), Some(c"0755".into()))],
        attributes: Attr::NOSUID | Attr::NODEV | Attr::NOEXEC,
        slot: top,
    });
    attach(builder, top, target, Attr::default(), Links::InRoot)?;
    let named = facts
        .cgroups
        .v1
        .iter()
        .map(|(name, host)| (v1_folder(name), host));
    let unified = facts
        .cgroups
        .v2
        .iter()
        .map(|host| ("unified".to_owned(), host));
    for (name, host) in named.chain(unified) {
        builder.push(Step::MakeDirectory {
            at: top,
            path: c_string(&name)?,
            mode: 0o555,
        });
        let slot = builder.slot();
        let host = c_string(host)?;
        builder.push(Step::CloneHost {
            host,
            recursive: false,
            device: None,
            slot,
        });
        attach(
            builder,
            slot,
            &target.join(name),
            attributes,
            Links::Refused,
        )?;
    }
    if attributes.set & Attr::RDONLY != 0 {
        let attributes = Attr {
            set: Attr::RDONLY,
            ..Attr::default()
        };
        builder.push(Step::SetAttributes {
            slot: top,
            attributes,
        });
    }
    Ok(())
}

/// v2 alone: a fresh instance, or the host's view where the namespace is the host's.
fn unified(builder: &mut Builder<'_>, target: &Path, attributes: Attr) -> Result<(), PlanError> {
    if builder.facts.cgroups.v2.is_none() || !builder.is_new(ns::NEW_CGROUP) {
        let slot = builder.slot();
        let host = c"/sys/fs/cgroup".into();
        builder.push(Step::CloneHost {
            host,
            recursive: true,
            device: None,
            slot,
        });
        return attach(
            builder,
            slot,
            target,
            rootfs::read_only_tree(),
            Links::InRoot,
        );
    }
    let slot = builder.slot();
    builder.push(Step::NewFilesystem {
        fstype: c"cgroup2".into(),
        source: c"cgroup".into(),
        options: Vec::new(),
        attributes: attributes.set & !Attr::RDONLY,
        slot,
    });
    let after = Attr {
        set: attributes.set & Attr::RDONLY,
        ..Attr::default()
    };
    attach(builder, slot, target, after, Links::InRoot)
}

/// The folder that distributions give a v1 hierarchy.
fn v1_folder(controllers: &str) -> String {
    controllers
        .strip_prefix("name=")
        .unwrap_or(controllers)
        .to_owned()
}
