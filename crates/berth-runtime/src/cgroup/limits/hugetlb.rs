//! Huge pages: `hugetlb.SIZE.*`.

use oci_spec::runtime::LinuxHugepageLimit;

use super::{Plan, Setting, Version, invalid};
use crate::cgroup::CgroupError;
use crate::cgroup::controller::Controller::Hugetlb;

const NAME: &str = "huge page limit";
const NO_SIZE: &str = "this host has no huge pages of that size, see /sys/kernel/mm/hugepages";

pub(super) fn plan(limit: &LinuxHugepageLimit, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    let size = limit.page_size();
    if !is_page_size(size) {
        return Err(invalid(
            NAME,
            size,
            "give a page size like 64KB, 2MB or 1GB",
        ));
    }
    let bytes = limit.limit();
    let (suffix, value) = match plan.version(Hugetlb, NAME)? {
        Version::V1 => ("limit_in_bytes", bytes.max(-1).to_string()),
        Version::V2 if bytes < 0 => ("max", "max".to_owned()),
        Version::V2 => ("max", bytes.to_string()),
    };
    let faults = Setting::new(Hugetlb, NAME, format!("hugetlb.{size}.{suffix}"), &value);
    plan.push(faults.if_missing(Some(NO_SIZE)));
    // Reservations are counted since 5.7, and better: they fail at mmap instead of by SIGBUS.
    let reserved = Setting::new(
        Hugetlb,
        NAME,
        format!("hugetlb.{size}.rsvd.{suffix}"),
        &value,
    );
    plan.push(reserved.if_missing(None));
    Ok(())
}

/// Digits, then KB, MB or GB. It becomes part of a file name, so nothing else passes.
fn is_page_size(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default();
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && matches!(unit, "KB" | "MB" | "GB")
}
