//! The snapshot of a host: plain, immutable data.
//!
//! Pure: nothing here reads a file, a clock or a terminal. A source of [`crate::discover`] fills
//! [`Parts`], [`World::assemble`] links and attributes them, and everything else (translation,
//! drawing, JSON) reads the [`World`].

mod cgroup;
mod container;
mod decode;
mod details;
mod hierarchy;
mod holder;
mod mount;
mod namespace;
mod network;
mod process;
mod thread;
mod user;
mod world;

pub use cgroup::{CgroupEntry, CgroupSet, CgroupUsage};
pub use container::{
    Confidence, Container, ContainerIndex, Engine, Evidence, EvidenceKind, Pod, StaleContainer,
    StaleReason,
};
pub use decode::decode_untrusted;
pub use details::{Details, Wanted, WantedThreads};
pub use holder::Holder;
pub use mount::Mount;
pub use namespace::{Namespace, NamespaceSet};
pub use network::{Interface, Listener, Network, Peer, Protocol};
pub use process::{Links, Process};
pub use thread::Thread;
pub use user::{IdMaps, IdRange};
pub use world::{Change, Changed, Diff, Ended, Extent, Host, Parts, Source, Started, World};
pub(crate) use world::{Returned, StoredDiff, StoredWorld};
