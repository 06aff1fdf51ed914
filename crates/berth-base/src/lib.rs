//! The words of Berth: ids, PIDs, status, error classes and the shapes of the state files.
//!
//! Floor 0. Nothing here does I/O, reads a clock or knows a terminal; every other crate may
//! import it and it imports none of them.

mod class;
mod digest;
mod escape;
mod id;
mod mac;
mod nearest;
mod parts;
mod pid;
mod port;
pub mod protocol;
mod signal;
pub mod state;
mod status;
mod time;

pub use class::ErrorClass;
pub use digest::{Digest, DigestAlgorithm, InvalidDigest};
pub use escape::escape_untrusted;
pub use id::{ContainerId, ContainerName, InvalidId, InvalidName, SessionId};
pub use mac::{InvalidMacAddress, MacAddress};
pub use nearest::nearest;
pub use parts::in_parts;
pub use pid::{HostPid, NamespaceId, NamespaceKind, NsPid, ProcessIdentity};
pub use port::{PublishedPort, Transport};
pub use signal::{SIGNAL_MAX, SIGNALS, signal_name, signal_number};
pub use status::{InvalidTransition, Status};
pub use time::Timestamp;
