//! The root filesystem: that of a bundle, a directory, or an overlay of one; that of an image is in
//! [`layers`], that of the `host` image in [`host_image`].
//!
//! Everything is made by descriptors in init's own mount namespace and attached at the scratch
//! folder there, so that the host's mount table never sees it and no path inside is trusted.

use std::path::Path;

use berth_base::state::RootSource;
use berth_sys::MountAttributes as Attr;

use crate::besides::ROOTFS;

use super::build::{Builder, c_path, c_string, invalid, writes_through};
use super::host_image::{cover_secrets, host_image};
use super::layers;
use super::{LowerOption, Overlay, Place, PlanError, Slot, Step};

/// The folder of the layer that masks show.
pub(super) const EMPTY: &std::ffi::CStr = c"empty";

/// Plans layer and root, up to [`Step::SetRoot`].
///
/// Root without a user namespace: init does it all. Root with one: the stage composes the root
/// in a mount namespace of its own, with the container's id mapping on the lower layers, and
/// hands it over; init still makes the layer that masks need. Without privilege: init, inside
/// its user namespace, with the host's folders read-only.
pub(super) fn compose(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    if builder.is_bundle() {
        return own_root(builder);
    }
    let handed_over = builder.has_user_namespace() && builder.facts.privileged;
    if !handed_over {
        builder.layer = layer(builder)?;
        contents(builder)?;
        return show_to_hooks(builder);
    }
    let init = std::mem::take(&mut builder.init);
    builder.owner = Some(builder.mapped_root()?);
    builder.layer = layer(builder)?;
    contents(builder)?;
    builder.owner = None;
    builder.host = std::mem::replace(&mut builder.init, init);
    builder.layer = layer(builder)?;
    let slot = builder.slot();
    builder.push(Step::ReceiveRoot { slot });
    builder.push(Step::SetRoot { slot });
    Ok(())
}

/// Hooks look for the root by the bundle's path: there it is attached, where a spec has hooks.
fn show_to_hooks(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    if builder.spec.hooks().is_none() {
        return Ok(());
    }
    let host = c_path(&builder.setup.bundle.join(ROOTFS))?;
    let root = builder.init.iter().rev().find_map(|step| match step {
        Step::SetRoot { slot } => Some(*slot),
        _ => None,
    });
    let attached =
        |step: &&mut Step| matches!(step, Step::AttachScratch { slot } if Some(*slot) == root);
    if let (Some(root), Some(step)) = (root, builder.init.iter_mut().rev().find(attached)) {
        *step = Step::AttachInPlace { slot: root, host };
    }
    Ok(())
}

/// The root of a bundle, over its own path: its ids are the caller's business, nothing is mapped.
///
/// What masks need lies below it, so that whoever follows the path finds the root.
fn own_root(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let RootSource::Directory { path, .. } = builder.setup.root.clone() else {
        return Err(invalid("root: a bundle has a directory of its own"));
    };
    let host = c_path(&path)?;
    let root = builder.slot();
    let clone = Step::CloneHost {
        host: host.clone(),
        recursive: true,
        device: None,
        slot: root,
    };
    let receives = receives_mounts(builder);
    let propagation = Step::SetAttributes {
        slot: root,
        attributes: Attr {
            propagation: if receives { Attr::SLAVE } else { Attr::PRIVATE },
            recursive: true,
            ..Attr::default()
        },
    };
    let opener = if builder.opens_before() {
        &mut builder.before
    } else {
        &mut builder.init
    };
    opener.extend([clone, propagation]);
    if needs_empty_folder(builder) {
        builder.layer = tmpfs(builder, "0700", Attr::NOSUID | Attr::NODEV)?;
        let at = builder.layer;
        builder.push(Step::AttachInPlace {
            slot: at,
            host: host.clone(),
        });
        builder.push(Step::MakeDirectory {
            at,
            path: EMPTY.into(),
            mode: 0o755,
        });
    }
    builder.push(Step::AttachInPlace { slot: root, host });
    builder.push(Step::SetRoot { slot: root });
    Ok(())
}

/// Whether some path may have to be hidden behind an empty folder.
fn needs_empty_folder(builder: &Builder<'_>) -> bool {
    let linux = builder.spec.linux().as_ref();
    let masked = linux.and_then(|l| l.masked_paths().as_ref());
    masked.is_some_and(|paths| !paths.is_empty())
}

/// `rootfsPropagation` without its `r`; empty when the spec says nothing.
pub(super) fn propagation<'a>(builder: &Builder<'a>) -> &'a str {
    let linux = builder.spec.linux().as_ref();
    let word = linux.and_then(|l| l.rootfs_propagation().as_deref());
    let word = word.unwrap_or_default();
    word.strip_prefix('r').unwrap_or(word)
}

/// Whether the root sees what the host mounts below it later: as runc, unless told otherwise.
fn receives_mounts(builder: &Builder<'_>) -> bool {
    matches!(propagation(builder), "" | "slave" | "shared")
}

/// What our mounts and the host's still tell each other.
///
/// The engine: nothing. A bundle: what the host mounts later arrives, so that a bind with
/// `rslave` works; with `shared` our mounts stay those of the host, so that one with `rshared`
/// does. Only the mount that holds the root is then cut off: what we stack there stays ours. In
/// a new user namespace the kernel has made slaves of all of them.
pub(super) fn isolate(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    if !builder.is_bundle() {
        builder.push(Step::IsolateMounts);
        return Ok(());
    }
    match propagation(builder) {
        "private" => builder.push(Step::IsolateMounts),
        _ if stays_shared(builder) => {
            let mount = builder.facts.root_mount.as_deref();
            let host = c_path(mount.unwrap_or(Path::new("/")))?;
            builder.push(Step::IsolateMount { host });
        }
        _ => builder.push(Step::FollowMounts),
    }
    Ok(())
}

/// Whether our mounts are those of the host.
pub(super) fn stays_shared(builder: &Builder<'_>) -> bool {
    let asked = builder.is_bundle() && propagation(builder) == "shared";
    asked && !builder.has_user_namespace()
}

fn contents(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    match builder.setup.root.clone() {
        RootSource::Host => host_image(builder),
        RootSource::Directory { path, .. } => directory(builder, &path),
        RootSource::Layers { .. } => layers::root(builder),
    }
}

/// The tmpfs for upper layers and the empty folder of masks.
fn layer(builder: &mut Builder<'_>) -> Result<Slot, PlanError> {
    let layer = tmpfs(builder, "0700", Attr::NOSUID | Attr::NODEV)?;
    builder.push(Step::AttachScratch { slot: layer });
    acting(builder, |builder| {
        builder.push(Step::MakeDirectory {
            at: layer,
            path: EMPTY.into(),
            mode: 0o755,
        });
        Ok(())
    })?;
    Ok(layer)
}

/// Makes files as the container's root, where that is not ours.
pub(super) fn acting(
    builder: &mut Builder<'_>,
    make: impl FnOnce(&mut Builder<'_>) -> Result<(), PlanError>,
) -> Result<(), PlanError> {
    let Some((uid, gid)) = builder.owner else {
        return make(builder);
    };
    builder.push(Step::ActAs { uid, gid });
    make(builder)?;
    builder.push(Step::ActAs { uid: 0, gid: 0 });
    Ok(())
}

/// `--rootfs DIR`: the directory itself, or an overlay of it.
fn directory(builder: &mut Builder<'_>, path: &Path) -> Result<(), PlanError> {
    if !path.is_absolute() {
        return Err(invalid(&format!(
            "the rootfs {} is not an absolute path",
            path.display()
        )));
    }
    let root = if writes_through(&builder.setup.root) || !builder.facts.overlay_in_memory {
        let slot = builder.slot();
        let host = c_path(path)?;
        builder.push(Step::CloneHost {
            host: host.clone(),
            recursive: true,
            device: None,
            slot,
        });
        if builder.owner.is_some() {
            builder.push(Step::IdMap { host, slot });
        }
        let private = Attr {
            propagation: Attr::PRIVATE,
            recursive: true,
            ..Attr::default()
        };
        builder.push(Step::SetAttributes {
            slot,
            attributes: private,
        });
        slot
    } else {
        refuse_submounts(builder, path)?;
        overlay(builder, path, "root", 0)?
    };
    builder.push(Step::AttachScratch { slot: root });
    builder.push(Step::SetRoot { slot: root });
    Ok(())
}

/// Mounts below an overlaid directory do not show through it.
fn refuse_submounts(builder: &Builder<'_>, path: &Path) -> Result<(), PlanError> {
    match builder
        .facts
        .submounts
        .iter()
        .find(|mount| mount.path.starts_with(path))
    {
        None => Ok(()),
        Some(mount) => Err(PlanError::Unsupported(format!(
            "the rootfs {} holds the mount {}, which an overlay would hide; unmount it, or give --rw",
            path.display(),
            mount.path.display()
        ))),
    }
}

/// An overlay of a host directory with its upper layer in memory; secrets below are covered.
pub(super) fn overlay(
    builder: &mut Builder<'_>,
    host: &Path,
    name: &str,
    attributes: u64,
) -> Result<Slot, PlanError> {
    let (upper, work) = (format!("u-{name}"), format!("w-{name}"));
    let layer = builder.layer;
    let lower = builder.slot();
    if builder.owner.is_some() {
        // Mapped while detached, then attached: an overlay's layer must be somewhere.
        let host = c_path(host)?;
        builder.push(Step::CloneHost {
            host: host.clone(),
            recursive: false,
            device: None,
            slot: lower,
        });
        builder.push(Step::IdMap { host, slot: lower });
        builder.push(Step::AttachScratch { slot: lower });
    } else {
        builder.push(Step::OpenHost {
            host: c_path(host)?,
            slot: lower,
        });
    }
    acting(builder, |builder| {
        for folder in [&upper, &work] {
            let path = c_string(folder)?;
            builder.push(Step::MakeDirectory {
                at: layer,
                path,
                mode: 0o755,
            });
        }
        if host == Path::new("/etc") {
            cover_secrets(builder, &upper)
        } else {
            Ok(())
        }
    })?;
    let slot = builder.slot();
    let place = |path: &str| {
        let path = c_string(path)?;
        Ok(Place { at: layer, path })
    };
    builder.push(Step::Overlay(Box::new(Overlay {
        lowers: vec![Place {
            at: lower,
            path: c"".into(),
        }],
        upper: place(&upper)?,
        work: place(&work)?,
        lower_option: LowerOption::Single,
        // The layer is thrown away: nothing needs to reach a disk.
        options: vec![if builder.facts.privileged {
            (c"volatile".into(), None)
        } else {
            (c"userxattr".into(), None)
        }],
        attributes,
        owner: None,
        on_disk: false,
        slot,
    })));
    Ok(slot)
}

/// A tmpfs as a detached mount, owned by the container's root.
pub(super) fn tmpfs(
    builder: &mut Builder<'_>,
    mode: &str,
    attributes: u64,
) -> Result<Slot, PlanError> {
    let slot = builder.slot();
    let mut options = vec![(c"mode".into(), Some(c_string(mode)?))];
    if let Some((uid, gid)) = builder.owner {
        options.push((c"uid".into(), Some(c_string(&uid.to_string())?)));
        options.push((c"gid".into(), Some(c_string(&gid.to_string())?)));
    }
    builder.push(Step::NewFilesystem {
        fstype: c"tmpfs".into(),
        source: c"tmpfs".into(),
        options,
        attributes,
        slot,
    });
    Ok(slot)
}

/// Whether the spec asks for a read-only root.
pub(super) fn is_read_only(builder: &Builder<'_>) -> bool {
    builder
        .spec
        .root()
        .as_ref()
        .and_then(|root| root.readonly())
        .unwrap_or(false)
}

/// Read-only, private, for a whole tree.
pub(super) const fn read_only_tree() -> Attr {
    Attr {
        set: Attr::RDONLY,
        clear: 0,
        propagation: Attr::PRIVATE,
        recursive: true,
    }
}
