//! Connections, and their limits.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

use super::address::Address;
use super::clock::Clock;
use super::guard::Guard;
use super::hub::Hub;
use super::routes::{CONTROL, Site};
use super::token::Token;
use super::wire::Wire;

/// Connections at most; a browser holds up to six.
const MAX_CONNECTIONS: usize = 128;
/// How long a request's head may take, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The most bytes of a request's head, and of what waits to be sent beyond one message.
const MAX_BUFFER: usize = 16 * 1024;
/// What a connection too many is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\
    Content-Length: 21\r\nRetry-After: 5\r\nConnection: close\r\n\r\ntoo many connections\n";

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    /// Something that every machine has was refused.
    #[error("cannot {what}: {error}")]
    Start {
        what: &'static str,
        error: io::Error,
    },
}

/// A server that listens and answers nobody yet.
pub(crate) struct Listening {
    runtime: Runtime,
    listener: TcpListener,
    guard: Guard,
}

impl Listening {
    /// Listens, and makes a token.
    pub(crate) fn open(address: Address) -> Result<Self, ServeError> {
        let start = |what| move |error| ServeError::Start { what, error };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(start("make a runtime"))?;
        let listener = runtime.block_on(TcpListener::bind(address.0));
        let listener = listener.map_err(|error| ServeError::Listen {
            address: address.0,
            error,
        })?;
        let bound = listener.local_addr().map_err(start("read the address"))?;
        let token = Token::new().map_err(|errno| start("make a token")(errno.into()))?;
        Ok(Self {
            runtime,
            listener,
            guard: Guard {
                token,
                bound,
                control: None,
            },
        })
    }

    /// The URL of the page. On all addresses, the one by which this machine reaches itself.
    pub(crate) fn url(&self) -> String {
        let mut address = self.guard.bound;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}/{}/", self.guard.token.reveal())
    }

    /// Answers, in a thread of its own, until a wait is over; hands on what came of it.
    pub(crate) fn serve_until<T>(
        self,
        hub: Arc<Hub>,
        lens: &'static str,
        wait: impl FnOnce() -> T,
    ) -> T {
        let mut guard = self.guard;
        guard.control = hub.is_replay().then_some(CONTROL);
        let site = Arc::new(Site::new(hub, guard, lens));
        let (runtime, listener) = (self.runtime, self.listener);
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                runtime.spawn(accept(listener, site));
                // An error is the sender gone, which means the same.
                drop(runtime.block_on(stopped));
            });
            let outcome = wait();
            // There is nobody to stop if the thread has ended.
            drop(stop);
            outcome
        })
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: somebody has to leave first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        match Arc::clone(&room).try_acquire_owned() {
            Ok(permit) => {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    talk(stream, site).await;
                    drop(permit);
                });
            }
            Err(_) => {
                // It fits into the empty buffer of a new socket; who does not read it is not told.
                drop(stream.try_write(FULL));
            }
        }
    }
}

/// One connection to its end.
async fn talk(stream: TcpStream, site: Arc<Site>) {
    // An event is sent when it happens, not when there is more to say.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(&request)) }
    });
    let connection = http1::Builder::new()
        .timer(Clock)
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_BUFFER)
        .max_headers(64)
        .serve_connection(Wire::new(stream), service);
    // A peer that breaks off, is too slow or speaks no HTTP is its own misfortune.
    drop(connection.await);
}
