//! What goes wrong with a registry, first as a kind that says whether to try again, then in words.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use berth_base::ErrorClass;
use hyper::StatusCode;

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
    /// The registry as the user names it.
    pub(super) registry: String,
    /// `pull`, `push`, `log in`.
    pub(super) verb: &'static str,
    /// `alpine:3.19`, `layer sha256:1234 of alpine:3.19`.
    pub(super) object: String,
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
            _ => None,
        }
    }

    /// How often to try at most: nobody waits long for a name that is mistyped, or for a server
    /// that is not there.
    pub(super) fn attempts(&self, usual: u32) -> u32 {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } => usual.min(3),
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
            other => format!("{other:?}"),
        }
    }

    /// The whole line for the user.
    pub(super) fn into_error(self, wish: &Wish) -> ImageError {
        let Wish {
            registry,
            verb,
            object,
        } = wish;
        let cannot = format!("cannot {verb} {object}");
        let unavailable = ErrorClass::Unavailable;
        let (class, message) = match self {
            Self::Other(error) => return error,
            Self::Answer(answer) => answer.into_words(wish),
            Self::Resolve { host, why } => (
                unavailable,
                format!(
                    "{cannot}: the registry's name {host} cannot be resolved: {why}; check the name, /etc/hosts and /etc/resolv.conf"
                ),
            ),
            Self::Connect { authority, source } => (
                unavailable,
                format!(
                    "{cannot}: the registry {authority} cannot be reached: {}; {}",
                    plain(&source),
                    connect_hint(&source)
                ),
            ),
            Self::Untrusted {
                authority,
                why,
                unknown_authority: true,
            } => (
                ErrorClass::Denied,
                format!(
                    "{cannot}: the certificate of {authority} was signed by an unknown authority ({why}); put the authority's certificate into /etc/docker/certs.d/{registry}/ca.crt, or set \"ca\" in the section [registry.\"{registry}\"] of config.toml"
                ),
            ),
            Self::Untrusted { authority, why, .. } => (
                ErrorClass::Denied,
                format!(
                    "{cannot}: the certificate of {authority} is not valid: {why}; ask the registry's owner"
                ),
            ),
            Self::Tls { authority, why } => (
                unavailable,
                format!(
                    "{cannot}: no TLS with {authority}: {why}; if it wants a client certificate, put it into /etc/docker/certs.d/{registry}/ as client.cert and client.key"
                ),
            ),
            Self::NotTls { authority } => (
                unavailable,
                format!(
                    "{cannot}: {authority} does not speak TLS; if plain HTTP is meant, set \"insecure = true\" in the section [registry.\"{registry}\"] of config.toml"
                ),
            ),
            Self::Silent { authority, seconds } => (
                unavailable,
                format!(
                    "{cannot}: the registry {authority} said nothing for {seconds}s; try again later"
                ),
            ),
            Self::Broken { authority, why } => (
                unavailable,
                format!(
                    "{cannot}: the connection to {authority} broke again and again: {why}; try again, what was transferred is kept"
                ),
            ),
            Self::Sent { authority, to, why } => (
                ErrorClass::Denied,
                format!("{cannot}: {authority} sent us to {to}, {why}; ask the registry's owner"),
            ),
        };
        ImageError::Registry { class, message }
    }
}

impl Answer {
    fn into_words(self, wish: &Wish) -> (ErrorClass, String) {
        let Wish {
            registry,
            verb,
            object,
        } = wish;
        let cannot = format!("cannot {verb} {object}");
        let authority = &self.authority;
        let status = self.status.as_u16();
        let answered = status_words(self.status);
        if self.is_page && !matches!(status, 401 | 403 | 404 | 429) {
            let words = format!(
                "{cannot}: {authority} answered {answered} with a web page instead of what a registry says; a proxy or a login page of the network may be in between, or it is no registry"
            );
            return (ErrorClass::Unavailable, words);
        }
        let said = self.said();
        let login = format!("\"berth login {registry}\"");
        match status {
            401 => (
                ErrorClass::Denied,
                format!("{cannot}: {}", self.unauthorized(wish)),
            ),
            403 => (
                ErrorClass::Denied,
                format!(
                    "{cannot}: {registry} forbids it{said}; ask its owner for the right, or log in as somebody else with {login}"
                ),
            ),
            404 if self.code.as_deref() == Some("NAME_UNKNOWN") => (
                ErrorClass::NotFound,
                format!(
                    "{cannot}: there is no such repository on {registry}{said}; check the name"
                ),
            ),
            404 => (
                ErrorClass::NotFound,
                format!("{cannot}: it is not on {registry}{said}; check name and tag"),
            ),
            429 => {
                let wait = self.retry_after.map(humane);
                let when = wait.map_or("later".to_owned(), |wait| format!("in {wait}"));
                let words = format!(
                    "{cannot}: {registry} allows no more requests for now (its rate limit){said}; try again {when}, log in with {login} for a higher limit, or configure a mirror"
                );
                (ErrorClass::Unavailable, words)
            }
            500.. => (
                ErrorClass::Unavailable,
                format!("{cannot}: {authority} answered {answered}{said}; try again later"),
            ),
            _ => (
                ErrorClass::Invalid,
                format!("{cannot}: {authority} answered {answered}{said}"),
            ),
        }
    }

    fn unauthorized(&self, wish: &Wish) -> String {
        let (registry, said) = (&wish.registry, self.said());
        let login = format!("\"berth login {registry}\"");
        if wish.verb == "log in to" {
            format!("it does not take this name and password{said}")
        } else if self.logged_in {
            format!(
                "{registry} does not accept the stored login for it{said}; check the name, or log in again with {login}"
            )
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

fn status_words(status: StatusCode) -> String {
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
fn plain(source: &io::Error) -> String {
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
pub(super) fn private_address(address: IpAddr) -> String {
    format!("which is the private address {address}")
}
