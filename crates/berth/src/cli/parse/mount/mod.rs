//! `-v`, `--mount`, `--tmpfs`, `--volumes-from`.

mod csv;
mod from;
mod long;
mod short;
mod tmpfs;

use std::path::Path;

use berth_base::state::VolumeName;
use berth_engine::MountRequest;

pub(crate) use from::volumes_from;
pub(crate) use long::{driver_option, mount};
pub(crate) use short::volume;
pub(crate) use tmpfs::tmpfs;

use super::Rejected;

/// A mount before a relative source is made absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unplaced(MountRequest);

impl Unplaced {
    /// Completes the request: a relative source counts from `directory`.
    pub(crate) fn at(self, directory: &Path) -> MountRequest {
        match self.0 {
            MountRequest::Bind {
                source,
                target,
                read_only,
                writable_below,
                options,
                create_source,
                origin,
            } => MountRequest::Bind {
                // Without the dots in between, as it is shown.
                source: directory.join(source).components().collect(),
                target,
                read_only,
                writable_below,
                options,
                create_source,
                origin,
            },
            other => other,
        }
    }
}

/// Where a mount goes.
fn target_path(target: &str) -> Result<String, Rejected> {
    let escapes = target.split('/').any(|part| part == "..");
    let root = target.split('/').all(|part| part.is_empty() || part == ".");
    if !target.starts_with('/') || escapes || root || target.contains('\0') {
        return Err(Rejected::new(
            "the target is an absolute path below the container's root, without .., such as /data",
        ));
    }
    Ok(target.to_owned())
}

/// Whether the source of `-v` is a path of the host's and no volume: no name begins so.
fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.'])
}

/// The name of a volume.
pub(crate) fn volume_name(text: &str) -> Result<VolumeName, Rejected> {
    text.parse().map_err(|_| {
        Rejected::new(format!(
            "{text:?} is no volume: a name has at most 200 letters, digits, _, . and -, and begins with a letter or digit; the path of a folder begins with / or ./"
        ))
    })
}

/// How mounts travel between this mount and the host's.
fn is_propagation(option: &str) -> bool {
    matches!(
        option,
        "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave"
    )
}
