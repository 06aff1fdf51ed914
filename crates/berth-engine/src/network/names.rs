//! The resolver of containers on networks that have names.
//!
//! One process for each state folder, `berth internal dns`, started by whoever starts the first
//! container that needs it, be it for the rules of its ports ([`Guard`]). The connection that is held while a container starts keeps it from
//! ending just then. When it died, `recover` starts it again and has the containers served that run.

use std::collections::HashSet;

use berth_base::state::{ResolverRequest, Wiring};
use berth_base::{ContainerId, ErrorClass};
use berth_net::dns::{self, Attachment, DnsError, Registration, Resolver, Upkeep};
use berth_net::nft::Before;
use berth_net::{DEFAULT_NETWORK, NetworkName};
use berth_runtime::launch::enter_keepers_cgroup;
use berth_runtime::wiring::reconnect_resolver;

use super::guard::Guard;
use super::user::is_carriers;
use crate::{Container, CreateOptions, Engine, EngineError};

impl From<DnsError> for EngineError {
    fn from(error: DnsError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

/// Whether a container asks our resolver for names.
pub(super) fn has_names(options: &CreateOptions) -> bool {
    options.networks.iter().any(|n| is_named(&n.name))
}

/// Whether containers on a network have names there: not on the default one, nor on those of users
/// without root.
pub(super) fn is_named(network: &str) -> bool {
    network != DEFAULT_NETWORK && !is_carriers(network)
}

impl Engine {
    /// What a start needs to be served by the resolver, and the connection that keeps it alive.
    pub(super) fn ask_resolver(
        &self,
        container: &Container,
        wiring: &Wiring,
    ) -> Result<Option<(ResolverRequest, Resolver)>, EngineError> {
        if !has_names(&container.create.options) {
            return Ok(None);
        }
        let resolver = self.running_resolver()?;
        let request = self.resolver_request(container, wiring, Before::Nothing)?;
        Ok(Some((request, resolver)))
    }

    pub(super) fn running_resolver(&self) -> Result<Resolver, EngineError> {
        dns::ensure_running(self.store().state(), || self.start_resolver())
    }

    /// Starts the process; it lets go of everything of ours by itself.
    pub(super) fn start_resolver(&self) -> Result<(), EngineError> {
        // Not waited for: it outlives us.
        self.spawn_internal(&["dns"]).map(drop).map_err(|e| {
            let program = self.config().engine_binary.display();
            let text = format!("cannot start the resolver {program}: {e}");
            EngineError::new(ErrorClass::Internal, text)
        })
    }

    /// What that process does (`berth internal dns`).
    ///
    /// # Errors
    /// It cannot serve.
    pub fn resolve_names(&self) -> Result<(), EngineError> {
        dns::detach().map_err(|e| {
            EngineError::new(
                ErrorClass::Internal,
                format!("cannot detach the resolver: {e}"),
            )
        })?;
        // Where that fails it lives as long as the session it was started in.
        drop(enter_keepers_cgroup());
        let guard = Guard::open(self).map(|guard| Box::new(guard) as Box<dyn Upkeep>);
        match dns::run(self.store().state(), guard) {
            // Another one was faster.
            Err(DnsError::Running(_)) => Ok(()),
            other => Ok(other?),
        }
    }

    /// What the resolver is to know of a container.
    pub(super) fn registration(
        &self,
        container: &Container,
        wiring: &Wiring,
    ) -> Result<Registration, EngineError> {
        let options = &container.create.options;
        let mut networks = Vec::new();
        for interface in &wiring.interfaces {
            let name: NetworkName = interface
                .network
                .parse()
                .map_err(|e| EngineError::new(ErrorClass::Internal, format!("{e}")))?;
            let file = self.networks().read(&name)?;
            networks.push(Attachment {
                id: interface.network.clone(),
                name: Some(interface.network.clone()),
                internal: file.is_some_and(|file| file.internal),
                nameless: interface.network == DEFAULT_NETWORK,
            });
        }
        Ok(Registration {
            container: container.id.clone(),
            networks,
            servers: options.names.dns.clone(),
            options: options.names.resolver_options.clone(),
        })
    }

    pub(super) fn resolver_request(
        &self,
        container: &Container,
        wiring: &Wiring,
        before: Before,
    ) -> Result<ResolverRequest, EngineError> {
        let registration = self.registration(container, wiring)?;
        let unwritable = |why: String| {
            EngineError::new(
                ErrorClass::Internal,
                format!("cannot write a registration: {why}"),
            )
        };
        let packet = registration
            .packet()
            .map_err(|e| unwritable(e.to_string()))?;
        let redirect = dns::redirect_behind(before);
        let redirect = redirect.bytes().map_err(|e| unwritable(e.to_string()))?;
        Ok(ResolverRequest {
            address: dns::ADDRESS,
            port: dns::BEHIND,
            redirect: redirect.to_vec(),
            folder: self.store().state().to_owned(),
            socket: dns::SOCKET.to_owned(),
            packet: String::from_utf8_lossy(&packet).into_owned(),
            accepted: String::from_utf8_lossy(dns::DONE).into_owned(),
        })
    }

    /// Has every running container that needs it served, where the process died.
    pub(super) fn recover_resolver(&self) -> Result<(), EngineError> {
        let mut served: Option<HashSet<ContainerId>> = None;
        let mut resolver = None;
        for id in self.store().ids()? {
            let (Ok(Some(wiring)), Ok(view)) = (self.store().read_wiring(&id), self.view(&id))
            else {
                continue;
            };
            let (Some(live), Some(process)) = (&view.container.live, &view.process) else {
                continue;
            };
            if !has_names(&view.container.create.options) {
                self.ask_guard(&view.container)?;
                continue;
            }
            let connection = match &resolver {
                Some(connection) => connection,
                None => resolver.insert(self.running_resolver()?),
            };
            let known = match &mut served {
                Some(known) => known,
                None => served.insert(connection.registered()?.into_iter().collect()),
            };
            if known.contains(&id) {
                continue;
            }
            let request = self.resolver_request(&view.container, &wiring, Before::Perhaps)?;
            match reconnect_resolver(live.init.pid, process.pidfd(), &request) {
                // It has ended meanwhile.
                Err(_) if !self.is_live(&id) => {}
                other => other.map_err(|e| EngineError::new(e.class(), e.to_string()))?,
            }
        }
        Ok(())
    }
}
