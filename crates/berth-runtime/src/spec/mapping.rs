//! Id mappings (runtime-spec, config-linux.md, "User namespace mappings"; user_namespaces(7)).

use oci_spec::runtime::LinuxIdMapping;

use super::{Checked, refuse};

/// Lines that the kernel takes (UID_GID_MAP_MAX_EXTENTS, Linux 4.15). At most 33 bytes each, they
/// stay far below the 64 KiB at which a 16-bit length once wrapped (CVE-2021-43784).
const MAX_LINES: usize = 340;
const LONGEST_LINE: usize = "4294967295 4294967295 4294967295\n".len();
const _: () = assert!(MAX_LINES * LONGEST_LINE < 64 * 1024);

/// Checks one list: what the kernel would refuse, and what would overflow on the way to it.
pub(super) fn check(field: &str, list: &[LinuxIdMapping]) -> Checked {
    if list.len() > MAX_LINES {
        return Err(refuse(
            field,
            format!("{} mappings; the kernel takes {MAX_LINES}", list.len()),
        ));
    }
    for (index, mapping) in list.iter().enumerate() {
        let at = |part: &str| format!("{field}[{index}].{part}");
        if mapping.size() == 0 {
            return Err(refuse(at("size"), "must be above 0"));
        }
        for (part, start) in [
            ("containerID", mapping.container_id()),
            ("hostID", mapping.host_id()),
        ] {
            // The last id, 4294967295, stands for "no change" and cannot be mapped.
            if u64::from(start) + u64::from(mapping.size()) > u64::from(u32::MAX) {
                return Err(refuse(
                    at(part),
                    format!("{start} and {} more ids go beyond 32 bits", mapping.size()),
                ));
            }
        }
    }
    overlaps(field, list, "containerID", LinuxIdMapping::container_id)?;
    overlaps(field, list, "hostID", LinuxIdMapping::host_id)
}

fn overlaps(
    field: &str,
    list: &[LinuxIdMapping],
    part: &str,
    start: fn(&LinuxIdMapping) -> u32,
) -> Checked {
    let mut ranges: Vec<_> = list
        .iter()
        .enumerate()
        .map(|(index, mapping)| (start(mapping), mapping.size(), index))
        .collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        if let [(first, size, one), (second, _, other)] = *pair
            && second - first < size
        {
            let (one, other) = (one.min(other), one.max(other));
            return Err(refuse(
                format!("{field}[{other}].{part}"),
                format!("overlaps with {field}[{one}]"),
            ));
        }
    }
    Ok(())
}
