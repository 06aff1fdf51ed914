//! A folder with an OCI image layout: only what an image needs is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};

use super::gather::Stored;
use super::layout::{self, Blobs};
use super::limits::exceeded;
use super::load::{Load, length};
use crate::manifest::MANIFEST_MAX_BYTES;
use crate::store::{BlobWriter, Ingest};
use crate::{Descriptor, ImageError, Stage};

const PIECE_BYTES: usize = 1 << 20;

/// An opened folder.
pub(super) struct Folder<'a> {
    dir: OwnedFd,
    what: &'a str,
}

impl<'a> Folder<'a> {
    pub(super) const fn new(dir: OwnedFd, what: &'a str) -> Self {
        Self { dir, what }
    }

    /// Reads `index.json`, after a look at the layout's version.
    pub(super) fn index(&self) -> Result<Vec<u8>, ImageError> {
        let index = self.small("index.json")?;
        let version = self.small("oci-layout")?;
        let (Some(index), Some(version)) = (index, version) else {
            let why = "it is no OCI image layout: oci-layout or index.json is missing";
            return Err(ImageError::malformed(self.what, why));
        };
        layout::check_version(self.what, &version)?;
        Ok(index)
    }

    /// A regular file of the folder itself: no link of it is followed, no device opened.
    fn open(&self, name: &str) -> Result<Option<File>, ImageError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let failed = |e: io::Error| ImageError::io("open", &self.path(name), e);
        let file = match openat2(&self.dir, name, flags, Mode::empty(), resolve) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
            Err(e) => return Err(failed(e.into())),
        };
        let stat = fstat(&file).map_err(|e| failed(e.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(file.into())),
            _ => Err(ImageError::malformed(
                self.path(name).display().to_string(),
                "it is no regular file",
            )),
        }
    }

    fn small(&self, name: &str) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(file) = self.open(name)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(MANIFEST_MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| ImageError::io("read", &self.path(name), e))?;
        match bytes.len() as u64 > MANIFEST_MAX_BYTES {
            true => Err(ImageError::Limit {
                what: self.path(name).display().to_string(),
                why: format!("it is too long; at most {MANIFEST_MAX_BYTES} bytes are read"),
            }),
            false => Ok(Some(bytes)),
        }
    }

    /// For messages.
    fn path(&self, name: &str) -> std::path::PathBuf {
        std::path::Path::new(self.what).join(name)
    }
}

impl Blobs for Folder<'_> {
    fn fetch(&self, load: &Load<'_>, descriptor: &Descriptor) -> Result<bool, ImageError> {
        let Descriptor { digest, size, .. } = descriptor;
        let mut writer = match load.ingest(digest, Some(*size))? {
            Ingest::Writing(writer) => writer,
            Ingest::Present => {
                let (digest, size) = (digest.clone(), load.stored_size(digest)?);
                load.finished(&Stored { digest, size })?;
                return Ok(true);
            }
        };
        let name = format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex());
        let copied = match self.open(&name) {
            Ok(Some(file)) => self.copy(load, &name, file, &mut writer).map(|()| true),
            other => other.map(|_| false),
        };
        if !matches!(copied, Ok(true)) {
            writer.discard();
            return copied;
        }
        let size = writer.commit()?;
        load.wrote(digest);
        load.progress.end(digest.short(), "done");
        let digest = digest.clone();
        load.finished(&Stored { digest, size })?;
        Ok(true)
    }
}

impl Folder<'_> {
    fn copy(
        &self,
        load: &Load<'_>,
        name: &str,
        mut file: File,
        writer: &mut BlobWriter,
    ) -> Result<(), ImageError> {
        writer.restart()?;
        let limit = load.options.limits.blob_bytes;
        let failed = |e: io::Error| ImageError::io("read", &self.path(name), e);
        let total = length(&file).map_err(failed)?;
        let item = writer.digest().short().to_owned();
        let item = item.as_str();
        load.progress.begin(item, Stage::Copying, 0, Some(total));
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(failed(e)),
            };
            writer.write_blob(buffer.get(..count).unwrap_or_default())?;
            if writer.offset() > limit {
                return Err(exceeded(load.what, "archive-blob-bytes", limit));
            }
            load.progress.advance(item, count as u64);
        }
    }
}
