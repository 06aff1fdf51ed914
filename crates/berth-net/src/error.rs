//! What can go wrong with networks.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use berth_base::ErrorClass;
use berth_persist::PersistError;
use berth_sys::batch::Refusal;
use ipnet::IpNet;
use rustix::io::Errno;

/// A network could not be made, changed, used or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A file of a network could not be read, written or removed.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// A verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of a network is not what it should be.
    #[error("cannot read {path}: {why}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file was written by a newer version.
    #[error(
        "cannot read {path}: it has version {found}, this berth reads up to {known}; use the newer berth that wrote it"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// An address that was asked for belongs to somebody.
    #[error(
        "cannot give the address {address} of network {network}: {holder} has it; leave the address out, or take a free one"
    )]
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// The network.
        network: String,
        /// Who has it.
        holder: String,
    },
    /// An address that was asked for is none that a container can have.
    #[error("cannot give the address {address} of network {network}: {why}")]
    AddressUnfit {
        /// The address.
        address: IpAddr,
        /// The network.
        network: String,
        /// Why.
        why: String,
    },
    /// All addresses of a subnet are handed out.
    #[error(
        "no address of {subnet} is free on network {network}; remove containers, or make a network with a larger --subnet"
    )]
    Exhausted {
        /// The subnet.
        subnet: IpNet,
        /// The network.
        network: String,
    },
    /// No subnet is left in the pools.
    #[error(
        "no subnet of the address pools is free: each overlaps a network or a route of this host; give one by --subnet, or more pools in the configuration"
    )]
    NoPool,
    /// All bridges that a network can have are full.
    #[error(
        "network {0} has no port left on its bridges; remove containers, or put this one on another network"
    )]
    NoPorts(crate::NetworkName),
    /// The kernel refused a request.
    #[error("cannot {what}: {why}")]
    Kernel {
        /// What was asked for, on which object.
        what: String,
        /// The kernel's answer.
        why: Refusal,
    },
}

impl NetError {
    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::File { source, .. } => match source.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ErrorClass::Denied,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ErrorClass::Unavailable,
                _ => ErrorClass::Internal,
            },
            Self::Corrupt { .. } => ErrorClass::Internal,
            Self::Newer { .. } => ErrorClass::Unsupported,
            Self::AddressTaken { .. } => ErrorClass::Conflict,
            Self::AddressUnfit { .. } => ErrorClass::Invalid,
            Self::Exhausted { .. } | Self::NoPool | Self::NoPorts(_) => ErrorClass::Unavailable,
            Self::Kernel { why, .. } => match why.errno {
                Errno::PERM | Errno::ACCESS => ErrorClass::Denied,
                Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT => {
                    ErrorClass::Unsupported
                }
                _ => ErrorClass::Unavailable,
            },
        }
    }

    pub(crate) fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn kernel(what: impl Into<String>, why: impl Into<Refusal>) -> Self {
        Self::Kernel {
            what: what.into(),
            why: why.into(),
        }
    }
}

impl From<PersistError> for NetError {
    fn from(error: PersistError) -> Self {
        Self::File {
            action: error.action,
            path: error.path,
            source: error.source,
        }
    }
}
