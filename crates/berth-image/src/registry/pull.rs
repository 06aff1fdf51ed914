//! Pulling: the manifest, then configuration and layers in parallel, each layer handed on as soon
//! as it is whole.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use berth_base::Digest;

use super::client::Client;
use super::config::Endpoint;
use super::failure::Wish;
use super::fetch::Wanted;
use super::manifest::{PlatformChoice, check_platform};
use super::session::{Session, Stop};
use super::sink::BlobStore;
use crate::manifest::CONFIG_MAX_BYTES;
use crate::store::{ImageLayer, chain_ids};
use crate::{Descriptor, ImageConfig, ImageError, ImageRef, Manifest, Progress};

/// What an image consists of, known before its layers are there.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The configuration.
    pub config: ImageConfig,
    /// The layers, the lowest first.
    pub layers: Vec<ImageLayer>,
}

/// The layers of an image, as their blobs come into the store.
pub struct Arriving<'a> {
    ready: Mutex<Receiver<usize>>,
    left: AtomicUsize,
    stop: &'a Stop,
}

impl Arriving<'_> {
    /// The position of a layer whose blob has come, 0 for the lowest; waits for it. `None` where
    /// none comes any more. Several threads can wait.
    pub fn next(&self) -> Option<usize> {
        // The lock is held while waiting: whoever has it is the one that waits.
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let index = ready.recv().ok().filter(|_| !self.stop.is_stopped())?;
        self.left.fetch_sub(1, Ordering::Relaxed);
        Some(index)
    }

    /// Whether all layers have come, rather than a failure.
    pub fn all_came(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0 && !self.stop.is_stopped()
    }

    /// Ends the pull: the consumer failed.
    pub fn stop(&self) {
        self.stop.stop();
    }
}

/// An image whose blobs are all in the store. Nothing refers to it yet: tagging is the caller's.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Its manifest.
    pub manifest: Descriptor,
    /// What it says.
    pub layers: Vec<Descriptor>,
    /// Image id: the digest of the configuration.
    pub id: Digest,
    /// The configuration.
    pub config: ImageConfig,
    /// What the reference means at the registry: the manifest or an index.
    pub repo_digest: Digest,
    /// Whether anything had to be fetched.
    pub is_new: bool,
}

/// Does something with the layers as they come, such as unpacking them.
pub type Consumer<'a> = &'a dyn Fn(&Contents, &Arriving<'_>) -> Result<(), ImageError>;

/// Brings an image into a store. What was fetched before a failure stays, so that the next try
/// goes on from there.
pub fn pull<S: BlobStore>(
    client: &Client,
    image: &ImageRef,
    choice: &PlatformChoice,
    store: &S,
    progress: &dyn Progress,
    consumer: Consumer<'_>,
) -> Result<Pulled, ImageError> {
    let stop = Stop::default();
    let endpoints = client.config().endpoints(image.registry())?;
    let mut session = Session::new(client, progress, &stop)?;
    let found = session.find_manifest(image, choice, &endpoints)?;
    let transfer = Transfer {
        client,
        image,
        choice,
        store,
        progress,
        stop: &stop,
        endpoints: in_order(endpoints, &found.endpoint),
        manifest: &found.manifest,
        failure: Mutex::new(None),
        is_new: Mutex::new(false),
    };
    let config = transfer.run(session, consumer)?;
    let is_new = transfer.is_new.into_inner();
    let mut manifest = found.descriptor;
    // A reference by sha512 names the same bytes that the store knows by sha256.
    manifest.digest = store.put(&found.bytes)?;
    Ok(Pulled {
        manifest,
        id: found.manifest.config.digest,
        layers: found.manifest.layers,
        config,
        repo_digest: found.repo_digest,
        is_new: is_new.unwrap_or_else(PoisonError::into_inner),
    })
}

/// The server that had the manifest first: it likely has the blobs.
fn in_order(mut endpoints: Vec<Endpoint>, first: &Endpoint) -> Vec<Endpoint> {
    endpoints.retain(|endpoint| endpoint != first);
    endpoints.insert(0, first.clone());
    endpoints
}

/// What the threads of one pull share.
struct Transfer<'a, S> {
    client: &'a Client,
    image: &'a ImageRef,
    choice: &'a PlatformChoice,
    store: &'a S,
    progress: &'a dyn Progress,
    stop: &'a Stop,
    endpoints: Vec<Endpoint>,
    manifest: &'a Manifest,
    failure: Mutex<Option<ImageError>>,
    is_new: Mutex<bool>,
}

impl<S: BlobStore> Transfer<'_, S> {
    /// Runs it all; the session, which has a connection already, fetches the configuration.
    fn run(&self, session: Session<'_>, consumer: Consumer<'_>) -> Result<ImageConfig, ImageError> {
        let (done, ready) = channel();
        let queue = Mutex::new(self.queue());
        let arriving = Arriving {
            ready: Mutex::new(ready),
            left: AtomicUsize::new(self.manifest.layers.len()),
            stop: self.stop,
        };
        let tuning = self.client.tuning();
        let workers = tuning
            .transfers
            .clamp(1, 16)
            .min(self.manifest.layers.len());
        let config = thread::scope(|scope| {
            for _worker in 0..workers {
                let (done, queue) = (done.clone(), &queue);
                scope.spawn(move || self.work(queue, done));
            }
            drop(done);
            let config = self.keep_failure(self.fetch_config(session))?;
            let contents = self.contents(config);
            self.keep_failure(consumer(&contents, &arriving))?;
            Some(contents.config)
        });
        let failure = self.failure.lock();
        let failure = failure.unwrap_or_else(PoisonError::into_inner).take();
        match (failure, config) {
            (None, Some(config)) => Ok(config),
            (Some(error), _) => Err(error),
            (None, None) => Err(ImageError::malformed(
                self.image.familiar(),
                "nothing came of it",
            )),
        }
    }

    /// Each different blob of the layers, with the places where it stands.
    fn queue(&self) -> VecDeque<usize> {
        let mut seen = HashSet::new();
        let layers = self.manifest.layers.iter().enumerate();
        layers
            .filter(|(_, layer)| seen.insert(&layer.digest))
            .map(|(index, _)| index)
            .collect()
    }

    /// One thread: fetches layers until there are none, or something failed.
    fn work(&self, queue: &Mutex<VecDeque<usize>>, done: Sender<usize>) {
        let session = Session::new(self.client, self.progress, self.stop);
        let Some(mut session) = self.keep_failure(session) else {
            return;
        };
        while !self.stop.is_stopped() {
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(layer) = next.and_then(|index| self.manifest.layers.get(index)) else {
                return;
            };
            let object = format!(
                "layer {} of {}",
                layer.digest.short(),
                self.image.familiar()
            );
            let fetched = session.fetch_blob(self.store, &self.wanted(layer, object));
            if self.note_new(fetched).is_none() {
                return;
            }
            for (index, other) in self.manifest.layers.iter().enumerate() {
                if other.digest == layer.digest && done.send(index).is_err() {
                    return;
                }
            }
        }
    }

    fn fetch_config(&self, mut session: Session<'_>) -> Result<ImageConfig, ImageError> {
        let descriptor = &self.manifest.config;
        let what = self.image.familiar();
        if descriptor.size > CONFIG_MAX_BYTES {
            let size = descriptor.size;
            let why = format!("a configuration of {size} bytes is too long");
            return Err(ImageError::malformed(what, why));
        }
        let object = format!("the configuration of {what}");
        let fetched = session.fetch_blob(self.store, &self.wanted(descriptor, object));
        drop(session);
        if self.note_new(fetched).is_none() {
            return Err(ImageError::malformed(
                what,
                "its configuration did not come",
            ));
        }
        let bytes = self.read_config(descriptor)?;
        let config = ImageConfig::parse(&what, &bytes)?;
        let (diffs, layers) = (config.rootfs.diff_ids.len(), self.manifest.layers.len());
        if diffs != layers {
            let why = format!("its configuration names {diffs} layers, its manifest {layers}");
            return Err(ImageError::malformed(what, why));
        }
        if let Some(warning) = check_platform(&what, &config, self.choice)? {
            self.progress.note(&warning);
        }
        Ok(config)
    }

    fn read_config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        use std::io::Read as _;
        let missing = || ImageError::MissingBlob {
            digest: descriptor.digest.clone(),
            of: self.image.familiar(),
        };
        let file = self.store.blob(&descriptor.digest)?.ok_or_else(missing)?;
        let mut bytes = Vec::new();
        let path = std::path::Path::new(descriptor.digest.as_str());
        file.take(CONFIG_MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| ImageError::io("read", path, error))?;
        Ok(bytes)
    }

    fn contents(&self, config: ImageConfig) -> Contents {
        let diff_ids = &config.rootfs.diff_ids;
        let chain_ids = chain_ids(diff_ids);
        let layers = self.manifest.layers.iter().zip(diff_ids).zip(chain_ids);
        let layers = layers.map(|((descriptor, diff_id), chain_id)| ImageLayer {
            descriptor: descriptor.clone(),
            diff_id: diff_id.clone(),
            chain_id,
        });
        Contents {
            layers: layers.collect(),
            config,
        }
    }

    fn wanted<'w>(&'w self, descriptor: &'w Descriptor, object: String) -> Wanted<'w> {
        Wanted {
            descriptor,
            repository: self.image.repository(),
            endpoints: &self.endpoints,
            wish: Wish {
                registry: self.image.registry().to_owned(),
                verb: "pull",
                object,
            },
        }
    }

    fn note_new(&self, fetched: Result<bool, ImageError>) -> Option<()> {
        let is_new = self.keep_failure(fetched)?;
        *self.is_new.lock().unwrap_or_else(PoisonError::into_inner) |= is_new;
        Some(())
    }

    /// Keeps the first failure, and stops the other threads.
    fn keep_failure<T>(&self, outcome: Result<T, ImageError>) -> Option<T> {
        match outcome {
            Ok(done) => Some(done),
            Err(error) => {
                let mut kept = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                kept.get_or_insert(error);
                self.stop.stop();
                None
            }
        }
    }
}
