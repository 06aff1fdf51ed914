//! Images for tests: folders of busybox as layers.
//!
//! A container is created over one of them, and its root is then said to be made of all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use berth_base::ContainerId;
use berth_base::state::RootSource;
use berth_engine::{CreateOptions, ImageRequest};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};

use crate::harness::World;

/// Programs of busybox that the scripts call.
const APPLETS: [&str; 16] = [
    "sh", "cat", "ls", "stat", "rm", "mv", "mkdir", "sleep", "chown", "chmod", "grep", "wc",
    "echo", "head", "touch", "true",
];

/// Layers of an image, the topmost first, and a container's own.
pub(crate) struct Image {
    pub(crate) lowers: Vec<PathBuf>,
    pub(crate) own: PathBuf,
}

impl Image {
    /// Makes `count` layers, of which each adds `l/N` and replaces `top`; from two on they delete
    /// `gone` and make `cut` anew.
    pub(crate) fn new(world: &World, count: usize) -> std::io::Result<Self> {
        Self::below(&world.config.root, count)
    }

    pub(crate) fn below(root: &Path, count: usize) -> std::io::Result<Self> {
        let folder = root.join(format!("layers-{count}"));
        fs::create_dir_all(&folder)?;
        for n in 0..count {
            let layer = folder.join(n.to_string());
            make_folders(&layer, &["l"])?;
            fs::write(layer.join("l").join(n.to_string()), "")?;
            fs::write(layer.join("top"), format!("{n}\n"))?;
            set_mode(&layer, 0o755)?;
        }
        let bottom = folder.join("0");
        make_folders(
            &bottom,
            &["bin", "proc", "sys", "dev", "etc", "tmp", "cut", "keep"],
        )?;
        fs::copy("/bin/busybox", bottom.join("bin/busybox"))?;
        for applet in APPLETS {
            fs::hard_link(bottom.join("bin/busybox"), bottom.join("bin").join(applet))?;
        }
        for name in ["gone", "cut/old", "keep/old"] {
            fs::write(bottom.join(name), "old\n")?;
        }
        if count > 1 {
            let above = folder.join("1");
            let mode = Mode::from_raw_mode(0o600);
            mknodat(CWD, above.join("gone"), FileType::CharacterDevice, mode, 0)?;
            make_folders(&above, &["cut"])?;
            let space = if rustix::process::geteuid().is_root() {
                "trusted"
            } else {
                "user"
            };
            let name = format!("{space}.overlay.opaque");
            setxattr(above.join("cut"), name, b"y", XattrFlags::empty())?;
            fs::write(above.join("cut/new"), "")?;
        }
        set_mode(&folder.join((count - 1).to_string()), 0o751)?;
        let own = root.join(format!("own-{count}"));
        make_folders(&own, &["upper", "work"])?;
        // The root folder of the container is that of its own layer.
        set_mode(&own.join("upper"), 0o751)?;
        let lowers = (0..count).rev().map(|n| folder.join(n.to_string()));
        Ok(Self {
            lowers: lowers.collect(),
            own,
        })
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.own.join("upper")
    }

    pub(crate) fn root(&self, volatile: bool) -> RootSource {
        RootSource::Layers {
            lowers: self.lowers.clone(),
            upper: self.upper(),
            work: self.own.join("work"),
            volatile,
        }
    }

    /// Creates a container of this image.
    pub(crate) fn create(
        &self,
        world: &World,
        script: &str,
        change: impl FnOnce(&mut CreateOptions),
    ) -> Result<ContainerId, Box<dyn std::error::Error>> {
        self.create_from(world, script, &self.root(false), change)
    }

    pub(crate) fn create_from(
        &self,
        world: &World,
        script: &str,
        root: &RootSource,
        change: impl FnOnce(&mut CreateOptions),
    ) -> Result<ContainerId, Box<dyn std::error::Error>> {
        let bottom = self.lowers.last().ok_or("no layers")?;
        let id = world.create(script, |o| {
            o.image = ImageRequest::Rootfs {
                path: bottom.clone(),
                writable: false,
            };
            change(o);
        });
        let folder = world.config.root.join("containers").join(id.as_str());
        let path = folder.join("create.json");
        let mut create: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
        create["root"] = serde_json::to_value(root)?;
        fs::write(&path, serde_json::to_vec(&create)?)?;
        Ok(id)
    }

    /// Removes everything right away.
    pub(crate) fn remove(&self) -> std::io::Result<()> {
        // overlayfs closes its own folders, to all but root even to their owner.
        for name in ["work", "work/incompat", "work/incompat/volatile"] {
            let path = self.own.join("work").join(name);
            if path.exists() {
                set_mode(&path, 0o700)?;
            }
        }
        fs::remove_dir_all(&self.own)?;
        self.lowers.iter().try_for_each(fs::remove_dir_all)
    }
}

pub(crate) fn make_folders(at: &Path, names: &[&str]) -> std::io::Result<()> {
    names
        .iter()
        .try_for_each(|name| fs::create_dir_all(at.join(name)))
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
