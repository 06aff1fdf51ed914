//! An image in a store of the test's own, a container of it, and a look at files.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use berth_image::ImageRef;
use berth_image::layer::{self, PackOptions};
use berth_image::manifest::{Descriptor, Manifest, media};
use berth_image::store::ImageStore;
use berth_testkit::Bundle;

use crate::cli::{Berth, Done};

/// The two ways to reach a container's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    Stopped,
}

pub const STATES: [State; 2] = [State::Running, State::Stopped];

/// An engine with the image `bb`.
pub struct World {
    pub berth: Berth,
    /// A folder of the caller's.
    pub host: PathBuf,
}

impl World {
    pub fn new() -> Self {
        let berth = Berth::new();
        make_image(&berth);
        let host = berth.path("host");
        fs::create_dir(&host).unwrap();
        Self { berth, host }
    }

    /// A container called `c`, of the image, with further flags.
    pub fn container(&self, state: State, flags: &[&str]) {
        let mut arguments = vec!["create", "--name", "c", "--net", "none"];
        arguments.extend(flags);
        arguments.extend(["bb", "sleep", "1000"]);
        self.berth.ok(&arguments);
        if state == State::Running {
            self.berth.ok(&["start", "c"]);
        }
    }

    /// `cp`, which must work.
    #[track_caller]
    pub fn cp(&self, from: &str, to: &str) {
        self.cp_with(&[], from, to);
    }

    #[track_caller]
    pub fn cp_with(&self, flags: &[&str], from: &str, to: &str) {
        let done = self.try_cp_with(flags, from, to);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{from} {to}");
    }

    /// `cp`, which must fail; what it says, with `HOST` for the caller's folder.
    #[track_caller]
    pub fn refused(&self, from: &str, to: &str) -> String {
        let done = self.try_cp_with(&[], from, to);
        assert_eq!(done.code, 1, "{from} {to}: {done:?}");
        let err = done.err.replace(self.host.to_str().unwrap(), "HOST");
        err.trim_end().to_owned()
    }

    pub fn try_cp_with(&self, flags: &[&str], from: &str, to: &str) -> Done {
        let mut arguments = vec!["cp"];
        arguments.extend(flags);
        arguments.extend([from, to]);
        self.berth.run(&arguments)
    }

    /// A path of the caller's as text; what follows a slash at its end is kept.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.host.display())
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.host.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.host.join(name)).unwrap()
    }

    /// What the caller has below a name.
    pub fn tree(&self, name: &str) -> BTreeMap<String, String> {
        tree(&self.host.join(name))
    }

    /// What the container has below a path, by way of `cp`.
    #[track_caller]
    pub fn inside(&self, path: &str) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir_in(&self.host).unwrap();
        let to = folder.path().join("x");
        self.cp(&format!("c:{path}"), to.to_str().unwrap());
        tree(&to)
    }

    /// Owner, group and mode of an entry in the container: `0 0 644`.
    #[track_caller]
    pub fn stat(&self, path: &str) -> String {
        let folder = tempfile::tempdir_in(&self.host).unwrap();
        let to = folder.path().join("x");
        self.cp_with(&["-a"], &format!("c:{path}"), to.to_str().unwrap());
        stat(&to)
    }
}

/// `uid gid mode` of a file.
pub fn stat(path: &Path) -> String {
    let stat = fs::symlink_metadata(path).unwrap();
    format!("{} {} {:o}", stat.uid(), stat.gid(), stat.mode() & 0o7777)
}

/// Names below a folder with what they hold: `/` folders, `-> target` links, else the content.
/// Of a file, that alone under an empty name.
pub fn tree(path: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut open = vec![(String::new(), path.to_owned())];
    while let Some((name, path)) = open.pop() {
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        let text = if kind.is_dir() {
            for entry in fs::read_dir(&path).unwrap() {
                let entry = entry.unwrap();
                let below = entry.file_name().into_string().unwrap();
                let below = match name.as_str() {
                    "" => below,
                    _ => format!("{name}/{below}"),
                };
                open.push((below, entry.path()));
            }
            "/".to_owned()
        } else if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).unwrap().display())
        } else {
            fs::read_to_string(&path).unwrap()
        };
        all.insert(name, text);
    }
    all
}

/// Names and contents as a map.
pub fn files<const N: usize>(all: [(&str, &str); N]) -> BTreeMap<String, String> {
    all.map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
}

/// Puts a root of busybox into the store. Besides, `/data` has a file of uid 1000, a folder, and
/// links: to the file, to the folder, out of the root, to nothing.
fn make_image(berth: &Berth) {
    let bundle = Bundle::new();
    let root = bundle.rootfs();
    fs::create_dir_all(root.join("data/sub")).unwrap();
    fs::write(root.join("data/f"), "one\n").unwrap();
    fs::set_permissions(root.join("data/f"), Permissions::from_mode(0o640)).unwrap();
    fs::write(root.join("data/sub/g"), "two\n").unwrap();
    for (target, name) in [
        ("f", "data/file"),
        ("/data/sub", "data/folder"),
        ("../../../etc", "data/up"),
        ("sub/new", "data/nothing"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        chown(root.join("data/f"), Some(1000), Some(1001)).unwrap();
    }
    put_image(&berth.path("root"), &root);
}

/// An image `bb` of a folder.
pub fn put_image(store: &Path, root: &Path) {
    let store = ImageStore::open(store);
    let lease = store.lease().unwrap();
    let mut writer = store.ingest_unknown(&lease).unwrap();
    let folder = File::open(root).unwrap();
    let packed = layer::pack(folder.as_fd(), &mut writer, &PackOptions::default()).unwrap();
    let (digest, size) = writer.commit(&lease).unwrap();
    let config = serde_json::json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [packed.diff_id] },
    })
    .to_string();
    let config_digest = store.put(&lease, config.as_bytes()).unwrap();
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media::MANIFEST.into()),
        config: Descriptor::new(media::CONFIG, config_digest, config.len() as u64),
        layers: vec![Descriptor::new(media::LAYER, digest, size)],
        annotations: BTreeMap::default(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let digest = store.put(&lease, &bytes).unwrap();
    let descriptor = Descriptor::new(media::MANIFEST, digest, bytes.len() as u64);
    let name: ImageRef = "bb".parse().unwrap();
    store.tag(&lease, Some(&name), &descriptor, None).unwrap();
}
