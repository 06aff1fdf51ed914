//! One blob from a registry into a store: resumed, bounded, verified.

use berth_base::{Digest, ErrorClass};
use hyper::Method;
use hyper::header::{CONTENT_RANGE, HeaderMap, RANGE};

use super::body::Payload;
use super::config::Endpoint;
use super::failure::{Failure, Wish};
use super::line::{Ask, Line, Reply, Target};
use super::manifest::{page_instead, pull_scope};
use super::reply::{expect, is_page, next_piece};
use super::session::{Session, Stop, Tries};
use super::sink::{BlobStore, BlobWrite};
use super::url::{Scheme, Url};
use crate::{Descriptor, ImageError, Progress, Stage};

/// A blob that is wanted.
pub(super) struct Wanted<'a> {
    pub(super) descriptor: &'a Descriptor,
    pub(super) repository: &'a str,
    /// The servers to ask, in this order.
    pub(super) endpoints: &'a [Endpoint],
    pub(super) wish: Wish,
}

/// Where one try gets its bytes from.
enum Source<'a> {
    Registry(&'a Endpoint),
    /// A foreign layer's place elsewhere.
    Elsewhere(&'a Endpoint, Url),
}

impl Session<'_> {
    /// Brings a blob into the store; answers false where it was there.
    pub(super) fn fetch_blob<S: BlobStore>(
        &mut self,
        store: &S,
        wanted: &Wanted<'_>,
    ) -> Result<bool, ImageError> {
        let digest = &wanted.descriptor.digest;
        let item = item(digest);
        let (progress, size) = (self.progress, wanted.descriptor.size);
        let mut again = true;
        loop {
            let Some(writer) = store.ingest(digest, Some(size))? else {
                progress.begin(item, Stage::Downloading, size, Some(size));
                progress.end(item, "already here");
                return Ok(false);
            };
            let offset = writer.offset();
            progress.begin(item, Stage::Downloading, offset, Some(size));
            match self.fill(writer, wanted) {
                Ok(()) => {
                    progress.end(item, "done");
                    return Ok(true);
                }
                // The part from before can have been the bad one: once more from the start.
                Err(error @ (ImageError::Digest { .. } | ImageError::Size { .. }))
                    if offset > 0 && again =>
                {
                    again = false;
                    progress.note(&format!("{}: {error}", wanted.wish.object));
                }
                Err(error) => {
                    progress.end(item, "failed");
                    return Err(error);
                }
            }
        }
    }

    /// Fills and commits a blob from the first source that can.
    fn fill<W: BlobWrite>(&mut self, mut writer: W, wanted: &Wanted<'_>) -> Result<(), ImageError> {
        let size = wanted.descriptor.size;
        if writer.offset() > size {
            let actual = writer.offset();
            writer.discard();
            return Err(too_long(wanted, actual));
        }
        let mut last = None;
        for source in sources(wanted) {
            if writer.offset() == size {
                break;
            }
            match self.fill_from(&mut writer, &source, wanted) {
                Ok(()) => {
                    last = None;
                    break;
                }
                Err(Failure::Other(error @ (ImageError::Size { .. } | ImageError::Io { .. }))) => {
                    if matches!(error, ImageError::Size { .. }) {
                        writer.discard();
                    }
                    return Err(error);
                }
                // The registry's own failure is the one to tell, not that of a further place.
                Err(failure) => {
                    let keep = matches!(source, Source::Registry(_)) || last.is_none();
                    if keep || failure.status().is_none() {
                        last = Some(failure);
                    }
                }
            }
        }
        if let Some(failure) = last {
            return Err(failure.into_error(&wanted.wish));
        }
        writer.commit()?;
        Ok(())
    }

    /// Fills a blob from one source; each try goes on where the last one ended.
    fn fill_from<W: BlobWrite>(
        &mut self,
        writer: &mut W,
        source: &Source<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<(), Failure> {
        let (progress, stop) = (self.progress, self.stop);
        let mut tries = Tries::default();
        loop {
            let before = writer.offset();
            let outcome =
                self.once(async |line| copy(line, source, wanted, writer, progress, stop).await);
            if writer.offset() > before {
                tries.reset();
            }
            match outcome {
                Ok(()) => return Ok(()),
                Err(failure) => self.pause(&mut tries, failure, &wanted.wish)?,
            }
            if stop.is_stopped() {
                return Err(stopped());
            }
        }
    }
}

/// The name of a blob for progress.
pub(super) fn item(digest: &Digest) -> &str {
    digest.short()
}

fn stopped() -> Failure {
    Failure::Other(ImageError::Registry {
        class: ErrorClass::Unavailable,
        message: "stopped, because another part of the image failed".to_owned(),
    })
}

fn too_long(wanted: &Wanted<'_>, actual: u64) -> ImageError {
    ImageError::Size {
        what: wanted.wish.object.clone(),
        expected: wanted.descriptor.size,
        actual,
    }
}

/// The registries, then for a foreign layer its places elsewhere, over https alone.
fn sources<'a>(wanted: &'a Wanted<'_>) -> Vec<Source<'a>> {
    let registries = wanted.endpoints.iter().map(Source::Registry);
    let mut sources: Vec<Source<'a>> = registries.collect();
    if let Some(endpoint) = wanted.endpoints.last() {
        let urls = wanted.descriptor.urls.iter().filter_map(|u| Url::parse(u));
        let safe = urls.filter(|url| url.origin.scheme == Scheme::Https);
        sources.extend(safe.map(|url| Source::Elsewhere(endpoint, url)));
    }
    sources
}

/// One request for what is missing, and its answer's body into the writer.
async fn copy<W: BlobWrite>(
    line: &mut Line<'_>,
    source: &Source<'_>,
    wanted: &Wanted<'_>,
    writer: &mut W,
    progress: &dyn Progress,
    stop: &Stop,
) -> Result<(), Failure> {
    let size = wanted.descriptor.size;
    let mut at = writer.offset();
    let (endpoint, target) = match source {
        Source::Registry(endpoint) => {
            let path = format!("{}/blobs/{}", wanted.repository, wanted.descriptor.digest);
            (*endpoint, Target::Path(path))
        }
        Source::Elsewhere(endpoint, url) => (*endpoint, Target::At(url.clone())),
    };
    let scope = pull_scope(wanted.repository);
    let mut headers = Vec::new();
    if at > 0 {
        headers.push((RANGE, format!("bytes={at}-{}", size.saturating_sub(1))));
    }
    let ask = Ask {
        endpoint,
        method: Method::GET,
        target,
        headers,
        payload: Payload::Empty,
        scope: &scope,
        repository: wanted.repository,
    };
    let idle = line.client.tuning().idle;
    let reply = line.ask(&ask).await?;
    let reply = expect(reply, &[200, 206], &endpoint.name, idle).await?;
    if is_page(reply.response.headers()) {
        return Err(page_instead(endpoint, &wanted.wish.object));
    }
    let mut skip = skipped(&reply, at, wanted)?;
    let origin = reply.url.origin.clone();
    let mut body = reply.response.into_body();
    while let Some(piece) = next_piece(&mut body, &origin, idle).await? {
        if stop.is_stopped() {
            return Err(stopped());
        }
        let over = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
        skip -= over as u64;
        let fresh = piece.get(over..).unwrap_or_default();
        at += fresh.len() as u64;
        if at > size {
            return Err(too_long(wanted, at).into());
        }
        writer.write(fresh)?;
        progress.advance(item(&wanted.descriptor.digest), fresh.len() as u64);
    }
    if at < size {
        return Err(Failure::Broken {
            authority: origin.authority(),
            why: format!("{at} of {size} bytes came"),
        });
    }
    Ok(())
}

/// How many bytes of the answer are known already: none of a part, all of them where the server
/// sends the whole again.
fn skipped(reply: &Reply, at: u64, wanted: &Wanted<'_>) -> Result<u64, Failure> {
    if reply.response.status() == 200 {
        return Ok(at);
    }
    match range_start(reply.response.headers()) {
        Some(start) if start <= at => Ok(at - start),
        _ => {
            let why = format!("its registry sent another part than the one from byte {at}");
            Err(ImageError::malformed(&wanted.wish.object, why).into())
        }
    }
}

/// The first byte of `bytes FIRST-LAST/ALL`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (first, _) = text.strip_prefix("bytes ")?.trim().split_once('-')?;
    first.parse().ok()
}
