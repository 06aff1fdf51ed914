//! Archives that the tests write themselves.

use std::io::Write;
use std::sync::Mutex;

use berth_base::Digest;
use berth_image::archive::{FinishedLayer, LoadOptions, Loaded, Source, load};
use berth_image::{Hasher, ImageError, ImageStore, NoProgress, Platform};
use tar::{EntryType, Header};

/// A store of the test's own.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub store: ImageStore,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(dir.path());
        Self { dir, store }
    }

    pub fn load(&self, archive: &[u8]) -> Result<Vec<Loaded>, ImageError> {
        self.load_with(archive, &LoadOptions::default())
    }

    pub fn load_with(
        &self,
        archive: &[u8],
        options: &LoadOptions<'_>,
    ) -> Result<Vec<Loaded>, ImageError> {
        load(&self.store, stream(archive), options, &NoProgress)
    }

    pub fn load_for(&self, archive: &[u8], platform: &str) -> Result<Vec<Loaded>, ImageError> {
        let options = LoadOptions {
            platform: Platform::parse(platform),
            ..LoadOptions::default()
        };
        self.load_with(archive, &options)
    }

    /// Loads, and answers the layers in the order in which they were told.
    pub fn load_watched(&self, archive: &[u8]) -> (Vec<Loaded>, Vec<FinishedLayer>) {
        let seen = Mutex::new(Vec::new());
        let watch = |layer: &FinishedLayer| seen.lock().unwrap().push(layer.clone());
        let options = LoadOptions {
            on_layer: Some(&watch),
            ..LoadOptions::default()
        };
        let loaded = self.load_with(archive, &options).unwrap();
        (loaded, seen.into_inner().unwrap())
    }

    /// The words of a refusal, which must have named nothing and left nothing half done.
    pub fn refusal(&self, archive: &[u8]) -> String {
        let error = self.load(archive).unwrap_err();
        self.assert_untouched();
        error.to_string()
    }

    pub fn assert_untouched(&self) {
        assert!(self.store.images().unwrap().is_empty());
        let parts = self.dir.path().join("image-work/ingest");
        let left: Vec<_> = std::fs::read_dir(parts).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

pub fn stream(archive: &[u8]) -> Source<'_> {
    Source::Stream {
        name: "it.tar".to_owned(),
        input: Box::new(archive),
    }
}

/// A tar under way.
#[derive(Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, None, bytes);
        self
    }

    pub fn link(mut self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Symlink, Some(target), b"");
        self
    }

    pub fn hard_link(mut self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Link, Some(target), b"");
        self
    }

    pub fn kind(mut self, name: &str, kind: EntryType, bytes: &[u8]) -> Self {
        self.entry(name, kind, None, bytes);
        self
    }

    fn entry(&mut self, name: &str, kind: EntryType, target: Option<&str>, bytes: &[u8]) {
        let mut header = Header::new_gnu();
        // The crate's own setters refuse what the tests are about.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        if let Some(target) = target {
            let field = &mut header.as_old_mut().linkname;
            field[..target.len()].copy_from_slice(target.as_bytes());
        }
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(bytes);
        let length = self.0.len().next_multiple_of(512);
        self.0.resize(length, 0);
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }

    /// Without the blocks that end it.
    pub fn open_end(self) -> Vec<u8> {
        self.0
    }
}

/// A layer with one file of this content.
pub fn layer(content: &[u8]) -> Vec<u8> {
    Tar::default().file("file", content).end()
}

/// A layer that is too large to wait in memory.
pub fn large_layer(seed: u8) -> Vec<u8> {
    let content: Vec<u8> = (0..1_100_000_u32)
        .map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[2] ^ seed)
        .collect();
    layer(&content)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

pub fn digest(bytes: &[u8]) -> Digest {
    Hasher::sha256(bytes)
}

pub fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", digest(bytes).hex())
}

/// A configuration of layers by their uncompressed content.
pub fn config(architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|l| format!("\"{}\"", digest(l)))
        .collect();
    format!(
        r#"{{"architecture":"{architecture}","os":"linux","config":{{"Cmd":["sh"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    )
    .into_bytes()
}

pub fn manifest_json(images: &[(&str, &[&str], &[&str])]) -> Vec<u8> {
    let list: Vec<serde_json::Value> = images
        .iter()
        .map(|(config, tags, layers)| {
            serde_json::json!({ "Config": config, "RepoTags": tags, "Layers": layers })
        })
        .collect();
    serde_json::to_vec(&list).unwrap()
}

/// An OCI manifest of a configuration and layers, each with its media type.
pub fn manifest(config: &[u8], layers: &[(&str, &[u8])]) -> Vec<u8> {
    let layers: Vec<_> = layers
        .iter()
        .map(|(kind, bytes)| descriptor(kind, bytes))
        .collect();
    serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": berth_image::media::MANIFEST,
        "config": descriptor(berth_image::media::CONFIG, config),
        "layers": layers,
    }))
    .unwrap()
}

pub fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({
        "mediaType": media_type,
        "digest": digest(bytes).to_string(),
        "size": bytes.len(),
    })
}

pub fn index(entries: &[serde_json::Value]) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({ "schemaVersion": 2, "manifests": entries })).unwrap()
}

/// Adds an annotation to an entry.
pub fn named(mut entry: serde_json::Value, key: &str, name: &str) -> serde_json::Value {
    entry["annotations"][key] = name.into();
    entry
}

/// Adds a platform to an entry.
pub fn on(mut entry: serde_json::Value, architecture: &str) -> serde_json::Value {
    let os = if architecture == "unknown" {
        "unknown"
    } else {
        "linux"
    };
    entry["platform"] = serde_json::json!({ "os": os, "architecture": architecture });
    entry
}

pub const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The names that were loaded, as listings show them.
pub fn names(loaded: &[Loaded]) -> Vec<String> {
    let all = loaded.iter().flat_map(|l| &l.image.references);
    all.map(ToString::to_string).collect()
}
