//! The root filesystem: a tmpfs with overlays of the host's system folders, or of a directory.
//!
//! Everything is made by descriptors in init's own mount namespace and attached at the scratch
//! folder there, so that the host's mount table never sees it and no path inside is trusted.

use std::ffi::CString;
use std::path::Path;

use berth_base::state::RootSource;
use berth_sys::MountAttributes as Attr;

use super::build::{Builder, c_path, c_string, invalid, scratch, writes_through};
use super::{Links, PlanError, Slot, Step, TargetKind};
use crate::facts::SystemEntry;

/// Folders of the `host` image that start empty, with their modes.
const EMPTY_FOLDERS: [(&str, u32); 11] = [
    ("home", 0o755),
    ("root", 0o700),
    ("var", 0o755),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("proc", 0o555),
    ("sys", 0o555),
    ("dev", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("srv", 0o755),
];

/// The folder of the layer that masks show.
pub(super) const EMPTY: &std::ffi::CStr = c"empty";

/// Plans layer and root, up to [`Step::SetRoot`].
pub(super) fn compose(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let scratch = c_path(&scratch(builder.config))?;
    let layer = tmpfs(builder, "mode=0700", Attr::NOSUID | Attr::NODEV)?;
    builder.layer = layer;
    builder.push(Step::AttachScratch {
        slot: layer,
        host: scratch.clone(),
    });
    builder.push(Step::MakeDirectory {
        at: layer,
        path: EMPTY.into(),
        mode: 0o755,
    });
    match builder.config.root.clone() {
        RootSource::Host => host_image(builder, scratch),
        RootSource::Directory { path, .. } => directory(builder, &path, scratch),
    }
}

/// `--rootfs DIR`: the directory itself, or an overlay of it.
fn directory(builder: &mut Builder<'_>, path: &Path, scratch: CString) -> Result<(), PlanError> {
    if !path.is_absolute() {
        return Err(invalid(&format!(
            "the rootfs {} is not an absolute path",
            path.display()
        )));
    }
    let root = if writes_through(&builder.config.root) || !builder.facts.overlay_in_memory {
        let slot = builder.slot();
        let host = c_path(path)?;
        builder.push(Step::CloneHost {
            host,
            recursive: true,
            device: None,
            slot,
        });
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
        let slot = overlay(builder, path, "root", 0)?;
        submounts(builder, slot, path, scratch.clone())?;
        slot
    };
    builder.push(Step::AttachScratch {
        slot: root,
        host: scratch,
    });
    builder.push(Step::SetRoot { slot: root });
    Ok(())
}

/// Mounts below an overlaid directory do not show through it.
fn submounts(
    builder: &mut Builder<'_>,
    _root: Slot,
    path: &Path,
    _scratch: CString,
) -> Result<(), PlanError> {
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

/// The `host` image: a tmpfs with the host's system folders overlaid or bound read-only.
fn host_image(builder: &mut Builder<'_>, scratch: CString) -> Result<(), PlanError> {
    let base = tmpfs(builder, "mode=0755", Attr::NODEV)?;
    builder.push(Step::AttachScratch {
        slot: base,
        host: scratch,
    });
    builder.push(Step::SetRoot { slot: base });
    for (name, mode) in EMPTY_FOLDERS {
        builder.push(Step::MakeDirectory {
            at: base,
            path: c_string(name)?,
            mode,
        });
    }
    let facts = builder.facts;
    for entry in &facts.system {
        match entry {
            SystemEntry::Link { name, target } => builder.push(Step::MakeSymlink {
                at: base,
                path: c_string(name)?,
                target: c_path(target)?,
            }),
            SystemEntry::Folder { name } => system_folder(builder, base, name)?,
        }
    }
    for mount in &facts.submounts {
        let slot = builder.slot();
        let host = c_path(&mount.path)?;
        builder.push(Step::CloneHost {
            host: host.clone(),
            recursive: true,
            device: None,
            slot,
        });
        builder.push(Step::SetAttributes {
            slot,
            attributes: read_only_tree(),
        });
        let kind = if mount.is_directory {
            TargetKind::Directory
        } else {
            TargetKind::File
        };
        builder.push(Step::Attach {
            slot,
            target: host,
            kind,
            links: Links::InRoot,
        });
    }
    Ok(())
}

/// One system folder of the host image.
fn system_folder(builder: &mut Builder<'_>, base: Slot, name: &str) -> Result<(), PlanError> {
    let host = Path::new("/").join(name);
    builder.push(Step::MakeDirectory {
        at: base,
        path: c_string(name)?,
        mode: 0o755,
    });
    let slot = if builder.facts.overlay_in_memory {
        let read_only = is_read_only(builder);
        let slot = overlay(
            builder,
            &host,
            name,
            if read_only { Attr::RDONLY } else { 0 },
        )?;
        slot
    } else {
        let slot = builder.slot();
        builder.push(Step::CloneHost {
            host: c_path(&host)?,
            recursive: true,
            device: None,
            slot,
        });
        builder.push(Step::SetAttributes {
            slot,
            attributes: read_only_tree(),
        });
        slot
    };
    let target = c_path(&host)?;
    builder.push(Step::Attach {
        slot,
        target,
        kind: TargetKind::Directory,
        links: Links::Refused,
    });
    Ok(())
}

/// An overlay of a host directory with its upper layer in memory; secrets below are covered.
fn overlay(
    builder: &mut Builder<'_>,
    host: &Path,
    name: &str,
    attributes: u64,
) -> Result<Slot, PlanError> {
    let (upper, work) = (format!("u-{name}"), format!("w-{name}"));
    let layer = builder.layer;
    let lower = builder.slot();
    builder.push(Step::OpenHost {
        host: c_path(host)?,
        slot: lower,
    });
    for folder in [&upper, &work] {
        builder.push(Step::MakeDirectory {
            at: layer,
            path: c_string(folder)?,
            mode: 0o755,
        });
    }
    if host == Path::new("/etc") {
        cover_secrets(builder, &upper)?;
    }
    let slot = builder.slot();
    builder.push(Step::Overlay {
        lower,
        layer,
        upper: c_string(&upper)?,
        work: c_string(&work)?,
        unprivileged: builder.has_user_namespace(),
        attributes,
        slot,
    });
    Ok(slot)
}

/// Puts an empty file or folder into the upper layer over each secret of /etc: what is in the
/// upper layer hides the host's, and deleting it inside leaves a whiteout, never the secret.
fn cover_secrets(builder: &mut Builder<'_>, upper: &str) -> Result<(), PlanError> {
    let facts = builder.facts;
    let at = builder.layer;
    let mut made = std::collections::BTreeSet::new();
    for secret in &facts.secrets {
        let inside = secret
            .path
            .strip_prefix("/etc")
            .map_err(|_| invalid("a secret outside /etc"))?;
        for parent in inside
            .ancestors()
            .skip(1)
            .filter(|p| !p.as_os_str().is_empty())
        {
            if made.insert(parent.to_owned()) {
                let path = c_path(&Path::new(upper).join(parent))?;
                builder.push(Step::MakeDirectory {
                    at,
                    path,
                    mode: 0o755,
                });
            }
        }
        let path = c_path(&Path::new(upper).join(inside))?;
        if secret.is_directory {
            builder.push(Step::MakeDirectory {
                at,
                path: path.clone(),
                mode: 0o700,
            });
            let unprivileged = builder.has_user_namespace();
            builder.push(Step::MakeOpaque {
                at,
                path,
                unprivileged,
            });
        } else {
            builder.push(Step::MakeFile {
                at,
                path,
                mode: 0o600,
            });
        }
    }
    Ok(())
}

/// A tmpfs as a detached mount.
fn tmpfs(builder: &mut Builder<'_>, mode: &str, attributes: u64) -> Result<Slot, PlanError> {
    let slot = builder.slot();
    let (key, value) = mode.split_once('=').unwrap_or(("mode", "0755"));
    builder.push(Step::NewFilesystem {
        fstype: c"tmpfs".into(),
        options: vec![(c_string(key)?, Some(c_string(value)?))],
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
