//! What a container had on its networks, given back.

use std::net::IpAddr;

use berth_base::ContainerId;
use berth_base::state::Wiring;
use berth_net::NetworkName;

use super::user::has_tap;
use crate::store::StoreError;
use crate::{Container, Engine, EngineError, facts};

impl Engine {
    /// Gives back the ports and addresses of a container that goes for good. Its interfaces went with
    /// its network namespace.
    pub(crate) fn leave_networks(&self, container: &Container) -> Result<(), EngineError> {
        match self.store().read_wiring(&container.id) {
            Ok(None) => Ok(()),
            // Whoever compares the leases with what there is gives them back.
            Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(Some(wiring)) => {
                // Before another container has the address.
                self.unpublish_ports(container, &wiring)?;
                self.give_back(&container.id, &wiring)
            }
        }
    }

    /// Takes the ports of a container that has ended from it; its addresses stay its own.
    pub(crate) fn close_ports(&self, id: &ContainerId) -> Result<(), EngineError> {
        // With the lock nobody is starting it again.
        let _lock = self.store().lock(id)?;
        let view = self.view(id)?;
        if view.container.status.is_live() {
            return Ok(());
        }
        match self.store().read_wiring(id)? {
            None => Ok(()),
            Some(wiring) => self.unpublish_ports(&view.container, &wiring),
        }
    }

    /// Takes the ports of a container that could not be started out of the packet filter. What
    /// fails here is found by a recovery; the user hears of the start.
    pub(crate) fn withdraw_ports(&self, container: &Container, wiring: &Wiring) {
        // Those of a user's container go with who carries its packets.
        if !has_tap(wiring) {
            drop(self.unpublish_ports(container, wiring));
        }
    }

    /// Gives back what a container had on networks that it was taken off without its address being
    /// given back: somebody died in between.
    pub(super) fn give_back_others(
        &self,
        container: &Container,
        before: &Wiring,
    ) -> Result<(), EngineError> {
        let (mut others, networks) = (before.clone(), &container.create.options.networks);
        let is_on = |name: &str| networks.iter().any(|n| n.name == name);
        others.interfaces.retain(|i| !is_on(&i.network));
        self.give_back(&container.id, &others)
    }

    /// Gives back the addresses of interfaces that are not there any more, or never were.
    pub(crate) fn give_back(&self, id: &ContainerId, wiring: &Wiring) -> Result<(), EngineError> {
        if has_tap(wiring) {
            return Ok(());
        }
        for interface in &wiring.interfaces {
            let Ok(name) = interface.network.parse::<NetworkName>() else {
                continue;
            };
            let addresses = interface.addresses.iter().map(|(address, _)| *address);
            self.networks().leases(&name).give_back(id, addresses)?;
        }
        Ok(())
    }

    /// Writes the name that a container has now into its leases: the resolver answers to it from the
    /// moment on in which the file is replaced.
    pub(crate) fn rename_leases(&self, container: &Container) -> Result<(), EngineError> {
        if has_tap(&container.wiring) {
            return Ok(());
        }
        for interface in &container.wiring.interfaces {
            let Ok(network) = interface.network.parse::<NetworkName>() else {
                continue;
            };
            let leases = self.networks().leases(&network);
            for (address, _) in &interface.addresses {
                let lease = leases.read(*address)?;
                let Some(mut lease) = lease.filter(|lease| lease.container == container.id) else {
                    continue;
                };
                if lease.name != container.name.as_str() {
                    lease.name = container.name.as_str().to_owned();
                    leases.renew(&lease)?;
                }
            }
        }
        Ok(())
    }

    /// Gives back what containers had that are gone, and removes what is half made of networks.
    pub(crate) fn recover_networks(&self) -> Vec<EngineError> {
        let mut errors = Vec::new();
        let swept = self.sweep_networks(&mut errors).and_then(|any| match any {
            // What carries the packets of a user's containers ends with them.
            true if !facts::is_rootless() => {
                self.settle_wirings(&mut errors)?;
                self.reload_networks().and_then(|_| self.recover_resolver())
            }
            _ => Ok(()),
        });
        errors.extend(swept.err());
        errors
    }

    /// Whether a container is there and runs.
    pub(super) fn is_live(&self, id: &ContainerId) -> bool {
        let view = self.view(id);
        view.is_ok_and(|view| view.container.status.is_live())
    }

    /// Takes running containers off networks that they are not meant to be on: whoever connected or
    /// disconnected them died.
    fn settle_wirings(&self, errors: &mut Vec<EngineError>) -> Result<(), EngineError> {
        for id in self.store().ids()? {
            if !matches!(self.store().read_wiring(&id), Ok(Some(_))) {
                continue;
            }
            match self.settle_wiring(&id) {
                // It has ended meanwhile, or somebody removes it.
                Err(_) if !self.is_live(&id) => {}
                other => errors.extend(other.err()),
            }
        }
        Ok(())
    }

    fn sweep_networks(&self, errors: &mut Vec<EngineError>) -> Result<bool, EngineError> {
        let networks = self.networks();
        if !networks.were_used() {
            return Ok(false);
        }
        let lock = networks.lock()?;
        networks.sweep(&lock)?;
        // A container's lock comes before that of the networks.
        drop(lock);
        for (name, _) in networks.all()? {
            let leases = networks.leases(&name);
            for (address, lease) in leases.all()? {
                let Ok(lease) = lease else {
                    continue;
                };
                if self.is_held(&lease.container, name.as_str(), address) {
                    continue;
                }
                if let Err(error) = leases.give_back(&lease.container, [address]) {
                    errors.push(error.into());
                }
            }
        }
        Ok(true)
    }

    /// Whether a container has an address by its own account. Whoever starts it has the lock, and
    /// writes down what it takes before it lets go of that.
    fn is_held(&self, id: &ContainerId, network: &str, address: IpAddr) -> bool {
        let is_listed = || match self.store().read_wiring(id) {
            Ok(Some(wiring)) => {
                let interfaces = wiring.interfaces.iter().filter(|i| i.network == network);
                let mut addresses = interfaces.flat_map(|i| &i.addresses);
                addresses.any(|(a, _)| *a == address)
            }
            Ok(None) => false,
            // Its removal tells.
            Err(_) => true,
        };
        if is_listed() {
            return true;
        }
        if !self.store().exists(id) {
            return false;
        }
        match self.store().lock(id) {
            Ok(_lock) => is_listed(),
            Err(_) => self.store().exists(id),
        }
    }
}
