//! Interfaces of the host that move into the container (config-linux.md, "Network Devices").

use super::build::{Builder, c_string, invalid};
use super::{PlanError, Step};
use crate::namespaces as ns;

/// Plans `linux.netDevices`: init takes each one through a socket of the host's namespace.
pub(super) fn interfaces(builder: &mut Builder<'_>) -> Result<(), PlanError> {
    let spec = builder.spec;
    let devices = spec.linux().as_ref().and_then(|l| l.net_devices().as_ref());
    let Some(devices) = devices.filter(|devices| !devices.is_empty()) else {
        return Ok(());
    };
    if builder.is_hosts(ns::NEW_NET) {
        return Err(invalid(
            "linux.netDevices: they need a network namespace that is not the host's",
        ));
    }
    if builder.has_user_namespace() || !builder.facts.privileged {
        return Err(PlanError::Unsupported(
            "linux.netDevices: root of a user namespace cannot take interfaces of the host".into(),
        ));
    }
    let socket = builder.slot();
    builder.before.push(Step::OpenInterfaces { slot: socket });
    let mut sorted: Vec<_> = devices.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    for (name, device) in sorted {
        let inside = device.name().as_deref().filter(|inside| !inside.is_empty());
        builder.push(Step::TakeInterface {
            socket,
            name: c_string(name)?,
            inside: c_string(inside.unwrap_or(name))?,
        });
    }
    Ok(())
}
