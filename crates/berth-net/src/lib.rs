//! Networks: interfaces, addresses, packets and names.
//!
//! Floor 2. [`Networks`] keeps what networks there are, [`lease`] hands out addresses, [`bridge`]
//! makes what carries a network on the host, `nft` the one nftables table of ours, `dns` answers the
//! containers' questions for names. Nothing here knows containers: who asks says which names,
//! addresses and ports there are. No program is executed: all is done by netlink
//! ([`berth_sys::batch`]).

pub mod bridge;
pub mod dns;
mod error;
mod file;
pub mod host;
pub mod lease;
mod network;
pub mod nft;
pub mod ports;
mod store;
pub mod subnet;

pub use error::NetError;
pub use network::{DEFAULT_NETWORK, Driver, InvalidNetworkName, NetworkFile, NetworkName, Subnet};
pub use store::{Listed, Networks, NetworksLock};
