//! Giving a v2 cgroup to the root user of a container's user namespace.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Uid};
use rustix::io::Errno;

use super::error::CgroupError;
use super::{Cgroup, files};

/// What the kernel lists in /sys/kernel/cgroup/delegate (4.15), where that cannot be read.
const DELEGATED: &str = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";

impl Cgroup {
    /// Makes `owner` the owner of the v2 directory and of the files that a delegate needs, so that
    /// the container can manage sub-cgroups. Limits stay out of its reach.
    ///
    /// The OCI specification asks for this where the container has a cgroup and a user namespace
    /// of its own and a writable cgroup mount. v1 cannot be delegated safely and stays as it is.
    pub fn give_to(&self, owner: u32) -> Result<(), CgroupError> {
        let Some(branch) = &self.v2 else {
            return Ok(());
        };
        let dir = branch.open()?;
        let owner = Some(Uid::from_raw(owner));
        rustix::fs::fchown(dir, owner, None).map_err(files::access(
            "change the owner of",
            &branch.path,
            "",
        ))?;
        let list = std::fs::read_to_string("/sys/kernel/cgroup/delegate")
            .unwrap_or_else(|_| DELEGATED.to_owned());
        for file in list
            .lines()
            .filter(|name| !name.is_empty() && !name.contains('/'))
        {
            match rustix::fs::chownat(dir.as_fd(), file, owner, None, AtFlags::SYMLINK_NOFOLLOW) {
                // The list names files of controllers that this cgroup need not have.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(files::access("change the owner of", &branch.path, file)(
                        errno,
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use crate::cgroup::kernel_tests::Place;

    #[test]
    fn the_directory_and_its_delegated_files_change_hands() {
        let Some(place) = Place::new("owner") else {
            return;
        };
        let cgroup = place.create("a");
        cgroup.give_to(12345).unwrap();
        if let Some(branch) = &cgroup.v2 {
            let uid = |file: &str| std::fs::metadata(branch.file(file)).unwrap().uid();
            assert_eq!((uid(""), uid("cgroup.procs")), (12345, 12345));
            assert_eq!(uid("cgroup.max.depth"), 0);
        }
        cgroup.remove().unwrap();
    }
}
