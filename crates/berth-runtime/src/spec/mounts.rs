//! `mounts` (config.md, "Mounts").

use std::path::{Component, Path};

use oci_spec::runtime::{Mount, Spec};

use super::{Checked, mapping, refuse, rules};

pub(super) fn check(spec: &Spec) -> Checked {
    for (index, mount) in spec.mounts().iter().flatten().enumerate() {
        one(&format!("mounts[{index}]"), mount)?;
    }
    Ok(())
}

fn one(field: &str, mount: &Mount) -> Checked {
    let at = |part: &str| format!("{field}.{part}");
    destination(&at("destination"), mount)?;
    let options = mount.options().as_deref().unwrap_or_default();
    rules::texts(&at("options"), options)?;
    let says = |word: &str| options.iter().any(|option| option == word);
    let kind = mount.typ().as_deref().unwrap_or_default();
    let binds = says("bind") || says("rbind") || kind == "bind";
    rules::text(&at("type"), kind)?;
    if kind.is_empty() && !binds {
        return Err(refuse(at("type"), "missing; only a bind mount needs none"));
    }
    match mount.source() {
        Some(source) => rules::text(&at("source"), &source.to_string_lossy())?,
        None if binds => return Err(refuse(at("source"), "missing; a bind mount needs one")),
        None => {}
    }
    if says("tmpcopyup") && kind != "tmpfs" {
        return Err(refuse(
            at("options"),
            format!("tmpcopyup is for tmpfs, not for {kind:?}"),
        ));
    }
    ids(field, mount, binds)
}

fn destination(field: &str, mount: &Mount) -> Checked {
    let path = mount.destination();
    rules::text(field, &path.to_string_lossy())?;
    if leaves(path) {
        return Err(refuse(
            field,
            format!("{path:?} contains \"..\"; name the place inside the container"),
        ));
    }
    let is_name = |component: Component<'_>| matches!(component, Component::Normal(_));
    if !path.components().any(is_name) {
        return Err(refuse(
            field,
            format!("{path:?} is not a place below the root of the container"),
        ));
    }
    Ok(())
}

/// Whether a path has a `..` in it.
pub(super) fn leaves(path: &Path) -> bool {
    path.components().any(|c| c == Component::ParentDir)
}

/// Id mappings of one mount: both or none, and only where there is something to map.
fn ids(field: &str, mount: &Mount, binds: bool) -> Checked {
    let lists = [
        ("uidMappings", mount.uid_mappings()),
        ("gidMappings", mount.gid_mappings()),
    ]
    .map(|(name, list)| {
        (
            format!("{field}.{name}"),
            list.as_deref().unwrap_or_default(),
        )
    });
    for (name, list) in &lists {
        mapping::check(name, list)?;
    }
    let [(uid_field, uids), (gid_field, gids)] = lists;
    match (uids.is_empty(), gids.is_empty()) {
        (true, true) => return Ok(()),
        (false, false) => {}
        (true, false) => return Err(refuse(uid_field, "missing, while gidMappings is set")),
        (false, true) => return Err(refuse(gid_field, "missing, while uidMappings is set")),
    }
    if binds {
        return Ok(());
    }
    Err(refuse(uid_field, "only a bind mount can map ids"))
}
