//! What all threads of a transfer share: settings, logins, tokens, what is known of servers.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use berth_base::ErrorClass;
use hyper::header::HeaderValue;
use tokio_rustls::rustls::ClientConfig;

use super::address::{Reach, is_public};
use super::config::{Endpoint, RegistryConfig, Tuning};
use super::credentials::{Credential, Credentials};
use super::proxy::Way;
use super::tls::TlsFiles;
use super::url::{Origin, Scheme};
use crate::ImageError;

/// Talks to registries. Cheap to make; holds tokens in memory only, for as long as it lives.
pub struct Client {
    config: RegistryConfig,
    credentials: Box<dyn Credentials>,
    logins: Cache<String, Option<Credential>>,
    tokens: Cache<(String, String), Token>,
    peers: Cache<String, IpAddr>,
    schemes: Cache<String, Scheme>,
    tls: Cache<(String, Origin), Arc<ClientConfig>>,
}

/// An Authorization header, and until when it is good.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    /// `None` for a password.
    pub(super) expires: Option<Instant>,
    /// A login of the user's stands behind it.
    pub(super) logged_in: bool,
}

impl Client {
    /// Makes a client that finds logins through `credentials`.
    pub fn new(config: RegistryConfig, credentials: Box<dyn Credentials>) -> Self {
        Self {
            config,
            credentials,
            logins: Cache::default(),
            tokens: Cache::default(),
            peers: Cache::default(),
            schemes: Cache::default(),
            tls: Cache::default(),
        }
    }

    pub(super) const fn config(&self) -> &RegistryConfig {
        &self.config
    }

    pub(super) const fn tuning(&self) -> &Tuning {
        &self.config.tuning
    }

    /// The user's login for a server; helpers are asked once.
    pub(super) fn login(
        &self,
        endpoint: &Endpoint,
        repository: &str,
    ) -> Result<Option<Credential>, ImageError> {
        let key = format!("{}/{repository}", endpoint.name);
        if let Some(known) = self.logins.get(&key) {
            return Ok(known);
        }
        let found = self.credentials.find(&endpoint.name, repository)?;
        self.logins.put(key, found.clone());
        Ok(found)
    }

    /// The header for a scope, if there is a fresh one.
    pub(super) fn token(&self, endpoint: &Endpoint, scope: &str) -> Option<Token> {
        let key = (endpoint.name.clone(), scope.to_owned());
        let token = self.tokens.get(&key)?;
        let fresh = token.expires.is_none_or(|at| Instant::now() < at);
        fresh.then_some(token)
    }

    pub(super) fn keep_token(&self, endpoint: &Endpoint, scope: &str, token: Token) {
        let key = (endpoint.name.clone(), scope.to_owned());
        self.tokens.put(key, token);
    }

    /// How the server is spoken to, once it answered.
    pub(super) fn scheme(&self, endpoint: &Endpoint) -> Option<Scheme> {
        self.schemes.get(&endpoint.name)
    }

    pub(super) fn keep_scheme(&self, endpoint: &Endpoint, scheme: Scheme) {
        self.schemes.put(endpoint.name.clone(), scheme);
    }

    pub(super) fn keep_peer(&self, endpoint: &Endpoint, address: IpAddr) {
        self.peers.put(endpoint.name.clone(), address);
    }

    /// Where a registry may send us: one of a private network to all of it, others to what is
    /// public.
    pub(super) fn reach_beyond(&self, endpoint: &Endpoint) -> Reach {
        match self.peers.get(&endpoint.name) {
            Some(address) if !is_public(address) => Reach::Anywhere,
            _ => Reach::Public,
        }
    }

    /// TLS settings for a server that an endpoint is, or that it sent us to: its own authorities
    /// are trusted for both, its client certificate is shown to itself alone.
    pub(super) fn tls(
        &self,
        endpoint: &Endpoint,
        origin: &Origin,
        own: bool,
    ) -> Result<Option<Arc<ClientConfig>>, ImageError> {
        if origin.scheme == Scheme::Http {
            return Ok(None);
        }
        let key = (endpoint.name.clone(), origin.clone());
        if let Some(known) = self.tls.get(&key) {
            return Ok(Some(known));
        }
        let host = self.config.hosts.get(&endpoint.name);
        let ca = host.and_then(|h| h.ca.as_deref());
        let folders = &self.config.certificate_folders;
        let config = if own {
            TlsFiles::find(folders, &endpoint.name, ca)?.load(!endpoint.unverified)?
        } else {
            let authority = origin.authority();
            let insecure = self
                .config
                .hosts
                .get(&authority)
                .is_some_and(|h| h.insecure);
            let mut files = TlsFiles::find(folders, &authority, ca)?;
            files.trust_also(TlsFiles::find(folders, &endpoint.name, None)?);
            files.load(!insecure)?
        };
        self.tls.put(key, Arc::clone(&config));
        Ok(Some(config))
    }

    /// The proxy before a server, with its TLS settings where it wants some.
    pub(super) fn proxy(&self, origin: &Origin) -> Result<Option<Way>, ImageError> {
        let Some(proxy) = self.config.proxies.before(origin)? else {
            return Ok(None);
        };
        if proxy.origin.scheme == Scheme::Http {
            return Ok(Some(Way { proxy, tls: None }));
        }
        // No registry has an empty name.
        let key = (String::new(), proxy.origin.clone());
        let tls = match self.tls.get(&key) {
            Some(known) => known,
            None => {
                let folders = &self.config.certificate_folders;
                let files = TlsFiles::find(folders, &proxy.origin.authority(), None)?;
                let loaded = files.load(true)?;
                self.tls.put(key, Arc::clone(&loaded));
                loaded
            }
        };
        let tls = Some(tls);
        Ok(Some(Way { proxy, tls }))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A map behind a lock that is held for a look only.
struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &K) -> Option<V> {
        self.lock().get(key).cloned()
    }

    fn put(&self, key: K, value: V) {
        self.lock().insert(key, value);
    }
}

/// A token's end, a little before the server's: the request takes its time.
pub(super) fn expiry(lifetime_seconds: Option<u64>) -> Instant {
    // The specification's default, and a bound so that no sum overflows.
    let seconds = lifetime_seconds.unwrap_or(60).clamp(1, 86_400);
    Instant::now() + Duration::from_millis(seconds * 900)
}

/// A failure of our own, on this machine.
pub(super) fn local(what: &str, error: &std::io::Error) -> ImageError {
    ImageError::Registry {
        class: ErrorClass::Unavailable,
        message: format!("cannot {what}: {error}"),
    }
}
