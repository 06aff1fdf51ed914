//! What whoever looks after a host decides about its networks.

use std::net::IpAddr;

use berth_net::subnet::{AddressPool, default_pools};

/// Settings of a host's networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSettings {
    /// What networks without `--subnet` are cut from, in this order.
    pub pools: Vec<AddressPool>,
    /// The host's address that `-p 8080:80` publishes on; absent: all of them.
    pub publish_address: Option<IpAddr>,
    /// Whether large pieces of TCP pass bridges whole, on networks that do not say.
    pub big_tcp: bool,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            pools: default_pools(),
            publish_address: None,
            big_tcp: true,
        }
    }
}
