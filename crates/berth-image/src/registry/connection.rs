//! Connections of one thread: made, kept for the next request, taken up again.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError};

use super::address::Reach;
use super::body::Outgoing;
use super::failure::{Failure, private_address};
use super::proxy::{Proxy, Way, ask_whole, tunnel};
use super::resolve::Resolver;
use super::url::{Origin, Scheme};

/// How long a kept connection may take to be free again.
const REUSE: Duration = Duration::from_millis(500);

/// What a connection is made with.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) reach: Reach,
    /// Who named the place, where the user did not.
    pub(super) sent_by: String,
    /// The proxy in between.
    pub(super) way: Option<Way>,
    /// For https alone.
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) connect: Duration,
    pub(super) idle: Duration,
}

impl Dial {
    fn sent_to_private(&self, origin: &Origin, address: &str) -> Failure {
        Failure::Sent {
            authority: self.sent_by.clone(),
            to: origin.to_string(),
            why: private_address(address),
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Connections {
    idle: HashMap<Origin, SendRequest<Outgoing>>,
    resolver: Resolver,
}

/// An answer, and the address of who gave it, where the connection was a new one. A proxy keeps
/// addresses to itself.
pub(super) struct Answered {
    pub(super) response: Response<Incoming>,
    pub(super) peer: Option<IpAddr>,
}

/// What HTTP is spoken on.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connections {
    /// Sends a request and waits for the head of its answer. `build` makes the request, again
    /// where a kept connection turns out to be closed.
    pub(super) async fn send(
        &mut self,
        origin: &Origin,
        dial: &Dial,
        build: impl Fn() -> Result<Request<Outgoing>, Failure>,
    ) -> Result<Answered, Failure> {
        // A tunnel is the server's own line; plain HTTP is asked of the proxy.
        let asked = dial.way.as_ref().map(|way| &way.proxy);
        let asked = asked.filter(|_| origin.scheme == Scheme::Http);
        let build = || match asked {
            Some(proxy) => ask_whole(build()?, proxy, origin),
            None => build(),
        };
        if let Some(mut sender) = self.idle.remove(origin) {
            let ready = timeout(REUSE, sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                match answer(&mut sender, origin, dial, build()?).await {
                    Ok(response) => return self.answered(origin, asked, (sender, response), None),
                    // The server closed it while it was idle; a new one tells whether it is well.
                    Err(Failure::Broken { .. }) => {}
                    Err(failure) => return Err(of_proxy(asked, origin, failure)),
                }
            }
        }
        let (mut sender, peer) = self.open(origin, dial).await?;
        let response = answer(&mut sender, origin, dial, build()?).await;
        let response = response.map_err(|failure| of_proxy(asked, origin, failure))?;
        self.answered(origin, asked, (sender, response), peer)
    }

    /// Keeps the connection for the next request, unless the answer is its proxy's own.
    fn answered(
        &mut self,
        origin: &Origin,
        asked: Option<&Proxy>,
        (sender, response): (SendRequest<Outgoing>, Response<Incoming>),
        peer: Option<IpAddr>,
    ) -> Result<Answered, Failure> {
        if let Some(proxy) = asked
            && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            return Err(proxy.unauthorized(origin));
        }
        self.idle.insert(origin.clone(), sender);
        Ok(Answered { response, peer })
    }

    /// Makes a connection, directly or through a proxy.
    async fn open(
        &mut self,
        origin: &Origin,
        dial: &Dial,
    ) -> Result<(SendRequest<Outgoing>, Option<IpAddr>), Failure> {
        if let Some(way) = &dial.way {
            let sender = self.open_through(way, origin, dial).await?;
            return Ok((sender, origin.host.parse().ok()));
        }
        let (stream, address) = self.dial(origin, dial).await?;
        Ok((handshake(stream, origin, dial).await?, Some(address)))
    }

    async fn open_through(
        &mut self,
        Way { proxy, tls }: &Way,
        origin: &Origin,
        dial: &Dial,
    ) -> Result<SendRequest<Outgoing>, Failure> {
        if !dial.reach.allows_behind_proxy(&origin.host) {
            return Err(dial.sent_to_private(origin, &origin.host));
        }
        let failed = |failure| proxy.failed(origin, failure);
        let to_proxy = Dial {
            reach: Reach::Anywhere,
            ..Dial::clone(dial)
        };
        let dialled = self.dial(&proxy.origin, &to_proxy).await;
        let (stream, _) = dialled.map_err(failed)?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(tls) => {
                let greeted = greet(stream, &proxy.origin, tls, dial.connect).await;
                Box::new(greeted.map_err(failed)?)
            }
        };
        match origin.scheme {
            Scheme::Http => speak_http(stream, origin).await,
            Scheme::Https => {
                let through = tunnel(stream, proxy, origin, dial.idle).await?;
                handshake(through, origin, dial).await
            }
        }
    }

    /// Connects: each address of the host is tried in turn.
    async fn dial(&mut self, origin: &Origin, dial: &Dial) -> Result<(TcpStream, IpAddr), Failure> {
        let resolved = timeout(dial.connect, self.resolver.addresses(&origin.host)).await;
        let addresses = resolved.map_err(|_| Failure::Resolve {
            host: origin.host.clone(),
            why: "the name servers do not answer".to_owned(),
        })??;
        let mut last = None;
        for address in addresses {
            if !dial.reach.allows(address) {
                return Err(dial.sent_to_private(origin, &address.to_string()));
            }
            match connect(SocketAddr::new(address, origin.port), dial.connect).await {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => last = Some(error),
            }
        }
        Err(Failure::Connect {
            authority: origin.authority(),
            source: last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()),
        })
    }
}

/// Whose failure it is: of a proxy that was asked in the server's place, or the server's.
fn of_proxy(asked: Option<&Proxy>, origin: &Origin, failure: Failure) -> Failure {
    match asked {
        Some(proxy) => proxy.failed(origin, failure),
        None => failure,
    }
}

async fn connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let stream = timeout(patience, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn handshake<S: Stream + 'static>(
    stream: S,
    origin: &Origin,
    dial: &Dial,
) -> Result<SendRequest<Outgoing>, Failure> {
    if origin.scheme == Scheme::Http {
        return speak_http(stream, origin).await;
    }
    let config = dial.tls.as_ref().ok_or_else(|| Failure::Tls {
        authority: origin.authority(),
        why: "no settings".to_owned(),
    })?;
    let stream = greet(stream, origin, config, dial.connect).await?;
    speak_http(stream, origin).await
}

/// Begins TLS with a server.
async fn greet<S: Stream>(
    stream: S,
    origin: &Origin,
    config: &Arc<ClientConfig>,
    patience: Duration,
) -> Result<TlsStream<S>, Failure> {
    let name = ServerName::try_from(origin.host.clone()).map_err(|error| Failure::Tls {
        authority: origin.authority(),
        why: error.to_string(),
    })?;
    let shaken = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    match timeout(patience, shaken).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(tls_failure(origin, &error)),
        Err(_) => Err(Failure::Silent {
            authority: origin.authority(),
            seconds: patience.as_secs(),
        }),
    }
}

async fn speak_http<S: Stream + 'static>(
    stream: S,
    origin: &Origin,
) -> Result<SendRequest<Outgoing>, Failure> {
    let made = http1::Builder::new()
        .max_buf_size(256 << 10)
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = made.map_err(|error| broken(origin, &error))?;
    tokio::spawn(async move {
        // Its failure is felt by the request that is under way on it.
        drop(connection.await);
    });
    Ok(sender)
}

async fn answer(
    sender: &mut SendRequest<Outgoing>,
    origin: &Origin,
    dial: &Dial,
    request: Request<Outgoing>,
) -> Result<Response<Incoming>, Failure> {
    let length = hyper::body::Body::size_hint(request.body())
        .exact()
        .unwrap_or(0);
    // An upload takes as long as it takes: only silence after the usual time and 1 s for each
    // 64 KiB is a failure. What stalls for good is the keepalive's and the user's to end.
    let patience = dial.idle + Duration::from_secs(length >> 16);
    match timeout(patience, sender.send_request(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(broken(origin, &error)),
        Err(_) => Err(Failure::Silent {
            authority: origin.authority(),
            seconds: patience.as_secs(),
        }),
    }
}

/// Says what became of a connection, by hyper's words and those of what lies below.
pub(super) fn broken(origin: &Origin, error: &hyper::Error) -> Failure {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        why = format!("{why}: {error}");
        source = error.source();
    }
    Failure::Broken {
        authority: origin.authority(),
        why,
    }
}

fn tls_failure(origin: &Origin, error: &io::Error) -> Failure {
    let authority = origin.authority();
    let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<TlsError>()) else {
        // A server that hangs up on the greeting of TLS may not know it.
        return if error.kind() == io::ErrorKind::UnexpectedEof {
            Failure::NotTls { authority }
        } else {
            let why = error.to_string();
            Failure::Broken { authority, why }
        };
    };
    match tls {
        TlsError::InvalidMessage(_) => Failure::NotTls { authority },
        TlsError::InvalidCertificate(why) => Failure::Untrusted {
            authority,
            why: why.to_string(),
            unknown_authority: matches!(
                why,
                CertificateError::UnknownIssuer | CertificateError::BadSignature
            ),
        },
        other => Failure::Tls {
            authority,
            why: other.to_string(),
        },
    }
}
