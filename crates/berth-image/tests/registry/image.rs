//! An image in memory, a registry that has it, and the pull of it.

use std::sync::Mutex;
use std::time::Duration;

use berth_base::Digest;
use berth_image::registry::{
    Anonymous, Client, Credentials, HostConfig, PlatformChoice, Pulled, RegistryConfig, Tuning,
    pull,
};
use berth_image::{Descriptor, Hasher, ImageError, ImageRef, Progress, Stage, media};

use crate::hostile::{Request, Response};
use crate::store::Store;

/// A manifest, its configuration and its layers.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) blobs: Vec<(Digest, Vec<u8>)>,
}

impl Image {
    /// Layers of the given lengths, for a platform.
    pub(crate) fn new(architecture: &str, lengths: &[usize]) -> Self {
        let layers: Vec<Vec<u8>> = lengths
            .iter()
            .enumerate()
            .map(|(seed, length)| {
                (0..*length)
                    .map(|i| (i * 7 + i / 251 + seed) as u8)
                    .collect()
            })
            .collect();
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Hasher::sha256(layer)).collect();
        let config = serde_json::to_vec(&serde_json::json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        }))
        .unwrap();
        let config_digest = Hasher::sha256(&config);
        let descriptor = |kind: &str, bytes: &[u8]| {
            Descriptor::new(kind, Hasher::sha256(bytes), bytes.len() as u64)
        };
        let descriptors: Vec<Descriptor> =
            layers.iter().map(|l| descriptor(media::LAYER, l)).collect();
        let manifest = serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2, "mediaType": media::MANIFEST,
            "config": descriptor(media::CONFIG, &config), "layers": descriptors,
        }))
        .unwrap();
        let mut blobs = vec![(config_digest, config)];
        blobs.extend(layers.into_iter().map(|l| (Hasher::sha256(&l), l)));
        Self { manifest, blobs }
    }

    pub(crate) fn digest(&self) -> Digest {
        Hasher::sha256(&self.manifest)
    }

    pub(crate) fn layer(&self, index: usize) -> &(Digest, Vec<u8>) {
        &self.blobs[index + 1]
    }

    /// What an honest registry answers.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let (head, last) = request.path.rsplit_once('/').unwrap();
        if head.ends_with("/manifests") {
            return Response::new(200)
                .with("content-type", media::MANIFEST)
                .with("docker-content-digest", self.digest().as_str())
                .body(self.manifest.clone());
        }
        let found = self
            .blobs
            .iter()
            .find(|(digest, _)| digest.as_str() == last);
        let Some((_, bytes)) = found else {
            return Response::error(404, "BLOB_UNKNOWN", "blob unknown to registry");
        };
        let range = request
            .header("range")
            .and_then(|r| r.strip_prefix("bytes="));
        let start = range.and_then(|r| r.split_once('-')?.0.parse::<usize>().ok());
        match start {
            None => Response::new(200).body(bytes.clone()),
            Some(start) => Response::new(206)
                .with(
                    "content-range",
                    format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len()),
                )
                .body(bytes[start..].to_vec()),
        }
    }
}

/// Quick pauses, and short patience.
pub(crate) fn config() -> RegistryConfig {
    RegistryConfig {
        tuning: Tuning {
            attempts: 3,
            first_pause: Duration::from_millis(2),
            longest_pause: Duration::from_millis(10),
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            ..Tuning::default()
        },
        ..RegistryConfig::default()
    }
}

pub(crate) fn with_host(
    mut config: RegistryConfig,
    name: &str,
    host: HostConfig,
) -> RegistryConfig {
    config.hosts.insert(name.to_owned(), host);
    config
}

/// Keeps what progress says.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) notes: Mutex<Vec<String>>,
    pub(crate) ends: Mutex<Vec<String>>,
    pub(crate) bytes: Mutex<u64>,
    pub(crate) begun_at: Mutex<u64>,
}

impl Progress for Notes {
    fn begin(&self, _item: &str, _stage: Stage, done: u64, _total: Option<u64>) {
        *self.begun_at.lock().unwrap() += done;
    }

    fn advance(&self, _item: &str, bytes: u64) {
        *self.bytes.lock().unwrap() += bytes;
    }

    fn end(&self, _item: &str, word: &str) {
        self.ends.lock().unwrap().push(word.to_owned());
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }
}

/// A pull and all that it was called with.
pub(crate) struct Pull<'a> {
    pub(crate) config: RegistryConfig,
    pub(crate) credentials: Box<dyn Credentials>,
    pub(crate) choice: PlatformChoice,
    pub(crate) store: &'a Store,
    pub(crate) notes: Notes,
    /// Layers that were handed on.
    pub(crate) layers: Mutex<Vec<usize>>,
}

impl<'a> Pull<'a> {
    pub(crate) fn into(store: &'a Store) -> Self {
        Self {
            config: config(),
            credentials: Box::new(Anonymous),
            choice: PlatformChoice::Host,
            store,
            notes: Notes::default(),
            layers: Mutex::default(),
        }
    }

    pub(crate) fn run(&mut self, reference: &str) -> Result<Pulled, ImageError> {
        let credentials = std::mem::replace(&mut self.credentials, Box::new(Anonymous));
        let client = Client::new(self.config.clone(), credentials);
        let image: ImageRef = reference.parse().unwrap();
        let pulled = pull(
            &client,
            &image,
            &self.choice,
            self.store,
            &self.notes,
            &|contents, layers| {
                while let Some(index) = layers.next() {
                    assert!(self.store.has(&contents.layers[index].descriptor.digest));
                    self.layers.lock().unwrap().push(index);
                }
                Ok(())
            },
        );
        self.layers.lock().unwrap().sort_unstable();
        pulled
    }
}

/// An error's words, with the port taken out.
pub(crate) fn words(error: &ImageError, host: &str) -> String {
    error.to_string().replace(host, "HOST")
}
