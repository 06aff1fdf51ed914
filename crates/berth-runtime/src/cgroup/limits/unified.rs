//! `unified`: values for files of the v2 directory, as they are.

use std::collections::{BTreeMap, HashMap};

use rustix::io::Errno;

use super::unsupported;
use crate::cgroup::{Cgroup, CgroupError, delegate, files};

const NAME: &str = "unified setting";

/// The files `cgroup.*` that are no settings: they move processes, end them, stop the start of the
/// container, or make its cgroup one that takes no process. Others are written, known or not.
const NO_SETTINGS: [&str; 6] = [
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.procs",
    "cgroup.subtree_control",
    "cgroup.threads",
    "cgroup.type",
];

pub(super) fn apply(
    cgroup: &Cgroup,
    settings: &HashMap<String, String>,
) -> Result<(), CgroupError> {
    for (file, value) in settings.iter().collect::<BTreeMap<_, _>>() {
        let controller = controller_of(file)?;
        let limit = format!("{NAME} {file}");
        let Some(branch) = &cgroup.v2 else {
            return Err(unsupported(&limit, "there is no cgroup v2 on this host"));
        };
        if let Some(name) = controller {
            delegate::enable(branch, &limit, name)?;
        }
        // Such files take one entry with each write: `io.max` a line for every device.
        for line in value.lines() {
            files::write_at(branch.open()?, file, line).map_err(|source| match source {
                Errno::NOENT => unsupported(&limit, "this kernel has no such file"),
                source => CgroupError::Limit {
                    limit: limit.clone(),
                    value: line.to_owned(),
                    path: branch.file(file),
                    source,
                },
            })?;
        }
    }
    Ok(())
}

/// Checks the names of files.
pub(super) fn check<'f>(files: impl Iterator<Item = &'f String>) -> Result<(), CgroupError> {
    for file in files {
        controller_of(file)?;
    }
    Ok(())
}

/// The controller that a file belongs to, `None` for those of the core. Which controllers exist is
/// left to the kernel, as the specification asks.
fn controller_of(file: &str) -> Result<Option<&str>, CgroupError> {
    let invalid = |why: &str| CgroupError::Invalid {
        limit: NAME,
        asked: file.to_owned(),
        why: why.to_owned(),
    };
    let plain = file
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let Some((prefix, _)) = file
        .split_once('.')
        .filter(|(prefix, _)| plain && !prefix.is_empty())
    else {
        return Err(invalid(
            "give the name of a file of cgroup v2, like memory.high",
        ));
    };
    if prefix != "cgroup" {
        Ok(Some(prefix))
    } else if NO_SETTINGS.contains(&file) {
        Err(invalid("it is no limit"))
    } else {
        Ok(None)
    }
}
