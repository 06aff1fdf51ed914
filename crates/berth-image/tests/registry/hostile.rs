//! The server that lies as told, with TLS.

use std::net::TcpListener;
use std::sync::Arc;

pub(crate) use berth_testkit::web::{Request, Response, Server};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server that speaks TLS alone.
pub(crate) fn start_tls(
    tls: Arc<ServerConfig>,
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let wrap = move |stream| -> Box<dyn berth_testkit::web::Conversation> {
        let session = ServerConnection::new(Arc::clone(&tls)).unwrap();
        Box::new(StreamOwned::new(session, stream))
    };
    Server::wrapped(listener, wrap, answer)
}
