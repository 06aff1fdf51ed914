//! The packet filter, kept in step with networks and containers.
//!
//! What should be in it is computed from the files of networks and running containers, so that a
//! table that somebody flushed or removed is made again from nothing ([`Engine::reload_packets`]).
//! Whoever starts a container holds the lock of the rules shared, from before its bridges are made and
//! its ports are on record until they are in the table; whoever makes the table anew, or removes it,
//! holds it alone. It is taken before the lock of all networks.

use std::fs::File;
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use berth_base::Status;
use berth_base::state::{WiredLink, Wiring};
use berth_net::bridge::shards;
use berth_net::nft::{self, NftError, Published, Rules, Sysctl, Tag};
use berth_net::{Driver, NetworkFile};
use berth_persist::make_dirs;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::error::WITHOUT;
use super::make::ROOTS;
use crate::store::StoreError;
use crate::{Container, Engine, EngineError};

/// All bridges of ours, as Docker's chain names them.
const BRIDGES: &str = "berth+";

impl From<NftError> for EngineError {
    fn from(error: NftError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

/// Keeps the table from being made anew, or others from changing it.
pub(crate) struct RulesLock {
    file: File,
    path: PathBuf,
}

impl RulesLock {
    /// Does something while nobody else has the lock, then shares it again. Others may come first, so
    /// what was known of the table may not be so any more.
    fn alone<T>(&self, work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
        let lock = |how| {
            flock(&self.file, how)
                .map_err(|e| EngineError::from(StoreError::io("lock", &self.path, e.into())))
        };
        lock(FlockOperation::LockExclusive)?;
        let done = work();
        lock(FlockOperation::LockShared)?;
        done
    }
}

/// What became of the table that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mended {
    /// Others have the lock.
    Busy,
    /// Nothing was missing.
    Whole,
    /// Something was, and is there again.
    Anew,
}

impl Engine {
    /// Waits for the lock of the rules.
    pub(super) fn lock_rules(&self, how: FlockOperation) -> Result<RulesLock, EngineError> {
        let path = self.store().state().join("rules.lock");
        let locked = match self.try_lock_rules(&path, how) {
            // Nothing was started since the boot.
            Err(Errno::NOENT) => {
                let state = self.store().state();
                make_dirs("network.state.make", state, 0o700)
                    .map_err(|e| StoreError::io("make", state, e))?;
                self.try_lock_rules(&path, how)
            }
            locked => locked,
        };
        locked.map_err(|e| StoreError::io("lock", &path, e.into()).into())
    }

    fn try_lock_rules(&self, path: &Path, how: FlockOperation) -> Result<RulesLock, Errno> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        // by path: a state folder
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        flock(&file, how)?;
        Ok(RulesLock {
            file: file.into(),
            path: path.to_owned(),
        })
    }

    /// The mark of this engine's table: none for root's own, else drawn from the state folder's path.
    pub(super) fn tag(&self) -> Result<Tag, EngineError> {
        if self.store().root() == Path::new(ROOTS) {
            return Ok(Tag::default());
        }
        // Stable between builds: FNV-1a, with the path's bytes.
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        self.store().state().hash(&mut hasher);
        Ok(Tag::new(&format!("{:08x}", hasher.finish() >> 32))?)
    }

    /// A bridge was made just now: its rules, and the switches of the kernel that it needs.
    pub(super) fn open_network(
        &self,
        network: &NetworkFile,
        lock: &RulesLock,
    ) -> Result<(), EngineError> {
        let tag = self.tag()?;
        let socket = nft::socket()?;
        let rules = self.rules_of(network);
        for sysctl in nft::sysctls_of_networks(std::slice::from_ref(&rules)) {
            set(&sysctl)?;
        }
        match nft::add_network(&tag, &rules)?.perform(&socket) {
            Err(NftError::Missing { .. }) => lock.alone(|| self.reload_packets(&[network]))?,
            other => other?,
        }
        nft::open_docker_user(&socket, &tag, &[BRIDGES])?;
        Ok(())
    }

    /// A bridge is there: so must be the table, which somebody may have taken away, and the way through
    /// Docker's chain, which may be newer. Costs two questions.
    pub(super) fn ensure_packets(&self, lock: &RulesLock) -> Result<(), EngineError> {
        let tag = self.tag()?;
        let socket = nft::socket()?;
        if !nft::is_installed(&socket, &tag)? {
            lock.alone(|| match nft::is_installed(&socket, &tag)? {
                true => Ok(()),
                false => self.reload_packets(&[]),
            })?;
        }
        if nft::has_docker_user(&socket)? {
            nft::open_docker_user(&socket, &tag, &[BRIDGES])?;
        }
        Ok(())
    }

    /// A network goes: its rules, and with the last one the table. The lock is held alone.
    pub(super) fn close_network(
        &self,
        network: &NetworkFile,
        _alone: &RulesLock,
    ) -> Result<(), EngineError> {
        let tag = self.tag()?;
        let socket = nft::socket()?;
        match nft::remove_network(&tag, &self.rules_of(network))?.perform(&socket) {
            Ok(()) => {}
            // It is not there whole, or not at all: its bridge was never made.
            Err(NftError::Missing { .. }) => {
                let names = |table: &nft::Installed| table.bridges.contains(&network.interface);
                if nft::inspect(&socket, &tag)?.as_ref().is_some_and(names) {
                    self.reload_packets(&[])?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        let left = nft::inspect(&socket, &tag)?;
        if left.is_none_or(|table| table.bridges.is_empty()) {
            nft::uninstall(&tag).perform(&socket)?;
            nft::close_docker_user(&socket, &tag)?;
        }
        Ok(())
    }

    /// Leads the ports of a container that is about to start to it. The sockets that reserve them are
    /// held meanwhile.
    pub(crate) fn publish_ports(
        &self,
        container: &Container,
        wiring: &Wiring,
        lock: &RulesLock,
    ) -> Result<(), EngineError> {
        let ports = published(container, wiring);
        if ports.is_empty() {
            return Ok(());
        }
        for interface in &wiring.interfaces {
            // Packets are routed by the first bridge, whichever the container is on.
            if let Some(bridge) = self.first_bridge(interface)? {
                let own: Vec<IpAddr> = interface.addresses.iter().map(|(a, _)| *a).collect();
                let mut through = ports.clone();
                through.retain(|port| own.contains(&port.container));
                for sysctl in nft::sysctls_of_ports(&bridge, &through) {
                    set(&sysctl)?;
                }
            }
        }
        let (tag, socket) = (self.tag()?, nft::socket()?);
        match nft::publish(&socket, &tag, &ports) {
            // Somebody took the table away.
            Err(NftError::Missing { .. }) => lock.alone(|| {
                self.reload_packets(&[])?;
                Ok(nft::publish(&socket, &tag, &ports)?)
            }),
            other => Ok(other?),
        }
    }

    /// Takes the ports of a container that has ended out of the table.
    pub(crate) fn unpublish_ports(
        &self,
        container: &Container,
        wiring: &Wiring,
    ) -> Result<(), EngineError> {
        let ports = published(container, wiring);
        if ports.is_empty() {
            return Ok(());
        }
        // Who makes the table anew may have seen the container run.
        let _lock = self.lock_rules(FlockOperation::LockShared)?;
        let socket = nft::socket()?;
        let done = nft::unpublish(&socket, &self.tag()?, &ports);
        socket.close_aside();
        Ok(done?)
    }

    /// Makes the whole table anew, from what networks and containers there are; `besides` are
    /// networks whose bridge was made just now.
    fn reload_packets(&self, besides: &[&NetworkFile]) -> Result<(), EngineError> {
        let rules = self.all_rules(besides)?;
        let socket = nft::socket()?;
        Ok(nft::install(&rules)?.perform(&socket)?)
    }

    /// `network reload`: whatever is missing of the packet filter is there again. Answers whether
    /// anything was.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn reload_networks(&self) -> Result<bool, EngineError> {
        let lock = self.lock_rules(FlockOperation::LockExclusive)?;
        self.reload_alone(&lock)
    }

    /// The same for who cannot wait.
    pub(super) fn mend_packets(&self) -> Result<Mended, EngineError> {
        let path = self.store().state().join("rules.lock");
        match self.try_lock_rules(&path, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN) => Ok(Mended::Busy),
            Err(errno) => Err(StoreError::io("lock", &path, errno.into()).into()),
            Ok(lock) => match self.reload_alone(&lock)? {
                true => Ok(Mended::Anew),
                false => Ok(Mended::Whole),
            },
        }
    }

    fn reload_alone(&self, _alone: &RulesLock) -> Result<bool, EngineError> {
        let (tag, socket) = (self.tag()?, nft::socket()?);
        let rules = self.all_rules(&[])?;
        let installed = nft::inspect(&socket, &tag)?;
        if rules.networks.is_empty() {
            if installed.is_some() {
                nft::uninstall(&tag).perform(&socket)?;
            }
            return Ok(nft::close_docker_user(&socket, &tag)?);
        }
        let fits = match &installed {
            None => false,
            Some(table) => table.matches(&rules)?,
        };
        if !fits {
            nft::install(&rules)?.perform(&socket)?;
        }
        let opened = nft::open_docker_user(&socket, &tag, &[BRIDGES])?;
        Ok(!fits || opened)
    }

    /// What the table should say.
    fn all_rules(&self, besides: &[&NetworkFile]) -> Result<Rules, EngineError> {
        let networks = self.list_networks()?;
        let there = networks
            .iter()
            .filter(|file| file.driver == Driver::Bridge)
            .filter(|file| {
                besides.iter().any(|other| other.name == file.name)
                    || berth_net::bridge::exists(&file.interface)
            });
        let mut rules = Rules {
            tag: self.tag()?,
            networks: there.map(|file| self.rules_of(file)).collect(),
            ..Rules::default()
        };
        for id in self.store().ids()? {
            let Ok(Some(wiring)) = self.store().read_wiring(&id) else {
                continue;
            };
            if wiring.published.is_empty() {
                continue;
            }
            if let Ok(view) = self.view(&id)
                && (view.container.status.is_live() || view.container.status == Status::Starting)
            {
                rules.published.extend(published(&view.container, &wiring));
            }
        }
        Ok(rules)
    }

    /// The part of the table that is a network's.
    fn rules_of(&self, file: &NetworkFile) -> nft::Network {
        nft::Network {
            bridge: file.interface.clone(),
            shards: shards::read(&self.networks(), file).names(file),
            subnets: file.subnets.iter().map(|s| s.subnet).collect(),
            internal: file.internal,
            masquerade: !file.internal,
        }
    }
}

/// The ports of a container, each with the address that it leads to: that of its first network with
/// one of the family.
fn published(container: &Container, wiring: &Wiring) -> Vec<Published> {
    let bridged = wiring
        .interfaces
        .iter()
        .filter(|i| matches!(i.link, WiredLink::Pair { .. }) && !i.gateways.is_empty());
    let addresses: Vec<IpAddr> = bridged
        .flat_map(|i| i.addresses.iter().map(|(a, _)| *a))
        .collect();
    // Not its name, which may change.
    let owner = container.id.short();
    let ports = wiring.published.iter();
    ports
        .filter_map(|port| Published::to(*port, &addresses, owner))
        .collect()
}

fn set(sysctl: &Sysctl) -> Result<(), EngineError> {
    let path = Path::new(&sysctl.path);
    let failed = |e| {
        let error = EngineError::from(StoreError::io("set", path, e));
        let text = format!("{}; without it {}", error.message, sysctl.why);
        EngineError::new(error.class, text).hint(format!(
            "whoever may write it sets it to {}; {WITHOUT}",
            sysctl.value
        ))
    };
    // by path: sysctls of the host
    let now = std::fs::read_to_string(path).map_err(failed)?;
    if now.trim_end() == sysctl.value {
        return Ok(());
    }
    // by path: sysctls of the host
    std::fs::write(path, sysctl.value).map_err(failed)
}

/// The FNV-1a hash of 64 bits: the same in every build and on every machine.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
