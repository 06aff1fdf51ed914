//! Other people's chains on the way of what the host passes on: who drops there, drops ours too.

use berth_sys::batch::{Batch, NetlinkSocket};

use super::NftError;
use super::docker_user::CHAIN;
use super::read::Attributes;
use super::wire::{DUMP, UNSPECIFIED, chain, head, message};

/// NF_INET_FORWARD and NF_DROP (linux/netfilter.h).
const FORWARD: u32 = 2;
const DROP: u32 = 0;
/// How the tables of this engine, and of others of its kind, are called.
const OURS: &str = "berth";

/// A chain whose policy is to drop what no rule of it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropping {
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// It asks Docker's chain for others first, where rules of ours stand.
    pub asks_docker_user: bool,
}

/// Finds the chains that drop what is passed on, in the socket's network namespace. Those that
/// iptables-legacy made are not nftables' to show.
///
/// # Errors
/// The kernel refuses.
pub fn dropping(socket: &NetlinkSocket) -> Result<Vec<Dropping>, NftError> {
    let mut question = Batch::new();
    question.message(message::GET_CHAIN, DUMP, &head(UNSPECIFIED), |_| {});
    let (mut found, mut with_docker) = (Vec::new(), Vec::new());
    socket
        .ask(&question, |_, body| {
            let attributes = Attributes::of_message(body);
            let text = |kind| attributes.text(kind).unwrap_or_default().to_owned();
            let (table, name) = (text(chain::TABLE), text(chain::NAME));
            let hook = attributes.nest(chain::HOOK).number(chain::HOOK_NUMBER);
            if name == CHAIN {
                with_docker.push(table);
            } else if hook == Some(FORWARD)
                && attributes.number(chain::POLICY) == Some(DROP)
                && !table.starts_with(OURS)
            {
                found.push((table, name));
            }
        })
        .map_err(|refusal| NftError::refused("list the chains of the packet filter", refusal))?;
    let found = found.into_iter().map(|(table, chain)| Dropping {
        asks_docker_user: with_docker.contains(&table),
        table,
        chain,
    });
    Ok(found.collect())
}
