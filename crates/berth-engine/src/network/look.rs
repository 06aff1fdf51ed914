//! What `system doctor` asks of the packet filter.

use berth_net::nft::{self, Dropping};

use crate::EngineError;

/// Whether the packet filter of the caller's network namespace has what the engine needs, and lets
/// the caller use it. Nothing is changed.
///
/// # Errors
/// What is missing, by name.
pub fn probe_packet_filter() -> Result<(), EngineError> {
    Ok(nft::available(&nft::socket()?)?)
}

/// Other people's chains that drop what the host passes on.
///
/// # Errors
/// The packet filter cannot be read.
pub fn dropping_chains() -> Result<Vec<Dropping>, EngineError> {
    Ok(nft::dropping(&nft::socket()?)?)
}
