//! Containers on networks: which ones, with which addresses, through which interfaces.
//!
//! A container's place on a network is a lease, taken at its first start and given back when it is
//! removed or disconnected. `wiring.json` in its volatile folder says which leases it has: written
//! after they are taken, so what a crash leaves in between is found by `recover`, which knows that
//! nobody has them.

mod attach;
mod error;
mod files;
mod guard;
mod join;
mod lacks;
mod look;
mod make;
mod manage;
mod names;
mod pace;
mod packets;
mod ports;
mod release;
mod request;
mod settings;
mod spread;
mod user;

pub use files::HostAddress;
pub use look::{dropping_chains, probe_packet_filter};
pub use manage::{CreateNetwork, Network};
pub use request::{DefaultNetwork, NetworkRequest, PublishRequest};
pub use settings::NetworkSettings;
pub use user::tap_device;

pub(crate) use attach::NetworksFile;
pub(crate) use files::{
    Owner as FilesOwner, is_file_of_ours, seen_from_a_neighbour as files_seen_from_a_neighbour,
};
pub(crate) use lacks::mountable;
pub(crate) use request::{published, resolve};

use berth_net::Networks;

use crate::Engine;

/// The record of a container's interfaces, in its volatile folder.
pub(crate) const WIRING: &str = "wiring.json";

impl Engine {
    pub(crate) fn networks(&self) -> Networks {
        Networks::new(self.store().root(), self.store().state())
    }
}
