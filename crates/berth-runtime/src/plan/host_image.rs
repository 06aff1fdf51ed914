//! The root of the `host` image: a tmpfs with the host's system folders, its secrets covered.

use std::path::Path;

use berth_sys::MountAttributes as Attr;

use super::build::{Builder, c_path, c_string, invalid};
use super::rootfs::{acting, is_read_only, overlay, read_only_tree, tmpfs};
use super::{Links, PlanError, Step, TargetKind};
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

/// The `host` image: a tmpfs with the host's system folders overlaid or bound read-only.
pub(super) fn host_image(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let base = tmpfs(builder, "0755", Attr::NODEV)?;
    builder.push(Step::AttachScratch { slot: base });
    builder.push(Step::SetRoot { slot: base });
    let facts = builder.facts;
    acting(builder, |builder| {
        for (name, mode) in EMPTY_FOLDERS {
            builder.push(Step::MakeDirectory {
                at: base,
                path: c_string(name)?,
                mode,
            });
        }
        for entry in &facts.system {
            let step = match entry {
                SystemEntry::Link { name, target } => {
                    let (path, target) = (c_string(name)?, c_path(target)?);
                    Step::MakeSymlink {
                        at: base,
                        path,
                        target,
                    }
                }
                SystemEntry::Folder { name } => Step::MakeDirectory {
                    at: base,
                    path: c_string(name)?,
                    mode: 0o755,
                },
            };
            builder.push(step);
        }
        Ok(())
    })?;
    for entry in &facts.system {
        if let SystemEntry::Folder { name } = entry {
            system_folder(builder, name)?;
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
fn system_folder(builder: &mut Builder<'_>, name: &str) -> Result<(), PlanError> {
    let host = Path::new("/").join(name);
    let slot = if builder.facts.overlay_in_memory {
        let attributes = if is_read_only(builder) {
            Attr::RDONLY
        } else {
            0
        };
        overlay(builder, &host, name, attributes)?
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
    let kind = TargetKind::Directory;
    builder.push(Step::Attach {
        slot,
        target,
        kind,
        links: Links::Refused,
    });
    Ok(())
}

/// Puts an empty file or folder into the upper layer over each secret of /etc: what is in the
/// upper layer hides the host's, and deleting it inside leaves a whiteout, never the secret.
pub(super) fn cover_secrets(builder: &mut Builder<'_>, upper: &str) -> Result<(), PlanError> {
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
            let unprivileged = !builder.facts.privileged;
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
