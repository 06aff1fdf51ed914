//! A folder to a layer's tar.
//!
//! The same folder gives the same bytes: entries in the order of their names, nothing of the machine
//! in them, no names of users, and extended headers only where a plain one cannot say it.

mod stream;
mod tape;

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::BorrowedFd;

use berth_base::Digest;
use rustix::fs::{FileType, Stat, major, minor, readlinkat};
use serde::{Deserialize, Serialize};

use self::tape::{Header, Tape};
use super::error::printable;
use super::merged::{Found, Other, Stack, is_whiteout};
use super::name::{is_reserved, join, opaque_in, split, whiteout_of};
use super::walk::{Step, walk};
use super::xattr::{OVERLAY_PREFIXES, Target, Verdict, Xattr, judge};
use super::{LayerError, Limits, XattrSpace};
use crate::Compression;

/// What times an archive keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// Whole seconds, as Docker does: nanoseconds would cost each entry an extended header.
    #[default]
    Seconds,
    /// All that the file system has.
    Nanoseconds,
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Little time.
    Fast,
    /// What the format's own tool does.
    #[default]
    Default,
    /// Few bytes.
    Best,
}

/// How to pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackOptions {
    /// Compression of the stream.
    pub compression: Compression,
    /// How hard.
    pub level: Level,
    /// Times of entries.
    pub times: Times,
    /// Where opaque folders are marked.
    pub xattrs: XattrSpace,
    /// Whether the folder itself has an entry, `./`.
    pub root_entry: bool,
    /// How much a layer may hold, holes included: what is above it, no store of ours would unpack
    /// again. Of a tree nothing is asked.
    pub limits: Limits,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            level: Level::default(),
            times: Times::default(),
            xattrs: XattrSpace::default(),
            root_entry: true,
            limits: Limits::default(),
        }
    }
}

/// A layer's tar, written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Digest of the tar itself.
    pub diff_id: Digest,
    /// Its bytes.
    pub bytes: u64,
    /// Digest of what was written: the tar, compressed.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Entries of the archive.
    pub entries: u64,
}

/// Packs a layer as overlayfs has it: whiteouts and opaque folders become marks of the archive.
///
/// What only overlayfs understands (redirected folders, files without content) is refused, as is a
/// name that would be a mark. Sockets are left out.
///
/// A hole is written as zeros. Docker and podman read archives that say it shorter (GNU sparse 1.0),
/// but keep no account of what they read and cannot save or push such a layer again.
pub fn pack(
    upper: BorrowedFd<'_>,
    out: impl Write + Send,
    options: &PackOptions,
) -> Result<Packed, LayerError> {
    let open = |e| LayerError::io("open", b"", e);
    let folder = Stack::plain(upper.try_clone_to_owned().map_err(open)?).map_err(open)?;
    pack_stack(&folder, out, options, Form::Layer)
}

/// Packs a whole tree, as the processes in it see it, with no marks.
pub fn pack_tree(
    tree: &Stack,
    out: impl Write + Send,
    options: &PackOptions,
) -> Result<Packed, LayerError> {
    pack_stack(tree, out, options, Form::Tree)
}

/// Packs one entry of a tree, a folder with all below it; its name in the archive is `name`, and
/// `.` for the content of a folder.
pub fn pack_entry(
    tree: &Stack,
    found: &Found,
    name: &[u8],
    out: impl Write + Send,
    options: &PackOptions,
) -> Result<Packed, LayerError> {
    pack_with(out, options, Form::Tree, |packer| match found {
        Found::Other(other) => packer.other(name, &Step::Other(other), other),
        Found::Folder(folder) => walk(tree, folder, &mut |path, step| match path {
            b"" => packer.step(name, step),
            _ => packer.step(&join(name, path), step),
        }),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Layer,
    Tree,
}

fn pack_stack(
    tree: &Stack,
    out: impl Write + Send,
    options: &PackOptions,
    form: Form,
) -> Result<Packed, LayerError> {
    pack_with(out, options, form, |packer| {
        walk(tree, tree.root(), &mut |path, step| packer.step(path, step))
    })
}

fn pack_with(
    out: impl Write + Send,
    options: &PackOptions,
    form: Form,
    fill: impl FnOnce(&mut Packer<'_>) -> Result<(), LayerError> + Send,
) -> Result<Packed, LayerError> {
    let mut entries = 0;
    let sums = stream::run(out, options, |sink| {
        let mut packer = Packer {
            tape: Tape::new(sink, options.times),
            options,
            form,
            links: HashMap::new(),
            bytes: 0,
        };
        fill(&mut packer)?;
        entries = packer.tape.finish()?;
        Ok(())
    })?;
    Ok(Packed {
        diff_id: sums.diff_id,
        bytes: sums.bytes,
        digest: sums.digest,
        size: sums.size,
        entries,
    })
}

struct Packer<'a> {
    tape: Tape<'a>,
    options: &'a PackOptions,
    form: Form,
    /// Files with several names: the first of them.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// Of the content of files so far.
    bytes: u64,
}

impl Packer<'_> {
    fn step(&mut self, path: &[u8], step: Step<'_>) -> Result<(), LayerError> {
        match step {
            Step::Leave(..) => Ok(()),
            Step::Enter(_, stat) => {
                self.check_name(path)?;
                let (xattrs, opaque) = self.xattrs(path, step.target()?)?;
                self.folder(path, stat, &xattrs)?;
                if opaque && self.form == Form::Layer {
                    self.tape.append(&mark(opaque_in(path)), &[], None)?;
                }
                Ok(())
            }
            Step::Other(other) => self.other(path, &step, other),
        }
    }

    fn folder(&mut self, path: &[u8], stat: &Stat, xattrs: &[Xattr]) -> Result<(), LayerError> {
        let name = match path {
            b"" if self.options.root_entry => b"./".to_vec(),
            b"" => return Ok(()),
            _ => [path, b"/"].concat(),
        };
        self.tape.append(&header(name, stat, b'5'), xattrs, None)
    }

    fn other(&mut self, path: &[u8], step: &Step<'_>, other: &Other) -> Result<(), LayerError> {
        let stat = &other.stat;
        // Before hard links: whiteouts share one inode.
        if self.form == Form::Layer && is_whiteout(stat) {
            let (folder, name) = split(path);
            let name = join(folder, &whiteout_of(name));
            return self.tape.append(&mark(name), &[], None);
        }
        self.check_name(path)?;
        let mut header = match step.file_type() {
            FileType::RegularFile => header(path.to_vec(), stat, b'0'),
            FileType::Symlink => header(path.to_vec(), stat, b'2'),
            FileType::CharacterDevice => header(path.to_vec(), stat, b'3'),
            FileType::BlockDevice => header(path.to_vec(), stat, b'4'),
            FileType::Fifo => header(path.to_vec(), stat, b'6'),
            _ => return Ok(()),
        };
        if stat.st_nlink > 1 {
            let id = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&id) {
                header.kind = b'1';
                header.link.clone_from(first);
                return self.tape.append(&header, &[], None);
            }
            self.links.insert(id, path.to_vec());
        }
        let (xattrs, _) = self.xattrs(path, step.target()?)?;
        match header.kind {
            b'2' => {
                header.link = readlinkat(&*other.parent, &*other.name, Vec::new())
                    .map_err(|e| LayerError::io("read link", path, e))?
                    .into_bytes();
                self.tape.append(&header, &xattrs, None)
            }
            b'0' => {
                let file = other.open().map_err(|e| LayerError::io("open", path, e))?;
                let now = rustix::fs::fstat(&file).map_err(|e| LayerError::io("read", path, e))?;
                header.size = u64::try_from(now.st_size).unwrap_or_default();
                self.check_size(path, header.size)?;
                self.tape.append(&header, &xattrs, Some(&file))
            }
            _ => self.tape.append(&header, &xattrs, None),
        }
    }

    /// Before anything of it is read: a sparse file may have terabytes, and takes hours.
    fn check_size(&mut self, path: &[u8], bytes: u64) -> Result<(), LayerError> {
        if self.form != Form::Layer {
            return Ok(());
        }
        let limits = &self.options.limits;
        limits.check_file(path, bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > limits.layer_bytes {
            return Err(Limits::bytes_error(limits.layer_bytes));
        }
        Ok(())
    }

    fn check_name(&self, path: &[u8]) -> Result<(), LayerError> {
        if self.form == Form::Layer && is_reserved(split(path).1) {
            return Err(LayerError::Unsupported(format!(
                "{} cannot be in a layer: names in \".wh.\" mean that something is removed; rename it",
                printable(path)
            )));
        }
        Ok(())
    }

    /// The attributes that an archive takes, and whether the folder is opaque.
    fn xattrs(&self, path: &[u8], target: Target<'_>) -> Result<(Vec<Xattr>, bool), LayerError> {
        let mut all = target
            .all()
            .map_err(|e| LayerError::io("read the attributes of", path, e))?;
        let mut opaque = false;
        for (name, value) in &all {
            let Some(own) = OVERLAY_PREFIXES.iter().find_map(|p| name.strip_prefix(*p)) else {
                continue;
            };
            let marked = name == self.options.xattrs.opaque().as_bytes();
            opaque |= marked && value == b"y";
            if self.form == Form::Layer && matches!(own, b"redirect" | b"metacopy") {
                return Err(LayerError::Unsupported(format!(
                    "{} cannot be packed: overlayfs keeps part of it elsewhere (attribute {}); mount with redirect_dir=off,metacopy=off",
                    printable(path),
                    printable(name)
                )));
            }
        }
        all.retain(|(name, _)| judge(name) == Verdict::Apply);
        Ok((all, opaque))
    }
}

fn header(name: Vec<u8>, stat: &Stat, kind: u8) -> Header {
    let device = matches!(kind, b'3' | b'4');
    Header {
        name,
        link: Vec::new(),
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: 0,
        mtime: (
            stat.st_mtime,
            u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        ),
        device: if device {
            (major(stat.st_rdev), minor(stat.st_rdev))
        } else {
            (0, 0)
        },
    }
}

/// The entry of a whiteout or of an opaque folder: an empty file.
fn mark(name: Vec<u8>) -> Header {
    Header {
        name,
        link: Vec::new(),
        kind: b'0',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: 0,
        mtime: (0, 0),
        device: (0, 0),
    }
}
