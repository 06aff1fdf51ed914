//! The way through a proxy: whole URLs for plain HTTP, a tunnel for TLS.

use std::time::Duration;

use hyper::client::conn::http1;
use hyper::header::{HOST, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::settings::Proxy;
use super::trouble::{ProxyFailure, Trouble};
use crate::registry::body::{Outgoing, Payload};
use crate::registry::connection::{Stream, broken};
use crate::registry::failure::Failure;
use crate::registry::line::AGENT;
use crate::registry::url::Origin;

/// A connection that goes through a proxy.
pub(in crate::registry) type Through = TokioIo<Upgraded>;

/// Makes a request for a server one for its proxy: with the whole URL, and with the proxy's login.
pub(in crate::registry) fn ask_whole(
    mut request: Request<Outgoing>,
    proxy: &Proxy,
    origin: &Origin,
) -> Result<Request<Outgoing>, Failure> {
    let whole = format!("{origin}{}", request.uri());
    let uri: Uri = whole.parse().map_err(|error| Failure::Sent {
        authority: origin.authority(),
        to: whole.clone(),
        why: format!("which makes no request: {error}"),
    })?;
    *request.uri_mut() = uri;
    if let Some(value) = &proxy.authorization {
        request
            .headers_mut()
            .insert(PROXY_AUTHORIZATION, value.clone());
    }
    Ok(request)
}

/// Asks a proxy for a connection to a server.
pub(in crate::registry) async fn tunnel<S: Stream + 'static>(
    stream: S,
    proxy: &Proxy,
    origin: &Origin,
    patience: Duration,
) -> Result<Through, Failure> {
    let failed = |failure| ProxyFailure::at(proxy, origin, Trouble::Below(failure));
    let target = origin.authority_with_port();
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(&target)
        .header(HOST, &target)
        .header(USER_AGENT, AGENT);
    if let Some(value) = &proxy.authorization {
        request = request.header(PROXY_AUTHORIZATION, value);
    }
    let request = request
        .body(Payload::Empty.open())
        .map_err(|error| Failure::Sent {
            authority: proxy.origin.authority(),
            to: target,
            why: format!("which makes no request: {error}"),
        })?;
    let made = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = made.map_err(|error| failed(broken(&proxy.origin, &error)))?;
    tokio::spawn(async move {
        // Its failure is felt by the request below.
        drop(connection.with_upgrades().await);
    });
    let answered = timeout(patience, sender.send_request(request)).await;
    let answered = answered.map_err(|_| {
        failed(Failure::Silent {
            authority: proxy.origin.authority(),
            seconds: patience.as_secs(),
        })
    })?;
    let response = answered.map_err(|error| failed(broken(&proxy.origin, &error)))?;
    match response.status() {
        status if status.is_success() => {
            let upgraded = hyper::upgrade::on(response).await;
            let upgraded = upgraded.map_err(|error| failed(broken(&proxy.origin, &error)))?;
            Ok(TokioIo::new(upgraded))
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(proxy.unauthorized(origin)),
        status => Err(ProxyFailure::at(proxy, origin, Trouble::Refused(status))),
    }
}

impl Proxy {
    /// The failure where it wants a name and password, or others than ours.
    pub(in crate::registry) fn unauthorized(&self, origin: &Origin) -> Failure {
        let given = self.authorization.is_some();
        ProxyFailure::at(self, origin, Trouble::Unauthorized { given })
    }

    /// The failure where it cannot be spoken to.
    pub(in crate::registry) fn failed(&self, origin: &Origin, failure: Failure) -> Failure {
        ProxyFailure::at(self, origin, Trouble::Below(failure))
    }
}
