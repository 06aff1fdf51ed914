//! Images out of an archive, or out of a folder.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Mutex;

use berth_base::Digest;

use super::docker;
use super::folder::Folder;
use super::gather::{Gathered, Stored, gather};
use super::layout::{self, Blobs};
use super::limits::{LoadLimits, exceeded};
use super::tar_in::is_tar;
use crate::layer;
use crate::manifest::media;
use crate::store::{Early, Ingest, UnpackHow};
use crate::{
    Compression, Descriptor, Image, ImageError, ImageRef, ImageStore, Lease, Platform, Progress,
    Stage,
};

/// As much of a blob as tells what it is.
const HEAD_BYTES: u64 = 512;

/// Where images come from.
pub enum Source<'a> {
    /// An archive, compressed or not; `name` is what errors call it.
    Stream {
        /// A path, or `standard input`.
        name: String,
        /// Its content.
        input: Box<dyn Read + 'a>,
    },
    /// An OCI image layout as a folder.
    Folder {
        /// Its path.
        name: String,
        /// The folder.
        folder: OwnedFd,
    },
}

/// A layer whose blob is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedLayer {
    /// The blob, with the media type that its content has.
    pub descriptor: Descriptor,
    /// The digest of its uncompressed content, where the blob is uncompressed.
    pub diff_id: Option<Digest>,
}

/// How to load.
#[derive(Default)]
pub struct LoadOptions<'a> {
    /// The platform to choose where there are several, and to insist on; else the host's is
    /// preferred.
    pub platform: Option<Platform>,
    /// What the archive may ask for.
    pub limits: LoadLimits,
    /// Called for each blob that is a layer as soon as it is in the store, from another thread and
    /// while others are still read. Whether an image needs it is not known yet; the archive can
    /// still turn out to be bad.
    pub on_layer: Option<&'a (dyn Fn(&FinishedLayer) + Sync)>,
    /// Who unpacks the layers: an image gets its name when all of them are unpacked. Without,
    /// nothing is unpacked, and what is wrong within a compressed layer is not found.
    pub unpacker: Option<&'a dyn UnpackHow>,
}

/// An image that was loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The image; its references are the names that it was given here.
    pub image: Image,
    /// Manifests that had one of these names before.
    pub replaced: Vec<Digest>,
}

/// What an image will be, when all of the archive is known to be sound.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) manifest: Descriptor,
    pub(super) config: Digest,
    pub(super) names: Vec<ImageRef>,
}

/// What a load works with.
pub(super) struct Load<'a> {
    pub(super) store: &'a ImageStore,
    pub(super) lease: &'a Lease,
    pub(super) what: &'a str,
    pub(super) options: &'a LoadOptions<'a>,
    pub(super) progress: &'a dyn Progress,
    /// The blobs that were written, and thereby verified, by this load.
    written: Mutex<HashSet<Digest>>,
    /// Where layers unpack as soon as they are written.
    early: Option<Early<'a>>,
}

/// Loads all images of an archive and names them as it says.
pub fn load(
    store: &ImageStore,
    source: Source<'_>,
    options: &LoadOptions<'_>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>, ImageError> {
    let lease = store.lease()?;
    let (Source::Stream { name, .. } | Source::Folder { name, .. }) = &source;
    let what = name.clone();
    let load = Load {
        store,
        lease: &lease,
        what: &what,
        options,
        progress,
        written: Mutex::default(),
        early: options
            .unpacker
            .map(|how| Early::new(store, &lease, how, progress)),
    };
    let planned = match source {
        Source::Stream { input, .. } => {
            let gathered = match &load.early {
                Some(early) => early.during(|| gather(&load, input))?,
                None => gather(&load, input)?,
            };
            load.archive(&gathered)?
        }
        Source::Folder { folder, .. } => {
            let folder = Folder::new(folder, &what);
            layout::images(&load, &folder.index()?, &folder)?
        }
    };
    if planned.is_empty() {
        return Err(ImageError::malformed(what, "it holds no image"));
    }
    let limit = options.limits.images;
    if planned.len() > limit {
        return Err(exceeded(&what, "archive-images", limit));
    }
    let checked: Vec<(Planned, Image)> = planned
        .into_iter()
        .map(|planned| load.check(&planned).map(|image| (planned, image)))
        .collect::<Result<_, _>>()?;
    if let Some(how) = options.unpacker {
        let written = |digest: &Digest| load.has_written(digest);
        for (_, image) in &checked {
            store
                .unpack_new_image(&lease, image, &written, load.early.as_ref(), how, progress)
                .map_err(|error| error.renamed(|layer| format!("{layer} of {what}")))?;
        }
    }
    checked
        .into_iter()
        .map(|(planned, image)| load.tag(planned, image))
        .collect()
}

impl Load<'_> {
    fn archive(&self, gathered: &Gathered) -> Result<Vec<Planned>, ImageError> {
        let docker = gathered.document("manifest.json");
        let index = gathered.document("index.json");
        if docker.is_none() && index.is_none() {
            let why = match gathered.is_empty() {
                true => "it is empty",
                false => {
                    "it is no archive of images: it has neither manifest.json nor index.json; \
                     \"berth import\" takes the tar of a root filesystem"
                }
            };
            return Err(ImageError::malformed(self.what, why));
        }
        if let Some(version) = gathered.document("oci-layout") {
            layout::check_version(self.what, version)?;
        }
        let mut planned = match index {
            Some(index) => layout::images(self, index, self)?,
            None => Vec::new(),
        };
        if let Some(manifest) = docker {
            docker::images(self, gathered, manifest, &mut planned)?;
        }
        Ok(planned)
    }

    /// Reads an image as the store will, and compares the layers with the configuration.
    fn check(&self, planned: &Planned) -> Result<Image, ImageError> {
        let image = self.store.read_image(&planned.manifest, &planned.names)?;
        let what = format!("image {} of {}", image.display_name(), self.what);
        for layer in &image.layers {
            let Descriptor { digest, size, .. } = &layer.descriptor;
            let actual = self.stored_size(digest)?;
            if actual != *size {
                return Err(ImageError::Size {
                    what: format!("layer {digest} of {what}"),
                    expected: *size,
                    actual,
                });
            }
            let same_algorithm = digest.algorithm() == layer.diff_id.algorithm();
            if same_algorithm && *digest != layer.diff_id && self.is_plain(digest)? {
                return Err(ImageError::Digest {
                    what: format!("a layer of {what}"),
                    expected: layer.diff_id.clone(),
                    actual: digest.clone(),
                });
            }
        }
        if let Some(wanted) = &self.options.platform
            && wanted.match_of(&image.config.platform).is_none()
        {
            let offered = &image.config.platform;
            let why = format!("it is for {offered}, {wanted} was asked for");
            return Err(ImageError::unsupported(what, why));
        }
        Ok(image)
    }

    fn tag(&self, planned: Planned, mut image: Image) -> Result<Loaded, ImageError> {
        let mut replaced = Vec::new();
        let names = match planned.names.is_empty() {
            true => vec![None],
            false => planned.names.iter().map(Some).collect(),
        };
        for name in names {
            let before = self.store.tag(self.lease, name, &planned.manifest, None)?;
            replaced.extend(before);
        }
        image.references = planned.names;
        Ok(Loaded { image, replaced })
    }

    /// Remembers that a blob was written.
    pub(super) fn wrote(&self, digest: &Digest) {
        let mut written = self.written.lock().unwrap_or_else(|e| e.into_inner());
        written.insert(digest.clone());
    }

    fn has_written(&self, digest: &Digest) -> bool {
        let written = self.written.lock().unwrap_or_else(|e| e.into_inner());
        written.contains(digest)
    }

    /// Begins a blob, and says so while another process writes it.
    pub(super) fn ingest(&self, digest: &Digest, size: Option<u64>) -> Result<Ingest, ImageError> {
        let waiting = || self.progress.begin(digest.short(), Stage::Waiting, 0, size);
        self.store.ingest(self.lease, digest, size, waiting)
    }

    /// The length of a blob that is there.
    pub(super) fn stored_size(&self, digest: &Digest) -> Result<u64, ImageError> {
        length(&self.open(digest)?)
            .map_err(|e| ImageError::io("read", &self.store.blob_path(digest), e))
    }

    fn open(&self, digest: &Digest) -> Result<File, ImageError> {
        let file = self.store.blob(digest)?;
        file.ok_or_else(|| ImageError::MissingBlob {
            digest: digest.clone(),
            of: self.what.to_owned(),
        })
    }

    fn head(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let mut head = Vec::new();
        let read = self.open(digest)?.take(HEAD_BYTES).read_to_end(&mut head);
        read.map_err(|e| ImageError::io("read", &self.store.blob_path(digest), e))?;
        Ok(head)
    }

    /// Whether a blob is an uncompressed tar.
    fn is_plain(&self, digest: &Digest) -> Result<bool, ImageError> {
        Ok(is_tar(&self.head(digest)?))
    }

    /// The descriptor of a layer by what its content is; `None` where it is no layer.
    pub(super) fn layer(&self, stored: &Stored) -> Result<Option<FinishedLayer>, ImageError> {
        let head = self.head(&stored.digest)?;
        let media_type = match layer::sniff(&head) {
            Ok(Compression::None) if is_tar(&head) => media::LAYER,
            Ok(Compression::Gzip) => media::LAYER_GZIP,
            Ok(Compression::Zstd) => media::LAYER_ZSTD,
            Ok(Compression::None) | Err(_) => return Ok(None),
        };
        let plain = media_type == media::LAYER;
        Ok(Some(FinishedLayer {
            descriptor: Descriptor::new(media_type, stored.digest.clone(), stored.size),
            diff_id: plain.then(|| stored.digest.clone()),
        }))
    }

    /// Tells the caller of a blob that is there, if it is a layer.
    pub(super) fn finished(&self, stored: &Stored) -> Result<(), ImageError> {
        // What was here before is most likely unpacked, too.
        let early = self
            .early
            .as_ref()
            .filter(|_| self.has_written(&stored.digest));
        if early.is_none() && self.options.on_layer.is_none() {
            return Ok(());
        }
        let Some(layer) = self.layer(stored)? else {
            return Ok(());
        };
        if let Some(on_layer) = self.options.on_layer {
            on_layer(&layer);
        }
        if let Some(early) = early {
            early.add(layer.descriptor, layer.diff_id);
        }
        Ok(())
    }
}

/// The length of an open file.
pub(super) fn length(file: &File) -> io::Result<u64> {
    let stat = rustix::fs::fstat(file)?;
    Ok(u64::try_from(stat.st_size).unwrap_or_default())
}

/// Blobs that passed by, or that were here before.
impl Blobs for Load<'_> {
    fn fetch(&self, _load: &Load<'_>, descriptor: &Descriptor) -> Result<bool, ImageError> {
        self.lease.protect(&descriptor.digest)?;
        Ok(self.store.has_blob(&descriptor.digest))
    }
}
