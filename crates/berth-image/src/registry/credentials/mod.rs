//! Logins: where they come from and where `login` puts them.

mod files;
mod helper;

pub use files::{AuthFiles, Stored};

use std::fmt;

use super::config::HUB;
use crate::ImageError;

/// What lets somebody in.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Name and password, or an access token in its place.
    Password {
        /// The name.
        name: String,
        /// The password.
        secret: String,
    },
    /// A refresh token of OAuth2, which buys tokens for scopes.
    IdentityToken(String),
    /// A bearer token that is shown as it is.
    RegistryToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(...)")
    }
}

/// Finds logins.
pub trait Credentials: Send + Sync {
    /// The login for a repository of a registry (`HOST[:PORT]`, `docker.io`); `None` is nobody.
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, ImageError>;
}

/// Nobody: public images only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn find(&self, _registry: &str, _repository: &str) -> Result<Option<Credential>, ImageError> {
        Ok(None)
    }
}

/// One login for every registry: what `login` tries out.
impl Credentials for Credential {
    fn find(&self, _registry: &str, _repository: &str) -> Result<Option<Credential>, ImageError> {
        Ok(Some(self.clone()))
    }
}

/// The name under which Docker files the login of a registry: `config.json` and helpers.
pub(super) fn server_of(registry: &str) -> &str {
    if registry == HUB {
        "https://index.docker.io/v1/"
    } else {
        registry
    }
}

/// The names under which a file may have the login of a repository, the narrowest first
/// (containers-auth.json(5) has parts of repositories, old clients wrote URLs).
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let hosts: &[&str] = if registry == HUB {
        &[HUB, "index.docker.io", "registry-1.docker.io"]
    } else {
        &[registry]
    };
    let mut keys = Vec::new();
    let mut path = repository;
    while !path.is_empty() {
        keys.extend(hosts.iter().map(|host| format!("{host}/{path}")));
        path = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    }
    for host in hosts {
        keys.push((*host).to_owned());
        for scheme in ["https", "http"] {
            for end in ["", "/", "/v1/", "/v2/", "/v1", "/v2"] {
                keys.push(format!("{scheme}://{host}{end}"));
            }
        }
    }
    keys
}
