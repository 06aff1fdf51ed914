//! Addresses, handed out once.
//!
//! A lease is a file named after its address, complete before it is linked into place: link(2)
//! decides between two who want the same address, and a crash leaves either a lease or none. It
//! lies in the volatile folder, since no container outlives a boot, and is held until its container
//! is removed or disconnected, so that a restart keeps the address.
//!
//! Where a search for a free address begins is kept in `cursor`, a hint that may be lost: an address
//! just given back is taken again as late as possible, since others may remember it.

mod file;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use berth_base::ContainerId;
use berth_persist::{At, Durability, Op, perform, replace, sweep_temporaries, write_new};
use ipnet::{Ipv4Net, Ipv6Net};

use crate::NetError;

pub use file::Lease;

const CURSOR: &str = "cursor";

/// Which addresses a network hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// IPv4: the subnet, the part that is handed out, and what is never handed out.
    pub ipv4: Option<Ipv4Net>,
    /// The part of it that is handed out (`--ip-range`); absent: all of it.
    pub range: Option<Ipv4Net>,
    /// IPv6.
    pub ipv6: Option<Ipv6Net>,
    /// Never handed out: the gateways and `--aux-address`.
    pub reserved: Vec<IpAddr>,
}

/// The leases of one network.
#[derive(Clone, Debug)]
pub struct Leases {
    network: String,
    folder: PathBuf,
}

impl Leases {
    /// Those of `network` below `STATE/networks`.
    #[must_use]
    pub fn of(networks: &Path, network: &str) -> Self {
        Self {
            network: network.to_owned(),
            folder: networks.join(network).join("leases"),
        }
    }

    /// Hands out addresses and writes them into `lease`: those it names already, which must be free
    /// and fit, and a free one where it names none. IPv6 has the host part of IPv4 unless it is named.
    ///
    /// # Errors
    /// [`NetError::AddressTaken`], [`NetError::AddressUnfit`], [`NetError::Exhausted`], and those of
    /// files.
    pub fn take(&self, pool: &Pool, lease: &mut Lease) -> Result<(), NetError> {
        self.make_folder()?;
        for wanted in lease.addresses() {
            self.check(pool, wanted)?;
        }
        match (pool.ipv4, lease.ipv4) {
            (_, Some(wanted)) => {
                complete(pool, lease);
                if !self.write(lease)? {
                    return Err(self.taken(IpAddr::V4(wanted)));
                }
                Ok(())
            }
            (Some(subnet), None) => self.take_next(pool, subnet, lease),
            (None, None) => self.take_ipv6(pool, lease),
        }
    }

    /// Walks the subnet from where the last search ended.
    fn take_next(&self, pool: &Pool, subnet: Ipv4Net, lease: &mut Lease) -> Result<(), NetError> {
        let range = pool.range.unwrap_or(subnet);
        let first = u32::from(range.network());
        let size = u64::from(u32::from(range.broadcast()) - first) + 1;
        let begin = self.cursor().unwrap_or(0);
        let asked_for = lease.ipv6;
        for step in 0..size {
            let offset = (begin + step) % size;
            let address = u32::try_from(offset)
                .ok()
                .and_then(|offset| first.checked_add(offset))
                .map(Ipv4Addr::from);
            let Some(address) = address.filter(|a| is_handed_out(pool, IpAddr::V4(*a))) else {
                continue;
            };
            (lease.ipv4, lease.ipv6) = (Some(address), asked_for);
            complete(pool, lease);
            if self.write(lease)? {
                self.set_cursor(offset + 1)?;
                return Ok(());
            }
        }
        (lease.ipv4, lease.ipv6) = (None, asked_for);
        Err(NetError::Exhausted {
            subnet: range.into(),
            network: self.network.clone(),
        })
    }

    /// Where there is no IPv4: the interface part is counted up.
    fn take_ipv6(&self, pool: &Pool, lease: &mut Lease) -> Result<(), NetError> {
        const TRIES: u64 = 1 << 20;
        let Some(subnet) = pool.ipv6 else {
            return Ok(());
        };
        if let Some(wanted) = lease.ipv6 {
            return match self.write(lease)? {
                true => Ok(()),
                false => Err(self.taken(IpAddr::V6(wanted))),
            };
        }
        let begin = self.cursor().unwrap_or(0);
        for step in 0..TRIES {
            let offset = (begin + step) % TRIES;
            let address = with_host(subnet, u128::from(offset));
            if !is_handed_out(pool, IpAddr::V6(address)) {
                continue;
            }
            lease.ipv6 = Some(address);
            if self.write(lease)? {
                self.set_cursor(offset + 1)?;
                return Ok(());
            }
        }
        lease.ipv6 = None;
        Err(NetError::Exhausted {
            subnet: subnet.into(),
            network: self.network.clone(),
        })
    }

    /// Links the lease into place, under each of its addresses; answers whether all were free.
    fn write(&self, lease: &Lease) -> Result<bool, NetError> {
        let bytes = serde_json::to_vec(lease).map_err(|e| self.unwritable(&e))?;
        let name = |address: &IpAddr| address.to_string();
        let addresses: Vec<IpAddr> = lease.addresses().collect();
        for (at, address) in addresses.iter().enumerate() {
            let point = "network.lease.take";
            if write_new(
                point,
                &self.folder,
                &name(address),
                &bytes,
                Durability::Process,
            )? {
                continue;
            }
            for earlier in addresses.iter().take(at) {
                self.forget(*earlier)?;
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// Writes the lease of a container anew, under the addresses that it has.
    ///
    /// # Errors
    /// Those of files.
    pub fn renew(&self, lease: &Lease) -> Result<(), NetError> {
        let bytes = serde_json::to_vec(lease).map_err(|e| self.unwritable(&e))?;
        for address in lease.addresses() {
            let name = address.to_string();
            let point = "network.lease.renew";
            replace(point, &self.folder, &name, &bytes, Durability::Boot)?;
        }
        Ok(())
    }

    /// Gives addresses back. One that is free already is fine; one that is somebody else's stays.
    ///
    /// # Errors
    /// Those of files.
    pub fn give_back(
        &self,
        container: &ContainerId,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), NetError> {
        for address in addresses {
            match self.read(address) {
                Ok(Some(lease)) if lease.container == *container => self.forget(address)?,
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn forget(&self, address: IpAddr) -> Result<(), NetError> {
        let path = self.folder.join(address.to_string());
        match perform("network.lease.give-back", Op::Unlink(At::path(&path))) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(NetError::file("remove", &path, e))
            }
            _ => Ok(()),
        }
    }

    /// The lease of a container; `None` where it has none.
    ///
    /// # Errors
    /// Those of files.
    pub fn of_container(&self, container: &ContainerId) -> Result<Option<Lease>, NetError> {
        let mut leases = self.all()?.into_values().flatten();
        Ok(leases.find(|lease| lease.container == *container))
    }

    /// All leases by address; one that cannot be read keeps its address taken.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn all(&self) -> Result<BTreeMap<IpAddr, Result<Lease, NetError>>, NetError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(e) => return Err(NetError::file("list", &self.folder, e)),
        };
        let mut leases = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(|e| NetError::file("list", &self.folder, e))?;
            let name = entry.file_name().into_string().unwrap_or_default();
            let Ok(address) = name.parse() else {
                continue;
            };
            match self.read(address) {
                Ok(None) => {}
                Ok(Some(lease)) => drop(leases.insert(address, Ok(lease))),
                Err(error) => drop(leases.insert(address, Err(error))),
            }
        }
        Ok(leases)
    }

    /// The lease of an address; `None` where nobody has it.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn read(&self, address: IpAddr) -> Result<Option<Lease>, NetError> {
        let path = self.folder.join(address.to_string());
        let bytes = match berth_persist::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(NetError::file("read", &path, e)),
        };
        crate::file::parse(&path, &bytes).map(Some)
    }

    /// Removes temporary files of whoever died.
    pub(crate) fn sweep(&self) -> Result<(), NetError> {
        if !self.folder.is_dir() {
            return Ok(());
        }
        sweep_temporaries("network.lease.sweep", &self.folder)
            .map(drop)
            .map_err(|e| NetError::file("sweep", &self.folder, e))
    }

    /// Whether an address that somebody asks for can be a container's at all.
    fn check(&self, pool: &Pool, wanted: IpAddr) -> Result<(), NetError> {
        let unfit = |why: String| {
            Err(NetError::AddressUnfit {
                address: wanted,
                network: self.network.clone(),
                why,
            })
        };
        let subnet: Option<ipnet::IpNet> = match wanted {
            IpAddr::V4(_) => pool.ipv4.map(Into::into),
            IpAddr::V6(_) => pool.ipv6.map(Into::into),
        };
        let Some(subnet) = subnet else {
            return unfit(
                "the network has no addresses of that family; make one with --subnet, or --ipv6"
                    .into(),
            );
        };
        if !subnet.contains(&wanted) {
            return unfit(format!("it is outside of the subnet {subnet}"));
        }
        if pool.reserved.contains(&wanted) {
            return unfit("it is the gateway's, or reserved by --aux-address".into());
        }
        match is_usable(pool, wanted) {
            true => Ok(()),
            false => unfit(format!("it names the subnet {subnet} as a whole")),
        }
    }

    fn taken(&self, address: IpAddr) -> NetError {
        let holder = match self.read(address) {
            Ok(Some(lease)) => format!("container {}", lease.name),
            _ => "another container".to_owned(),
        };
        NetError::AddressTaken {
            address,
            network: self.network.clone(),
            holder,
        }
    }

    fn cursor(&self) -> Option<u64> {
        let path = self.folder.join(CURSOR);
        berth_persist::read_to_string(&path)
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    fn set_cursor(&self, value: u64) -> Result<(), NetError> {
        let text = value.to_string();
        let point = "network.lease.cursor";
        Ok(replace(
            point,
            &self.folder,
            CURSOR,
            text.as_bytes(),
            Durability::Boot,
        )?)
    }

    fn make_folder(&self) -> Result<(), NetError> {
        if self.folder.is_dir() {
            return Ok(());
        }
        berth_persist::make_dirs("network.lease.folder", &self.folder, 0o700)
            .map_err(|e| NetError::file("make", &self.folder, e))
    }

    fn unwritable(&self, error: &serde_json::Error) -> NetError {
        NetError::Corrupt {
            path: self.folder.clone(),
            why: error.to_string(),
        }
    }
}

/// Adds the IPv6 address that goes with the IPv4 one.
fn complete(pool: &Pool, lease: &mut Lease) {
    let (Some(v4), Some(subnet), Some(address)) = (pool.ipv4, pool.ipv6, lease.ipv4) else {
        return;
    };
    let host = u32::from(address) & u32::from(v4.hostmask());
    lease
        .ipv6
        .get_or_insert_with(|| with_host(subnet, u128::from(host)));
}

/// The address of a subnet with this host part.
fn with_host(subnet: Ipv6Net, host: u128) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(subnet.network()) | (host & u128::from(subnet.hostmask())))
}

/// Whether an address is one that a container can have, asked for or not.
fn is_usable(pool: &Pool, address: IpAddr) -> bool {
    match (address, pool.ipv4, pool.ipv6) {
        (IpAddr::V4(v4), Some(subnet), _) => {
            let ends = subnet.prefix_len() < 31;
            !(ends && (v4 == subnet.network() || v4 == subnet.broadcast()))
        }
        (IpAddr::V6(v6), _, Some(subnet)) => v6 != subnet.network(),
        _ => false,
    }
}

fn is_handed_out(pool: &Pool, address: IpAddr) -> bool {
    is_usable(pool, address) && !pool.reserved.contains(&address)
}

#[cfg(test)]
mod tests;
