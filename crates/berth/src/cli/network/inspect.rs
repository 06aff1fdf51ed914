//! `berth network inspect`.

use std::cell::OnceCell;

use berth_base::PublishedPort;
use berth_base::state::{WiredLink, Wiring};
use berth_engine::Network;
use berth_map::World;
use berth_map::model::Wanted;
use clap::Args;
use serde_json::Value;

use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::inspect::each;
use crate::cli::pid::sources;
use crate::cli::subject::discover;
use crate::cli::{Context, Outcome};
use crate::view::network;
use crate::view::wires::{self, Published, Wires};

/// Show everything about networks.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Inspect {
    /// json, table for the wires as text, or a Go template such as {{.Driver}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Accepted for Docker's sake: all is shown
    #[arg(short, long)]
    verbose: bool,
    /// Networks, by name or id
    #[arg(value_name = "NETWORK", required = true)]
    networks: Vec<String>,
}

/// The host as it is, read when the first network with somebody on it is shown.
pub(in crate::cli) type Seen = OnceCell<Result<World, String>>;

impl Inspect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let seen = Seen::new();
        let format = self.format.as_deref();
        if format == Some("table") {
            return self.tables(context, &seen);
        }
        each(context, &self.networks, format, |context, name| {
            inspected(context, name, &seen)
        })
    }

    /// The wires of each network, an empty line apart.
    fn tables(&self, context: &mut Context, seen: &Seen) -> Outcome {
        let mut code = 0;
        let mut texts = Vec::new();
        for name in &self.networks {
            match context.engine.network(name) {
                Ok(one) => texts.push(wires::table(&one, &look(context, &one, seen))),
                Err(error) => {
                    context.console.fail(&Failure::from(error));
                    code = EXIT_FAILURE;
                }
            }
        }
        if !texts.is_empty() {
            context.out.line(&texts.join("\n\n"))?;
        }
        Ok(code)
    }
}

/// A network in Docker's shape, and its wires.
pub(in crate::cli) fn inspected(
    context: &Context,
    name: &str,
    seen: &Seen,
) -> Result<Value, Failure> {
    let one = context.engine.network(name).map_err(Failure::from)?;
    Ok(network::inspect(&one, &look(context, &one, seen)))
}

/// Asks engine and kernel about a network's wires.
fn look(context: &Context, network: &Network, seen: &Seen) -> Wires {
    let world = seen.get_or_init(|| {
        let wanted = Wanted {
            networks: true,
            ..Wanted::default()
        };
        let world = sources(context).and_then(|sources| discover(&sources, &wanted));
        world.map_err(|failure| failure.message)
    });
    let published = published(context, network);
    Wires::new(network, &published, world.as_ref().map_err(String::as_str))
}

/// The ports that lead to containers through this network. A container that goes meanwhile has
/// none.
fn published(context: &Context, network: &Network) -> Published {
    let name = network.file.name.as_str();
    let of = |lease: &berth_engine::Lease| {
        let container = context.engine.inspect(&lease.container).ok()?;
        let ports = match container.status.is_live() {
            true => through(&container.wiring, name),
            false => Vec::new(),
        };
        Some((lease.container.as_str().to_owned(), ports))
    };
    network.leases.iter().filter_map(of).collect()
}

/// Those ports of a container whose packets arrive by a network: the first one that has an address
/// of the family, and a way out.
fn through(wiring: &Wiring, network: &str) -> Vec<PublishedPort> {
    let arrives = |port: &PublishedPort| {
        let mut ways = wiring.interfaces.iter().filter(|i| {
            matches!(i.link, WiredLink::Pair { .. })
                && !i.gateways.is_empty()
                && i.addresses
                    .iter()
                    .any(|(address, _)| address.is_ipv6() == port.host_address.is_ipv6())
        });
        ways.next().is_some_and(|way| way.network == network)
    };
    let ports = wiring.published.iter().copied();
    ports.filter(arrives).collect()
}
