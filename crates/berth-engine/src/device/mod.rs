//! Devices of the host that a container asks for: by path, by a directory, by the Container Device
//! Interface.
//!
//! Looks at the host's nodes and at the files of its vendors; opens no device.

mod cdi;
mod node;

pub(crate) use node::block_number;

use std::path::PathBuf;

pub use cdi::is_cdi_name;

use crate::EngineError;
use crate::options::{DeviceRequest, GpuRequest, Limits};
use crate::spec::Injected;
use crate::user::ResolvedUser;

/// Where vendors say what their devices need, the later ones over the earlier
/// (container-device-interface, README.md).
pub const CDI_FOLDERS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// What all requests come to, in order. CDI's files are looked for in `folders`, and its nodes are
/// `user`'s.
pub(crate) fn resolve(
    limits: &Limits,
    folders: &[PathBuf],
    user: &ResolvedUser,
) -> Result<Injected, EngineError> {
    let mut injected = Injected::default();
    let mut names: Vec<String> = Vec::new();
    for request in &limits.devices {
        match request {
            DeviceRequest::Path {
                host,
                container,
                access,
            } => injected
                .devices
                .extend(node::find(host, container, access)?),
            DeviceRequest::Cdi { name } => names.push(name.clone()),
        }
    }
    names.extend(limits.gpus.iter().flat_map(gpu_names));
    if !names.is_empty() {
        cdi::inject(&names, folders, user, &mut injected)?;
    }
    Ok(injected)
}

/// The names that the tools of the one vendor who has `--gpus` give them.
fn gpu_names(request: &GpuRequest) -> Vec<String> {
    let name = |which: &str| format!("nvidia.com/gpu={which}");
    match request {
        GpuRequest::All => vec![name("all")],
        GpuRequest::Count(count) => (0..*count).map(|index| name(&index.to_string())).collect(),
        GpuRequest::Devices(devices) => devices.iter().map(|device| name(device)).collect(),
    }
}
