//! Which proxy stands before which server.

use std::fmt;
use std::sync::Arc;

use berth_base::ErrorClass;
use hyper::header::HeaderValue;
use tokio_rustls::rustls::ClientConfig;

use super::except::NoProxy;
use crate::ImageError;
use crate::registry::config::is_loopback;
use crate::registry::token::basic;
use crate::registry::url::{Origin, Scheme, Url, without_user};

/// The proxies of a client; by default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For plain HTTP.
    pub http: Option<ProxySetting>,
    /// For HTTPS.
    pub https: Option<ProxySetting>,
    /// Who is spoken to directly. This machine always is.
    pub except: NoProxy,
}

/// A proxy as somebody wrote it.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxySetting {
    /// `http://[NAME:PASSWORD@]HOST[:PORT]`, also `https://` or without a scheme.
    pub url: String,
    /// Where it was written, for messages: `HTTPS_PROXY`.
    pub source: String,
}

/// Without the password.
impl fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxySetting({} of {})", self.shown(), self.source)
    }
}

/// A proxy that can be spoken to.
#[derive(Clone)]
pub(in crate::registry) struct Proxy {
    pub(in crate::registry) origin: Origin,
    /// The header Proxy-Authorization.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) source: String,
}

/// A proxy, and how it is spoken to.
#[derive(Clone)]
pub(in crate::registry) struct Way {
    pub(in crate::registry) proxy: Proxy,
    /// Where its URL begins with https.
    pub(in crate::registry) tls: Option<Arc<ClientConfig>>,
}

impl Proxies {
    /// The proxy before a server. A setting that makes no sense matters only to whom it is for.
    pub(in crate::registry) fn before(&self, origin: &Origin) -> Result<Option<Proxy>, ImageError> {
        let setting = match origin.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        match setting {
            Some(setting) if !is_loopback(&origin.host) && !self.except.covers(origin) => {
                setting.read().map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl ProxySetting {
    fn read(&self) -> Result<Proxy, ImageError> {
        let text = self.url.trim();
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let parts = without_user(&whole);
        let parts = parts.and_then(|(url, user)| Some((Url::parse(&url)?, user)));
        let (url, user) = parts.ok_or_else(|| self.senseless(&whole))?;
        let header = user.map(|(name, secret)| basic(&name, &secret));
        Ok(Proxy {
            origin: url.origin,
            authorization: header.transpose().map_err(|_| self.senseless(&whole))?,
            source: self.source.clone(),
        })
    }

    fn senseless(&self, whole: &str) -> ImageError {
        let why = match whole.split_once("://") {
            Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
                "SOCKS is not spoken here, and the proxy may speak HTTP as well"
            }
            _ => "it is no URL of one",
        };
        ImageError::Registry {
            class: ErrorClass::Invalid,
            message: format!(
                "cannot use the proxy {:?} of {}: {why}; write http://[NAME:PASSWORD@]HOST[:PORT], with other characters as %XX",
                self.shown(),
                self.source
            ),
        }
    }

    /// The URL with name and password left out, however it is broken.
    fn shown(&self) -> String {
        match (self.url.split_once("://"), self.url.rsplit_once('@')) {
            (_, None) => self.url.clone(),
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://...@{host}"),
            (None, Some((_, host))) => format!("...@{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(url: &str) -> ProxySetting {
        ProxySetting {
            url: url.to_owned(),
            source: "HTTPS_PROXY".to_owned(),
        }
    }

    fn before(proxies: &Proxies, server: &str) -> Option<String> {
        let url = Url::parse(server).unwrap();
        let proxy = proxies.before(&url.origin).unwrap();
        proxy.map(|proxy| proxy.origin.to_string())
    }

    #[test]
    fn one_for_each_scheme_and_none_for_this_machine() {
        let proxies = Proxies {
            http: Some(setting("plain.example:3128")),
            https: Some(setting("https://Me:secret@secure.example/")),
            except: NoProxy::parse("direct.example"),
        };
        let of = |server: &str| before(&proxies, server);
        assert_eq!(
            of("http://r.example/"),
            Some("http://plain.example:3128".into())
        );
        assert_eq!(
            of("https://r.example/"),
            Some("https://secure.example".into())
        );
        for direct in [
            "https://direct.example/",
            "http://localhost:5000/",
            "https://127.3.2.1/",
            "https://[::1]:5000/",
        ] {
            assert_eq!(of(direct), None, "{direct}");
        }
        assert_eq!(before(&Proxies::default(), "https://r.example/"), None);
        let shown = format!("{proxies:?}");
        assert!(
            !shown.contains("secret") && !shown.contains("Me"),
            "{shown}"
        );
    }

    #[test]
    fn names_and_passwords() {
        let header = |url: &str| {
            let proxy = setting(url).read().unwrap();
            let header = proxy.authorization?;
            assert!(header.is_sensitive());
            Some(header.to_str().unwrap().to_owned())
        };
        assert_eq!(header("http://p.example"), None);
        // "me:pass" and "m@e:p:a/s".
        assert_eq!(
            header("http://me:pass@p.example:1"),
            Some("Basic bWU6cGFzcw==".into())
        );
        assert_eq!(
            header("m%40e:p%3Aa%2fs@p.example"),
            Some("Basic bUBlOnA6YS9z".into())
        );
        assert_eq!(header("http://me@p.example"), Some("Basic bWU6".into()));
    }

    #[test]
    fn senseless_ones() {
        let refused = |url: &str| setting(url).read().err().unwrap().to_string();
        insta::assert_snapshot!(refused("socks5://me:pass@p.example:1080"), @r#"cannot use the proxy "socks5://...@p.example:1080" of HTTPS_PROXY: SOCKS is not spoken here, and the proxy may speak HTTP as well; write http://[NAME:PASSWORD@]HOST[:PORT], with other characters as %XX"#);
        insta::assert_snapshot!(refused("http://me:p%zz@p.example"), @r#"cannot use the proxy "http://...@p.example" of HTTPS_PROXY: it is no URL of one; write http://[NAME:PASSWORD@]HOST[:PORT], with other characters as %XX"#);
        for bad in ["http://", "a b", "http://p.example:x", "me:pass@"] {
            assert!(setting(bad).read().is_err(), "{bad}");
        }
    }
}
