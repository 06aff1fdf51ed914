//! The measured image, as an archive of the kind that `docker save` writes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::content::{Numbers, Writer};
use crate::exec;
use crate::failure::{Failure, Outcome};

const BUSYBOX: &str = "/usr/bin/busybox";

/// How large an image is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) layers: usize,
    /// Small files of a layer.
    pub(super) files: usize,
    /// Large files of a layer.
    pub(super) large: usize,
}

impl Size {
    /// 1 GiB in 40,000 small files and 40 large ones.
    pub(super) const WHOLE: Self = Self {
        layers: 10,
        files: 4_000,
        large: 4,
    };
    /// A sixth of it, to see that everything works.
    pub(super) const QUICK: Self = Self {
        layers: 10,
        files: 250,
        large: 1,
    };
}

/// Small files are at most so long, on average half of it.
const SMALL_MAX: usize = 24 << 10;
/// Large files are this long, or up to 1 MiB longer.
const LARGE_BYTES: usize = 26 << 19;
/// Small files of a folder.
const FOLDER_FILES: usize = 50;
/// One file in so many is in the layer above again, changed.
const CHANGED: usize = 40;

/// An archive and what is in it.
pub(super) struct Archive {
    pub(super) path: PathBuf,
    /// Bytes of the uncompressed layers.
    pub(super) bytes: u64,
    /// Files of all layers.
    pub(super) files: usize,
}

/// Writes the archive of an image called `name` into a folder.
///
/// # Errors
/// A file cannot be written, or `sha256sum` fails.
pub(super) fn make(folder: &Path, name: &str, size: Size) -> Outcome<Archive> {
    let path = folder.join("image.tar");
    let failed = |error: io::Error| Failure::file("write", &path, &error);
    let writer = Writer::new();
    let mut layers = Vec::new();
    for at in 0..size.layers {
        let layer = folder.join(format!("layer-{at}.tar"));
        write_layer(&layer, &writer, at, size).map_err(|e| Failure::file("write", &layer, &e))?;
        layers.push((sha256(&layer)?, layer));
    }
    let mut tar = Tar::create(&path).map_err(failed)?;
    let mut bytes = 0;
    for (hex, layer) in &layers {
        bytes += tar
            .copy(&format!("{hex}/layer.tar"), layer)
            .map_err(failed)?;
        fs::remove_file(layer).map_err(|e| Failure::file("remove", layer, &e))?;
    }
    let ids: Vec<String> = layers.iter().map(|(h, _)| format!("sha256:{h}")).collect();
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": { "Cmd": ["true"], "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": ids },
    });
    let paths: Vec<String> = layers
        .iter()
        .map(|(h, _)| format!("{h}/layer.tar"))
        .collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": paths }]);
    tar.file("config.json", 0o644, config.to_string().as_bytes())
        .and_then(|()| tar.file("manifest.json", 0o644, manifest.to_string().as_bytes()))
        .and_then(|()| tar.finish())
        .map_err(failed)?;
    let changed = (size.layers - 1) * size.files.div_ceil(CHANGED);
    Ok(Archive {
        path,
        bytes,
        files: size.layers * (size.files + size.large) + changed,
    })
}

/// The digest of a file in hex.
fn sha256(path: &Path) -> Outcome<String> {
    let text = exec::read(Command::new("sha256sum").arg(path))?;
    let hex = text.split_whitespace().next().unwrap_or_default();
    Ok(hex.to_owned())
}

fn write_layer(path: &Path, writer: &Writer, at: usize, size: Size) -> io::Result<()> {
    let mut tar = Tar::create(path)?;
    if at == 0 {
        for name in ["bin/", "dev/", "etc/", "proc/", "sys/", "tmp/", "srv/"] {
            tar.folder(name)?;
        }
        tar.file("bin/busybox", 0o755, &fs::read(BUSYBOX)?)?;
        for name in ["bin/sh", "bin/true", "bin/sleep"] {
            tar.symlink(name, "busybox")?;
        }
    }
    tar.folder(&format!("srv/{at}/"))?;
    let mut numbers = Numbers::new(at as u64);
    for file in 0..size.files {
        if file % FOLDER_FILES == 0 {
            tar.folder(&format!("srv/{at}/{}/", file / FOLDER_FILES))?;
        }
        let text = writer.text(numbers.next(), numbers.below(SMALL_MAX));
        tar.file(&small(at, file), 0o644, &text)?;
    }
    for file in 0..size.large {
        let length = LARGE_BYTES + numbers.below(1 << 20);
        let code = writer.code(numbers.next(), length);
        tar.file(&format!("srv/{at}/large-{file}"), 0o755, &code)?;
    }
    if let Some(below) = at.checked_sub(1) {
        for file in (0..size.files).step_by(CHANGED) {
            let text = writer.text(numbers.next(), numbers.below(SMALL_MAX));
            tar.file(&small(below, file), 0o600, &text)?;
        }
    }
    tar.finish()
}

fn small(layer: usize, file: usize) -> String {
    format!("srv/{layer}/{}/{file}.txt", file / FOLDER_FILES)
}

/// Writes a tar (POSIX ustar).
struct Tar(BufWriter<File>);

const BLOCK: usize = 512;

impl Tar {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::with_capacity(1 << 20, File::create(path)?)))
    }

    fn folder(&mut self, name: &str) -> io::Result<()> {
        self.header(name, b'5', 0o755, 0, "")
    }

    fn symlink(&mut self, name: &str, target: &str) -> io::Result<()> {
        self.header(name, b'2', 0o777, 0, target)
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.header(name, b'0', mode, content.len() as u64, "")?;
        self.0.write_all(content)?;
        self.pad(content.len() as u64)
    }

    /// A file of the host as an entry; answers its length.
    fn copy(&mut self, name: &str, from: &Path) -> io::Result<u64> {
        let mut from = File::open(from)?;
        let length = from.metadata()?.len();
        self.header(name, b'0', 0o644, length, "")?;
        io::copy(&mut from, &mut self.0)?;
        self.pad(length)?;
        Ok(length)
    }

    fn finish(mut self) -> io::Result<()> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        self.0.flush()
    }

    fn pad(&mut self, length: u64) -> io::Result<()> {
        let rest = length.wrapping_neg() % BLOCK as u64;
        io::copy(&mut io::repeat(0).take(rest), &mut self.0).map(drop)
    }

    fn header(
        &mut self,
        name: &str,
        kind: u8,
        mode: u32,
        size: u64,
        target: &str,
    ) -> io::Result<()> {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, text: &str| {
            block[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        put(0, name);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{size:011o}"));
        // 2026-01-01, for all.
        put(136, &format!("{:011o}", 1_767_225_600));
        put(148, "        ");
        put(157, target);
        put(257, "ustar");
        put(263, "00");
        block[156] = kind;
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.write_all(&block)
    }
}
