//! The root of a stopped container, mounted for a copy alone and attached nowhere.
//!
//! With the options that the runtime's own mount has (`berth-runtime`, plan/layers.rs): what is
//! written must be whole files and folders that this and every later mount reads alike.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use rustix::fs::{CWD, Mode, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use rustix::process::chdir;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::host::searchable;
use crate::EngineError;

const OPTIONS: [(&str, &str); 4] = [
    ("index", "off"),
    ("metacopy", "off"),
    ("redirect_dir", "nofollow"),
    ("xino", "off"),
];
/// What fsconfig(2) takes for a string.
const STRING_BYTES: usize = 255;

/// Mounts it. We are the worker: root, or root of a user namespace with a mount namespace of ours.
pub(super) fn make(
    lowers: &[PathBuf],
    upper: &Path,
    work: &Path,
    rootless: bool,
) -> Result<OwnedFd, EngineError> {
    let failed = |e: Errno| {
        let text = format!("cannot mount the layers of the stopped container: {e}; start it first");
        EngineError::new(ErrorClass::Unavailable, text)
    };
    let open = |path: &Path| openat(CWD, path, searchable(), Mode::empty());
    let opened: Result<Vec<OwnedFd>, Errno> = lowers.iter().map(|path| open(path)).collect();
    let layers = Layers {
        lowers: opened.map_err(failed)?,
        upper: open(upper).map_err(failed)?,
        work: open(work).map_err(failed)?,
        rootless,
    };
    // Layers are named by their descriptors, which are short names in here.
    chdir("/proc/self/fd").map_err(failed)?;
    // overlayfs keeps the capabilities of who mounts it: this one would write beyond a quota.
    let ours = capabilities(None).map_err(failed)?;
    let mut theirs = ours;
    theirs.effective -= CapabilitySet::SYS_RESOURCE;
    set_capabilities(None, theirs).map_err(failed)?;
    // Kernels before 6.8 take all lower layers in one string.
    let made = match layers.mount(true) {
        Err(Errno::INVAL) => layers.mount(false),
        other => other,
    };
    set_capabilities(None, ours).map_err(failed)?;
    chdir("/").map_err(failed)?;
    made.map_err(failed)
}

struct Layers {
    lowers: Vec<OwnedFd>,
    upper: OwnedFd,
    work: OwnedFd,
    rootless: bool,
}

impl Layers {
    fn mount(&self, one_by_one: bool) -> Result<OwnedFd, Errno> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", "overlay")?;
        if one_by_one {
            for lower in &self.lowers {
                let name = format!("/proc/self/fd/{}", lower.as_raw_fd());
                fsconfig_set_string(&context, "lowerdir+", name)?;
            }
            fsconfig_set_string(&context, "uuid", "null")?;
        } else {
            let names: Vec<String> = self.lowers.iter().map(number).collect();
            let names = names.join(":");
            if names.len() > STRING_BYTES {
                return Err(Errno::TOOBIG);
            }
            fsconfig_set_string(&context, "lowerdir", names)?;
        }
        for (key, folder) in [("upperdir", &self.upper), ("workdir", &self.work)] {
            fsconfig_set_string(&context, key, number(folder))?;
        }
        for (key, value) in OPTIONS {
            fsconfig_set_string(&context, key, value)?;
        }
        if self.rootless {
            fsconfig_set_flag(&context, "userxattr")?;
        }
        fsconfig_create(&context)?;
        fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::empty(),
        )
    }
}

fn number(folder: &OwnedFd) -> String {
    folder.as_raw_fd().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What kernels before 6.8 take and what later ones take is the same mount.
    #[test]
    fn layers_are_named_one_by_one_or_in_one_string() {
        if !rustix::process::geteuid().is_root() {
            berth_testkit::skip("only root mounts overlays");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["top", "bottom", "upper", "work"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("top").join("a"), "top").unwrap();
        fs::write(at("bottom").join("a"), "bottom").unwrap();
        fs::write(at("bottom").join("b"), "bottom").unwrap();
        let open = |name: &str| openat(CWD, at(name), searchable(), Mode::empty()).unwrap();
        let layers = Layers {
            lowers: vec![open("top"), open("bottom")],
            upper: open("upper"),
            work: open("work"),
            rootless: false,
        };
        chdir("/proc/self/fd").unwrap();
        let mut worked = 0;
        for one_by_one in [true, false] {
            let mount = match layers.mount(one_by_one) {
                Err(Errno::INVAL) if one_by_one => continue,
                made => made.unwrap(),
            };
            worked += 1;
            let path = format!("/proc/self/fd/{}", mount.as_raw_fd());
            let read = |name: &str| fs::read_to_string(format!("{path}/{name}")).unwrap();
            assert_eq!((read("a").as_str(), read("b").as_str()), ("top", "bottom"));
            fs::write(format!("{path}/new"), "new").unwrap();
            assert_eq!(fs::read_to_string(at("upper").join("new")).unwrap(), "new");
        }
        chdir("/").unwrap();
        assert!(worked > 0);
    }
}
