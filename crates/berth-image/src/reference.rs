//! References: what a user types to name an image.

use std::fmt;
use std::str::FromStr;

use berth_base::Digest;
use serde::{Deserialize, Serialize};

/// The registry that a reference without one means.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Where official images are on it.
const OFFICIAL: &str = "library/";
/// The tag that a reference without tag and digest means.
const DEFAULT_TAG: &str = "latest";

/// The longest repository with its registry (distribution/reference).
const NAME_MAX: usize = 255;
/// The longest tag (distribution-spec, "Pulling manifests").
const TAG_MAX: usize = 128;

/// A reference in full: `REGISTRY/REPOSITORY[:TAG][@DIGEST]`, with at least one of the two.
///
/// Parsed from what Docker takes: `alpine` is `docker.io/library/alpine:latest`. The first part is
/// a registry if it holds a dot or a colon, is `localhost`, or has an upper-case letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid image reference {text:?}: {why}; write [REGISTRY/]NAME[:TAG][@DIGEST], such as alpine:3.19"
)]
pub struct InvalidReference {
    text: String,
    why: &'static str,
}

impl ImageRef {
    /// The registry's host, with its port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The name at the registry, such as `library/alpine`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that pins it.
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The repository with its registry, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// What asks the registry for the manifest: the digest, else the tag.
    pub fn manifest_reference(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => DEFAULT_TAG,
        }
    }

    /// The same repository under another tag.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Self {
        Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        }
    }

    /// The same repository, pinned by a digest alone.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The name as listings show it: without `docker.io` and `library`, without tag and digest.
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        let short = match self.repository.strip_prefix(OFFICIAL) {
            Some(rest) if !rest.contains('/') => rest,
            _ => &self.repository,
        };
        // Docker Hub's a.b/c would read as c of the registry a.b, and 64 hex digits as an id.
        match short.parse::<Self>() {
            Ok(read) if read.name() == self.name() => short.to_owned(),
            _ => self.name(),
        }
    }

    /// The reference as listings show it.
    pub fn familiar(&self) -> String {
        self.join(self.familiar_name())
    }

    fn join(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text
    }
}

impl FromStr for ImageRef {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let fail = |why| InvalidReference {
            text: text.chars().take(300).collect(),
            why,
        };
        if text.is_empty() {
            return Err(fail("it is empty"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|_| fail("after @ comes sha256: and 64 lower-case hex digits"))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (registry, rest) = split_registry(rest);
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        check_registry(registry).map_err(fail)?;
        check_repository(repository).map_err(fail)?;
        tag.map_or(Ok(()), check_tag).map_err(fail)?;
        let is_id = registry.is_none()
            && repository.len() == 64
            && repository.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id {
            return Err(fail("64 hex digits are an image's id, not a name"));
        }
        let registry = match registry {
            None | Some("index.docker.io") => DEFAULT_REGISTRY,
            Some(registry) => registry,
        };
        let official = registry == DEFAULT_REGISTRY && !repository.contains('/');
        let repository = if official {
            format!("{OFFICIAL}{repository}")
        } else {
            repository.to_owned()
        };
        // index.docker.io is what old clients called it.
        if registry.len() + 1 + repository.len() > NAME_MAX {
            return Err(fail("the name is longer than 255 characters"));
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag,
            digest,
        })
    }
}

/// Splits the registry off, if the first part is one.
fn split_registry(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.chars().any(|c| c.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, text),
    }
}

fn check_registry(registry: Option<&str>) -> Result<(), &'static str> {
    let Some(registry) = registry else {
        return Ok(());
    };
    let bracketed = registry.strip_prefix('[').and_then(|r| r.split_once(']'));
    let (host_is_sound, rest) = match bracketed {
        Some((address, rest)) => (address.parse::<std::net::Ipv6Addr>().is_ok(), rest),
        None => {
            let (host, rest) = registry
                .find(':')
                .map_or((registry, ""), |at| registry.split_at(at));
            (host.split('.').all(is_domain_part), rest)
        }
    };
    let port_is_sound = match rest.strip_prefix(':') {
        Some(port) => {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0)
        }
        None => rest.is_empty(),
    };
    if host_is_sound && port_is_sound {
        Ok(())
    } else {
        Err("the registry is no host name or address with an optional port")
    }
}

fn is_domain_part(part: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !part.is_empty() && part.bytes().all(sound) && !part.starts_with('-') && !part.ends_with('-')
}

/// Parts of lower-case letters and digits, joined inside by `.`, `_`, `__` or dashes
/// (distribution-spec, "Pulling manifests").
fn check_repository(repository: &str) -> Result<(), &'static str> {
    if repository.is_empty() {
        return Err("the name is missing");
    }
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the name must be lower case");
    }
    if repository.split('/').all(is_path_part) {
        Ok(())
    } else {
        Err("the name has parts of a-z and 0-9, joined by a dot, one or two underscores, or dashes")
    }
}

fn is_path_part(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let sound = part.starts_with(is_word)
        && part.ends_with(is_word)
        && part
            .chars()
            .all(|c| is_word(c) || matches!(c, '.' | '_' | '-'));
    sound
        && part
            .split(is_word)
            .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let rest = |b: u8| first(b) || matches!(b, b'.' | b'-');
    let sound =
        tag.len() <= TAG_MAX && tag.bytes().next().is_some_and(first) && tag.bytes().all(rest);
    if sound {
        Ok(())
    } else {
        Err("the tag has up to 128 of a-z A-Z 0-9 _ . - and does not begin with . or -")
    }
}

impl TryFrom<String> for ImageRef {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, InvalidReference> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(reference: ImageRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join(self.name()))
    }
}

impl fmt::Debug for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageRef({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_docker_takes() {
        let digest = format!("sha256:{HEX}");
        for (text, full, familiar) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            ("a/b:1", "docker.io/a/b:1", "a/b:1"),
            (
                "docker.io/alpine",
                "docker.io/library/alpine:latest",
                "alpine:latest",
            ),
            (
                "docker.io/a.b/c",
                "docker.io/a.b/c:latest",
                "docker.io/a.b/c:latest",
            ),
            (
                &format!("docker.io/{HEX}"),
                &format!("docker.io/library/{HEX}:latest"),
                &format!("docker.io/library/{HEX}:latest"),
            ),
            (
                "index.docker.io/a",
                "docker.io/library/a:latest",
                "a:latest",
            ),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            (
                "127.0.0.1:5000/x:y",
                "127.0.0.1:5000/x:y",
                "127.0.0.1:5000/x:y",
            ),
            ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
            (
                "quay.io/a/b/c__d.e--f",
                "quay.io/a/b/c__d.e--f:latest",
                "quay.io/a/b/c__d.e--f:latest",
            ),
            (
                &format!("alpine@{digest}"),
                &format!("docker.io/library/alpine@{digest}"),
                &format!("alpine@{digest}"),
            ),
            (
                &format!("alpine:3@{digest}"),
                &format!("docker.io/library/alpine:3@{digest}"),
                &format!("alpine:3@{digest}"),
            ),
        ] {
            let parsed: ImageRef = text.parse().unwrap();
            assert_eq!(parsed.to_string(), *full, "{text}");
            assert_eq!(parsed.familiar(), *familiar, "{text}");
            assert_eq!(parsed.to_string().parse::<ImageRef>().unwrap(), parsed);
        }
    }

    #[test]
    fn what_is_refused() {
        for bad in [
            "",
            ":",
            "@",
            "a:",
            "a@",
            "A",
            "a/B",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a//b",
            "/a",
            "a/",
            "a b",
            "a:-x",
            "a:é",
            "..",
            "../a",
            "a/../b",
            "x.y:0/a",
            "x.y:99999/a",
            "[::g]/a",
            "a@sha256:12",
            HEX,
            "x_y.z:1/a",
            "http://a/b",
        ] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad}");
        }
        assert!(
            format!("a:{}", "t".repeat(129))
                .parse::<ImageRef>()
                .is_err()
        );
        assert!("a".repeat(256).parse::<ImageRef>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_parses_again(text in "\\PC{0,80}") {
            if let Ok(parsed) = text.parse::<ImageRef>() {
                prop_assert_eq!(parsed.to_string().parse::<ImageRef>().unwrap(), parsed);
            }
        }

        #[test]
        fn likely_texts(text in "[a-zA-Z0-9./:@_\\[\\]-]{0,40}") {
            if let Ok(parsed) = text.parse::<ImageRef>() {
                prop_assert_eq!(parsed.to_string().parse::<ImageRef>().unwrap(), parsed.clone());
                prop_assert_eq!(parsed.familiar().parse::<ImageRef>().unwrap(), parsed);
            }
        }
    }
}
