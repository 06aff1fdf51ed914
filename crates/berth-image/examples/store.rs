//! Drives the store's functions one at a time, for `cargo xtask crash`: it is killed at each point
//! of them.
//!
//! `store ROOT image NAME SEED`, `unpack NAME`, `save NAME FILE`, `load FILE`, `tag NAME NEW`,
//! `untag NAME`, `forget NAME`, `collect`, `settle`, `sweep`, `drop-parts`, and `check`, which
//! verifies every blob of every image and every file of every unpacked layer. FILE is below ROOT.

use std::error::Error;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use berth_base::Digest;
use berth_image::archive::{LoadOptions, SaveFormat, SaveItem, Source, load, save};
use berth_image::layer::decompress;
use berth_image::manifest::Manifest;
use berth_image::store::{Ingest, Pins, UnpackHere};
use berth_image::{Descriptor, Hasher, Image, ImageRef, ImageStore, Lease, NoProgress, media};

/// How many layers an image has.
const LAYERS: usize = 2;
/// Bytes of the file in a layer.
const FILE_BYTES: usize = 6000;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("store: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((root, command)) = words.split_first() else {
        return Err("usage: store ROOT COMMAND".into());
    };
    let store = ImageStore::open(Path::new(root));
    match *command {
        ["image", name, seed] => image(&store, name, seed),
        ["unpack", name] => {
            let image = store.resolve(name)?;
            store.unpack_image(&image, &UnpackHere::default(), &NoProgress)?;
            Ok(())
        }
        ["save", name, file] => {
            let image = store.resolve(name)?;
            let names = image.references.clone();
            let out = std::fs::File::create(Path::new(root).join(file))?;
            let items = [SaveItem { image, names }];
            save(&store, &items, SaveFormat::Both, &out, file, &NoProgress)?;
            Ok(())
        }
        ["load", file] => {
            let input = std::fs::File::open(Path::new(root).join(file))?;
            let source = Source::Stream {
                name: file.to_owned(),
                input: Box::new(input),
            };
            load(&store, source, &LoadOptions::default(), &NoProgress)?;
            Ok(())
        }
        ["tag", name, new] => {
            let image = store.resolve(name)?;
            store.tag(&store.lease()?, Some(&new.parse()?), &image.manifest, None)?;
            Ok(())
        }
        ["untag", name] => store.untag(&name.parse()?).map(drop).map_err(Into::into),
        ["forget", name] => {
            if let Ok(image) = store.resolve(name) {
                store.forget(&image.manifest.digest)?;
            }
            Ok(())
        }
        ["collect"] => collect(&store),
        ["settle"] => store.settle_layers().map_err(Into::into),
        ["sweep"] => sweep(&store),
        ["drop-parts"] => store.drop_parts().map(drop).map_err(Into::into),
        ["check"] => check(&store),
        _ => Err(format!("store does not know {command:?}").into()),
    }
}

/// Stores an image of a few layers, whose content the seed decides, and names it.
fn image(store: &ImageStore, name: &str, seed: &str) -> Outcome {
    let reference: ImageRef = name.parse()?;
    let lease = store.lease()?;
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    for number in 0..LAYERS {
        let bytes = layer(seed, number)?;
        let digest = match number {
            0 => in_parts(store, &lease, &bytes)?,
            _ => unknown(store, &lease, &bytes)?,
        };
        diff_ids.push(digest.to_string());
        layers.push(Descriptor::new(media::LAYER, digest, bytes.len() as u64));
    }
    let config = serde_json::json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Cmd": [seed] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = serde_json::to_vec(&config)?;
    let digest = store.put(&lease, &config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media::MANIFEST.into()),
        config: Descriptor::new(media::CONFIG, digest, config.len() as u64),
        layers,
        annotations: Default::default(),
    };
    let manifest = serde_json::to_vec(&manifest)?;
    let digest = store.put(&lease, &manifest)?;
    let descriptor = Descriptor::new(media::MANIFEST, digest, manifest.len() as u64);
    store.tag(&lease, Some(&reference), &descriptor, None)?;
    Ok(())
}

/// The tar of a layer: one file, named by the number of the layer.
fn layer(seed: &str, number: usize) -> std::io::Result<Vec<u8>> {
    let line = format!("{seed} {number}\n");
    let content: Vec<u8> = line.bytes().cycle().take(FILE_BYTES).collect();
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header, format!("content-{number}"), &content[..])?;
    tar.into_inner()
}

/// As a download that breaks in the middle and is gone on with.
fn in_parts(store: &ImageStore, lease: &Lease, bytes: &[u8]) -> Result<Digest, Box<dyn Error>> {
    let digest = Hasher::sha256(bytes);
    let size = Some(bytes.len() as u64);
    for end in [bytes.len() / 2, bytes.len()] {
        let Ingest::Writing(mut writer) = store.ingest(lease, &digest, size, || {})? else {
            break;
        };
        let begin = usize::try_from(writer.offset())?;
        writer.write_all(bytes.get(begin..end).unwrap_or_default())?;
        if end == bytes.len() {
            writer.commit()?;
        }
    }
    Ok(digest)
}

fn unknown(store: &ImageStore, lease: &Lease, bytes: &[u8]) -> Result<Digest, Box<dyn Error>> {
    let mut writer = store.ingest_unknown(lease)?;
    writer
        .write_all(bytes)
        .map_err(|e| format!("cannot write a blob: {e}"))?;
    Ok(writer.commit(lease)?.0)
}

fn collect(store: &ImageStore) -> Outcome {
    let collected = store.collect(|| Ok(Pins::default()))?;
    first(collected.errors)
}

fn sweep(store: &ImageStore) -> Outcome {
    first(store.sweep(|_| false)?.errors)
}

fn first<E: Error + 'static>(errors: Vec<E>) -> Outcome {
    match errors.into_iter().next() {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

/// Prints `NAME MANIFEST UNPACKED` for each image; fails where one of them is not whole.
fn check(store: &ImageStore) -> Outcome {
    for listed in store.images()? {
        let image = listed.image?;
        let unpacked = check_image(store, &image)?;
        let manifest = &image.manifest.digest;
        match image.references.as_slice() {
            [] => println!("- {manifest} {unpacked}"),
            names => names
                .iter()
                .for_each(|name| println!("{} {manifest} {unpacked}", name.familiar())),
        }
    }
    Ok(())
}

/// Verifies an image; the number of its layers that are unpacked.
fn check_image(store: &ImageStore, image: &Image) -> Result<usize, Box<dyn Error>> {
    let mut unpacked = 0;
    for layer in &image.layers {
        let digest = &layer.descriptor.digest;
        let bytes = blob(store, digest)?;
        if Hasher::sha256(&bytes) != *digest {
            return Err(format!("the blob {digest} is damaged").into());
        }
        if store.has_layer(&layer.chain_id) {
            let tree = store.layer_fs(&layer.chain_id);
            let content = decompress(&bytes[..], u64::MAX)?;
            for entry in tar::Archive::new(content).entries()? {
                let mut entry = entry?;
                if !entry.header().entry_type().is_file() {
                    continue;
                }
                let mut expected = Vec::new();
                entry.read_to_end(&mut expected)?;
                let path = tree.join(entry.path()?);
                if std::fs::read(&path)? != expected {
                    return Err(format!("{} is damaged", path.display()).into());
                }
            }
            store.layer_meta(&layer.chain_id)?.ok_or("no layer.json")?;
            unpacked += 1;
        }
    }
    Ok(unpacked)
}

fn blob(store: &ImageStore, digest: &Digest) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut file = store.blob(digest)?.ok_or("a blob is missing")?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
