//! Sysctls, masked and read-only paths.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use berth_sys::MountAttributes as Attr;

use super::build::{Builder, c_path, c_string, invalid};
use super::devices::CHARACTER;
use super::mounts::clean;
use super::{DeviceNumber, PlanError, Step, rootfs};
use crate::namespaces as ns;
use crate::spec::{sysctl_key, sysctl_namespace};

/// Sysctls go through a procfs of our own, never through the container's.
pub(super) fn sysctls(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let spec = builder.spec;
    let Some(sysctls) = spec.linux().as_ref().and_then(|l| l.sysctl().as_ref()) else {
        return Ok(());
    };
    let mut sorted: Vec<_> = sysctls.iter().collect();
    sorted.sort();
    let mut proc = None;
    for (key, value) in sorted {
        let path = namespaced(builder, key)?;
        let proc = match proc {
            Some(slot) => slot,
            None => {
                let slot = builder.slot();
                builder.push(Step::NewFilesystem {
                    fstype: c"proc".into(),
                    source: c"proc".into(),
                    options: Vec::new(),
                    attributes: Attr::NOSUID | Attr::NODEV | Attr::NOEXEC,
                    slot,
                });
                *proc.insert(slot)
            }
        };
        builder.push(Step::Sysctl {
            proc,
            path: c_string(&format!("sys/{path}"))?,
            value: c_string(value)?,
        });
    }
    Ok(())
}

/// The path of a sysctl below /proc/sys. Only those of namespaces that the container owns, or
/// shares with others than the host, may be set (CVE-2022-0811).
fn namespaced(builder: &Builder<'_>, key: &str) -> Result<String, PlanError> {
    let path = sysctl_key(key).ok_or_else(|| {
        invalid(&format!(
            "linux.sysctl: {key:?} is not the name of a sysctl"
        ))
    })?;
    let flag = sysctl_namespace(&path).ok_or_else(|| {
        invalid(&format!(
            "linux.sysctl: the sysctl {key} is not namespaced; set it on the host"
        ))
    })?;
    if !builder.is_hosts(flag) {
        return Ok(path);
    }
    let kinds = ns::names_of(flag).join("");
    Err(invalid(&format!(
        "linux.sysctl: the sysctl {key} needs a {kinds} namespace of the container's own"
    )))
}

/// Masked and read-only paths.
pub(super) fn hide(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let spec = builder.spec;
    let Some(linux) = spec.linux() else {
        return Ok(());
    };
    let mut masked: Vec<PathBuf> = linux
        .masked_paths()
        .iter()
        .flatten()
        .map(PathBuf::from)
        .collect();
    if !builder.facts.overlay_in_memory {
        masked.extend(
            builder
                .facts
                .secrets
                .iter()
                .map(|secret| secret.path.clone()),
        );
    }
    if !masked.is_empty() {
        let null = builder.slot();
        let device = DeviceNumber {
            kind: CHARACTER,
            major: 1,
            minor: 3,
        };
        let host = c"/dev/null".into();
        builder.push(Step::OpenHost { host, slot: null });
        for path in &masked {
            let path = c_path(&clean(path)?)?;
            let (layer, empty) = (builder.layer, CString::from(rootfs::EMPTY));
            builder.push(Step::Mask {
                path,
                null,
                device,
                layer,
                empty,
            });
        }
    }
    for path in linux.readonly_paths().iter().flatten() {
        let path = c_path(&clean(Path::new(path))?)?;
        builder.push(Step::MakeReadOnly { path });
    }
    Ok(())
}
