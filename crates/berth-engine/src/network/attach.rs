//! `network connect` and `disconnect`: networks of a container that exists, running or not.
//!
//! What a container is on is `networks.json` in its persistent folder from the first change on, in
//! place of what its `create.json` says.

use std::os::fd::AsFd as _;

use berth_base::state::{STATE_VERSION, WiredInterface, Wiring};
use berth_base::{ContainerId, ErrorClass};
use berth_net::dns::DnsError;
use berth_net::nft::Before;
use berth_runtime::wiring;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::names::has_names;
use super::request::check;
use super::{NetworkRequest, WIRING, files};
use crate::store::{ContainerLock, Durability};
use crate::view::View;
use crate::{Engine, EngineError, events, facts};

/// `networks.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworksFile {
    /// [`STATE_VERSION`].
    pub(crate) version: u32,
    /// The networks that the container is on.
    pub(crate) networks: Vec<NetworkRequest>,
}

impl Engine {
    /// Puts a container on a further network; a running one at once.
    ///
    /// # Errors
    /// There is no such network, the container is on it already or has no network of its own, or the
    /// address that is asked for cannot be had.
    pub fn connect_network(
        &self,
        id: &ContainerId,
        request: &NetworkRequest,
    ) -> Result<(), EngineError> {
        refuse_without_root("connect")?;
        let network = self.find_network(&request.name)?;
        let request = NetworkRequest {
            name: network.name.as_str().to_owned(),
            ..request.clone()
        };
        check(self, &request)?;
        let lock = self.store().lock(id)?;
        let mut view = self.view(id)?;
        let name = view.container.name.clone();
        let networks = &mut view.container.create.options.networks;
        if networks.iter().any(|n| n.name == request.name) {
            let text = format!("container {name} is on network {} already", request.name);
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        if networks.is_empty() {
            let text = format!(
                "cannot connect container {name}: it was made without a network of its own; make it with --network"
            );
            return Err(EngineError::new(ErrorClass::Conflict, text).on(name.as_str()));
        }
        networks.push(request.clone());
        // Of somebody who died before it was on record.
        self.unplug(&lock, &mut view, &request.name)?;
        if view.container.status.is_live() {
            self.plug(&lock, &mut view, &request)?;
        }
        self.write_networks(&lock, &view)?;
        // As with Docker: one that does not run is connected at its start.
        if view.container.status.is_live() {
            self.rewrite_events(&lock, &view)?;
            self.emit(events::network(&network, "connect").with("container", id.as_str()));
        }
        Ok(())
    }

    /// Takes a container off a network; a running one at once.
    ///
    /// # Errors
    /// It is not on it.
    pub fn disconnect_network(&self, id: &ContainerId, network: &str) -> Result<(), EngineError> {
        refuse_without_root("disconnect")?;
        let name = match self.find_network(network) {
            Ok(file) => file.name.as_str().to_owned(),
            // One that is gone can be left all the same.
            Err(error) if error.class == ErrorClass::NotFound => network.to_owned(),
            Err(error) => return Err(error),
        };
        let lock = self.store().lock(id)?;
        let mut view = self.view(id)?;
        let networks = &mut view.container.create.options.networks;
        let before = networks.len();
        networks.retain(|n| n.name != name);
        let is_plugged = view
            .container
            .wiring
            .interfaces
            .iter()
            .any(|i| i.network == name);
        if networks.len() == before && !is_plugged {
            let who = &view.container.name;
            let text = format!("container {who} is not on network {name}");
            return Err(EngineError::new(ErrorClass::NotFound, text).on(who.as_str()));
        }
        // What it is meant to be on comes first: a crash then leaves a lease, which a start gives
        // back, and never a container that is on a network again after its restart.
        self.write_networks(&lock, &view)?;
        self.unplug(&lock, &mut view, &name)?;
        self.rewrite_events(&lock, &view)?;
        self.emit_all(Vec::from_iter(self.network_event(
            &name,
            id.as_str(),
            "disconnect",
        )));
        Ok(())
    }

    /// Tells the monitor, which reads it at the end, which networks the container leaves then.
    fn rewrite_events(&self, lock: &ContainerLock, view: &View) -> Result<(), EngineError> {
        let container = &view.container;
        let Some(mut config) = self.store().read_monitor(&container.id)? else {
            return Ok(());
        };
        if !container.status.is_live() || config.run != container.run || config.events.is_none() {
            return Ok(());
        }
        config.events = Some(self.monitor_events(container, container.run));
        Ok(self
            .store()
            .write_volatile("container.monitor.write", lock, "monitor.json", &config)?)
    }

    /// Takes a container off networks that it is not meant to be on.
    pub(super) fn settle_wiring(&self, id: &ContainerId) -> Result<(), EngineError> {
        let lock = self.store().lock(id)?;
        let mut view = self.view(id)?;
        let networks = &view.container.create.options.networks;
        let interfaces = view.container.wiring.interfaces.iter();
        let strays: Vec<String> = interfaces
            .map(|i| i.network.clone())
            .filter(|name| !networks.iter().any(|n| n.name == *name))
            .collect();
        strays
            .iter()
            .try_for_each(|name| self.unplug(&lock, &mut view, name))
    }

    fn write_networks(&self, lock: &ContainerLock, view: &View) -> Result<(), EngineError> {
        let file = NetworksFile {
            version: STATE_VERSION,
            networks: view.container.create.options.networks.clone(),
        };
        let durability = match view.container.create.options.auto_remove {
            true => Durability::Process,
            false => Durability::Power,
        };
        Ok(self.store().write_networks(lock, &file, durability)?)
    }

    /// Gives a running container an interface.
    fn plug(
        &self,
        lock: &ContainerLock,
        view: &mut View,
        request: &NetworkRequest,
    ) -> Result<(), EngineError> {
        let network = self.network_to_join(&request.name)?;
        let rules = self.lock_rules(FlockOperation::LockShared)?;
        self.prepare_network(&network, &rules)?;
        let container = &view.container;
        let at = free_number(&container.wiring);
        let interface = self.interface(container, request, &network, (at, None), &rules)?;
        drop(rules);
        let new = Wiring {
            interfaces: vec![interface.clone()],
            ..Wiring::default()
        };
        // On record before it is there, so that a removal gives it back.
        view.container.wiring.interfaces.push(interface);
        self.write_wiring(lock, view)?;
        let (Some(live), Some(process)) = (&view.container.live, &view.process) else {
            return Ok(());
        };
        let plugged = wiring::connect(live.init.pid, process.pidfd(), &new, None)
            .map_err(|e| EngineError::new(e.class(), e.to_string()));
        if let Err(error) = plugged {
            let id = view.container.id.clone();
            view.container.wiring.interfaces.pop();
            self.write_wiring(lock, view)?;
            self.give_back(&id, &new)?;
            return Err(error);
        }
        // The next container goes elsewhere where it must; this one is connected.
        drop(self.look_at_ports(&new));
        self.tell_container(view)
    }

    /// Takes an interface from a container, and its address.
    fn unplug(&self, lock: &ContainerLock, view: &mut View, name: &str) -> Result<(), EngineError> {
        let (gone, kept): (Vec<WiredInterface>, Vec<WiredInterface>) = view
            .container
            .wiring
            .interfaces
            .drain(..)
            .partition(|i| i.network == name);
        view.container.wiring.interfaces = kept;
        if gone.is_empty() {
            return Ok(());
        }
        if let Some(live) = &view.container.live {
            for interface in &gone {
                wiring::disconnect(live.init.pid, &interface.name)
                    .map_err(|e| EngineError::new(e.class(), e.to_string()))?;
            }
        }
        let id = view.container.id.clone();
        let gone = Wiring {
            interfaces: gone,
            ..Wiring::default()
        };
        self.write_wiring(lock, view)?;
        self.give_back(&id, &gone)?;
        match view.container.status.is_live() {
            true => self.tell_container(view),
            false => Ok(()),
        }
    }

    fn write_wiring(&self, lock: &ContainerLock, view: &View) -> Result<(), EngineError> {
        let wiring = &view.container.wiring;
        Ok(self
            .store()
            .write_volatile("container.wiring", lock, WIRING, wiring)?)
    }

    /// The files of a running container, and what the resolver knows of it.
    fn tell_container(&self, view: &View) -> Result<(), EngineError> {
        let container = &view.container;
        files::rewrite(self, container)?;
        if !has_names(&container.create.options) {
            return Ok(());
        }
        let registration = self.registration(container, &container.wiring)?;
        let resolver = self.running_resolver()?;
        match resolver.update(&registration) {
            Err(DnsError::Unknown(_)) => {}
            other => return Ok(other?),
        }
        // On its first network with names.
        let request = self.resolver_request(container, &container.wiring, Before::Perhaps)?;
        match (&container.live, &view.process) {
            (Some(live), Some(process)) => {
                wiring::reconnect_resolver(live.init.pid, process.pidfd().as_fd(), &request)
                    .map_err(|e| EngineError::new(e.class(), e.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// What carries a user's packets is started with the container and ends with it.
fn refuse_without_root(what: &str) -> Result<(), EngineError> {
    if !facts::is_rootless() {
        return Ok(());
    }
    let text =
        format!("cannot {what} a container without root: its network is chosen when it is made");
    Err(EngineError::new(ErrorClass::Denied, text))
}

/// The number of the first `ethN` that a container does not have.
fn free_number(wiring: &Wiring) -> usize {
    let taken = |at: &usize| {
        let name = format!("eth{at}");
        wiring.interfaces.iter().any(|i| i.name == name)
    };
    (0..).find(|at| !taken(at)).unwrap_or(0)
}
