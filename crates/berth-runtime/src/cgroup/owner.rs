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
        let list = delegated(std::fs::read_to_string("/sys/kernel/cgroup/delegate").ok());
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

/// The kernel's list, or what it was before there was one.
fn delegated(list: Option<String>) -> String {
    list.unwrap_or_else(|| DELEGATED.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use berth_testkit::covers;

    use berth_base::state::CgroupPaths;

    use super::{Cgroup, delegated};
    use crate::cgroup::kernel_tests::Place;

    #[test]
    fn without_the_kernel_s_list_three_files_are_known() {
        covers!("config-linux/cgroup-delegate-fallback");
        let fallback = delegated(None);
        let mut files: Vec<&str> = fallback.lines().collect();
        files.sort_unstable();
        assert_eq!(
            files,
            ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
        );
        assert_eq!(delegated(Some("a\n".to_owned())), "a\n");
    }

    #[test]
    fn files_to_delegate_that_are_missing_are_passed_over() {
        covers!("config-linux/cgroup-delegate-file-missing");
        let Some(place) = Place::new("missing") else {
            return;
        };
        let cgroup = place.create("a");
        let Some(branch) = &cgroup.v2 else {
            eprintln!("skipped: no cgroup v2");
            return cgroup.remove().unwrap();
        };
        // A sub-cgroup has no controller, so it lacks the files of `memory`.
        let sub = branch.file("sub");
        std::fs::create_dir(&sub).unwrap();
        let list = std::fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap();
        assert!(
            list.lines().any(|file| !sub.join(file).exists()),
            "all there: {list}"
        );
        let paths = CgroupPaths {
            v2: Some(sub.display().to_string()),
            ..CgroupPaths::default()
        };
        Cgroup::from_paths(&paths).give_to(12345).unwrap();
        let owner = std::fs::metadata(sub.join("cgroup.procs")).unwrap().uid();
        assert_eq!(owner, 12345);
        cgroup.remove().unwrap();
    }

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
