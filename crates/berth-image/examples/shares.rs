//! Where the time of an image goes, for `cargo xtask bench image`: reading, hashing, inflating, and
//! making files.
//!
//! `shares ROOT IMAGE FOLDER` takes the layers of an image through these stages and prints seconds
//! as JSON. Stages are measured in processor time of this process, so that another process on the
//! same processor does not count: each piece's reading, inflating and hashing between two looks at
//! the clock, the making of files as what a whole unpacking takes beyond that.

use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use berth_base::{Digest, DigestAlgorithm};
use berth_image::layer::{self, Limits, UnpackOptions};
use berth_image::{Hasher, ImageStore};
use rustix::time::{ClockId, clock_gettime};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// As the engine reads.
const PIECE_BYTES: usize = 256 << 10;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [root, image, folder] = &words[..] else {
        return Err("usage: shares ROOT IMAGE FOLDER".into());
    };
    let folder = Path::new(folder);
    let store = ImageStore::open(Path::new(root));
    let image = store.resolve(image)?;
    let mut total = Shares::default();
    for (at, layer) in image.layers.iter().enumerate() {
        let blob = store.blob_path(&layer.descriptor.digest);
        let tree = folder.join(at.to_string());
        fs::create_dir(&tree)?;
        // Not packed: what was hashed as a blob is not hashed again.
        let verified = Some(&layer.diff_id).filter(|d| **d == layer.descriptor.digest);
        total.blob(&blob)?;
        if verified.is_none() {
            total.content(&blob)?;
        }
        total.unpack(&blob, &tree, verified)?;
        total.sync(&blob, &folder.join("blob"))?;
    }
    println!("{}", total.json());
    Ok(())
}

/// Seconds, and bytes.
#[derive(Default)]
struct Shares {
    blob_bytes: u64,
    read: f64,
    hash_blobs: f64,
    inflate: f64,
    hash_content: f64,
    unpack: f64,
    unpack_wall: f64,
    sync_wall: f64,
}

impl Shares {
    /// What a blob takes to be read, and to be hashed.
    fn blob(&mut self, path: &Path) -> Outcome {
        let (bytes, read, hash) = pass(File::open(path)?)?;
        self.blob_bytes += bytes;
        self.read += read;
        self.hash_blobs += hash;
        Ok(())
    }

    /// The same for its content; reading the blob has been counted.
    fn content(&mut self, path: &Path) -> Outcome {
        let (_, reading, _) = pass(File::open(path)?)?;
        let tar = layer::decompress(File::open(path)?, Limits::default().layer_bytes)?;
        let (_, inflate, hash) = pass(tar)?;
        self.inflate += (inflate - reading).max(0.0);
        self.hash_content += hash;
        Ok(())
    }

    fn unpack(&mut self, path: &Path, tree: &Path, verified: Option<&Digest>) -> Outcome {
        let tar = layer::decompress(File::open(path)?, Limits::default().layer_bytes)?;
        let into = File::open(tree)?;
        let (begun, wall) = (clock(), Instant::now());
        let options = UnpackOptions::default();
        match verified {
            Some(diff_id) => layer::unpack_verified(tar, into.as_fd(), &options, diff_id)?,
            None => layer::unpack(tar, into.as_fd(), &options)?,
        };
        self.unpack += clock() - begun;
        self.unpack_wall += wall.elapsed().as_secs_f64();
        Ok(())
    }

    /// What it takes to store a blob for good.
    fn sync(&mut self, path: &Path, copy: &Path) -> Outcome {
        let mut from = File::open(path)?;
        let wall = Instant::now();
        let mut to = File::create(copy)?;
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            to.write_all(buffer.get(..count).unwrap_or_default())?;
        }
        to.sync_all()?;
        self.sync_wall += wall.elapsed().as_secs_f64();
        fs::remove_file(copy)?;
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let write = self.unpack - self.read - self.inflate - self.hash_content;
        serde_json::json!({
            "blob_bytes": self.blob_bytes,
            "read": self.read,
            "hash_blobs": self.hash_blobs,
            "inflate": self.inflate,
            "hash_content": self.hash_content,
            "write": write.max(0.0),
            "unpack_wall": self.unpack_wall,
            "sync_wall": self.sync_wall,
        })
    }
}

/// Reads and hashes a stream: its length, and the seconds of both.
fn pass(mut from: impl Read) -> Outcome<(u64, f64, f64)> {
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
    let mut buffer = vec![0; PIECE_BYTES];
    let (mut reading, mut hashing) = (0.0, 0.0);
    loop {
        let begun = clock();
        let count = from.read(&mut buffer)?;
        let read = clock();
        hasher.update(buffer.get(..count).unwrap_or_default());
        reading += read - begun;
        hashing += clock() - read;
        if count == 0 {
            return Ok((hasher.bytes(), reading, hashing));
        }
    }
}

/// Processor time of all threads of this process, in seconds.
fn clock() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    let seconds = u32::try_from(time.tv_sec).unwrap_or_default();
    f64::from(seconds) + f64::from(nanos) / 1e9
}
