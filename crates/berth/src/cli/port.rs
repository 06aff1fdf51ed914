//! `berth port`.

use berth_base::ErrorClass;
use clap::Args;

use super::failure::Failure;
use super::parse::publish::expose;
use super::{Context, Outcome};
use crate::view::ports::key;

/// Show which ports of the host lead to a container.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Port {
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// A port of it, such as 80 or 53/udp; all of them when absent
    #[arg(value_name = "PORT[/PROTOCOL]", value_parser = expose)]
    port: Option<String>,
}

impl Port {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let id = context.engine.resolve(&self.container)?;
        let container = context.engine.inspect(&id)?;
        let name = &container.name;
        if !container.status.is_live() {
            let text = format!(
                "no port leads to container {name}: it is {}; start it with \"berth start {name}\"",
                container.status
            );
            return Err(Failure::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        let mut published = container.wiring.published.clone();
        published.sort_by_key(|port| (port.container_port, port.transport, port.host_address));
        published.retain(|port| self.port.as_ref().is_none_or(|wanted| key(port) == *wanted));
        if let (Some(port), true) = (&self.port, published.is_empty()) {
            let text = format!(
                "no port of the host leads to port {port} of container {name}; \"berth port {name}\" lists those that do"
            );
            return Err(Failure::new(ErrorClass::NotFound, text).on(port.as_str()));
        }
        for port in &published {
            let address = match port.host_address {
                std::net::IpAddr::V4(address) => format!("{address}:{}", port.host_port),
                std::net::IpAddr::V6(address) => format!("[{address}]:{}", port.host_port),
            };
            match self.port {
                Some(_) => context.out.line(&address)?,
                None => context.out.line(&format!("{} -> {address}", key(port)))?,
            }
        }
        Ok(0)
    }
}
