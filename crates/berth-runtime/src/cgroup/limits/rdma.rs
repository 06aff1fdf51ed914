//! RDMA: `rdma.max`, the same on v1 and v2 (4.11).

use std::collections::{BTreeMap, HashMap};

use oci_spec::runtime::LinuxRdma;

use super::{Plan, Setting, invalid};
use crate::cgroup::CgroupError;
use crate::cgroup::controller::Controller::Rdma;

const NAME: &str = "RDMA limit";

pub(super) fn plan(
    devices: &HashMap<String, LinuxRdma>,
    plan: &mut Plan<'_>,
) -> Result<(), CgroupError> {
    for (device, limit) in devices.iter().collect::<BTreeMap<_, _>>() {
        plan.version(Rdma, NAME)?;
        if device.is_empty() || device.contains(char::is_whitespace) {
            return Err(invalid(NAME, device, "give the name of an RDMA device"));
        }
        let mut value = device.clone();
        for (key, number) in [
            ("hca_handle", limit.hca_handles()),
            ("hca_object", limit.hca_objects()),
        ] {
            if let Some(number) = number {
                value += &format!(" {key}={number}");
            }
        }
        if value == *device {
            return Err(invalid(NAME, device, "give hcaHandles, hcaObjects or both"));
        }
        plan.push(Setting::new(Rdma, NAME, "rdma.max", value));
    }
    Ok(())
}
