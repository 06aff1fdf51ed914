//! `berth network create`.

use std::net::IpAddr;

use berth_engine::{CreateNetwork, IpNet, NetworkName};
use clap::Args;

use crate::cli::parse::Rejected;
use crate::cli::parse::label::label;
use crate::cli::{Context, Outcome};

/// Create a network.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Create {
    /// What carries it: bridge (when absent), macvlan or ipvlan
    #[arg(short, long, value_name = "DRIVER")]
    driver: Option<String>,
    /// Its addresses, such as 10.1.0.0/16; one of each family at most
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    subnet: Vec<IpNet>,
    /// The host's address on it, or the router's; the first of the subnet when absent
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    gateway: Vec<IpAddr>,
    /// The part of the subnet that containers get addresses of
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    ip_range: Vec<IpNet>,
    /// An address that no container gets, NAME=ADDRESS
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = auxiliary)]
    aux_address: Vec<(String, IpAddr)>,
    /// Give it IPv6 addresses, too
    #[arg(long)]
    ipv6: bool,
    /// Let nothing in and nothing out
    #[arg(long)]
    internal: bool,
    /// Metadata, KEY=VALUE or KEY
    #[arg(long, value_name = "KEY=VALUE", value_parser = label, allow_hyphen_values = true)]
    label: Vec<(String, String)>,
    /// An option of the driver, such as parent=eth0
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = label)]
    opt: Vec<(String, String)>,
    /// Accepted for Docker's sake: a container can be put on any network by hand
    #[arg(long)]
    attachable: bool,
    /// Accepted for Docker's sake: default, berth gives the addresses
    #[arg(long, value_name = "DRIVER", value_parser = ["default"], hide_possible_values = true)]
    ipam_driver: Option<String>,
    /// Accepted for Docker's sake: local, networks are this host's
    #[arg(long, value_name = "SCOPE", value_parser = ["local"], hide_possible_values = true)]
    scope: Option<String>,
    /// Its name
    #[arg(value_name = "NETWORK")]
    name: NetworkName,
}

impl Create {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let request = CreateNetwork {
            name: self.name.clone(),
            driver: self.driver.clone(),
            subnets: self.subnet.clone(),
            gateways: self.gateway.clone(),
            ranges: self.ip_range.clone(),
            auxiliary: self.aux_address.iter().cloned().collect(),
            ipv6: self.ipv6,
            internal: self.internal,
            options: self.opt.iter().cloned().collect(),
            labels: self.label.iter().cloned().collect(),
        };
        let network = context.engine.create_network(&request)?;
        context.out.line(&network.id)?;
        Ok(0)
    }
}

fn subnet(text: &str) -> Result<IpNet, Rejected> {
    let example = "give an address and a length, such as 10.60.0.0/16 or fd00:60::/64";
    text.parse().map_err(|_| Rejected::new(example))
}

fn address(text: &str) -> Result<IpAddr, Rejected> {
    let wrong = format!("{text:?} is no address");
    text.parse().map_err(|_| Rejected::new(wrong))
}

fn auxiliary(text: &str) -> Result<(String, IpAddr), Rejected> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, address) = parts.ok_or_else(|| Rejected::new("give NAME=ADDRESS"))?;
    Ok((name.to_owned(), self::address(address)?))
}
