//! The pieces of work.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_image::Compression;
use berth_image::layer::merged::Stack;
use berth_image::layer::tree::{self, CopyOptions};
use berth_image::layer::{
    self, Change, Devices, Ids, Level, Limits, PackOptions, Packed, UnpackOptions, Unpacked,
    XattrSpace,
};
use berth_image::store::{UnpackHere, UnpackHow, UnpackJob};
use berth_persist::At;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::holes::HoleWriter;
use crate::{EngineError, facts, image};

/// One kind of work: its parameters are sent, its result comes back.
pub(crate) trait Work: Serialize + DeserializeOwned {
    /// What the worker's command line calls it.
    const NAME: &'static str;
    /// The result.
    type Done: Serialize + DeserializeOwned;
    /// Does it, with the rights of the process that calls; data goes to `out`.
    fn perform_to(&self, out: &File) -> Result<Self::Done, EngineError>;
}

/// How overlayfs marks opaque folders for whoever works here: a user namespace's root may not set
/// trusted attributes.
pub(crate) fn marks(rootless: bool) -> XattrSpace {
    match rootless {
        true => XattrSpace::User,
        false => XattrSpace::Trusted,
    }
}

/// How layers are unpacked here.
pub(crate) fn unpack_options(rootless: bool, squash: bool) -> UnpackOptions {
    UnpackOptions {
        xattrs: marks(rootless),
        devices: match rootless {
            true => Devices::Skip,
            false => Devices::Make,
        },
        ids: match squash {
            true => Ids::Squash,
            false => Ids::Keep,
        },
        ..UnpackOptions::default()
    }
}

/// Removes folders with all that is below them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemoveTrees {
    /// Absolute paths of ours.
    pub(crate) paths: Vec<PathBuf>,
}

impl Work for RemoveTrees {
    const NAME: &'static str = "remove";
    type Done = ();

    fn perform_to(&self, _out: &File) -> Result<(), EngineError> {
        for path in &self.paths {
            berth_persist::remove_tree("storage.remove", At::path(path)).map_err(|e| {
                let hint = match e.kind() {
                    std::io::ErrorKind::PermissionDenied => {
                        "; some of it belongs to ids that are not yours: are /etc/subuid, /etc/subgid and newuidmap as they were?"
                    }
                    _ => "",
                };
                // Whoever asked says what it was.
                EngineError::new(ErrorClass::Unavailable, format!("{e}{hint}"))
            })?;
        }
        Ok(())
    }
}

/// Unpacks a layer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UnpackLayer {
    pub(crate) job: UnpackJob,
    /// There is one id alone to give files to.
    pub(crate) squash: bool,
    /// How much it may be.
    pub(crate) limits: Limits,
}

impl Work for UnpackLayer {
    const NAME: &'static str = "unpack";
    type Done = Unpacked;

    fn perform_to(&self, _out: &File) -> Result<Unpacked, EngineError> {
        let options = UnpackOptions {
            limits: self.limits,
            ..unpack_options(true, self.squash)
        };
        Ok(UnpackHere { options }.unpack(&self.job)?)
    }
}

/// Completes a layer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SettleLayer {
    pub(crate) job: UnpackJob,
    pub(crate) unpacked: Unpacked,
    pub(crate) squash: bool,
}

impl Work for SettleLayer {
    const NAME: &'static str = "settle";
    type Done = ();

    fn perform_to(&self, _out: &File) -> Result<(), EngineError> {
        let options = unpack_options(true, self.squash);
        Ok(UnpackHere { options }.settle(&self.job, &self.unpacked)?)
    }
}

/// Packs a container's own layer (`commit`).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PackLayer {
    /// The upper folder.
    pub(crate) upper: PathBuf,
    pub(crate) rootless: bool,
    /// How much it may hold.
    pub(crate) limits: Limits,
}

impl Work for PackLayer {
    const NAME: &'static str = "pack";
    type Done = Packed;

    fn perform_to(&self, out: &File) -> Result<Packed, EngineError> {
        let options = PackOptions {
            compression: Compression::Gzip,
            level: Level::Fast,
            xattrs: marks(self.rootless),
            limits: self.limits,
            ..PackOptions::default()
        };
        let upper = open(&self.upper)?;
        let writer = std::io::BufWriter::with_capacity(256 << 10, out);
        layer::pack(upper.as_fd(), writer, &options).map_err(|e| named(e, &self.upper))
    }
}

/// Packs a whole root (`export`).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PackRoot {
    /// The folders that make it up, the topmost first.
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) rootless: bool,
}

impl Work for PackRoot {
    const NAME: &'static str = "export";
    type Done = Packed;

    fn perform_to(&self, out: &File) -> Result<Packed, EngineError> {
        let options = PackOptions {
            xattrs: marks(self.rootless),
            root_entry: false,
            ..PackOptions::default()
        };
        let stack = stack(&self.folders, self.rootless)?;
        let writer = std::io::BufWriter::with_capacity(256 << 10, HoleWriter::new(out));
        let first = self.folders.first().map(PathBuf::as_path);
        layer::pack_tree(&stack, writer, &options)
            .map_err(|e| named(e, first.unwrap_or(Path::new("/"))))
    }
}

/// Lists what a container changed (`diff`).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListChanges {
    pub(crate) upper: PathBuf,
    pub(crate) lowers: Vec<PathBuf>,
    pub(crate) rootless: bool,
}

impl Work for ListChanges {
    const NAME: &'static str = "diff";
    type Done = Vec<Change>;

    fn perform_to(&self, _out: &File) -> Result<Vec<Change>, EngineError> {
        let upper = open(&self.upper)?;
        let lowers = stack(&self.lowers, self.rootless)?;
        layer::changes(upper.as_fd(), &lowers, marks(self.rootless))
            .map_err(|e| named(e, &self.upper))
    }
}

/// Copies a folder of an image into a volume.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CopyUpTree {
    /// The folders that make up the image's root, the topmost first.
    pub(crate) folders: Vec<PathBuf>,
    /// It is one folder as it is, not layers.
    pub(crate) plain: bool,
    /// The folder in it.
    pub(crate) path: PathBuf,
    /// The volume's folder, empty.
    pub(crate) into: PathBuf,
    pub(crate) rootless: bool,
    /// There is one id alone to give files to.
    pub(crate) squash: bool,
}

impl Work for CopyUpTree {
    const NAME: &'static str = "copy-up";
    type Done = ();

    fn perform_to(&self, _out: &File) -> Result<(), EngineError> {
        let stack = root_stack(&self.folders, self.plain, self.rootless)?;
        let into = open(&self.into)?;
        let unpacking = unpack_options(self.rootless, self.squash);
        let options = CopyOptions {
            devices: unpacking.devices,
            ids: unpacking.ids,
            ..CopyOptions::default()
        };
        let copied = tree::copy(&stack, &self.path, into.as_fd(), &options);
        copied.map(drop).map_err(|e| {
            let text = format!(
                "cannot copy {} of the image into the volume {}: {e}; leave that out with nocopy",
                self.path.display(),
                self.into.display()
            );
            EngineError::new(e.class(), text)
        })
    }
}

/// A root: layers, or one folder as it is.
pub(crate) fn root_stack(
    folders: &[PathBuf],
    plain: bool,
    rootless: bool,
) -> Result<Stack, EngineError> {
    match folders {
        [folder] if plain => Stack::plain(open(folder)?).map_err(|e| {
            let text = format!("cannot read {}: {e}", folder.display());
            EngineError::new(ErrorClass::Unavailable, text)
        }),
        _ => stack(folders, rootless),
    }
}

/// The layers of the image, without the one of mount points, which is not there yet when a
/// container is made.
pub(crate) fn real(lowers: &[PathBuf]) -> Vec<PathBuf> {
    let real = lowers.iter().filter(|lower| !image::is_points(lower));
    real.cloned().collect()
}

/// The merged view of folders, the topmost first.
pub(crate) fn stack(folders: &[PathBuf], rootless: bool) -> Result<Stack, EngineError> {
    let opened = folders.iter().map(|path| open(path));
    let opened: Vec<OwnedFd> = opened.collect::<Result<_, _>>()?;
    Stack::new(opened, marks(rootless)).map_err(|e| {
        let text = format!("cannot read the layers of the container: {e}");
        EngineError::new(ErrorClass::Unavailable, text)
    })
}

pub(super) fn open(path: &Path) -> Result<OwnedFd, EngineError> {
    // by path: folders of our own
    berth_persist::open_folder(path)
        .map(OwnedFd::from)
        .map_err(|e| {
            let text = format!("cannot open {}: {e}", path.display());
            EngineError::new(ErrorClass::Unavailable, text)
        })
}

fn named(error: layer::LayerError, path: &Path) -> EngineError {
    EngineError::from(error.of(path.display().to_string()))
}

/// Whether the caller works as a user.
pub(crate) fn is_rootless() -> bool {
    facts::is_rootless()
}
