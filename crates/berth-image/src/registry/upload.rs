//! One blob to a registry: not sent where it is there, mounted where a neighbour has it, else
//! uploaded, and taken up again where the connection broke (distribution-spec, "Pushing blobs").

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Method;
use hyper::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, RANGE};

use super::body::Payload;
use super::config::Endpoint;
use super::failure::{Failure, Wish};
use super::fetch::item;
use super::line::{Ask, Line, Reply, Target, location};
use super::reply::expect;
use super::session::{Session, Tries};
use super::url::{Url, escape};
use crate::{Descriptor, ImageError, Progress, Stage};

/// How often progress is told while a body is on its way.
const TICK: Duration = Duration::from_millis(100);

/// A blob that is to be there.
pub(super) struct Sending<'a> {
    pub(super) descriptor: &'a Descriptor,
    pub(super) endpoint: &'a Endpoint,
    pub(super) repository: &'a str,
    /// Repositories of the same registry that may have it.
    pub(super) neighbours: &'a [String],
    /// What a token must allow.
    pub(super) scope: &'a str,
    pub(super) wish: Wish,
}

/// What a registry does about a wish to upload.
enum Begun {
    Mounted,
    At(Url),
}

impl Session<'_> {
    /// Brings a blob to a registry.
    pub(super) fn send_blob(
        &mut self,
        sending: &Sending<'_>,
        open: impl Fn() -> Result<File, ImageError>,
    ) -> Result<(), ImageError> {
        let (item, size) = (item(&sending.descriptor.digest), sending.descriptor.size);
        let progress = self.progress;
        progress.begin(item, Stage::Uploading, 0, Some(size));
        match self.send_anyhow(sending, open) {
            Ok(word) => {
                progress.end(item, word);
                Ok(())
            }
            Err(failure) => {
                progress.end(item, "failed");
                Err(failure.into_error(&sending.wish))
            }
        }
    }

    fn send_anyhow(
        &mut self,
        sending: &Sending<'_>,
        open: impl Fn() -> Result<File, ImageError>,
    ) -> Result<&'static str, Failure> {
        if self.retried(&sending.wish, async |line| exists(line, sending).await)? {
            return Ok("already there");
        }
        let begun = self.retried(&sending.wish, async |line| begin(line, sending).await)?;
        let Begun::At(place) = begun else {
            return Ok("mounted");
        };
        let file = Arc::new(open()?);
        self.upload(sending, &file, place)?;
        Ok("done")
    }

    /// Uploads to a place, and from where it broke on. The whole in one PATCH, which is how
    /// docker sends it, so every registry takes it; then a PUT that closes it with its digest.
    fn upload(
        &mut self,
        sending: &Sending<'_>,
        file: &Arc<File>,
        place: Url,
    ) -> Result<(), Failure> {
        let progress = self.progress;
        let mut tries = Tries::default();
        let (mut lost, mut best) = (0, 0);
        let mut next = Next::Send(place);
        loop {
            let mut reached = None;
            let outcome = self.once(async |line| {
                let Some((url, from)) = next.start(line, sending).await? else {
                    return Ok(());
                };
                reached = Some((url.clone(), from));
                let url = send_part(line, sending, file, (&url, from), progress).await?;
                close(line, sending, &url).await
            });
            let Err(failure) = outcome else {
                return Ok(());
            };
            if let Some((_, from)) = reached.as_ref().filter(|(_, from)| *from > best) {
                best = *from;
                tries.reset();
            }
            // The server forgot it, or did not get together what came before and after a break.
            let is_lost = matches!(failure.status().map(|s| s.as_u16()), Some(400 | 404 | 416));
            if is_lost && reached.is_some() && lost < LOST_MAX {
                lost += 1;
                next = Next::Anew;
                self.wait(&mut tries, None, failure, &sending.wish)?;
            } else {
                next = reached.map_or(Next::Anew, |(url, _)| Next::Resume(url));
                // The server may still be busy with what it got: the pause comes first, then the
                // question how much that was.
                self.pause(&mut tries, failure, &sending.wish)?;
            }
        }
    }
}

/// How often an upload begins anew because the server lost it.
const LOST_MAX: u32 = 2;

/// How an upload goes on.
enum Next {
    /// From the start, to this place.
    Send(Url),
    /// From where it is.
    Resume(Url),
    /// From the start, to a new place.
    Anew,
}

impl Next {
    /// Where to send and from which byte; `None` where nothing is to be sent any more.
    async fn start(
        &self,
        line: &mut Line<'_>,
        sending: &Sending<'_>,
    ) -> Result<Option<(Url, u64)>, Failure> {
        match self {
            Self::Send(url) => return Ok(Some((url.clone(), 0))),
            Self::Resume(url) => {
                if let Some((url, have)) = ask_state(line, sending, url).await? {
                    return Ok(Some((url, have.min(sending.descriptor.size))));
                }
                // It may be whole: the answer to its end was what got lost.
                if exists(line, sending).await? {
                    return Ok(None);
                }
            }
            Self::Anew => {}
        }
        match begin(line, sending).await? {
            Begun::Mounted => Ok(None),
            Begun::At(url) => Ok(Some((url, 0))),
        }
    }
}

fn ask_of<'a>(sending: &'a Sending<'_>, method: Method, target: Target) -> Ask<'a> {
    Ask {
        endpoint: sending.endpoint,
        method,
        target,
        headers: Vec::new(),
        payload: Payload::Empty,
        scope: sending.scope,
        repository: sending.repository,
    }
}

async fn asked(line: &mut Line<'_>, ask: &Ask<'_>, wanted: &[u16]) -> Result<Reply, Failure> {
    let idle = line.client.tuning().idle;
    let reply = line.ask(ask).await?;
    expect(reply, wanted, &ask.endpoint.name, idle).await
}

async fn exists(line: &mut Line<'_>, sending: &Sending<'_>) -> Result<bool, Failure> {
    let path = format!("{}/blobs/{}", sending.repository, sending.descriptor.digest);
    let ask = ask_of(sending, Method::HEAD, Target::Path(path));
    let reply = asked(line, &ask, &[200, 404]).await?;
    Ok(reply.response.status() == 200)
}

/// Begins an upload; the first neighbour is asked to lend the blob.
async fn begin(line: &mut Line<'_>, sending: &Sending<'_>) -> Result<Begun, Failure> {
    let mut path = format!("{}/blobs/uploads/", sending.repository);
    if let Some(neighbour) = sending.neighbours.first() {
        let digest = escape(sending.descriptor.digest.as_str());
        path = format!("{path}?mount={digest}&from={}", escape(neighbour));
    }
    let ask = ask_of(sending, Method::POST, Target::Path(path));
    let reply = asked(line, &ask, &[201, 202]).await?;
    if reply.response.status() == 201 {
        return Ok(Begun::Mounted);
    }
    Ok(Begun::At(place_of(&reply, sending)?))
}

fn place_of(reply: &Reply, sending: &Sending<'_>) -> Result<Url, Failure> {
    let place = location(&reply.url, reply.response.headers());
    place.ok_or_else(|| {
        let name = &sending.endpoint.name;
        let why = format!("{name} began an upload and did not say where (no Location)");
        Failure::Other(ImageError::malformed(&sending.wish.object, why))
    })
}

/// Sends the rest of a file; answers the next place.
async fn send_part(
    line: &mut Line<'_>,
    sending: &Sending<'_>,
    file: &Arc<File>,
    (url, from): (&Url, u64),
    progress: &dyn Progress,
) -> Result<Url, Failure> {
    let size = sending.descriptor.size;
    if from == size && size > 0 {
        return Ok(url.clone());
    }
    let sent = Arc::new(AtomicU64::new(0));
    let mut ask = ask_of(sending, Method::PATCH, Target::At(url.clone()));
    let octets = "application/octet-stream".to_owned();
    ask.headers.push((CONTENT_TYPE, octets));
    if from > 0 {
        let range = format!("{from}-{}", size.saturating_sub(1));
        ask.headers.push((CONTENT_RANGE, range));
    }
    ask.payload = Payload::Part {
        file: Arc::clone(file),
        from,
        to: size,
        sent: Arc::clone(&sent),
    };
    let item = item(&sending.descriptor.digest);
    let mut told = 0;
    let mut tell = || {
        let now = sent.load(Ordering::Relaxed);
        if now > told {
            progress.advance(item, now - told);
            told = now;
        }
    };
    let mut reply = std::pin::pin!(asked(line, &ask, &[202, 204, 201]));
    let reply = loop {
        match tokio::time::timeout(TICK, reply.as_mut()).await {
            Ok(reply) => break reply,
            Err(_) => tell(),
        }
    };
    tell();
    let reply = reply?;
    Ok(location(&reply.url, reply.response.headers()).unwrap_or_else(|| url.clone()))
}

/// Ends an upload: the registry verifies the digest.
async fn close(line: &mut Line<'_>, sending: &Sending<'_>, url: &Url) -> Result<(), Failure> {
    let digest = escape(sending.descriptor.digest.as_str());
    let target = Target::At(url.with_query(&format!("digest={digest}")));
    let ask = ask_of(sending, Method::PUT, target);
    asked(line, &ask, &[201, 204]).await.map(drop)
}

/// Asks how much of an upload is there; `None` where the registry does not know it any more.
async fn ask_state(
    line: &mut Line<'_>,
    sending: &Sending<'_>,
    url: &Url,
) -> Result<Option<(Url, u64)>, Failure> {
    let ask = ask_of(sending, Method::GET, Target::At(url.clone()));
    let reply = asked(line, &ask, &[204, 404]).await?;
    if reply.response.status() == 404 {
        return Ok(None);
    }
    let headers = reply.response.headers();
    let have = uploaded(headers, &RANGE);
    let next = location(&reply.url, headers).unwrap_or_else(|| url.clone());
    Ok(Some((next, have)))
}

/// `Range: 0-LAST` of an upload; nothing is there where it is missing, or `0-0`, which registries
/// say of an empty one.
fn uploaded(headers: &HeaderMap, name: &HeaderName) -> u64 {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    let last = text.and_then(|text| text.strip_prefix("bytes=").unwrap_or(text).split_once('-'));
    match last.and_then(|(_, last)| last.trim().parse::<u64>().ok()) {
        None | Some(0) => 0,
        Some(last) => last + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_there() {
        let have = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, text.parse().unwrap());
            uploaded(&headers, &RANGE)
        };
        assert_eq!((have("0-0"), have("0-9"), have("bytes=0-99")), (0, 10, 100));
        assert_eq!(
            (have(""), have("x-y"), uploaded(&HeaderMap::new(), &RANGE)),
            (0, 0, 0)
        );
    }
}
