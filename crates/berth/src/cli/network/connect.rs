//! `berth network connect` and `disconnect`.

use std::net::{Ipv4Addr, Ipv6Addr};

use berth_base::MacAddress;
use berth_engine::NetworkRequest;
use clap::Args;

use crate::cli::parse::host_name;
use crate::cli::{Context, Outcome};

/// Put a container on a further network.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Connect {
    /// Its IPv4 address there
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// Its IPv6 address there
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// Its hardware address there
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<MacAddress>,
    /// A further name of it there
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    alias: Vec<String>,
    /// The network
    #[arg(value_name = "NETWORK")]
    network: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Connect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let id = context.engine.resolve(&self.container)?;
        let request = NetworkRequest {
            aliases: self.alias.clone(),
            ipv4: self.ip,
            ipv6: self.ip6,
            mac: self.mac_address,
            ..NetworkRequest::named(&self.network)
        };
        context.engine.connect_network(&id, &request)?;
        Ok(0)
    }
}

/// Take a container off a network.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Disconnect {
    /// A container that is not on it, or is not there, is no failure
    #[arg(short, long)]
    force: bool,
    /// The network
    #[arg(value_name = "NETWORK")]
    network: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Disconnect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let found = context.engine.resolve(&self.container);
        let done = found.and_then(|id| context.engine.disconnect_network(&id, &self.network));
        match done {
            Err(error) if self.force && error.class == berth_base::ErrorClass::NotFound => Ok(0),
            other => Ok(other.map(|()| 0)?),
        }
    }
}
