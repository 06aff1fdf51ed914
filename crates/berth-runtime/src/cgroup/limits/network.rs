//! Packet class and priority: `net_cls` and `net_prio`, v1 only.

use oci_spec::runtime::LinuxNetwork;

use super::{Plan, Setting, invalid};
use crate::cgroup::CgroupError;
use crate::cgroup::controller::Controller::{NetClass, NetPriority};

pub(super) fn plan(network: &LinuxNetwork, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    const CLASS: &str = "network class";
    const PRIORITY: &str = "network priority";
    if let Some(class) = network.class_id().filter(|class| *class != 0) {
        plan.version(NetClass, CLASS)?;
        plan.push(Setting::new(NetClass, CLASS, "net_cls.classid", class));
    }
    for priority in network.priorities().iter().flatten() {
        plan.version(NetPriority, PRIORITY)?;
        let name = priority.name();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(invalid(
                PRIORITY,
                name,
                "give the name of a network interface",
            ));
        }
        let value = format!("{name} {}", priority.priority());
        plan.push(Setting::new(
            NetPriority,
            PRIORITY,
            "net_prio.ifpriomap",
            value,
        ));
    }
    Ok(())
}
