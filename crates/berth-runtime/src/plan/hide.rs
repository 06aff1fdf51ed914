//! Sysctls, masked and read-only paths.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use berth_sys::MountAttributes as Attr;

use super::build::{Builder, c_path, c_string, invalid};
use super::devices::CHARACTER;
use super::mounts::clean;
use super::{DeviceNumber, PlanError, Step, rootfs};
use crate::namespaces as ns;

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
        namespaced(builder, key)?;
        let proc = match proc {
            Some(slot) => slot,
            None => {
                let slot = builder.slot();
                builder.push(Step::NewFilesystem {
                    fstype: c"proc".into(),
                    options: Vec::new(),
                    attributes: Attr::NOSUID | Attr::NODEV | Attr::NOEXEC,
                    slot,
                });
                *proc.insert(slot)
            }
        };
        let path = c_string(&format!("sys/{}", key.replace('.', "/")))?;
        builder.push(Step::Sysctl {
            proc,
            path,
            value: c_string(value)?,
        });
    }
    Ok(())
}

/// Only sysctls of namespaces that the container owns may be set (CVE-2022-0811).
fn namespaced(builder: &Builder<'_>, key: &str) -> Result<(), PlanError> {
    let plain = key
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !plain || key.split('.').any(|part| part.is_empty()) {
        return Err(invalid(&format!("{key:?} is not the name of a sysctl")));
    }
    let flag = if key.starts_with("net.") {
        ns::NEW_NET
    } else if key.starts_with("fs.mqueue.")
        || ["kernel.msg", "kernel.sem", "kernel.shm"]
            .iter()
            .any(|p| key.starts_with(p))
    {
        ns::NEW_IPC
    } else if key == "kernel.domainname" || key == "kernel.hostname" {
        ns::NEW_UTS
    } else {
        return Err(invalid(&format!(
            "the sysctl {key} is not namespaced; set it on the host"
        )));
    };
    if builder.is_new(flag) {
        return Ok(());
    }
    let kinds = ns::names_of(flag).join("");
    Err(invalid(&format!(
        "the sysctl {key} needs a {kinds} namespace of the container's own"
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
