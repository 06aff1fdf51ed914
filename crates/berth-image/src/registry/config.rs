//! What the caller says of registries: mirrors, certificates, how patient to be.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use berth_base::ErrorClass;
use serde::Deserialize;

use super::proxy::Proxies;
use super::url::{Scheme, Url};
use crate::ImageError;

/// Everything that a [`Client`](super::Client) needs to know; nothing is read from the environment.
#[derive(Clone, Debug, Default)]
pub struct RegistryConfig {
    /// By host, with its port if it has one, as references name it.
    pub hosts: BTreeMap<String, HostConfig>,
    /// Folders such as `/etc/docker/certs.d`, which hold a folder `HOST[:PORT]` with authorities
    /// (`*.crt`) and client certificates (`*.cert` with `*.key`).
    pub certificate_folders: Vec<PathBuf>,
    /// Which proxies stand before servers.
    pub proxies: Proxies,
    /// How much at once, how often again.
    pub tuning: Tuning,
}

/// One registry, as the section `[registry."HOST"]` of the configuration file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HostConfig {
    /// Its certificate is not checked, and it may speak plain HTTP.
    pub insecure: bool,
    /// `https://HOST[/PATH]`, asked before it when something is pulled.
    pub mirrors: Vec<String>,
    /// A PEM file with the authority that signed its certificate.
    pub ca: Option<PathBuf>,
}

/// How much at once, how long, how often again.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Blobs that are transferred at a time.
    pub transfers: usize,
    /// Layers that are handed to the unpacker at a time.
    pub unpackers: usize,
    /// Tries for each request, or for each blob without a byte of progress.
    pub attempts: u32,
    /// The pause before the second try; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause of our own.
    pub longest_pause: Duration,
    /// The longest pause that a registry may ask for.
    pub longest_wait: Duration,
    /// For a connection and its TLS.
    pub connect: Duration,
    /// For the head of an answer, and between two pieces of its body.
    pub idle: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            transfers: 4,
            unpackers: 2,
            attempts: 6,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(15),
            longest_wait: Duration::from_secs(90),
            connect: Duration::from_secs(20),
            idle: Duration::from_secs(60),
        }
    }
}

/// Docker Hub as references name it, and the host that serves it.
pub(super) const HUB: &str = "docker.io";
const HUB_HOST: &str = "registry-1.docker.io";

/// A server that can be asked for images: a registry or a mirror of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `HOST[:PORT]` as the user knows it: for messages, credentials, certificates.
    pub(super) name: String,
    /// Where it is; the scheme is a guess until it was spoken to, where `may_be_plain`.
    pub(super) base: Url,
    /// Plain HTTP is tried where it does not speak TLS.
    pub(super) may_be_plain: bool,
    /// Its certificate is not checked.
    pub(super) unverified: bool,
    pub(super) is_mirror: bool,
}

impl Endpoint {
    /// The URL of a path below `/v2/`.
    pub(super) fn url(&self, scheme: Scheme, path: &str) -> Url {
        let mut url = self.base.clone();
        if scheme != url.origin.scheme {
            if url.origin.port == url.origin.scheme.default_port() {
                url.origin.port = scheme.default_port();
            }
            url.origin.scheme = scheme;
        }
        let prefix = url.path_and_query.trim_end_matches('/');
        url.path_and_query = format!("{prefix}/v2/{path}");
        url
    }
}

impl RegistryConfig {
    /// The registry itself.
    pub(super) fn origin(&self, registry: &str) -> Result<Endpoint, ImageError> {
        let host = if registry == HUB { HUB_HOST } else { registry };
        let base = Url::parse(&format!("https://{host}/")).ok_or_else(|| ImageError::Registry {
            class: ErrorClass::Invalid,
            message: format!("cannot use the registry {registry:?}: it is no host name or address"),
        })?;
        let insecure = self.hosts.get(registry).is_some_and(|h| h.insecure);
        Ok(Endpoint {
            may_be_plain: insecure || is_loopback(&base.origin.host),
            unverified: insecure,
            name: registry.to_owned(),
            base,
            is_mirror: false,
        })
    }

    /// Its mirrors, in their order, then the registry itself.
    pub(super) fn endpoints(&self, registry: &str) -> Result<Vec<Endpoint>, ImageError> {
        let mirrors = self.hosts.get(registry).map_or(&[][..], |h| &h.mirrors);
        let mut endpoints = Vec::new();
        for mirror in mirrors {
            endpoints.push(self.mirror(registry, mirror)?);
        }
        endpoints.push(self.origin(registry)?);
        Ok(endpoints)
    }

    fn mirror(&self, registry: &str, text: &str) -> Result<Endpoint, ImageError> {
        let invalid = |why: &str| ImageError::Registry {
            class: ErrorClass::Invalid,
            message: format!("cannot use {text:?}, a mirror of {registry} in config.toml: {why}"),
        };
        let mut base =
            Url::parse(text).ok_or_else(|| invalid("write https://HOST[:PORT][/PATH]"))?;
        let name = base.origin.authority();
        let insecure = self.hosts.get(&name).is_some_and(|h| h.insecure);
        if base.origin.scheme == Scheme::Http && !insecure && !is_loopback(&base.origin.host) {
            let section = format!(
                "plain HTTP is only for mirrors with \"insecure = true\" in [registry.\"{name}\"]"
            );
            return Err(invalid(&section));
        }
        let path = base.path_and_query.trim_end_matches('/');
        base.path_and_query = path.strip_suffix("/v2").unwrap_or(path).to_owned();
        Ok(Endpoint {
            may_be_plain: base.origin.scheme == Scheme::Http,
            unverified: insecure,
            name,
            base,
            is_mirror: true,
        })
    }
}

/// 127.0.0.0/8, ::1 and `localhost`, which may speak plain HTTP as with Docker.
pub(super) fn is_loopback(host: &str) -> bool {
    let is_own = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> RegistryConfig {
        let hub = HostConfig {
            mirrors: vec![
                "https://m.example/hub/v2/".into(),
                "http://plain.example".into(),
            ],
            ..HostConfig::default()
        };
        let plain = HostConfig {
            insecure: true,
            ..HostConfig::default()
        };
        RegistryConfig {
            hosts: [(HUB.to_owned(), hub), ("plain.example".to_owned(), plain)].into(),
            ..RegistryConfig::default()
        }
    }

    #[test]
    fn mirrors_come_first() {
        let endpoints = config().endpoints(HUB).unwrap();
        let urls: Vec<String> = endpoints
            .iter()
            .map(|e| e.url(e.base.origin.scheme, "a/manifests/b").to_string())
            .collect();
        assert_eq!(
            urls,
            [
                "https://m.example/hub/v2/a/manifests/b",
                "http://plain.example/v2/a/manifests/b",
                "https://registry-1.docker.io/v2/a/manifests/b"
            ]
        );
    }

    #[test]
    fn plain_http_only_where_allowed() {
        let mut config = config();
        for (registry, plain) in [
            ("127.3.2.1:5000", true),
            ("localhost", true),
            ("[::1]:5000", true),
            ("plain.example", true),
            ("plain.example:5000", false),
            ("r.example", false),
            (HUB, false),
        ] {
            let endpoint = config.origin(registry).unwrap();
            assert_eq!(endpoint.may_be_plain, plain, "{registry}");
            assert_eq!(endpoint.base.origin.scheme, Scheme::Https);
        }
        let endpoint = config.origin("plain.example").unwrap();
        assert_eq!(
            endpoint.url(Scheme::Http, "").to_string(),
            "http://plain.example/v2/"
        );
        config.hosts.remove("plain.example");
        let error = config.endpoints(HUB).unwrap_err().to_string();
        insta::assert_snapshot!(error, @r#"cannot use "http://plain.example", a mirror of docker.io in config.toml: plain HTTP is only for mirrors with "insecure = true" in [registry."plain.example"]"#);
    }
}
