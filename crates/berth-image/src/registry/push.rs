//! Pushing: the blobs in parallel, then the manifest.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use berth_base::Digest;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;

use super::body::Payload;
use super::client::Client;
use super::config::Endpoint;
use super::failure::{Failure, Wish};
use super::line::{Ask, Target};
use super::reply::expect;
use super::session::{Session, Stop};
use super::sink::BlobStore;
use super::upload::Sending;
use crate::manifest::MANIFEST_MAX_BYTES;
use crate::{
    Descriptor, Document, Hasher, ImageError, ImageRef, Manifest, Progress, parse_document,
};

/// Brings an image from a store to a registry, under the reference's tag (or by its digest alone).
/// `relatives` are other references to the image or its layers: a registry that has them there
/// needs no upload. Answers the manifest's digest.
pub fn push<S: BlobStore>(
    client: &Client,
    image: &ImageRef,
    manifest: &Descriptor,
    store: &S,
    relatives: &[ImageRef],
    progress: &dyn Progress,
) -> Result<Digest, ImageError> {
    let what = image.familiar();
    let bytes = read_manifest(store, manifest, &what)?;
    let document = parse_document(&what, &bytes, Some(&manifest.media_type))?;
    let Document::Manifest(parsed) = document else {
        let why = "it is an index of several platforms, which is not kept here";
        return Err(ImageError::unsupported(what, why));
    };
    let neighbours = neighbours(image, relatives);
    let stop = Stop::default();
    let upload = Upload {
        client,
        image,
        store,
        progress,
        stop: &stop,
        endpoint: client.config().origin(image.registry())?,
        scope: scope(image.repository(), &neighbours),
        neighbours,
        failure: Mutex::new(None),
    };
    let mut session = Session::new(client, progress, &stop)?;
    upload.send_all(&parsed)?;
    upload.send_manifest(&mut session, manifest, &bytes)
}

/// Repositories of the same registry.
fn neighbours(image: &ImageRef, relatives: &[ImageRef]) -> Vec<String> {
    let mut seen = HashSet::new();
    let same = relatives
        .iter()
        .filter(|other| other.registry() == image.registry())
        .map(ImageRef::repository)
        .filter(|repository| *repository != image.repository() && seen.insert(*repository));
    same.map(str::to_owned).collect()
}

/// What a token must allow: to push here, and to read where a blob is mounted from.
fn scope(repository: &str, neighbours: &[String]) -> String {
    let mut scope = format!("repository:{repository}:pull,push");
    if let Some(neighbour) = neighbours.first() {
        scope.push_str(&format!(" repository:{neighbour}:pull"));
    }
    scope
}

fn read_manifest<S: BlobStore>(
    store: &S,
    manifest: &Descriptor,
    what: &str,
) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    open(store, &manifest.digest, what)?
        .take(MANIFEST_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| ImageError::io("read", Path::new(manifest.digest.as_str()), error))?;
    let mut hasher = Hasher::new(manifest.digest.algorithm());
    hasher.update(&bytes);
    let actual = hasher.finish();
    if actual != manifest.digest {
        return Err(ImageError::Digest {
            what: format!("the manifest of {what}"),
            expected: manifest.digest.clone(),
            actual,
        });
    }
    Ok(bytes)
}

fn open<S: BlobStore>(store: &S, digest: &Digest, what: &str) -> Result<File, ImageError> {
    store.blob(digest)?.ok_or_else(|| ImageError::MissingBlob {
        digest: digest.clone(),
        of: what.to_owned(),
    })
}

/// Whether a layer stays where its publisher wants it.
fn stays_away(descriptor: &Descriptor) -> bool {
    let kind = &descriptor.media_type.0;
    !descriptor.urls.is_empty() && (kind.contains(".foreign") || kind.contains(".nondistributable"))
}

/// What the threads of one push share.
struct Upload<'a, S> {
    client: &'a Client,
    image: &'a ImageRef,
    store: &'a S,
    progress: &'a dyn Progress,
    stop: &'a Stop,
    endpoint: Endpoint,
    scope: String,
    neighbours: Vec<String>,
    failure: Mutex<Option<ImageError>>,
}

impl<S: BlobStore> Upload<'_, S> {
    fn send_all(&self, manifest: &Manifest) -> Result<(), ImageError> {
        let mut seen = HashSet::new();
        let blobs = std::iter::once(&manifest.config).chain(&manifest.layers);
        let mut blobs: Vec<&Descriptor> = blobs
            .filter(|blob| seen.insert(&blob.digest) && !stays_away(blob))
            .collect();
        // Taken from the end: the configuration and the lowest layers go first.
        blobs.reverse();
        let workers = self.client.tuning().transfers.clamp(1, 16).min(blobs.len());
        let queue = Mutex::new(blobs);
        thread::scope(|scope| {
            for _worker in 0..workers {
                scope.spawn(|| {
                    if let Err(error) = self.work(&queue) {
                        let failure = self.failure.lock();
                        let mut failure = failure.unwrap_or_else(PoisonError::into_inner);
                        failure.get_or_insert(error);
                        self.stop.stop();
                    }
                });
            }
        });
        let failure = self.failure.lock();
        match failure.unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// One thread: sends blobs until there are none, or something failed.
    fn work(&self, queue: &Mutex<Vec<&Descriptor>>) -> Result<(), ImageError> {
        let what = self.image.familiar();
        let mut session = Session::new(self.client, self.progress, self.stop)?;
        while !self.stop.is_stopped() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(descriptor) = next else { break };
            let sending = Sending {
                descriptor,
                endpoint: &self.endpoint,
                repository: self.image.repository(),
                neighbours: &self.neighbours,
                scope: &self.scope,
                wish: self.wish(format!("{} of {what}", descriptor.digest.short())),
            };
            session.send_blob(&sending, || open(self.store, &descriptor.digest, &what))?;
        }
        Ok(())
    }

    fn wish(&self, object: String) -> Wish {
        Wish {
            registry: self.image.registry().to_owned(),
            verb: "push",
            object,
        }
    }

    /// Sends the manifest as it is, so that its digest stays.
    fn send_manifest(
        &self,
        session: &mut Session<'_>,
        manifest: &Descriptor,
        bytes: &[u8],
    ) -> Result<Digest, ImageError> {
        let wish = self.wish(self.image.familiar());
        let repository = self.image.repository();
        let name = match self.image.tag() {
            Some(tag) => tag,
            None => manifest.digest.as_str(),
        };
        let ask = Ask {
            endpoint: &self.endpoint,
            method: Method::PUT,
            target: Target::Path(format!("{repository}/manifests/{name}")),
            headers: vec![(CONTENT_TYPE, manifest.media_type.0.clone())],
            payload: Payload::Bytes(Bytes::copy_from_slice(bytes)),
            scope: &self.scope,
            repository,
        };
        let sent = session.retried(&wish, async |line| {
            let idle = line.client.tuning().idle;
            let reply = line.ask(&ask).await?;
            let reply = expect(reply, &[200, 201], &self.endpoint.name, idle).await?;
            let said = reply.response.headers().get("docker-content-digest");
            let said = said.and_then(|value| value.to_str().ok()?.parse::<Digest>().ok());
            match said {
                Some(said)
                    if said != manifest.digest
                        && said.algorithm() == manifest.digest.algorithm() =>
                {
                    Err(Failure::Other(ImageError::Digest {
                        what: format!("the manifest of {} at the registry", wish.object),
                        expected: manifest.digest.clone(),
                        actual: said,
                    }))
                }
                _ => Ok(()),
            }
        });
        sent.map_err(|failure| failure.into_error(&wish))?;
        Ok(manifest.digest.clone())
    }
}
