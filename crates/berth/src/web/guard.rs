//! Who is answered at all, and the headers of every answer. Pure.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, StatusCode};

use super::token::Token;

/// The headers of every answer: nothing runs but the page's own script, nothing is fetched from
/// elsewhere, nothing is kept, and no other site may read, embed or be told of the page.
pub(super) const HEADERS: [(HeaderName, &str); 8] = [
    (
        hyper::header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (hyper::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (hyper::header::X_FRAME_OPTIONS, "DENY"),
    (hyper::header::REFERRER_POLICY, "no-referrer"),
    (hyper::header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=()",
    ),
];

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Neither GET nor HEAD.
    Method,
    /// A control of a recording that was not asked for by POST.
    Control,
    /// A name in Host that is not ours: DNS rebinding, or a proxy.
    Host,
    /// No token, or one of an earlier server.
    Token,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Method | Self::Control => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Token => StatusCode::FORBIDDEN,
        }
    }

    /// The methods that would have been allowed.
    pub(super) const fn allowed(self) -> Option<&'static str> {
        match self {
            Self::Method => Some("GET, HEAD"),
            Self::Control => Some("POST"),
            Self::Host | Self::Token => None,
        }
    }

    /// A line for whoever asked.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Method => "this page can only be read: GET and HEAD\n",
            Self::Control => "a recording is controlled by POST\n",
            Self::Host => "this name is not served here: use the URL that berth printed\n",
            Self::Token => {
                "no token, or an old one: use the URL that berth printed when it was started\n"
            }
        }
    }
}

/// What a server checks.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) token: Token,
    /// Where it listens, the port as the kernel chose it.
    pub(super) bound: SocketAddr,
    /// What can be asked for by POST, and by nothing else; `None` where everything is read only.
    pub(super) control: Option<&'static str>,
}

impl Guard {
    /// Checks a request, and says which path below the token it asks for.
    pub(super) fn admit<'p>(
        &self,
        method: &Method,
        path: &'p str,
        headers: &HeaderMap,
    ) -> Result<&'p str, Refusal> {
        if !self.is_own_host(headers) {
            return Err(Refusal::Host);
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let (token, rest) = path.split_once('/').unwrap_or((path, ""));
        if !self.token.is(token.as_bytes()) {
            return Err(Refusal::Token);
        }
        match self.control == Some(rest) {
            // A link that is followed, or fetched ahead, must not move a recording.
            true if *method != Method::POST => Err(Refusal::Control),
            false if *method != Method::GET && *method != Method::HEAD => Err(Refusal::Method),
            _ => Ok(rest),
        }
    }

    /// Whether the one Host header names this server: a loopback name or the bound address, with
    /// the port. A server on all addresses takes any IP address: a name that an attacker points
    /// here is none.
    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(hyper::header::HOST).iter();
        let (Some(host), None) = (all.next(), all.next()) else {
            return false;
        };
        let Some((name, port)) = host.to_str().ok().and_then(split_port) else {
            return false;
        };
        if port != self.bound.port() {
            return false;
        }
        if ["localhost", "127.0.0.1", "[::1]"].contains(&name) {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        let ip = bare.unwrap_or(name).parse::<IpAddr>();
        ip.is_ok_and(|ip| ip == self.bound.ip() || self.bound.ip().is_unspecified())
    }
}

/// A Host header as name and port; port 80 goes without saying.
fn split_port(host: &str) -> Option<(&str, u16)> {
    let colon = host.rfind(':').filter(|at| !host.ends_with(']') && *at > 0);
    match colon {
        Some(at) => Some((host.get(..at)?, host.get(at + 1..)?.parse().ok()?)),
        None => Some((host, 80)),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn guard(bound: &str) -> Guard {
        Guard {
            token: Token::new().unwrap(),
            bound: bound.parse().unwrap(),
            control: None,
        }
    }

    fn ask(guard: &Guard, method: Method, path: &str, hosts: &[&str]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(hyper::header::HOST, HeaderValue::from_str(host).unwrap());
        }
        guard.admit(&method, path, &headers).map(str::to_owned)
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let guard = guard("127.0.0.1:8000");
        let path = format!("/{}/events", guard.token.reveal());
        for host in ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"] {
            assert_eq!(ask(&guard, Method::GET, &path, &[host]).unwrap(), "events");
        }
        for host in [
            "evil.example:8000",
            "127.0.0.1",
            "127.0.0.1:8001",
            "localhost.evil.example:8000",
            "192.0.2.1:8000",
            "127.0.0.1:8000:8000",
            "",
        ] {
            let refused = ask(&guard, Method::GET, &path, &[host]);
            assert_eq!(refused, Err(Refusal::Host), "{host}");
        }
        assert_eq!(ask(&guard, Method::GET, &path, &[]), Err(Refusal::Host));
        let two = ["127.0.0.1:8000", "evil.example"];
        assert_eq!(ask(&guard, Method::GET, &path, &two), Err(Refusal::Host));
    }

    #[test]
    fn on_all_addresses_any_address_is_ours_and_no_name() {
        let guard = guard("0.0.0.0:80");
        let path = format!("/{}/", guard.token.reveal());
        for host in [
            "192.0.2.1",
            "192.0.2.1:80",
            "[2001:db8::1]",
            "[2001:db8::1]:80",
        ] {
            assert_eq!(
                ask(&guard, Method::GET, &path, &[host]).unwrap(),
                "",
                "{host}"
            );
        }
        let refused = ask(&guard, Method::GET, &path, &["evil.example"]);
        assert_eq!(refused, Err(Refusal::Host));
    }

    #[test]
    fn the_token_comes_before_the_method() {
        let guard = guard("127.0.0.1:8000");
        let host = ["localhost:8000"];
        let path = format!("/{}/", guard.token.reveal());
        let wrong = format!("/{}/", "0".repeat(48));
        for path in ["/", "", "/x", "//", wrong.as_str(), "/page.js"] {
            let refused = ask(&guard, Method::POST, path, &host);
            assert_eq!(refused, Err(Refusal::Token), "{path}");
        }
        let refused = ask(&guard, Method::POST, &path, &host);
        assert_eq!(refused, Err(Refusal::Method));
        assert_eq!(ask(&guard, Method::HEAD, &path, &host).unwrap(), "");
    }
}
