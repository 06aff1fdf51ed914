//! What goes wrong with a registry, first as a kind that says whether to try again, then in words.

use std::io;
use std::time::Duration;

use berth_base::ErrorClass;
use hyper::StatusCode;

use super::proxy::ProxyFailure;
use crate::ImageError;

/// One request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The name means no address.
    Resolve { host: String, why: String },
    /// Nobody there, or no way to them.
    Connect {
        authority: String,
        source: io::Error,
    },
    /// The certificate is not trusted.
    Untrusted {
        authority: String,
        why: String,
        unknown_authority: bool,
    },
    /// TLS failed in another way.
    Tls { authority: String, why: String },
    /// The server does not speak TLS at all.
    NotTls { authority: String },
    /// It said nothing for too long.
    Silent { authority: String, seconds: u64 },
    /// The connection broke, before or within an answer.
    Broken { authority: String, why: String },
    /// It sent us to where we do not go.
    Sent {
        authority: String,
        to: String,
        why: String,
    },
    /// It answered, and not with what was asked for.
    Answer(Box<Answer>),
    /// The proxy before it is in the way.
    Proxy(Box<ProxyFailure>),
    /// Someone else's failure, such as the disk's.
    Other(ImageError),
}

/// An answer that is a refusal.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) authority: String,
    pub(super) status: StatusCode,
    /// `MANIFEST_UNKNOWN` and the like (distribution-spec, "Error Codes").
    pub(super) code: Option<String>,
    /// The registry's own words.
    pub(super) message: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// It sent a web page.
    pub(super) is_page: bool,
    /// We had shown a login.
    pub(super) logged_in: bool,
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::Other(error)
    }
}

/// What was wanted, for the message.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The registry, or a download's server, as the user names it.
    pub(super) registry: String,
    /// `pull`, `push`, `log in to`, `import`.
    pub(super) verb: &'static str,
    /// `alpine:3.19`, `layer sha256:1234 of alpine:3.19`, a URL.
    pub(super) object: String,
}

impl Wish {
    /// A file from anywhere, which no registry has.
    fn is_download(&self) -> bool {
        self.verb == "import"
    }

    fn server(&self) -> &'static str {
        if self.is_download() {
            "server"
        } else {
            "registry"
        }
    }
}

impl Failure {
    /// Whether the same request can succeed later; with the pause that the registry asks for.
    pub(super) fn retry(&self) -> Option<Option<Duration>> {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Silent { .. }
            | Self::Broken { .. } => Some(None),
            Self::Answer(answer) => {
                let again = answer.status.is_server_error()
                    && answer.status != StatusCode::NOT_IMPLEMENTED
                    || answer.status == StatusCode::TOO_MANY_REQUESTS
                    || answer.status == StatusCode::REQUEST_TIMEOUT;
                again.then_some(answer.retry_after)
            }
            Self::Proxy(failure) => failure.retry(),
            _ => None,
        }
    }

    /// How often to try at most: nobody waits long for a name that is mistyped, or for a server
    /// that is not there.
    pub(super) fn attempts(&self, usual: u32) -> u32 {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } => usual.min(3),
            Self::Proxy(failure) => failure.attempts(usual),
            _ => usual,
        }
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            _ => None,
        }
    }

    /// The words of a retry's note: what happened, without what to do.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Resolve { host, .. } => format!("{host} cannot be resolved"),
            Self::Connect { authority, source } => format!("{authority}: {}", plain(source)),
            Self::Silent { authority, seconds } => {
                format!("{authority} said nothing for {seconds}s")
            }
            Self::Broken { authority, why } => {
                format!("the connection to {authority} broke: {why}")
            }
            Self::Answer(a) if a.status == StatusCode::TOO_MANY_REQUESTS => {
                format!("{} limits requests", a.authority)
            }
            Self::Answer(a) => format!("{} answered {}", a.authority, status_words(a.status)),
            Self::Proxy(failure) => failure.brief(),
            other => format!("{other:?}"),
        }
    }

    /// The whole line for the user.
    pub(super) fn into_error(self, wish: &Wish) -> ImageError {
        let Wish { verb, object, .. } = wish;
        let (class, why) = match self {
            Self::Other(error) => return error,
            Self::Answer(answer) => answer.into_words(wish),
            Self::Proxy(failure) => failure.words(),
            Self::Untrusted { .. } | Self::Tls { .. } | Self::NotTls { .. } => self.tls_words(wish),
            other => other.reach_words(wish),
        };
        let message = format!("cannot {verb} {object}: {why}");
        ImageError::Registry { class, message }
    }

    /// Why a server that may be well was not spoken to.
    fn reach_words(self, wish: &Wish) -> (ErrorClass, String) {
        let unavailable = ErrorClass::Unavailable;
        let server = wish.server();
        match self {
            Self::Resolve { host, why } => (
                unavailable,
                format!(
                    "the {server}'s name {host} cannot be resolved: {why}; check the name, /etc/hosts and /etc/resolv.conf"
                ),
            ),
            Self::Connect { authority, source } => (
                unavailable,
                format!(
                    "the {server} {authority} cannot be reached: {}; {}",
                    plain(&source),
                    connect_hint(&source)
                ),
            ),
            Self::Silent { authority, seconds } => (
                unavailable,
                format!("the {server} {authority} said nothing for {seconds}s; try again later"),
            ),
            Self::Broken { authority, why } if wish.is_download() => (
                unavailable,
                format!("the connection to {authority} broke: {why}; try again"),
            ),
            Self::Broken { authority, why } => (
                unavailable,
                format!(
                    "the connection to {authority} broke again and again: {why}; try again, what was transferred is kept"
                ),
            ),
            Self::Sent { authority, to, why } => (
                ErrorClass::Denied,
                format!("{authority} sent us to {to}, {why}; ask the {server}'s owner"),
            ),
            other => (unavailable, other.brief()),
        }
    }

    /// Why there is no TLS with a server.
    fn tls_words(self, wish: &Wish) -> (ErrorClass, String) {
        let registry = &wish.registry;
        match self {
            Self::Untrusted {
                authority,
                why,
                unknown_authority: true,
            } => (
                ErrorClass::Denied,
                format!(
                    "the certificate of {authority} was signed by an unknown authority ({why}); put the authority's certificate into /etc/docker/certs.d/{registry}/ca.crt, or set \"ca\" in the section [registry.\"{registry}\"] of config.toml"
                ),
            ),
            Self::Untrusted { authority, why, .. } => (
                ErrorClass::Denied,
                format!(
                    "the certificate of {authority} is not valid: {why}; ask the {}'s owner",
                    wish.server()
                ),
            ),
            Self::Tls { authority, why } => (
                ErrorClass::Unavailable,
                format!(
                    "no TLS with {authority}: {why}; if it wants a client certificate, put it into /etc/docker/certs.d/{registry}/ as client.cert and client.key"
                ),
            ),
            Self::NotTls { authority } if wish.is_download() => (
                ErrorClass::Unavailable,
                format!("{authority} does not speak TLS; if plain HTTP is meant, write http://"),
            ),
            Self::NotTls { authority } => (
                ErrorClass::Unavailable,
                format!(
                    "{authority} does not speak TLS; if plain HTTP is meant, set \"insecure = true\" in the section [registry.\"{registry}\"] of config.toml"
                ),
            ),
            other => other.reach_words(wish),
        }
    }
}

impl Answer {
    fn into_words(self, wish: &Wish) -> (ErrorClass, String) {
        let registry = &wish.registry;
        let authority = &self.authority;
        let status = self.status.as_u16();
        let answered = status_words(self.status);
        if self.is_page && !wish.is_download() && !matches!(status, 401 | 403 | 404 | 429) {
            let words = format!(
                "{authority} answered {answered} with a web page instead of what a registry says; a proxy or a login page of the network may be in between, or it is no registry"
            );
            return (ErrorClass::Unavailable, words);
        }
        let said = self.said();
        match status {
            401 => (ErrorClass::Denied, self.unauthorized(wish)),
            403 if wish.is_download() => (
                ErrorClass::Denied,
                format!("{registry} forbids it{said}; ask its owner for the right"),
            ),
            403 => (
                ErrorClass::Denied,
                format!(
                    "{registry} forbids it{said}; ask its owner for the right, or log in as somebody else with \"berth login {registry}\""
                ),
            ),
            404 if wish.is_download() => (
                ErrorClass::NotFound,
                format!("it is not on {registry}{said}; check the URL"),
            ),
            404 if self.code.as_deref() == Some("NAME_UNKNOWN") => (
                ErrorClass::NotFound,
                format!("there is no such repository on {registry}{said}; check the name"),
            ),
            404 => (
                ErrorClass::NotFound,
                format!("it is not on {registry}{said}; check name and tag"),
            ),
            429 => (ErrorClass::Unavailable, self.too_often(wish)),
            500.. => (
                ErrorClass::Unavailable,
                format!("{authority} answered {answered}{said}; try again later"),
            ),
            _ => (
                ErrorClass::Invalid,
                format!("{authority} answered {answered}{said}"),
            ),
        }
    }

    fn too_often(&self, wish: &Wish) -> String {
        let (registry, said) = (&wish.registry, self.said());
        let wait = self.retry_after.map(humane);
        let when = wait.map_or("later".to_owned(), |wait| format!("in {wait}"));
        let limits = format!(
            "{registry} allows no more requests for now (its rate limit){said}; try again {when}"
        );
        if wish.is_download() {
            return limits;
        }
        format!(
            "{limits}, log in with \"berth login {registry}\" for a higher limit, or configure a mirror"
        )
    }

    fn unauthorized(&self, wish: &Wish) -> String {
        let (registry, said) = (&wish.registry, self.said());
        let login = format!("\"berth login {registry}\"");
        if wish.is_download() && self.logged_in {
            format!("{registry} does not take the name and password of the URL{said}; correct them")
        } else if wish.is_download() {
            format!(
                "{registry} wants a login{said}; write its name and password before the host, as in NAME:PASSWORD@{registry}"
            )
        } else if wish.verb == "log in to" {
            format!("it does not take this name and password{said}")
        } else if self.logged_in {
            format!(
                "{registry} does not accept the stored login for it{said}; check the name, or log in again with {login}"
            )
        } else if wish.verb == "push" {
            format!("{registry} wants a login for it{said}; log in with {login}")
        } else {
            format!(
                "it does not exist on {registry}, or it wants a login{said}; check the name, or log in with {login}"
            )
        }
    }

    /// The registry's own words in parentheses, cut to a line.
    fn said(&self) -> String {
        match (&self.message, &self.code) {
            (Some(message), _) => {
                let line: String = message.chars().take(200).collect();
                format!(" (it says: {})", berth_base::escape_untrusted(line.trim()))
            }
            (None, Some(code)) => {
                let code: String = code.chars().take(60).collect();
                format!(" (it says: {})", berth_base::escape_untrusted(&code))
            }
            (None, None) => String::new(),
        }
    }
}

pub(super) fn status_words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// A time as one says it.
fn humane(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{} minutes", seconds.div_ceil(60)),
        seconds => format!("{} hours", seconds.div_ceil(3600)),
    }
}

/// The system's answer without its number.
pub(super) fn plain(source: &io::Error) -> String {
    let text = source.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

fn connect_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => "check its name and port, or start it",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "check this machine's network"
        }
        _ => "check its name, its port and the network",
    }
}

/// Says that an address is none that a registry may send us to.
pub(super) fn private_address(address: &str) -> String {
    format!("which is the private address {address}")
}
