//! The names of containers, by network.
//!
//! What is known is what the leases' files say ([`crate::lease`]) about containers that run: a lease
//! is held as long as its container exists, but nobody is at its address after the end. The folders of those networks
//! that somebody asked for are watched by inotify(7), and a file that changed is read again; when
//! announcements were lost, all are. Nothing is written here.

mod table;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use berth_base::ContainerId;
use berth_base::state::STATE_VERSION;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::lease::Lease;
use table::Table;

pub(crate) use table::Family;

/// The longest file of a lease that is read: one is a few hundred bytes, and has all aliases.
const MAX_LEASE: u64 = 64 << 10;

/// The names of all networks that are held.
#[derive(Debug)]
pub(crate) struct Zone {
    /// `STATE/networks`.
    folder: PathBuf,
    inotify: OwnedFd,
    networks: HashMap<Box<str>, Network>,
    running: Running,
}

/// The containers whose names count.
type Running = HashSet<ContainerId>;

#[derive(Debug, Default)]
struct Network {
    table: Table,
    /// How many containers here ask for its names.
    holders: usize,
    /// The watch of its folder; none when the folder went away.
    watch: Option<i32>,
}

impl Zone {
    /// Over the networks' folders below `folder`; no network is held yet.
    pub(crate) fn new(folder: PathBuf) -> Result<Self, Errno> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            folder,
            inotify,
            networks: HashMap::new(),
            running: HashSet::new(),
        })
    }

    /// Holds a network: its names are known from here on. Once for each container on it.
    pub(crate) fn hold(&mut self, id: &str) -> io::Result<()> {
        let network = self.networks.entry(id.into()).or_default();
        if network.watch.is_none() {
            let leases = leases_of(&self.folder, id);
            // Watched first, read then: what comes in between is read twice.
            match watch(&self.inotify, &leases).and_then(|watch| {
                network.watch = Some(watch);
                network.read_all(&leases, &self.running)
            }) {
                Ok(()) => {}
                Err(error) => {
                    self.forget_unheld(id);
                    return Err(error);
                }
            }
        }
        if let Some(network) = self.networks.get_mut(id) {
            network.holders += 1;
        }
        Ok(())
    }

    /// Lets a network go, once for each [`Self::hold`].
    pub(crate) fn release(&mut self, id: &str) {
        if let Some(network) = self.networks.get_mut(id) {
            network.holders = network.holders.saturating_sub(1);
        }
        self.forget_unheld(id);
    }

    /// Says that a container runs, or has ended.
    pub(crate) fn set_running(&mut self, container: &ContainerId, runs: bool) {
        let changed = match runs {
            true => self.running.insert(container.clone()),
            false => self.running.remove(container),
        };
        if changed {
            for network in self.networks.values_mut() {
                network.table.set_running(container, runs);
            }
        }
    }

    fn forget_unheld(&mut self, id: &str) {
        if self.networks.get(id).is_some_and(|n| n.holders == 0)
            && let Some(network) = self.networks.remove(id)
            && let Some(watch) = network.watch
        {
            // A folder that is gone has taken its watch along.
            inotify::remove_watch(&self.inotify, watch).ok();
        }
    }

    /// Reads what changed since the last time; answers whether anything did. It costs one system
    /// call when nothing did.
    pub(crate) fn refresh(&mut self) -> bool {
        let mut space = [MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(self.inotify.as_fd(), &mut space);
        let mut changed = false;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => return changed,
            };
            changed = true;
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                for (id, network) in &mut self.networks {
                    // One that cannot be listed keeps what is known of it.
                    network
                        .read_all(&leases_of(&self.folder, id), &self.running)
                        .ok();
                }
                continue;
            }
            let mut networks = self.networks.iter_mut();
            let Some((id, network)) = networks.find(|(_, n)| n.watch == Some(event.wd())) else {
                continue;
            };
            if event.events().contains(ReadFlags::IGNORED) {
                network.watch = None;
                network.table.keep(&[]);
            } else if let Some(name) = event.file_name().and_then(|name| name.to_str().ok()) {
                network.read(&leases_of(&self.folder, id), name, &self.running);
            }
        }
    }

    /// The addresses of a name, in lower case, on a network; `None` when nothing has it there.
    pub(crate) fn addresses(
        &mut self,
        network: &str,
        name: &[u8],
        family: Family,
    ) -> Option<impl Iterator<Item = IpAddr>> {
        self.networks
            .get_mut(network)?
            .table
            .addresses(name, family)
    }

    /// The container that has an address on a network.
    pub(crate) fn name_of(&self, network: &str, address: IpAddr) -> Option<&str> {
        self.networks.get(network)?.table.name_of(address)
    }
}

impl AsFd for Zone {
    /// Becomes readable when something changed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Network {
    /// Reads every lease, and forgets those that are gone.
    fn read_all(&mut self, leases: &Path, running: &Running) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(leases)? {
            files.extend(entry?.file_name().into_string());
        }
        for file in &files {
            self.read(leases, file, running);
        }
        self.table.keep(&files);
        Ok(())
    }

    /// Reads a lease again, however it changed. What is none counts as gone.
    fn read(&mut self, leases: &Path, file: &str, running: &Running) {
        // Temporary files and the allocator's own are not named after an address.
        if file.parse::<IpAddr>().is_ok() {
            let lease = read_lease(&leases.join(file));
            self.table.set(file, lease.as_ref(), |container| {
                running.contains(container)
            });
        }
    }
}

fn leases_of(folder: &Path, id: &str) -> PathBuf {
    folder.join(id).join("leases")
}

fn watch(inotify: &OwnedFd, folder: &Path) -> io::Result<i32> {
    let changes = WatchFlags::CREATE
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::ONLYDIR;
    Ok(inotify::add_watch(inotify, folder, changes)?)
}

fn read_lease(path: &Path) -> Option<Lease> {
    let mut bytes = Vec::new();
    let file = berth_persist::open(path).ok()?;
    file.take(MAX_LEASE).read_to_end(&mut bytes).ok()?;
    let lease: Lease = serde_json::from_slice(&bytes).ok()?;
    (lease.version <= STATE_VERSION).then_some(lease)
}
