//! One pass over an archive: blobs go into the store, small entries into memory.
//!
//! What an entry is good for is often said only at the archive's end (`docker save` writes
//! `manifest.json` last). So `blobs/ALGORITHM/HEX` is verified against its name, other large
//! entries are taken for layers and stored uncompressed, and small ones wait in memory. A second
//! thread syncs and publishes what is written while the next entry is read.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use berth_base::Digest;

use super::compressed::{self, read_error};
use super::limits::{SMALL_ENTRY_BYTES, exceeded};
use super::load::Load;
use super::name;
use super::tar_in::{Entry, EntryKind, TarReader};
use crate::store::{AnonymousWriter, BlobWriter, Ingest};
use crate::{ImageError, Stage};

/// Content passes in such pieces.
const PIECE_BYTES: usize = 1 << 20;
/// How many links may follow each other.
const LINKS_MAX: usize = 8;
/// What says which images there are; twice the same is ambiguous.
const DOCUMENTS: [&str; 3] = ["manifest.json", "index.json", "oci-layout"];

/// A blob of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// An entry of an archive.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Small(Vec<u8>),
    Blob(Stored),
    Link(String),
}

/// All that an archive holds.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    files: BTreeMap<String, Held>,
}

impl Gathered {
    /// A document in the archive's root.
    pub(super) fn document(&self, name: &str) -> Option<&[u8]> {
        match self.files.get(name) {
            Some(Held::Small(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Whether it holds nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// An entry by the name that a document has for it, through links.
    pub(super) fn find(&self, name: &str) -> Option<&Held> {
        let mut name = name::normal(name).ok()?;
        for _ in 0..LINKS_MAX {
            match self.files.get(&name)? {
                Held::Link(target) => name.clone_from(target),
                found => return Some(found),
            }
        }
        None
    }
}

/// A blob that is written and not yet published.
struct Pending {
    name: String,
    writer: Writer,
}

/// What became of an entry.
enum Fate {
    Held(Held),
    /// It is the publisher's.
    Pending,
    /// Nobody publishes any more: that has failed.
    Stopped,
}

enum Writer {
    Known(BlobWriter),
    Unknown(AnonymousWriter),
}

impl Writer {
    fn write(&mut self, load: &Load<'_>, bytes: &[u8]) -> Result<(), ImageError> {
        match self {
            Self::Known(writer) => writer.write_blob(bytes),
            Self::Unknown(writer) => writer
                .write_all(bytes)
                .map_err(|e| ImageError::io("write below", &load.store.layout(), e)),
        }
    }

    fn discard(self) {
        if let Self::Known(writer) = self {
            writer.discard();
        }
    }
}

/// Reads a whole archive into the store.
pub(super) fn gather(load: &Load<'_>, input: impl Read) -> Result<Gathered, ImageError> {
    let remedy = "unpack it first, such as by \"xz -dc FILE | berth load\"";
    let plain = compressed::open(load.what, remedy, input)?;
    let mut reader = TarReader::new(load.what, plain, &load.options.limits);
    let mut gathered = Gathered::default();
    let (read, committed) = std::thread::scope(|scope| {
        let (written, pending) = sync_channel(1);
        let committing = scope.spawn(move || commit_all(load, &pending));
        let mut pass = Pass {
            load,
            gathered: &mut gathered,
            written: &written,
            memory: 0,
            total: 0,
            buffer: vec![0; PIECE_BYTES],
        };
        let read = pass.read_all(&mut reader);
        drop(written);
        (read, committing.join())
    });
    // A publisher that failed has ended the reading.
    let committed = committed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    read?;
    reader.finish()?;
    for (name, stored) in committed {
        gathered.files.insert(name, Held::Blob(stored));
    }
    Ok(gathered)
}

/// Publishes blobs as they are written.
fn commit_all(
    load: &Load<'_>,
    pending: &Receiver<Pending>,
) -> Result<Vec<(String, Stored)>, ImageError> {
    let mut all = Vec::new();
    for Pending { name, writer } in pending {
        let stored = match writer {
            Writer::Known(writer) => {
                let digest = writer.digest().clone();
                let size = writer.commit()?;
                Stored { digest, size }
            }
            Writer::Unknown(writer) => {
                let (digest, size) = writer.commit(load.lease)?;
                Stored { digest, size }
            }
        };
        load.wrote(&stored.digest);
        load.progress.end(&item(&name), "done");
        load.finished(&stored)?;
        all.push((name, stored));
    }
    Ok(all)
}

/// The state of the pass.
struct Pass<'a, 'l> {
    load: &'a Load<'l>,
    gathered: &'a mut Gathered,
    written: &'a SyncSender<Pending>,
    memory: u64,
    total: u64,
    buffer: Vec<u8>,
}

impl Pass<'_, '_> {
    fn read_all<R: Read>(&mut self, reader: &mut TarReader<'_, R>) -> Result<(), ImageError> {
        while let Some(entry) = reader.next()? {
            let twice = self.gathered.files.contains_key(&entry.name);
            if twice && DOCUMENTS.contains(&entry.name.as_str()) {
                return Err(reader.malformed(format!("it holds {} twice", entry.name)));
            }
            let fate = match &entry.kind {
                EntryKind::Other => continue,
                EntryKind::Link(target) => Fate::Held(Held::Link(target.clone())),
                EntryKind::File => self.file(reader, &entry)?,
            };
            match fate {
                Fate::Held(held) => drop(self.gathered.files.insert(entry.name, held)),
                Fate::Pending => {}
                Fate::Stopped => return Ok(()),
            }
        }
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        reader: &mut TarReader<'_, R>,
        entry: &Entry,
    ) -> Result<Fate, ImageError> {
        if let Some(digest) = blob_digest(&entry.name) {
            return self.known(reader, entry, &digest);
        }
        match self.small(reader, entry)? {
            Some(held) => Ok(Fate::Held(held)),
            None => self.unknown(reader, entry),
        }
    }

    /// Takes a small entry into memory; `None` where it is none, or memory is full.
    fn small<R: Read>(
        &mut self,
        reader: &mut TarReader<'_, R>,
        entry: &Entry,
    ) -> Result<Option<Held>, ImageError> {
        let memory = self.memory + entry.size;
        let document = DOCUMENTS.contains(&entry.name.as_str());
        let limit = match document {
            true => crate::manifest::MANIFEST_MAX_BYTES,
            false => SMALL_ENTRY_BYTES,
        };
        let fits = entry.size <= limit && memory <= self.load.options.limits.memory_bytes;
        if !fits && document {
            let (name, size) = (&entry.name, entry.size);
            return Err(ImageError::Limit {
                what: self.load.what.to_owned(),
                why: format!("its {name} of {size} bytes is too long; at most {limit} are read"),
            });
        }
        if !fits {
            return Ok(None);
        }
        self.memory = memory;
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(|e| read_error(self.load.what, e))?;
        Ok(Some(Held::Small(bytes)))
    }

    /// Stores an entry that is named by its digest.
    fn known<R: Read>(
        &mut self,
        reader: &mut TarReader<'_, R>,
        entry: &Entry,
        digest: &Digest,
    ) -> Result<Fate, ImageError> {
        let load = self.load;
        match load.ingest(digest, Some(entry.size))? {
            Ingest::Present => {
                let (digest, size) = (digest.clone(), load.stored_size(digest)?);
                load.progress.end(&item(&entry.name), "already here");
                let stored = Stored { digest, size };
                load.finished(&stored)?;
                Ok(Fate::Held(Held::Blob(stored)))
            }
            Ingest::Writing(mut writer) => {
                writer.restart()?;
                self.copy(reader, entry, Writer::Known(writer))
            }
        }
    }

    /// Stores an entry that is taken for a layer.
    fn unknown<R: Read>(
        &mut self,
        reader: &mut TarReader<'_, R>,
        entry: &Entry,
    ) -> Result<Fate, ImageError> {
        let writer = Writer::Unknown(self.load.store.ingest_unknown(self.load.lease)?);
        let what = format!("layer {} of {}", entry.name, self.load.what);
        let mut plain = compressed::open(&what, LAYER_REMEDY, reader)?;
        self.copy(&mut plain, entry, writer)
    }

    fn copy(
        &mut self,
        from: &mut impl Read,
        entry: &Entry,
        mut writer: Writer,
    ) -> Result<Fate, ImageError> {
        let item = item(&entry.name);
        let progress = self.load.progress;
        progress.begin(&item, Stage::Copying, 0, Some(entry.size));
        if let Err(error) = self.pump(from, &item, &mut writer) {
            writer.discard();
            progress.end(&item, "failed");
            return Err(error);
        }
        let name = entry.name.clone();
        Ok(match self.written.send(Pending { name, writer }) {
            Ok(()) => Fate::Pending,
            Err(_) => Fate::Stopped,
        })
    }

    fn pump(
        &mut self,
        from: &mut impl Read,
        item: &str,
        writer: &mut Writer,
    ) -> Result<(), ImageError> {
        let limits = &self.load.options.limits;
        let mut bytes = 0;
        loop {
            let count = match from.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(read_error(self.load.what, e)),
            };
            bytes += count as u64;
            self.total += count as u64;
            if bytes > limits.blob_bytes {
                return Err(exceeded(
                    self.load.what,
                    "archive-blob-bytes",
                    limits.blob_bytes,
                ));
            }
            if self.total > limits.total_bytes {
                return Err(exceeded(
                    self.load.what,
                    "archive-total-bytes",
                    limits.total_bytes,
                ));
            }
            writer.write(self.load, self.buffer.get(..count).unwrap_or_default())?;
            self.load.progress.advance(item, count as u64);
        }
    }
}

/// What to do about a layer that cannot be read.
pub(super) const LAYER_REMEDY: &str = "pack it anew with gzip or zstd";

/// The digest that a name stands for.
fn blob_digest(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// How progress calls an entry.
fn item(name: &str) -> String {
    match blob_digest(name) {
        Some(digest) => digest.short().to_owned(),
        // HEX/layer.tar and HEX.tar.
        None => name.chars().take(12).collect(),
    }
}
