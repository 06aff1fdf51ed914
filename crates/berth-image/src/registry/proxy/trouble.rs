//! What goes wrong on the way through a proxy, in words.

use std::time::Duration;

use berth_base::ErrorClass;
use hyper::StatusCode;

use super::settings::Proxy;
use crate::registry::failure::{Failure, plain, status_words};
use crate::registry::url::Origin;

/// A request failed at a proxy.
#[derive(Debug)]
pub(in crate::registry) struct ProxyFailure {
    /// The proxy's host and port, and where it was named.
    name: String,
    source: String,
    /// The server that was wanted, with its port.
    target: String,
    pub(in crate::registry) trouble: Trouble,
}

/// What about the proxy.
#[derive(Debug)]
pub(in crate::registry) enum Trouble {
    /// It wants a name and password: 407.
    Unauthorized {
        /// We showed one.
        given: bool,
    },
    /// It makes no connection: any other answer to CONNECT.
    Refused(StatusCode),
    /// It cannot be spoken to.
    Below(Failure),
}

impl ProxyFailure {
    pub(in crate::registry) fn at(proxy: &Proxy, target: &Origin, trouble: Trouble) -> Failure {
        Failure::Proxy(Box::new(Self {
            name: proxy.origin.authority(),
            source: proxy.source.clone(),
            target: target.authority_with_port(),
            trouble,
        }))
    }

    /// Whether the same can succeed later.
    pub(in crate::registry) fn retry(&self) -> Option<Option<Duration>> {
        match &self.trouble {
            Trouble::Unauthorized { .. } => None,
            Trouble::Refused(status) => status.is_server_error().then_some(None),
            Trouble::Below(failure) => failure.retry(),
        }
    }

    pub(in crate::registry) fn attempts(&self, usual: u32) -> u32 {
        match &self.trouble {
            Trouble::Unauthorized { .. } | Trouble::Refused(_) => usual.min(3),
            Trouble::Below(failure) => failure.attempts(usual),
        }
    }

    /// The words of a retry's note.
    pub(in crate::registry) fn brief(&self) -> String {
        match &self.trouble {
            Trouble::Unauthorized { .. } => format!("the proxy {} wants a login", self.name),
            Trouble::Refused(status) => {
                let (name, target) = (&self.name, &self.target);
                let answered = status_words(*status);
                format!("the proxy {name} answered {answered} when asked for {target}")
            }
            Trouble::Below(failure) => format!("the proxy {}", failure.brief()),
        }
    }

    /// Why the request failed and what to do, to follow "cannot ...: ".
    pub(in crate::registry) fn words(self) -> (ErrorClass, String) {
        let (name, source) = (self.name, self.source);
        let host = self.target.rsplit_once(':').map_or("", |(host, _)| host);
        let proxy = format!("the proxy {name} ({source})");
        let past = format!("put {host} into NO_PROXY if it can be reached without");
        match self.trouble {
            Trouble::Unauthorized { given: false } => (
                ErrorClass::Denied,
                format!(
                    "{proxy} wants a name and password; write them into {source}, as in http://NAME:PASSWORD@{name}"
                ),
            ),
            Trouble::Unauthorized { given: true } => (
                ErrorClass::Denied,
                format!("{proxy} does not take this name and password; correct them in {source}"),
            ),
            Trouble::Refused(status) => {
                let class = if status.is_server_error() {
                    ErrorClass::Unavailable
                } else {
                    ErrorClass::Denied
                };
                let (target, answered) = (&self.target, status_words(status));
                let words = format!(
                    "{proxy} makes no connection to {target}: it answered {answered}; check the name, ask whoever runs the proxy, or {past}"
                );
                (class, words)
            }
            Trouble::Below(failure) => {
                let (class, why) = below(failure);
                (class, format!("{proxy} {why}; check {source}, or {past}"))
            }
        }
    }
}

/// What a failure of the way to the proxy means.
fn below(failure: Failure) -> (ErrorClass, String) {
    let unavailable = ErrorClass::Unavailable;
    match failure {
        Failure::Resolve { why, .. } => (
            unavailable,
            format!("has a name that cannot be resolved: {why}"),
        ),
        Failure::Connect { source, .. } => (
            unavailable,
            format!("cannot be reached: {}", plain(&source)),
        ),
        Failure::Silent { seconds, .. } => (unavailable, format!("said nothing for {seconds}s")),
        Failure::Broken { why, .. } => (unavailable, format!("broke the connection: {why}")),
        Failure::NotTls { .. } => (
            unavailable,
            "does not speak TLS itself, though its URL begins with https".to_owned(),
        ),
        Failure::Untrusted { why, .. } => (
            ErrorClass::Denied,
            format!("has a certificate that is not trusted ({why})"),
        ),
        other => (unavailable, format!("failed: {}", other.brief())),
    }
}
