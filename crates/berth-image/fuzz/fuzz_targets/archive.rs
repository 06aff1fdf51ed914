//! Any bytes as an archive of images: nothing panics, what was refused leaves no name, and what was
//! loaded can be saved and loaded again.
//!
//! An input that begins with `O` or `D` is made into an OCI or a Docker archive: its parts become
//! blobs under their digests, the last one the document that names them.
#![no_main]

use berth_image::archive::{LoadLimits, LoadOptions, Loaded, Source, load};
use berth_image::{ImageError, ImageStore, NoProgress, media};
use berth_image_fuzz::{PART, folder, join, plant, resolve, tar_of};

const CONFIG: &[u8] =
    br#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["@0"]}}"#;
const DOCKER: &[u8] =
    br#"[{"Config":"blobs/sha256/@1","RepoTags":["a:1",null],"Layers":["blobs/sha256/@0"]}]"#;

fn limits() -> LoadLimits {
    LoadLimits {
        entries: 200,
        memory_bytes: 4 << 20,
        blob_bytes: 4 << 20,
        total_bytes: 16 << 20,
        images: 10,
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let layer = tar_of(&[("file", b"content")]);
    let descriptor =
        |kind: &str, of: u8| format!(r#"{{"mediaType":"{kind}","digest":"@{of}","size":#{of}}}"#);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        media::MANIFEST,
        descriptor(media::CONFIG, 1),
        descriptor(media::LAYER, 0),
    );
    let name = r#","annotations":{"org.opencontainers.image.ref.name":"b:2"}}"#;
    let named = descriptor(media::MANIFEST, 2).replace('}', name);
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{named}]}}"#);
    let nested = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        descriptor(media::INDEX, 3)
    );
    let parts: &[&[u8]] = &[&layer, CONFIG, manifest.as_bytes(), index.as_bytes()];
    let docker = [b"D".as_slice(), &join(&[&layer, CONFIG, DOCKER])].concat();
    vec![
        [b"O".as_slice(), &join(parts)].concat(),
        [
            b"O".as_slice(),
            &join(&[parts, &[nested.as_bytes()]].concat()),
        ]
        .concat(),
        build(docker.get(1..).unwrap_or_default(), "manifest.json"),
        docker,
    ]
}

/// The archive of an input's parts.
fn build(input: &[u8], document: &str) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for part in input.split(|byte| *byte == PART).take(10) {
        let resolved = resolve(part, &parts);
        parts.push(resolved);
    }
    let last = parts.pop().unwrap_or_default();
    let blobs: Vec<(String, &Vec<u8>)> = parts
        .iter()
        .map(|part| {
            let digest = berth_image::Hasher::sha256(part);
            (format!("blobs/sha256/{}", digest.hex()), part)
        })
        .collect();
    // Docker's names have no algorithm before the digits.
    let last = match document {
        "manifest.json" => String::from_utf8_lossy(&last)
            .replace("sha256/sha256:", "sha256/")
            .into_bytes(),
        _ => last,
    };
    let mut files: Vec<(&str, &[u8])> = blobs
        .iter()
        .map(|(name, content)| (name.as_str(), content.as_slice()))
        .collect();
    files.push(("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#));
    files.push((document, &last));
    tar_of(&files)
}

fn take(store: &ImageStore, source: Source<'_>) -> Result<Vec<Loaded>, ImageError> {
    let options = LoadOptions {
        limits: limits(),
        ..LoadOptions::default()
    };
    load(store, source, &options, &NoProgress)
}

fn check(input: &[u8]) {
    let archive = match input.split_first() {
        Some((b'O', rest)) => build(rest, "index.json"),
        Some((b'D', rest)) => build(rest, "manifest.json"),
        _ => input.to_vec(),
    };
    let outer = folder();
    let store = ImageStore::open(&outer.path().join("root"));
    let stream = Source::Stream {
        name: "it".to_owned(),
        input: Box::new(archive.as_slice()),
    };
    let loaded = take(&store, stream);
    assert_eq!(std::fs::read_dir(outer.path()).expect("list").count(), 1);
    let listed = store.images().expect("list the images");
    let Ok(loaded) = loaded else {
        assert!(listed.is_empty(), "{listed:?}");
        return;
    };
    assert!(!loaded.is_empty() && !listed.is_empty());
    for listed in listed {
        listed.image.expect("a loaded image reads back");
    }
    // The store is itself a layout.
    let again = ImageStore::open(&outer.path().join("again"));
    let layout = std::fs::File::open(store.layout()).expect("open the layout");
    let source = Source::Folder {
        name: "the layout".to_owned(),
        folder: layout.into(),
    };
    take(&again, source).expect("load the layout");
}

libfuzzer_sys::fuzz_target!(init: plant(seeds()), |input: &[u8]| check(input));
