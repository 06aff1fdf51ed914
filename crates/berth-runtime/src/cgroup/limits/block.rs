//! Block I/O: `blkio.*` on v1, `io.*` on v2.

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice, LinuxWeightDevice};

use super::{Plan, Setting, Version, in_range, invalid};
use crate::cgroup::CgroupError;
use crate::cgroup::controller::Controller::BlockIo;

pub(super) const WEIGHT: &str = "block I/O weight";
pub(super) const DEVICE_WEIGHT: &str = "block I/O weight of a device";
const LEAF_WEIGHT: &str = "block I/O leaf weight";
const NO_WEIGHT: &str = "no I/O scheduler of this kernel weighs cgroups (BFQ does)";
const NO_LEAF: &str = "leaf weights went with the CFQ scheduler in kernel 5.0";
const NO_THROTTLE: &str = "this kernel does not throttle block I/O";

/// One kind of throttle: its name, its v1 file, its key in v2's io.max.
struct Throttle {
    name: &'static str,
    v1_file: &'static str,
    v2_key: &'static str,
}

const THROTTLES: [Throttle; 4] = [
    Throttle {
        name: "block read rate",
        v1_file: "blkio.throttle.read_bps_device",
        v2_key: "rbps",
    },
    Throttle {
        name: "block write rate",
        v1_file: "blkio.throttle.write_bps_device",
        v2_key: "wbps",
    },
    Throttle {
        name: "block reads per second",
        v1_file: "blkio.throttle.read_iops_device",
        v2_key: "riops",
    },
    Throttle {
        name: "block writes per second",
        v1_file: "blkio.throttle.write_iops_device",
        v2_key: "wiops",
    },
];

pub(super) fn plan(block: &LinuxBlockIo, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    if let Some(weight) = block.weight().filter(|weight| *weight != 0) {
        let version = plan.version(BlockIo, WEIGHT)?;
        let weight = in_range(WEIGHT, weight, 10, 1_000, "")?;
        let setting = match version {
            Version::V1 => {
                Setting::new(BlockIo, WEIGHT, "blkio.bfq.weight", weight).or("blkio.weight", weight)
            }
            Version::V2 => Setting::new(BlockIo, WEIGHT, "io.bfq.weight", weight)
                .or("io.weight", scaled(weight)),
        };
        plan.push(setting.if_missing(Some(NO_WEIGHT)));
    }
    plan_leaf(block.leaf_weight(), "blkio.leaf_weight", "", plan)?;
    for device in block.weight_device().iter().flatten() {
        plan_device_weight(device, plan)?;
    }
    let devices = [
        block.throttle_read_bps_device(),
        block.throttle_write_bps_device(),
        block.throttle_read_iops_device(),
        block.throttle_write_iops_device(),
    ];
    for (throttle, devices) in THROTTLES.iter().zip(devices) {
        for device in devices.iter().flatten() {
            plan_throttle(throttle, device, plan)?;
        }
    }
    Ok(())
}

/// OCI's 10 to 1000 on the 1 to 10000 of io.weight.
pub(in crate::cgroup) fn scaled(weight: u16) -> u32 {
    1 + (u32::from(weight).saturating_sub(10)) * 9_999 / 990
}

fn plan_device_weight(device: &LinuxWeightDevice, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    let number = number_of(DEVICE_WEIGHT, device.major(), device.minor())?;
    if device.weight().is_none() && device.leaf_weight().is_none() {
        return Err(invalid(
            DEVICE_WEIGHT,
            number,
            "give weight, leafWeight or both",
        ));
    }
    if let Some(weight) = device.weight().filter(|weight| *weight != 0) {
        let version = plan.version(BlockIo, DEVICE_WEIGHT)?;
        let weight = in_range(DEVICE_WEIGHT, weight, 10, 1_000, "")?;
        let plain = format!("{number} {weight}");
        let setting = match version {
            Version::V1 => Setting::new(
                BlockIo,
                DEVICE_WEIGHT,
                "blkio.bfq.weight_device",
                plain.clone(),
            )
            .or("blkio.weight_device", plain),
            Version::V2 => Setting::new(BlockIo, DEVICE_WEIGHT, "io.bfq.weight", plain)
                .or("io.weight", format!("{number} {}", scaled(weight))),
        };
        plan.push(setting.if_missing(Some(NO_WEIGHT)));
    }
    plan_leaf(
        device.leaf_weight(),
        "blkio.leaf_weight_device",
        &format!("{number} "),
        plan,
    )
}

fn plan_leaf(
    weight: Option<u16>,
    file: &'static str,
    prefix: &str,
    plan: &mut Plan<'_>,
) -> Result<(), CgroupError> {
    let Some(weight) = weight.filter(|weight| *weight != 0) else {
        return Ok(());
    };
    plan.version(BlockIo, LEAF_WEIGHT)?;
    let setting = Setting::new(BlockIo, LEAF_WEIGHT, file, format!("{prefix}{weight}"));
    plan.push(setting.if_missing(Some(NO_LEAF)));
    Ok(())
}

fn plan_throttle(
    throttle: &Throttle,
    device: &LinuxThrottleDevice,
    plan: &mut Plan<'_>,
) -> Result<(), CgroupError> {
    let number = number_of(throttle.name, device.major(), device.minor())?;
    let rate = device.rate();
    let setting = match plan.version(BlockIo, throttle.name)? {
        // 0 removes the rule on v1.
        Version::V1 => Setting::new(
            BlockIo,
            throttle.name,
            throttle.v1_file,
            format!("{number} {rate}"),
        ),
        Version::V2 => {
            let rate = if rate == 0 {
                "max".to_owned()
            } else {
                rate.to_string()
            };
            let value = format!("{number} {}={rate}", throttle.v2_key);
            Setting::new(BlockIo, throttle.name, "io.max", value)
        }
    };
    plan.push(setting.if_missing(Some(NO_THROTTLE)));
    Ok(())
}

fn number_of(name: &'static str, major: i64, minor: i64) -> Result<String, CgroupError> {
    let number = format!("{major}:{minor}");
    if major < 0 || minor < 0 {
        return Err(invalid(name, number, "device numbers are not negative"));
    }
    Ok(number)
}
