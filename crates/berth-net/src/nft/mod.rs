//! The packet filter: one nf_tables table of ours, `inet berth`, changed by netlink in transactions.
//!
//! [`Rules`] say what should be, [`install`] puts it there whole, and smaller transactions follow
//! what comes and goes: [`add_network`] and [`remove_network`], [`publish`] and [`unpublish`], whose
//! cost does not depend on how much there is. [`inspect`] reads back, [`Watch`] hears when somebody
//! takes the table away, [`available`] asks the kernel beforehand. Of others, only Docker's chain for
//! others is touched ([`open_docker_user`]).
//!
//! No program is executed. Whoever calls is in the network namespace of the bridges, or holds a
//! socket that was made there. What packets go through is told in docs/networks-packets.md.

mod chains;
mod docker_user;
mod error;
pub mod expr;
mod flows;
mod inspect;
mod others;
mod probe;
mod publish;
mod read;
mod resolver;
mod rules;
mod sets;
mod sysctl;
mod table;
mod transaction;
mod watch;
mod wire;

use berth_sys::batch::NetlinkSocket;

pub use docker_user::{close_docker_user, has_docker_user, open_docker_user};
pub use error::NftError;
pub use inspect::{Installed, inspect, is_installed};
pub use others::{Dropping, dropping};
pub use probe::available;
pub use publish::{publish, unpublish};
pub use resolver::{Before, lead};
pub use rules::{Network, Published, Rules, Tag, Transit};
pub use sysctl::{Sysctl, sysctls_of_networks, sysctls_of_ports};
pub use table::{add_network, install, remove_network, uninstall};
pub use transaction::{ChainType, Entry, Hook, Transaction};
pub use watch::{Loss, Watch};

/// A socket for all of this, in the caller's network namespace.
///
/// # Errors
/// The kernel has no nfnetlink.
pub fn socket() -> Result<NetlinkSocket, NftError> {
    NetlinkSocket::netfilter()
        .map_err(|errno| NftError::refused("open a socket to the packet filter", errno))
}
