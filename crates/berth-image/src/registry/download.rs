//! Files from anywhere on the web, for `import`: read once, from front to back.

use std::io::{self, Read};

use berth_base::ErrorClass;
use hyper::Method;
use hyper::body::{Body as _, Bytes, Incoming};

use super::body::Payload;
use super::client::Client;
use super::config::{Endpoint, RegistryConfig};
use super::credentials::{Anonymous, Credential, Credentials};
use super::failure::Wish;
use super::line::{Ask, Target};
use super::reply::{expect, next_piece};
use super::session::{Session, Stop};
use super::url::{Url, User, without_user};
use crate::{ImageError, Progress, Stage};

/// A file on the web: `http://` or `https://`, with or without name and password.
#[derive(Clone)]
pub struct WebFile {
    url: Url,
    user: Option<User>,
}

impl WebFile {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let whole = text.split('#').next().unwrap_or_default();
        let parts = without_user(whole).and_then(|(url, user)| Some((Url::parse(&url)?, user)));
        let (url, user) = parts.ok_or_else(|| ImageError::Registry {
            class: ErrorClass::Invalid,
            message: format!(
                "cannot import {:?}: it is no URL; write http(s)://HOST[:PORT]/PATH, with other characters as %XX",
                shown_anyhow(whole)
            ),
        })?;
        Ok(Self { url, user })
    }

    /// The URL for errors, progress and the image's history: without name, password and query,
    /// which can hold secrets.
    pub fn shown(&self) -> String {
        let path = self.url.path_and_query.split('?').next().unwrap_or("/");
        format!("{}{path}", self.url.origin)
    }

    fn endpoint(&self, config: &RegistryConfig) -> Endpoint {
        let name = self.url.origin.authority();
        Endpoint {
            base: self.url.clone(),
            may_be_plain: false,
            unverified: config.hosts.get(&name).is_some_and(|host| host.insecure),
            is_mirror: false,
            name,
        }
    }
}

/// Without the password.
impl std::fmt::Debug for WebFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebFile({})", self.shown())
    }
}

/// A URL that does not parse, without what may be a password.
fn shown_anyhow(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://...@{rest}"),
        _ => text.to_owned(),
    }
}

/// Downloads a file of at most `limit` bytes and gives it to `consumer` as it comes. A failure of
/// the download is the one that is told, whatever the consumer made of it. Logins of registries are
/// not shown to anybody.
pub fn download<T, E: From<ImageError>>(
    config: RegistryConfig,
    file: &WebFile,
    limit: u64,
    progress: &dyn Progress,
    consumer: impl FnOnce(&mut dyn Read) -> Result<T, E>,
) -> Result<T, E> {
    let endpoint = file.endpoint(&config);
    let credentials: Box<dyn Credentials> = match file.user.clone() {
        Some((name, secret)) => Box::new(Credential::Password { name, secret }),
        None => Box::new(Anonymous),
    };
    let client = Client::new(config, credentials);
    let stop = Stop::default();
    let session = Session::new(&client, progress, &stop)?;
    let mut download = Download::begin(session, &endpoint, file, limit)?;
    let done = consumer(&mut download);
    match download.failure {
        Some(error) => Err(error.into()),
        None => done,
    }
}

/// A body on its way.
struct Download<'c> {
    session: Session<'c>,
    body: Incoming,
    /// Who sends it, after redirects.
    from: Url,
    wish: Wish,
    /// What came and was not read yet.
    piece: Bytes,
    read: u64,
    limit: u64,
    failure: Option<ImageError>,
}

impl<'c> Download<'c> {
    fn begin(
        mut session: Session<'c>,
        endpoint: &Endpoint,
        file: &WebFile,
        limit: u64,
    ) -> Result<Self, ImageError> {
        let wish = Wish {
            registry: endpoint.name.clone(),
            verb: "import",
            object: file.shown(),
        };
        let ask = Ask {
            endpoint,
            method: Method::GET,
            target: Target::At(file.url.clone()),
            headers: Vec::new(),
            payload: Payload::Empty,
            scope: "",
            repository: "",
        };
        let reply = session.retried(&wish, async |line| {
            let idle = line.client.tuning().idle;
            let reply = line.ask(&ask).await?;
            expect(reply, &[200], &endpoint.name, idle).await
        });
        let reply = reply.map_err(|failure| failure.into_error(&wish))?;
        let body = reply.response.into_body();
        let total = body.size_hint().exact();
        if total.is_some_and(|total| total > limit) {
            return Err(too_long(&wish, limit));
        }
        session
            .progress
            .begin(&wish.object, Stage::Downloading, 0, total);
        Ok(Self {
            session,
            body,
            from: reply.url,
            wish,
            piece: Bytes::new(),
            read: 0,
            limit,
            failure: None,
        })
    }

    /// Waits for the next piece; `None` at the end.
    fn next(&mut self) -> Result<Option<Bytes>, ImageError> {
        let Self {
            session,
            body,
            from,
            wish,
            ..
        } = self;
        let idle = session.tuning().idle;
        let came = session.once(async |_line| next_piece(body, &from.origin, idle).await);
        let Some(piece) = came.map_err(|failure| failure.into_error(wish))? else {
            return Ok(None);
        };
        self.read += piece.len() as u64;
        if self.read > self.limit {
            return Err(too_long(&self.wish, self.limit));
        }
        self.session
            .progress
            .advance(&self.wish.object, piece.len() as u64);
        Ok(Some(piece))
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        while self.piece.is_empty() && !buffer.is_empty() {
            match self.next() {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failure = Some(error);
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
        }
        let count = self.piece.len().min(buffer.len());
        let taken = self.piece.split_to(count);
        if let Some(place) = buffer.get_mut(..count) {
            place.copy_from_slice(&taken);
        }
        Ok(count)
    }
}

fn too_long(wish: &Wish, limit: u64) -> ImageError {
    crate::archive::exceeded(&wish.object, "archive-blob-bytes", limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let shown = |text: &str| WebFile::parse(text).unwrap().shown();
        assert_eq!(
            shown("https://me:pass@f.example:8443/a%20b.tar?token=x#y"),
            "https://f.example:8443/a%20b.tar"
        );
        assert_eq!(shown("http://f.example"), "http://f.example/");
        let refused = |text: &str| WebFile::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(refused("https://me:p%zz@f.example/"), @r#"cannot import "https://...@f.example/": it is no URL; write http(s)://HOST[:PORT]/PATH, with other characters as %XX"#);
        for bad in ["http://", "https:///x", "http://a b/", "http://x:port/"] {
            assert!(WebFile::parse(bad).is_err(), "{bad}");
        }
        let debug = format!("{:?}", WebFile::parse("http://me:pass@x/").unwrap());
        assert_eq!(debug, "WebFile(http://x/)");
    }
}
