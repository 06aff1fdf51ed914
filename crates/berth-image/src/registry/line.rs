//! One thread's line to servers: a request with its login and its redirects.

use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use super::address::Reach;
use super::body::{Outgoing, Payload};
use super::challenge;
use super::client::Client;
use super::config::Endpoint;
use super::connection::{Connections, Dial};
use super::failure::Failure;
use super::proxy::Trouble;
use super::url::{Scheme, Url};

/// Redirects that are followed; browsers take 20.
const REDIRECTS_MAX: usize = 8;
/// What we call ourselves.
pub(super) const AGENT: &str = concat!("berth/", env!("CARGO_PKG_VERSION"));

/// A request to a registry.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) payload: Payload,
    /// What a token must allow: `repository:NAME:pull`, several with spaces between.
    pub(super) scope: &'a str,
    /// For the login.
    pub(super) repository: &'a str,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Below `/v2/` of the endpoint.
    Path(String),
    /// A place that the endpoint named.
    At(Url),
}

/// The head of an answer.
pub(super) struct Reply {
    pub(super) response: Response<Incoming>,
    /// Who gave it, after redirects.
    pub(super) url: Url,
    /// A login was shown.
    pub(super) logged_in: bool,
}

/// See the module.
pub(super) struct Line<'c> {
    pub(super) client: &'c Client,
    connections: Connections,
}

impl<'c> Line<'c> {
    pub(super) fn new(client: &'c Client) -> Self {
        Self {
            client,
            connections: Connections::default(),
        }
    }

    /// Sends a request; answers any status but those of a login and of redirects.
    pub(super) async fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, Failure> {
        let endpoint = ask.endpoint;
        let known = self.client.scheme(endpoint);
        let scheme = known.unwrap_or(endpoint.base.origin.scheme);
        let first = self.follow(ask, scheme).await;
        let plain_is_next = known.is_none() && endpoint.may_be_plain && scheme == Scheme::Https;
        let (scheme, outcome) = match first {
            Err(failure) if plain_is_next && suggests_plain(&failure, endpoint) => {
                (Scheme::Http, self.follow(ask, Scheme::Http).await)
            }
            outcome => (scheme, outcome),
        };
        if outcome.is_ok() {
            self.client.keep_scheme(endpoint, scheme);
        }
        outcome
    }

    async fn follow(&mut self, ask: &Ask<'_>, scheme: Scheme) -> Result<Reply, Failure> {
        let endpoint = ask.endpoint;
        let home = endpoint.url(scheme, "").origin;
        let mut url = match &ask.target {
            Target::Path(path) => endpoint.url(scheme, path),
            Target::At(url) => url.clone(),
        };
        let mut authorised = false;
        let mut redirects = 0;
        loop {
            let own = url.origin == home;
            let token = if own {
                self.client.token(endpoint, ask.scope)
            } else {
                None
            };
            let header = token.as_ref().map(|t| &t.header);
            let response = self.send(ask, &url, &home.scheme, header).await?;
            let logged_in = token.is_some_and(|t| t.logged_in);
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && own && !authorised {
                authorised = true;
                if let Some(challenge) = challenge::choose(response.headers()) {
                    // The rest of the answer must be gone before the connection is used again.
                    drop(response);
                    if self.authorise(ask, &url, &challenge).await? {
                        continue;
                    }
                    let response = self.send(ask, &url, &home.scheme, None).await?;
                    return Ok(Reply {
                        response,
                        url,
                        logged_in,
                    });
                }
            }
            let follows = ask.method == Method::GET || ask.method == Method::HEAD;
            if !(status.is_redirection() && follows) {
                return Ok(Reply {
                    response,
                    url,
                    logged_in,
                });
            }
            let Some(next) = location(&url, response.headers()) else {
                return Ok(Reply {
                    response,
                    url,
                    logged_in,
                });
            };
            redirects += 1;
            if redirects > REDIRECTS_MAX {
                return Err(Failure::Sent {
                    authority: endpoint.name.clone(),
                    to: next.to_string(),
                    why: format!("after {REDIRECTS_MAX} redirects"),
                });
            }
            url = next;
        }
    }

    /// Sends one request to where the endpoint, or we, want it; no login is shown elsewhere.
    pub(super) async fn send(
        &mut self,
        ask: &Ask<'_>,
        url: &Url,
        home: &Scheme,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Failure> {
        let endpoint = ask.endpoint;
        let own = url.origin == endpoint.url(*home, "").origin;
        // Whoever speaks TLS itself must not send us off to where everybody listens.
        if url.origin.scheme == Scheme::Http && !own && *home == Scheme::Https {
            return Err(Failure::Sent {
                authority: endpoint.name.clone(),
                to: url.to_string(),
                why: "which is plain HTTP".to_owned(),
            });
        }
        let tuning = self.client.tuning();
        let dial = Dial {
            reach: if own {
                Reach::Anywhere
            } else {
                self.client.reach_beyond(endpoint)
            },
            sent_by: endpoint.name.clone(),
            way: self.client.proxy(&url.origin)?,
            tls: self.client.tls(endpoint, &url.origin, own)?,
            connect: tuning.connect,
            idle: tuning.idle,
        };
        let build = || request(ask, url, authorization);
        let answered = self.connections.send(&url.origin, &dial, build).await?;
        if let Some(peer) = answered.peer.filter(|_| own) {
            self.client.keep_peer(endpoint, peer);
        }
        Ok(answered.response)
    }
}

/// Whether a server that may speak plain HTTP is to be asked so: it does not know TLS, or nobody
/// listens on the usual port of https.
fn suggests_plain(failure: &Failure, endpoint: &Endpoint) -> bool {
    match failure {
        Failure::NotTls { .. } | Failure::Broken { .. } => true,
        Failure::Connect { .. } => endpoint.base.origin.port == Scheme::Https.default_port(),
        // Many a proxy opens tunnels to the usual port of https alone, or to those who listen.
        Failure::Proxy(failure) => matches!(failure.trouble, Trouble::Refused(_)),
        _ => false,
    }
}

/// Where an answer leads.
pub(super) fn location(from: &Url, headers: &HeaderMap) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?)
}

fn request(
    ask: &Ask<'_>,
    url: &Url,
    authorization: Option<&HeaderValue>,
) -> Result<Request<Outgoing>, Failure> {
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(&url.path_and_query)
        .header(HOST, url.origin.authority())
        .header(USER_AGENT, AGENT);
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    if ask.method != Method::GET && ask.method != Method::HEAD {
        request = request.header(CONTENT_LENGTH, ask.payload.length());
    }
    if let Some(value) = authorization {
        request = request.header(AUTHORIZATION, value);
    }
    request
        .body(ask.payload.open())
        .map_err(|error| Failure::Sent {
            authority: ask.endpoint.name.clone(),
            to: url.to_string(),
            why: format!("which makes no request: {error}"),
        })
}
