//! Registries: pull, push, login (distribution-spec 1.1 and Docker's token authentication); and files
//! from anywhere on the web, by the same client.
//!
//! Async inside, blocking outside: each thread of a transfer has a runtime of its own, so hashing
//! and writing happen between two pieces of a body. Owns no file but those that `login` writes,
//! reads no environment variable, and never follows a registry's word to where the user did not
//! send it: logins go to the registry and its token server alone, redirects and foreign layers of a
//! public registry to public addresses alone, from https never to http. Where a proxy stands in
//! between, which addresses names have is the proxy's to know.

mod address;
mod body;
mod challenge;
mod client;
mod config;
mod connection;
mod credentials;
mod download;
mod failure;
mod fetch;
mod into_store;
mod line;
mod login;
mod manifest;
mod proxy;
mod pull;
mod push;
mod reply;
mod resolve;
mod session;
mod sink;
mod tags;
mod tls;
mod token;
mod upload;
mod url;

pub use client::Client;
pub use config::{HostConfig, RegistryConfig, Tuning};
pub use credentials::{Anonymous, AuthFiles, Credential, Credentials, Stored};
pub use download::{WebFile, download};
pub use into_store::PulledImage;
pub use login::verify_login;
pub use manifest::PlatformChoice;
pub use proxy::{NoProxy, Proxies, ProxySetting};
pub use pull::{Arriving, Consumer, Contents, Pulled, pull};
pub use push::push;
pub use sink::{BlobStore, BlobWrite};
pub use tags::tags;
