//! Addresses on the web, as far as registries need them.

use std::fmt;

use hyper::Uri;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(super) const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A server: what a connection is made to, and what credentials are bound to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) scheme: Scheme,
    /// A name or address, lower case; an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// The host as URLs and the Host header have it: the port only where it is not the usual one.
    pub(super) fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.bracketed()
        } else {
            self.authority_with_port()
        }
    }

    /// The host and the port, always.
    pub(super) fn authority_with_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// A URL without user, password and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) origin: Origin,
    /// Begins with a slash.
    pub(super) path_and_query: String,
}

impl Url {
    /// Reads an absolute URL; `None` where it is none, not of the web, or holds a user.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let scheme = match uri.scheme_str()?.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host();
        let port = match authority
            .as_str()
            .get(host.len()..)?
            .trim_start_matches(':')
        {
            "" => scheme.default_port(),
            text => text.parse().ok()?,
        };
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() {
            return None;
        }
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let slash = if path.starts_with('/') { "" } else { "/" };
        Some(Self {
            origin: Origin {
                scheme,
                host: host.to_ascii_lowercase(),
                port,
            },
            path_and_query: format!("{slash}{path}"),
        })
    }

    /// Where a `Location` leads from here (RFC 3986, section 5): absolute, with or without a
    /// scheme, or a path.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let location = location.split('#').next().unwrap_or_default();
        if location.contains("://") {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.origin.scheme.as_str()));
        }
        let path = self.path_and_query.split('?').next().unwrap_or("/");
        let joined = if location.starts_with('/') {
            location.to_owned()
        } else if location.is_empty() || location.starts_with('?') {
            format!("{path}{location}")
        } else {
            let folder = path.rfind('/').and_then(|at| path.get(..=at));
            format!("{}{location}", folder.unwrap_or("/"))
        };
        Self::parse(&format!("{}{joined}", self.origin))
    }

    /// The same with one more part of the query, which must be escaped already.
    pub(super) fn with_query(&self, part: &str) -> Self {
        let separator = if self.path_and_query.contains('?') {
            '&'
        } else {
            '?'
        };
        Self {
            origin: self.origin.clone(),
            path_and_query: format!("{}{separator}{part}", self.path_and_query),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path_and_query)
    }
}

/// Escapes a value of a query (RFC 3986, section 2.3: what is unreserved stays).
pub(super) fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push('%');
            for nibble in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                text.push(digit.to_ascii_uppercase());
            }
        }
    }
    text
}

/// The reverse of [`escape`]; `None` where the escapes, or what they stand for, are no text.
fn unescape(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after
            .get(..2)
            .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// Name and password, as a URL can hold them.
pub(super) type User = (String, String);

/// A URL without its name and password, and these; `None` where they are written wrongly.
pub(super) fn without_user(url: &str) -> Option<(String, Option<User>)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some((user, host)) = authority.rsplit_once('@') else {
        return Some((url.to_owned(), None));
    };
    let (name, secret) = user.split_once(':').unwrap_or((user, ""));
    let user = (unescape(name)?, unescape(secret)?);
    Some((format!("{scheme}://{host}{path}"), Some(user)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let base = Url::parse("https://r.example:5000/v2/a/blobs/uploads/?x=1").unwrap();
        let joined = |location: &str| base.join(location).map(|url| url.to_string());
        for (location, url) in [
            ("https://s3.example/x?y=z", "https://s3.example/x?y=z"),
            ("//s3.example/x", "https://s3.example/x"),
            ("/v2/b?c=d#e", "https://r.example:5000/v2/b?c=d"),
            ("7?s=1", "https://r.example:5000/v2/a/blobs/uploads/7?s=1"),
            ("?s=1", "https://r.example:5000/v2/a/blobs/uploads/?s=1"),
            ("HTTP://X.example:80", "http://x.example/"),
            ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ] {
            assert_eq!(joined(location).as_deref(), Some(url), "{location}");
        }
        for bad in [
            "ftp://x/",
            "https://user:secret@x/",
            "http://",
            "file:///etc/passwd",
            "http://a b/",
            "http://a:b/",
            "http://a:65536/",
        ] {
            assert_eq!(joined(bad), None, "{bad}");
        }
        assert_eq!(
            base.with_query("a=b").path_and_query,
            "/v2/a/blobs/uploads/?x=1&a=b"
        );
        assert_eq!(
            escape("repository:a/b:pull,push ä"),
            "repository%3Aa%2Fb%3Apull%2Cpush%20%C3%A4"
        );
    }

    #[test]
    fn users() {
        let split = |url: &str| without_user(url);
        let plain = ("http://x/a@b".to_owned(), None);
        assert_eq!(split("http://x/a@b"), Some(plain));
        let user = |name: &str, secret: &str| Some((name.to_owned(), secret.to_owned()));
        let with = ("https://x:1/y".to_owned(), user("a@b", "c:d/\u{e4}"));
        assert_eq!(split("https://a%40b:c:d%2f%C3%A4@x:1/y"), Some(with));
        assert_eq!(
            split("https://a@x"),
            Some(("https://x".to_owned(), user("a", "")))
        );
        for bad in [
            "x",
            "http://%@x",
            "http://%4@x",
            "http://a:%ff@x",
            "http://%+4@x",
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
