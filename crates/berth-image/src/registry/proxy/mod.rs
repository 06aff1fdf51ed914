//! Proxies: which one stands before which server, and the way through it.
//!
//! Plain HTTP is asked of a proxy by whole URLs (RFC 9112, section 3.2.2), TLS goes through a tunnel
//! that CONNECT opens (RFC 9110, section 9.3.6). Which names go past it is Go's reading of NO_PROXY,
//! since Docker's users wrote theirs for it. A proxy sees no login of a registry that speaks TLS,
//! and its own name and password go to nobody else.

mod except;
mod settings;
mod trouble;
mod tunnel;

pub use except::NoProxy;
pub use settings::{Proxies, ProxySetting};

pub(super) use settings::{Proxy, Way};
pub(super) use trouble::{ProxyFailure, Trouble};
pub(super) use tunnel::{ask_whole, tunnel};
