//! What a plan needs to know of the layers of an image, and what overlayfs leaves behind.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use berth_base::state::RootSource;

use super::{HostFacts, mount_points};

/// The folders of a root that is made of layers, as they are before a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerFacts {
    /// Those that are not there.
    pub missing: Vec<PathBuf>,
    /// Mount points between the folder that holds them all and any of them.
    pub mount_points: Vec<PathBuf>,
    /// Whether the container's own layer is one that overlayfs was told not to sync.
    pub is_volatile: bool,
}

/// What overlayfs leaves in a work folder so that a layer which was never synced is not used again
/// ("Volatile mount", overlayfs.rst), with the folders around it.
const MARKER: [&str; 3] = ["work", "work/incompat", "work/incompat/volatile"];

impl HostFacts {
    /// Looks at the layers: one stat(2) each, which the mount has to do anyway.
    pub(super) fn look_at_layers(&mut self, root: &RootSource, mountinfo: &str) {
        let RootSource::Layers {
            lowers,
            upper,
            work,
            volatile,
        } = root
        else {
            return;
        };
        let folders = || lowers.iter().chain([upper, work]);
        // by path: folders of our own store, which nothing inside a container can reach
        let missing = |path: &&PathBuf| match fs::metadata(path) {
            // by path: as above
            Ok(metadata) => !metadata.is_dir(),
            // What cannot be looked at from here may still be there for init.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let base = common_folder(folders().map(PathBuf::as_path));
        let between = |point: &Path| {
            point != base && point.starts_with(&base) && folders().any(|f| f.starts_with(point))
        };
        self.layers = LayerFacts {
            missing: folders().filter(missing).cloned().collect(),
            mount_points: mount_points(mountinfo)
                .filter(|point| between(Path::new(point.as_ref())))
                .map(|point| PathBuf::from(point.into_owned()))
                .collect(),
            is_volatile: *volatile && marker_is_there(work),
        };
    }
}

/// The deepest folder that holds all of these or is one of them; `/` for none.
pub(crate) fn common_folder<'a>(mut paths: impl Iterator<Item = &'a Path>) -> PathBuf {
    let mut common = paths.next().unwrap_or(Path::new("/"));
    for path in paths {
        while !path.starts_with(common) {
            common = common.parent().unwrap_or(Path::new("/"));
        }
    }
    common.to_owned()
}

/// Whether overlayfs has left its marker in a work folder.
fn marker_is_there(work: &Path) -> bool {
    let [.., marker] = MARKER;
    // by path: as above
    let look = || fs::metadata(work.join(marker));
    match look() {
        // Without privilege not even the owner gets into the folder.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(work).is_ok() && look().is_ok()
        }
        found => found.is_ok(),
    }
}

/// Opens overlayfs's own folders, which it closes to everybody (mode 0), for their owner. At the
/// next mount it makes them anew.
fn open_up(work: &Path) -> io::Result<()> {
    for name in MARKER {
        // by path: the container's own work folder, which nothing inside can reach
        fs::set_permissions(work.join(name), fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether overlayfs has been told not to sync the container's own layer, and it was used since.
pub fn is_volatile(root: &RootSource) -> bool {
    matches!(root, RootSource::Layers { work, volatile: true, .. } if marker_is_there(work))
}

/// Lets the container's own layer be used again although overlayfs was told not to sync it.
///
/// Right only while the host has not crashed since: after a start that failed, or within one boot.
/// Without layers, or with one that was synced, nothing happens.
pub fn forget_volatile(root: &RootSource) -> io::Result<()> {
    let RootSource::Layers { work, volatile, .. } = root else {
        return Ok(());
    };
    if !volatile {
        return Ok(());
    }
    let [_, incompatible, _] = MARKER;
    // by path: as above
    match open_up(work).and_then(|()| fs::remove_dir_all(work.join(incompatible))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The kernel's version as uname(2) tells it: 6.8.0-31-generic is (6, 8).
///
/// What overlayfs takes cannot be asked without making one, which costs each start what the answer
/// would save; no distribution is known to have taken the features in question into an older one.
pub(super) fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    version_of(&uname.release().to_string_lossy())
}

fn version_of(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version_of("6.18.44-fc-v669"), (6, 18));
        assert_eq!(version_of("6.1.0-9-cloud-amd64"), (6, 1));
        assert_eq!(version_of("5.14.0-427.el9.x86_64"), (5, 14));
        assert_eq!(version_of("7"), (7, 0));
        assert_eq!(version_of("next"), (0, 0));
    }

    #[test]
    fn the_folder_in_common() {
        let common = |paths: &[&str]| common_folder(paths.iter().map(Path::new));
        assert_eq!(common(&["/a/b/c", "/a/b/d"]), Path::new("/a/b"));
        assert_eq!(common(&["/a/b", "/a/b/d"]), Path::new("/a/b"));
        assert_eq!(common(&["/a/b", "/a/bc"]), Path::new("/a"));
        assert_eq!(common(&["/a", "/b"]), Path::new("/"));
        assert_eq!(common(&[]), Path::new("/"));
    }

    #[test]
    fn a_layer_is_volatile_until_that_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["lower", "upper", "work/work/incompat/volatile"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        let root = RootSource::Layers {
            lowers: vec![at("lower"), at("gone")],
            upper: at("upper"),
            work: at("work"),
            volatile: true,
        };
        let look = || {
            let mut facts = HostFacts::default();
            let points = |path: &str| format!("1 2 3:4 / {} rw - x y z\n", at(path).display());
            let mountinfo = ["", "lower", "other"].map(points).concat();
            facts.look_at_layers(&root, &mountinfo);
            facts.layers
        };
        let facts = look();
        assert!(facts.is_volatile);
        assert_eq!(facts.missing, [at("gone")]);
        assert_eq!(facts.mount_points, [at("lower")]);
        forget_volatile(&root).unwrap();
        forget_volatile(&root).unwrap();
        assert!(!look().is_volatile);
    }
}
