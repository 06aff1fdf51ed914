//! What can go wrong with the table.

use std::net::IpAddr;

use berth_base::{ErrorClass, PublishedPort};
use berth_sys::batch::Refusal;
use rustix::io::Errno;

/// An error of a change to the packet filter, or of reading it.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// A tag that cannot be part of a name.
    #[error("the tag {0:?} cannot name a table; use up to 16 letters and digits")]
    Tag(String),
    /// An interface name that the kernel would not take.
    #[error("{0:?} is no name of an interface; it has 1 to 15 bytes, none of them / or blank")]
    Interface(String),
    /// A port of one family for an address of the other.
    #[error(
        "cannot publish {port} to {container}: one is IPv4, the other IPv6; publish it on an address of the container's family"
    )]
    Families {
        /// The port of the host.
        port: PublishedPort,
        /// The address of the container.
        container: IpAddr,
    },
    /// A port on ::1.
    #[error(
        "cannot publish {0}: the kernel leads nothing from ::1 to another interface; publish it on 127.0.0.1"
    )]
    Loopback(PublishedPort),
    /// No access to the packet filter.
    #[error(
        "cannot {what}: {refusal}; run as root, or with CAP_NET_ADMIN over this network namespace"
    )]
    Denied {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        refusal: Refusal,
    },
    /// The kernel lacks something.
    #[error(
        "cannot {what}: {refusal}; this kernel has no {lacks}; load or build it, or use --network host or none"
    )]
    Unsupported {
        /// What was tried.
        what: String,
        /// What is missing: nf_tables, or one of some expressions.
        lacks: String,
        /// The kernel's answer.
        refusal: Refusal,
    },
    /// The table, or a part of it, is not there.
    #[error(
        "cannot {what}: {refusal}; somebody removed the table {table} or a part of it; run \"berth network reload\""
    )]
    Missing {
        /// What was tried.
        what: String,
        /// The table.
        table: String,
        /// The kernel's answer.
        refusal: Refusal,
    },
    /// A port of the host leads elsewhere already.
    #[error(
        "cannot {what}: it leads to another container already; remove that one or choose another port"
    )]
    Taken {
        /// What was tried.
        what: String,
    },
    /// Others changed the packet filter each time.
    #[error("cannot {what}: others change the packet filter all the time; try again")]
    Raced {
        /// What was tried.
        what: String,
    },
    /// Anything else.
    #[error("cannot {what}: {refusal}")]
    Refused {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        refusal: Refusal,
    },
}

impl NftError {
    /// What kind of error it is.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Tag(_) | Self::Interface(_) | Self::Families { .. } => ErrorClass::Invalid,
            Self::Loopback(_) => ErrorClass::Unsupported,
            Self::Denied { .. } => ErrorClass::Denied,
            Self::Unsupported { .. } => ErrorClass::Unsupported,
            Self::Missing { .. } => ErrorClass::NotFound,
            Self::Taken { .. } => ErrorClass::Conflict,
            Self::Raced { .. } => ErrorClass::Unavailable,
            Self::Refused { refusal, .. } => match refusal.errno {
                Errno::NOMEM | Errno::NOBUFS | Errno::NFILE | Errno::MFILE | Errno::INTR => {
                    ErrorClass::Unavailable
                }
                // Two ranges of addresses overlap.
                Errno::NOTEMPTY => ErrorClass::Conflict,
                _ => ErrorClass::Internal,
            },
        }
    }

    /// The kernel's answer to something that needs no part of the table to be there.
    pub(super) fn refused(what: &str, refusal: impl Into<Refusal>) -> Self {
        let refusal = refusal.into();
        let what = what.to_owned();
        match refusal.errno {
            Errno::PERM | Errno::ACCESS => Self::Denied { what, refusal },
            Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => Self::Unsupported {
                what,
                lacks: "nf_tables".to_owned(),
                refusal,
            },
            _ => Self::Refused { what, refusal },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_answer_decides_the_class() {
        let class = |errno: Errno| NftError::refused("try", errno).class();
        assert_eq!(class(Errno::PERM), ErrorClass::Denied);
        assert_eq!(class(Errno::PROTONOSUPPORT), ErrorClass::Unsupported);
        assert_eq!(class(Errno::NOMEM), ErrorClass::Unavailable);
        assert_eq!(class(Errno::INVAL), ErrorClass::Internal);
        insta::assert_snapshot!(NftError::refused("open a netfilter socket", Errno::PERM), @"cannot open a netfilter socket: Operation not permitted (os error 1); run as root, or with CAP_NET_ADMIN over this network namespace");
    }
}
