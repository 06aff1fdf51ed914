//! What is in /dev.

use std::path::Path;

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};

use super::build::{Builder, c_path, c_string, invalid};
use super::mounts::Places;
use super::{DeviceNumber, Links, PlanError, Step, TargetKind};

/// S_IFCHR, S_IFBLK, S_IFIFO (inode(7)).
pub(super) const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;

/// The devices every container has (runtime-spec, config-linux, "Default Devices").
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links every container has in /dev.
const DEV_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Device nodes and the links of /dev.
pub(super) fn devices(builder: &mut Builder<'_>, places: &Places) -> Result<(), PlanError> {
    let spec = builder.spec;
    let listed = spec.linux().as_ref().and_then(|l| l.devices().as_ref());
    let listed = listed.map(Vec::as_slice).unwrap_or_default();
    if !places.foreign_dev {
        for (name, major, minor) in DEFAULT_DEVICES {
            let path = Path::new("/dev").join(name);
            if listed.iter().any(|device| device.path() == &path) {
                continue;
            }
            let device = DeviceNumber {
                kind: CHARACTER,
                major,
                minor,
            };
            place(builder, places, &path, device, (0o666, 0, 0))?;
        }
    }
    for (index, device) in listed.iter().enumerate() {
        let path = super::mounts::clean(device.path())?;
        if places.foreign_dev && path.starts_with("/dev") {
            continue;
        }
        let number = device_number(index, device)?;
        let mode = device.file_mode().unwrap_or(0o666) & 0o7777;
        let owner = (mode, device.uid().unwrap_or(0), device.gid().unwrap_or(0));
        let starts = (builder.before.len(), builder.init.len());
        place(builder, places, &path, number, owner)?;
        builder.name(starts, || format!("linux.devices[{index}]"));
    }
    if !places.foreign_dev {
        links(builder, places)?;
    }
    Ok(())
}

/// Type and numbers of a listed device; `u` is `c` (mknod(1)).
fn device_number(index: usize, device: &LinuxDevice) -> Result<DeviceNumber, PlanError> {
    let kind = match device.typ() {
        LinuxDeviceType::B => BLOCK,
        LinuxDeviceType::P => FIFO,
        _ => CHARACTER,
    };
    let number = |n: i64| {
        u32::try_from(n).map_err(|_| {
            invalid(&format!(
                "linux.devices[{index}]: device number {n} is out of range"
            ))
        })
    };
    let (major, minor) = match kind {
        FIFO => (0, 0),
        _ => (number(device.major())?, number(device.minor())?),
    };
    Ok(DeviceNumber { kind, major, minor })
}

/// The links of /dev (runtime-linux.md, "Dev symbolic links").
fn links(builder: &mut Builder<'_>, places: &Places) -> Result<(), PlanError> {
    for (name, target) in DEV_LINKS {
        let target = c_string(target)?;
        builder.push(match places.dev {
            Some(at) => Step::MakeSymlink {
                at,
                path: c_string(name)?,
                target,
            },
            None => Step::PlaceSymlink {
                path: c_string(&format!("/dev/{name}"))?,
                target,
                // The image's own would open terminals of the host.
                replace: name == "ptmx",
            },
        });
    }
    Ok(())
}

/// A node of its own, or, where a user namespace forbids mknod, the host's node bound.
fn place(
    builder: &mut Builder<'_>,
    places: &Places,
    path: &Path,
    device: DeviceNumber,
    (mode, uid, gid): (u32, u32, u32),
) -> Result<(), PlanError> {
    let forbidden = builder.has_user_namespace() || !builder.facts.privileged;
    if forbidden && device.kind != FIFO {
        return bind(builder, path, device);
    }
    let below = path.strip_prefix("/dev").ok();
    if let (Some(at), Some(name)) = (places.dev, below) {
        let mut parents: Vec<&Path> = name.ancestors().skip(1).collect();
        parents.retain(|parent| !parent.as_os_str().is_empty());
        for parent in parents.into_iter().rev() {
            builder.push(Step::MakeDirectory {
                at,
                path: c_path(parent)?,
                mode: 0o755,
            });
        }
        builder.push(Step::MakeDevice {
            at,
            path: c_path(name)?,
            device,
            mode,
            uid,
            gid,
        });
        return Ok(());
    }
    builder.push(Step::PlaceDevice {
        path: c_path(path)?,
        device,
        mode,
        uid,
        gid,
    });
    Ok(())
}

/// The host's node of the same path, checked to be the device.
fn bind(builder: &mut Builder<'_>, path: &Path, device: DeviceNumber) -> Result<(), PlanError> {
    let slot = builder.slot();
    let host = c_path(path)?;
    let clone = Step::CloneHost {
        host: host.clone(),
        recursive: false,
        device: Some(device),
        slot,
    };
    if builder.opens_before() {
        builder.before.push(clone);
    } else {
        builder.push(clone);
    }
    builder.push(Step::Attach {
        slot,
        target: host,
        kind: TargetKind::File,
        links: Links::InRoot,
    });
    Ok(())
}

/// The pseudo terminal of `-t`.
pub(super) fn terminal(builder: &mut Builder<'_>, places: &Places) -> Result<(), PlanError> {
    let Some((rows, columns)) = builder.setup.terminal else {
        return Ok(());
    };
    let devpts = match places.devpts {
        Some(slot) => slot,
        // Whatever the image, or a bind of the host's /dev, has there.
        None => {
            let slot = builder.slot();
            builder.push(Step::OpenDevpts { slot });
            slot
        }
    };
    builder.push(Step::OpenTerminal {
        devpts,
        rows,
        columns,
    });
    builder.push(match places.dev {
        Some(dev) => Step::BindConsole { dev },
        None => Step::PlaceConsole,
    });
    Ok(())
}
