//! What a container had on its networks, given back.

use std::collections::HashSet;

use berth_base::ContainerId;
use berth_base::state::Wiring;
use berth_net::NetworkName;

use super::user::has_tap;
use crate::{Container, Engine, EngineError};

impl Engine {
    /// Gives back the ports and addresses of a container that goes for good. Its interfaces went with
    /// its network namespace.
    pub(crate) fn leave_networks(&self, container: &Container) -> Result<(), EngineError> {
        match self.store().read_wiring(&container.id)? {
            None => Ok(()),
            Some(wiring) => {
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

    /// Gives back the addresses of interfaces that are not there any more, or never were.
    pub(super) fn give_back(&self, id: &ContainerId, wiring: &Wiring) -> Result<(), EngineError> {
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

    /// Gives back what containers had that are gone, and removes what is half made of networks.
    pub(crate) fn recover_networks(&self) -> Vec<EngineError> {
        let mut errors = Vec::new();
        let swept = self.sweep_networks(&mut errors).and_then(|any| match any {
            true => self.reload_networks().and_then(|_| self.recover_resolver()),
            false => Ok(()),
        });
        errors.extend(swept.err());
        errors
    }

    fn sweep_networks(&self, errors: &mut Vec<EngineError>) -> Result<bool, EngineError> {
        let networks = self.networks();
        let all = networks.all()?;
        if all.is_empty() {
            return Ok(false);
        }
        let lock = networks.lock()?;
        networks.sweep(&lock)?;
        let ids: HashSet<ContainerId> = self.store().ids()?.into_iter().collect();
        for (name, _) in all {
            let leases = networks.leases(&name);
            for (address, lease) in leases.all()? {
                let Ok(lease) = lease else {
                    continue;
                };
                if ids.contains(&lease.container) || self.store().exists(&lease.container) {
                    continue;
                }
                if let Err(error) = leases.give_back(&lease.container, [address]) {
                    errors.push(error.into());
                }
            }
        }
        Ok(true)
    }
}
